"""A user's Python file as its syntax tree: names and arguments are read from it, and nothing is executed until `load`."""

import ast
import sys
import types
from collections.abc import Iterator
from pathlib import Path

from studies.errors import UserError
from studies.seeds import digest
from studies.spec.components import Parameter
from studies.spec.rules import Rule, flag, number, text


class PythonFile:
    """The syntax tree of a file. Raises UserError, with file and line, where it is not valid Python."""

    def __init__(self, path: str, source: str) -> None:
        self.name, self.module = Path(path).name, module_name(source)
        try:
            tree = ast.parse(source)
        except SyntaxError as error:
            raise self.error(error.lineno or 1, f"not valid Python: {error.msg}") from None
        except ValueError as error:
            raise self.error(1, f"not valid Python: {error}") from None
        self.body = tree.body
        self.imported = dict(_imported(tree))
        self.classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def error(self, line: int, problem: str) -> UserError:
        """An error with file and line."""
        return UserError(f"{self.name}:{line}: {problem}")

    def parameters(
        self,
        arguments: ast.arguments,
        of: str,
        left_out: tuple[str, ...],
        what: str = "parameter of a component",
        none: bool = False,
    ) -> dict[str, Parameter]:
        """The arguments with defaults, by which the rules of their values are found.

        Args:
            arguments: Arguments of a function.
            of: Its name, for errors.
            left_out: Arguments that are no parameters.
            what: What a parameter is, for errors.
            none: Whether a default may be None, beside which any number, flag or text is allowed.
        """
        defaults = dict(_with_defaults(arguments))
        found = {}
        for argument in named(arguments):
            if argument.arg in left_out:
                continue
            if argument.arg not in defaults:
                raise self.error(argument.lineno, f"{of} takes `{argument.arg}` without a default: every {what} has one")
            try:
                default = ast.literal_eval(defaults[argument.arg])
                rule = rule_of(default, none)
            except (ValueError, TypeError):
                raise self.error(
                    argument.lineno,
                    f"the default of `{argument.arg}` of {of} is a finite number, true or false, or a text, written out: "
                    f"{ast.unparse(defaults[argument.arg])} was given",
                ) from None
            found[argument.arg] = Parameter(rule, rule.kept(default))
        return found


def read_text(key: str, path: Path) -> str:
    """The text of a file that a key of a spec names. Raises UserError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{key}: {str(path)!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{key}: {str(path)!r} is no text in UTF-8") from None


def load(path: str, source: str) -> types.ModuleType:
    """The module that a text becomes, executed once in a process."""
    name = module_name(source)
    if name not in sys.modules:
        module = types.ModuleType(name)
        module.__file__ = path
        sys.modules[name] = module
        try:
            exec(compile(source, path, "exec"), vars(module))
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def module_name(source: str) -> str:
    """The name of the module that a text becomes; equal texts are one."""
    return f"studies_parts_{digest(source, 16)}"


def rule_of(default: object, none: bool = False) -> Rule:
    """The rule of a parameter with this default; raises TypeError for a type that no parameter has."""
    if default is None and none:
        return Rule(
            "a number, true or false, or a text", lambda value: value is None or isinstance(value, bool | int | float | str)
        )
    if isinstance(default, bool):
        return flag
    if isinstance(default, str):
        return text
    if isinstance(default, int | float):
        finite = number()
        if not finite.holds(default):
            raise TypeError
        return finite._replace(kept=_whole) if isinstance(default, int) else finite
    raise TypeError


def _whole(value: float) -> float:
    """A number as a whole one, where it is one."""
    return int(value) if value == int(value) else value


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names that a file imports, with their full paths."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def named(arguments: ast.arguments) -> list[ast.arg]:
    """All arguments that have a name."""
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


def _with_defaults(arguments: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    """The arguments that have a default, with it."""
    positional = [*arguments.posonlyargs, *arguments.args]
    for argument, default in zip(reversed(positional), reversed(arguments.defaults), strict=False):
        yield argument.arg, default
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if value is not None:
            yield argument.arg, value


def required(arguments: ast.arguments) -> tuple[str, ...]:
    """The arguments without a default."""
    defaults = dict(_with_defaults(arguments))
    return tuple(argument.arg for argument in named(arguments) if argument.arg not in defaults)
