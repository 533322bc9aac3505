"""Reference pages, from the code that checks specs and writes files: `python -m studies.show.reference [FOLDER]`."""

import ast
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from studies import files
from studies.claims import judge
from studies.columns import FILES
from studies.data import generators
from studies.show import tables
from studies.spec import components, functions, measures, rows, settings, spec, table
from studies.store import store

WRITTEN = "<!-- written by `make docs`: change the code that it names, not this page -->"
NOT_COMMITTED = ("trials", "history", "predictions")
MODULES = "<!-- modules: written by `make docs` from their docstrings -->"
END = "<!-- end -->"
STAGES = ("data", "spec", "plan", "train", "store", "analysis", "claims", "show", "api", "cli")  # in pipeline order
COMPONENTS: Mapping[str, Mapping[str, object]] = {  # of a key of [base], by name
    "activation": components.ACTIVATIONS,
    "output": components.OUTPUTS,
    "decision": components.DECISIONS,
    "init, output_init": components.INITIALIZERS,
    "bias_init": components.BIASES,
    "loss": components.LOSSES,
    "optimizer": components.OPTIMIZERS,
    "schedule": components.SCHEDULES,
    "batchnorm": {"affine": components.BATCH_NORM},
}


def spec_page() -> str:
    """Every key of a spec with its rule, default and meaning, in Markdown."""
    return _page(
        "Keys of a spec",
        "A spec is a TOML file: [studies.md](studies.md) shows how to write one. Every key may be left out. An unknown key is "
        "an error, and so is a value that breaks a rule. The rules are in [`studies/spec`](../studies/spec).",
        _section("Top level", "These keys stand above the first table.", _keys(spec.TOP)),
        _section("Sections", "", _table(("section", "meaning"), ((f"`[{name}]`", words) for name, words in _sections()))),
        _section("`[data]`", "", _keys(rows.DATA), _table(("data set", "rows"), _data_sets())),
        _section("`[validation]`", "", _keys(rows.VALIDATION)),
        _section(
            "`[base]`",
            'Settings of one model. A key in a `[[grid]]` may be dotted to reach a parameter: `"optimizer.lr"`.',
            _table(("key", "rule", "default", "meaning"), ((_code(key), *_cells(each)) for key, each in _base())),
        ),
        _section(
            "Components",
            "What a name stands for, and its parameters. In formulas x is the input, y the output, g the gradient of the "
            "parameters p, lr the learning rate times the schedule's factor.",
            *(_component(key, named) for key, named in COMPONENTS.items()),
        ),
        _section("`[[grid]]`", GRID),
        _section("`[[exclude]]`", EXCLUDE),
        _section("`[reading.<name>]`", READING, _keys({"primary": spec.PRIMARY})),
        _section("`[components]`", "Components of your own: see [components.md](components.md).", _keys(spec.COMPONENTS)),
        _section("`[engine]`", ENGINE_WORDS, _keys(functions.ENGINE)),
        _section("`measure = { ... }`", OWN_MEASURE, _keys(measures.OWN)),
        _section(
            "`[table]`",
            "Rows that something else produced, in place of all other sections: see [tables.md](tables.md). Above it may stand "
            + ", ".join(f"`{key}`" for key in table.TOP)
            + " alone.",
            _keys(table.TABLE),
        ),
    )


def files_page() -> str:
    """Every column of every file of a study, in Markdown."""
    return _page(
        "Files of a study",
        "`results/<study>/` holds these files. Errors in tables are percentages of the rows of a set. In names of columns, "
        "<set> is train, val or test, and <judged> the set that errors are about: test rows, else validation rows, else "
        "training rows. A column of a set that the study lacks is left out of tables, and empty in `trials.csv`. "
        "The names are in [`studies/columns.py`](../studies/columns.py).",
        *(_section(f"`{name}.csv`", words, _columns(columns)) for name, (words, columns) in FILES.items()),
        _section("`manifest.json`", "The study and its runs.", _table(("key", "meaning"), _named(store.MANIFEST))),
        _section("`tables.json`", "What the tables were made from.", _table(("key", "meaning"), _named(tables.NOTE))),
        _section("Others", "", _table(("file", "content"), _named(OTHERS))),
        _section(
            "`results/verdicts.csv`",
            "One line for each claim of the reports and reading of its study.",
            _columns(judge.COLUMNS),
        ),
        _section("`results/calibration.csv`", "Written by `make calibration`: see [statistics.md](statistics.md)."),
    )


GRID = """\
A factor is a key of `[base]`, or a name of your own, with the list of its levels. A level is a value of the key.
Under a name of your own it is a table with a `label` and the keys that it sets: `{ label = "He", init = "he",
batchnorm = "affine" }`. A level of a key that is a table may have a `label` too. At each point of a grid, one factor
sets a key. Labels of a factor differ, and none is the name of a column of [files.md](files.md)."""
EXCLUDE = """\
Each table leaves out the configurations that have all its entries: the label of a factor's level, or the value of a
key of `[base]`. An entry that no point of the grid has is an error."""
READING = """\
A study of the same source, read in another way. Tables `data`, `validation`, `base` and `baseline` replace keys of
the study's, one by one; lists `grid` and `exclude` replace the study's as a whole. Rows of all readings lie together,
with the reading in the column `reading`. A study without readings is one reading without a name."""
ENGINE_WORDS = """\
A function or estimator of your own that trains the models: see [models.md](models.md). Its arguments are the keys of
`[base]` then, and without `[data]` there are no rows."""
OWN_MEASURE = """\
A measure that your function returns is described by a table, as `measure` or in the list `measures`."""
OTHERS = {
    "`tables.md`": "The tables that `ablation tables` prints.",
    "`report.html`": "The page: `ablation report`.",
    "`models/<trial>.pt`": "Model that `ablation show` saved: see [studies.md](studies.md).",
    "`tracebacks/<hash>.txt`": "Traceback of failed trials, one file for all that failed alike; `reason` names it.",
    "`kept/`": "Rows of trials that the study no longer has, in files as above. They enter no table.",
    "`shards/<run>.jsonl`": "Rows of a run that is at work or was killed, one line of JSON each.",
}


