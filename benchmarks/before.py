"""This suite before its compiled engine, from a checkout of that commit, so that old and new are measured side by side."""

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

from benchmarks.work import UnavailableError

ROOT = Path(__file__).parents[1]
COMMIT = "2b157fa6aa196111853f55ac1307c8f0dd12775a"
_PACKAGES = ("framework", "studies", "benchmarks")


def checkout(folder: Path, repository: Path = ROOT) -> Path:
    """Write the packages of that commit to a folder, and return it.

    Raises UnavailableError with the reason where there is no git, or the clone lacks the commit.
    """
    git = shutil.which("git")
    if not git:
        raise UnavailableError("no git")
    command = [git, "archive", "--format=zip", COMMIT, *_PACKAGES]
    archived = subprocess.run(command, cwd=repository, capture_output=True, check=False)
    if archived.returncode:
        raise UnavailableError(f"commit {COMMIT[:7]} is not in this clone")
    with zipfile.ZipFile(io.BytesIO(archived.stdout)) as archive:
        archive.extractall(folder)
    return folder
