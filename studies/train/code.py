"""Hash of the code that makes a trial's numbers, which every row carries: a change that nobody declared is then seen.

`units.NUMERICS` is raised by hand where a change alters numbers. This hash changes with every change of that code, but for
comments and docstrings.
"""

import ast
import functools
from pathlib import Path

from studies.seeds import digest

_STUDIES = Path(__file__).parents[1]
SOURCES = (".py", ".h", ".cpp")  # of what is computed
_MAKERS = (
    *(
        "seeds",
        "data/csv_files",
        "data/datasets",
        "data/generators",
        "data/measuring",
        "data/splits",
        "data/types",
        "data/wrong",
    ),
    *("spec/components", "spec/functions", "spec/parts", "spec/recording", "spec/settings", "spec/syntax", "plan/units"),
    *("train/calls", "train/returned", "train/sandbox"),
    *("train/fitting", "train/networks", "train/records", "train/runner", "train/torch_models"),
)


@functools.cache
def code() -> str:
    """The first 12 digits of the hash of `framework` and of the modules of `studies` that train and judge."""
    folders = (_STUDIES.parent / "framework", _STUDIES / "train" / "engines")
    sources = [path for folder in folders for path in sorted(folder.rglob("*.*")) if path.suffix in SOURCES]
    sources += [_STUDIES / f"{name}.py" for name in _MAKERS]
    root = _STUDIES.parent
    return digest({path.relative_to(root).as_posix(): _bare(path) for path in sources}, 12)


def _bare(path: Path) -> list[str]:
    """The lines of a source file without docstrings, comments and empty lines."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    if path.suffix != ".py":
        return [line for line in lines if line.strip() and not line.lstrip().startswith("//")]
    nodes: list[ast.AST] = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            nodes += node.body
            if ast.get_docstring(node, clean=False) is not None:
                first, last = node.body[0].lineno, node.body[0].end_lineno or 0
                lines[first - 1 : last] = [""] * (last - first + 1)
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