def modules() -> str:
    """Every module with the first line of its docstring: framework first, then stage by stage, in order of imports."""
    root = Path(__file__).parents[2]
    base = [path for path in sorted((root / "studies").glob("*.py")) if path.stem not in STAGES]
    stages = [(root / "studies" / f"{stage}.py", root / "studies" / stage) for stage in STAGES]
    groups = {"framework": _in_order(root, root / "framework"), "studies": base}
    groups |= {f"studies/{folder.name}": [file] if file.exists() else _in_order(root, folder) for file, folder in stages}
    return "\n\n".join(
        f"### {name}\n\n{_table(('module', 'content'), _contents(root, paths))}" for name, paths in groups.items()
    )


def _contents(root: Path, paths: Iterable[Path]) -> Iterable[tuple[str, str]]:
    for path in paths:
        line = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        yield _code(str(path.relative_to(root))), line


def _in_order(root: Path, folder: Path) -> list[Path]:
    """The modules of a package, each after those of the package that it imports; `__init__` first."""
    left = {path: _imports(path) for path in sorted(folder.rglob("*.py"))}
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in left}
    placed = [folder / "__init__.py"]
    del left[placed[0]]
    while left:
        open_names = {names[path] for path in left}
        ready = next((path for path, own in left.items() if not own & (open_names - {names[path]})), next(iter(left)))
        placed.append(ready)
        del left[ready]
    return placed


def _imports(path: Path) -> set[str]:
    """The modules that a file imports, and the names from them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def pages(folder: Path) -> dict[str, str]:
    """The reference pages by file name; of `architecture.md` in a folder, the modules are current."""
    written = {"spec.md": spec_page(), "files.md": files_page()}
    architecture = folder / "architecture.md"
    if architecture.exists():
        before, _, rest = architecture.read_text(encoding="utf-8").partition(MODULES)
        written["architecture.md"] = f"{before}{MODULES}\n\n{modules()}\n\n{END}{rest.partition(END)[2]}"
    return written


def _page(title: str, introduction: str, *sections: str) -> str:
    return "\n\n".join((f"# {title}", WRITTEN, introduction, *sections)) + "\n"


def _section(title: str, *parts: str) -> str:
    return "\n\n".join(filter(None, (f"## {title}", *parts)))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`"


def _cells(words: Sequence[str]) -> tuple[str, str, str]:
    """Rule, default and meaning; a default that is TOML as code."""
    rule, default, meaning = words
    is_code = default.startswith(("[", '"')) or (" " not in default and default != "needed")
    return rule, _code(default) if is_code else default, meaning


def _keys(keys: Mapping[str, "spec.Key"]) -> str:
    return _table(("key", "rule", "default", "meaning"), ((_code(key), *_cells(each.words)) for key, each in keys.items()))


def _base() -> Iterable[tuple[str, settings.Words]]:
    return settings.describe().items()


def _sections() -> Iterable[tuple[str, str]]:
    brackets = {"grid": "[grid]", "exclude": "[exclude]", "reading": "reading.<name>"}
    return ((brackets.get(name, name), words) for name, words in spec.SECTIONS.items())


def _named(meanings: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((name if name.startswith("`") else _code(name), words) for name, words in meanings.items())


def _columns(columns: Mapping[str, str]) -> str:
    return _table(("column", "meaning"), _named(columns))


def _data_sets() -> Iterable[tuple[str, str]]:
    """The data sets by name, each with its definition or origin."""
    for name in generators.NAMES:
        made = {**generators.GENERATED, **generators.FIXED}.get(name)
        own = inspect.isfunction(made) and made.__name__ == name
        words = _first_line(made) if own else "A file of your own." if name == "csv" else "As in scikit-learn, all rows."
        yield _code(name), words


def _component(key: str, named: Mapping[str, object]) -> str:
    """The names of one kind of component, and the parameters of those that have some."""
    lines = [(_code(name), _first_line(_made(each)) or "No function: the output is linear.") for name, each in named.items()]
    described = settings.describe_parameters()
    rows = [
        (_code(name), _code(parameter), *_cells(each))
        for name in named
        for parameter, each in described.get(f"{key.partition(',')[0]}.{name}", {}).items()
    ]
    parts = [f"### {key}", _table(("name", "meaning"), lines)]
    return "\n\n".join([*parts, _table(("name", "parameter", "rule", "default", "meaning"), rows)] if rows else parts)


def _made(component: object) -> object:
    """The class or function of the framework that a component makes its object by."""
    return component.make if isinstance(component, components.Component) else component


def _first_line(described: object) -> str:
    """The first line of a docstring: a formula, in the framework."""
    line = (inspect.getdoc(described) or "").partition("\n")[0] if described is not None else ""
    return line.partition(" Raises ")[0]


def write_reference(folder: Path) -> list[Path]:
    """Write the pages that changed to a folder, and return their paths."""
    changed = {folder / name: page for name, page in pages(folder).items()}
    changed = {path: page for path, page in changed.items() if not path.exists() or path.read_text(encoding="utf-8") != page}
    for path, page in changed.items():
        files.write(path, page)
    return list(changed)


if __name__ == "__main__":
    for path in write_reference(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")):
        print(path)
