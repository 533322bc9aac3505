"""Memory of processes that train: kept from one step to the next, where the C library is glibc."""

import os
import platform
import subprocess
import sys

import pytest

from studies.train import memory

FAULTS = """
import resource
from studies.train import memory
{prepare}
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    b"x" * (40 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(prepare="", environment=()):
    """The pages that ten large results, one after the other, take from the system."""
    inherited = {name: value for name, value in os.environ.items() if name not in memory.ENVIRONMENT}
    command = [sys.executable, "-c", FAULTS.format(prepare=prepare)]
    return int(
        subprocess.run(command, env={**inherited, **dict(environment)}, capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_is_kept_by_the_environment_and_by_a_call():
    by_default = faults()
    assert faults(environment=memory.ENVIRONMENT) < by_default / 4
    assert faults(prepare="memory.keep_memory()") < by_default / 4
