"""Functions: a user's own function or estimator that trains the models of a study, `[engine] path = "my_model.py"`.

Its arguments and their defaults are the settings of the study. They are read from the syntax tree of the file, or from the
signature of a function that was given in Python. It is called where something trains, and nowhere else.
"""

import ast
import inspect
import sysconfig
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studies.columns import FIRST, LAST, is_measure, is_taken
from studies.errors import UserError, unknown
from studies.seeds import digest
from studies.spec import recording
from studies.spec.engines import OF_FUNCTIONS
from studies.spec.rules import Key, number, require, require_keys, text, whole_number
from studies.spec.settings import DEFAULTS, Settings
from studies.spec.syntax import PythonFile, named, read_text, rule_of

SEEDS = ("seed", "random_state")  # arguments that get the seed of a trial
ENGINE: Mapping[str, Key] = {
    "path": Key(
        text, None, "Python file of the function, relative to the spec. Its content enters the keys of trials.", "needed"
    ),
    "train": Key(text, "train", "Function in it, or class with `fit` and `predict`."),
    "threads": Key(whole_number(1, 1024), 1, "Threads of a trial; as many times fewer trials run at once."),
    "limit": Key(number(0), 0.0, "Seconds after which a trial is stopped, and has failed. 0: never."),
}
_RECORDED = {"engine": OF_FUNCTIONS, **dict.fromkeys(recording.SETTINGS, 0)}  # settings that every row has
_RESERVED = {*FIRST, *LAST, *_RECORDED, *SEEDS} - {"epochs"}


@dataclass(frozen=True)
class Function:
    """A user's function; all texts are empty where a study has none.

    Attributes:
        path: The file; empty for a function that was given in Python.
        text: The text of the file or of the function, which enters keys; without one, its bytecode.
        name: The name of the function or class.
        settings: Each argument that is a setting, with its default.
        threads: Threads of a trial.
        limit: Seconds of a trial at most; 0: any number.
        pickled: A function that was given in Python.
    """

    path: str = ""
    text: str = ""
    name: str = ""
    settings: tuple[tuple[str, Any], ...] = ()
    threads: int = 1
    limit: float = 0.0
    pickled: bytes = b""

    @property
    def content(self) -> str:
        """Hash of all of the function that numbers may depend on; empty where there is none."""
        return digest([self.name, self.text], 32) if self.name else ""

    @property
    def described(self) -> str:
        """The function in a few words: "train of my_model.py"."""
        return self.name + (f" of {Path(self.path).name}" if self.path else "")

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Every setting with its default."""
        return dict(self.settings)

    def resolve(self, given: Settings, where: str) -> dict[str, Any]:
        """Settings with every default filled in, and what all rows record. Raises UserError, which begins with `where`."""
        require_keys(where, given, given if isinstance(given, Mapping) else {})
        for key in given:
            self.require(where, key, "setting")
        full = {**self.defaults, **given}
        rules = {key: rule_of(default, none=True) for key, default in self.settings}
        inside = f"{where}." if where.isidentifier() else f"{where}: "
        return {**_RECORDED, **{key: require(f"{inside}{key}", full[key], rule) for key, rule in rules.items()}}

    def require(self, where: str, key: str, what: str) -> None:
        """Raise UserError unless `key` is an argument of the function."""
        if key not in self.defaults and key in DEFAULTS:
            there = ", ".join(self.defaults) or "none"
            raise UserError(
                f"{where}: {key} is a setting of the suite's own networks, and [engine] trains {self.described} with its own "
                f"settings, {there}; leave it out, or add the argument to {self.name}"
            )
        if key not in self.defaults:
            raise UserError(f"{where}: {unknown(what, key, self.defaults)}")

    def value_at(self, settings: Settings, key: str) -> Any:  # noqa: ANN401
        """The value under a key of resolved settings."""
        return settings.get(key)


NO_FUNCTION = Function()


def read_function(section: object, folder: Path, train: Callable[..., Any] | None = None) -> Function:
    """The function of the `[engine]` section, which is not executed; NO_FUNCTION without one.

    Args:
        section: The section; None where there is none.
        folder: Folder that the path is relative to.
        train: A function or class in place of the file.

    Raises:
        UserError: The section is wrong, the file cannot be read, or the function cannot be one.
    """
    if section is None and train is None:
        return NO_FUNCTION
    given = {} if section is None else section
    require_keys("engine", given, ENGINE)
    assert isinstance(given, Mapping)
    for key, each in ENGINE.items():
        if key in given or (each.otherwise == "needed" and train is None):
            require(f"engine.{key}", given.get(key), each.rule)
    if train is not None:
        if {"path", "train"} & set(given):
            raise UserError(
                "engine.path and engine.train name a function, and train = ... was given beside them: give one of both"
            )
        found = _of_callable(train)
    else:
        path = folder / given["path"]
        found = _of_file(path, read_text("engine.path", path), given.get("train", "train"))
    for key, _ in found.settings:
        if key in _RESERVED or is_measure(key) or (is_taken(key) and key not in DEFAULTS):
            raise UserError(
                f"engine: {key!r} is an argument of {found.described} and a column of the tables already; give it another name"
            )
    return replace(found, threads=given.get("threads", 1), limit=float(given.get("limit", 0)))


def _of_file(path: Path, source: str, name: str) -> Function:
    """The function or class of this name in a file."""
    file = PythonFile(str(path), source)
    there = {node.name: node for node in file.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    if name not in there:
        public = [each for each in there if not each.startswith("_")]
        raise UserError(f"engine.train: {unknown('function or class', name, public)}; it stands in {path.name} itself")
    node = there[name]
    arguments = _constructor(file, node) if isinstance(node, ast.ClassDef) else node.args
    first = tuple(argument.arg for argument in named(arguments)[:1]) if arguments else ()
    if isinstance(node, ast.FunctionDef):
        _require_split(f"{file.name}:{node.lineno}", name, named(node.args)[:1], _with_default(node.args))
    else:
        _require_methods(
            f"{file.name}:{node.lineno}",
            name,
            bool(node.bases),
            {each.name for each in node.body if isinstance(each, ast.FunctionDef)},
        )
    parameters = file.parameters(arguments, name, (*first, *SEEDS), "setting", none=True) if arguments else {}
    settings = tuple((key, each.default) for key, each in parameters.items())
    return Function(str(path.absolute()), source, name, settings)


def _constructor(file: PythonFile, node: ast.ClassDef) -> ast.arguments | None:
    """The arguments of a class's `__init__`, its own or of a class in the file that it inherits from; None without one."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return part.args
    bases = (file.classes.get(base.id) for base in node.bases if isinstance(base, ast.Name))
    return next((found for base in bases if base and base is not node and (found := _constructor(file, base))), None)


def _with_default(arguments: ast.arguments) -> set[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    return {argument.arg for argument in positional[len(positional) - len(arguments.defaults) :]}


def _require_split(where: str, name: str, first: list[ast.arg], with_default: set[str]) -> None:
    if not first or first[0].arg in (*with_default, *SEEDS):
        raise UserError(f"{where}: {name} takes no rows: its first argument is them, as in {name}(split, *, seed, width=32)")


def _require_methods(where: str, name: str, inherits: bool, methods: set[str]) -> None:
    lacking = [method for method in ("fit", "predict") if method not in methods]
    if lacking and not inherits:
        raise UserError(f"{where}: {name} has no {' and no '.join(lacking)}: a class that trains has fit(x, y) and predict(x)")


def _of_callable(train: Callable[..., Any]) -> Function:
    """The function or class that was given in Python."""
    if not inspect.isfunction(train) and not inspect.isclass(train):  # others have no text, and no name that stays
        raise UserError(f"train is a function, or a class with fit and predict: {train!r} was given")
    name = train.__name__
    given = list(inspect.signature(train).parameters.values())
    usual = [each for each in given if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    if inspect.isclass(train):
        _require_methods("train", name, False, {each for each in ("fit", "predict") if hasattr(train, each)})
    else:
        if not usual or usual[0].default is not inspect.Parameter.empty or usual[0].name in SEEDS:
            _require_split("train", name, [], set())
        usual = usual[1:]
    settings = []
    for each in usual:
        if each.name in SEEDS:
            continue
        if each.default is inspect.Parameter.empty:
            raise UserError(f"train: {name} takes `{each.name}` without a default: every setting has one")
        try:
            settings.append((each.name, rule_of(each.default, none=True).kept(each.default)))
        except TypeError:
            raise UserError(
                f"train: the default of `{each.name}` of {name} is a finite number, true or false, or a text: "
                f"{each.default!r} was given"
            ) from None
    return Function("", _source(train), name, tuple(settings), pickled=_pickle(train))


def _source(train: Callable[..., Any]) -> str:
    """The text of a function; where there is none, as of one typed into an interpreter, its bytecode and constants."""
    try:
        return inspect.getsource(train)
    except (OSError, TypeError):
        return repr(_bytecode(train.__code__)) if inspect.isfunction(train) else train.__qualname__


def _bytecode(code: types.CodeType) -> tuple[Any, ...]:
    """Instructions, names and constants of a function, and of those within it."""
    inner = [_bytecode(each) if isinstance(each, types.CodeType) else repr(each) for each in code.co_consts]
    return code.co_code.hex(), code.co_names, code.co_varnames, inner


def _pickle(train: Callable[..., Any]) -> bytes:
    """A function as bytes that another process can load: by its content, unless it belongs to an installed package."""
    import cloudpickle

    module = inspect.getmodule(train)
    file = Path(getattr(module, "__file__", None) or "").resolve()
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")}
    own = module is not None and module.__name__ != "__main__" and file.name and not installed & set(file.parents)
    try:
        if own:
            cloudpickle.register_pickle_by_value(module)
        return bytes(cloudpickle.dumps(train))
    except Exception as error:  # whatever a value that the function refers to raises
        raise UserError(f"train cannot be sent to another process: {type(error).__name__}: {error}") from None
    finally:
        if own:
            cloudpickle.unregister_pickle_by_value(module)
