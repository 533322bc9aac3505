"""Parts: a user's file of components, `[components] path = "my_parts.py"`.

Names, parameters and defaults are read from its syntax tree. The file is executed where something trains, and nowhere else.
"""

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from studies.errors import UserError
from studies.seeds import digest
from studies.spec.components import BATCH_NORM, BUILT_IN, STEPS, Component, Known, Loss, Parameter
from studies.spec.settings import Settings, components_of
from studies.spec.syntax import PythonFile, load, named, read_text, required

_BASES = {"Module": "activation", "Activation": "activation", "Loss": "loss", "Optimizer": "optimizer"}
_FIRST = {"activation": 1, "loss": 1, "optimizer": 2}  # first arguments of __init__ that are no parameters: self, and the model
_SETTINGS = {"activation": (), "loss": ("reduction",), "optimizer": ("clip",)}
_INITIALIZES, _SCHEDULES = ("shape", "fan_in", "fan_out"), ("epoch",)


@dataclass(frozen=True)
class Parts:
    """A user's file of components: its path and its text; both are empty where a study has none."""

    path: str = ""
    text: str = ""

    @property
    def content(self) -> str:
        """Hash of the text, by which it enters the keys of trials."""
        return digest(self.text, 32) if self.path else ""

    def known(self) -> Known:
        """The built-in components and those of the file, by setting; nothing is executed.

        Raises UserError where a component of the file cannot be one: with file and line.
        """
        return _known(self.path, self.text) if self.path else BUILT_IN

    def load(self) -> Known:
        """The same components, with the file executed, once in a process: they can be made."""
        if self.path:
            load(self.path, self.text)
        return self.known()

    def train_alone(self, settings: Settings) -> bool:
        """True for resolved settings that no stack may train: with a user's own code for all of its replicas at once.

        Nobody knows whether what it computes for one of them rounds as it would alone.
        """
        known = self.known()
        return any(known[key][name].own for key, name in components_of(settings) if key in STEPS)


NO_PARTS = Parts()


def read_parts(path: Path) -> Parts:
    """The parts in a file, checked without executing it.

    Raises UserError where it cannot be read, or a component in it cannot be one.
    """
    parts = Parts(str(path.absolute()), read_text("components.path", path))
    parts.known()
    return parts


@functools.lru_cache(maxsize=16)
def _known(path: str, source: str) -> Known:
    """The built-in components and those of a file, by setting."""
    file = _File(path, source)
    merged: dict[str, dict[str, Component]] = {key: dict(components) for key, components in BUILT_IN.items()}
    count = 0
    for key, name, component, line in file.components():
        for setting in ("init", "output_init", "bias_init") if key == "init" else (key,):
            if name in BUILT_IN[setting]:
                raise file.error(line, f"{name!r} is built in: give it another name")
            if name in merged[setting]:
                raise file.error(line, f"{name!r} is there twice: give one of them another name")
            merged[setting][name] = component
        count += 1
    if not count:
        raise UserError(
            f"components.path: {Path(path).name} defines no component: a subclass of framework.Module, Loss or Optimizer, an "
            "initializer (shape, fan_in, fan_out, generator) or a schedule (epoch)"
        )
    return merged


class _File(PythonFile):
    """The syntax tree of a file of components."""

    def components(self) -> Iterator[tuple[str, str, Component, int]]:
        """Setting, name, component and line of each component of the file."""
        for node in self.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                key = self._kind(node, ())
                if key:
                    yield key, snake_case(node.name), self._of_class(key, node), node.lineno
            elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                needed = required(node.args)
                if needed[:3] == _INITIALIZES and len(needed) == 4:
                    yield "init", node.name, self._of_function(node), node.lineno
                elif needed == _SCHEDULES:
                    yield "schedule", node.name, self._of_function(node), node.lineno

    def _kind(self, node: ast.ClassDef, seen: tuple[str, ...]) -> str:
        """The setting that a class is a component of; empty for none."""
        for base in node.bases:
            path = self._path(base)
            if path in self.classes and path not in seen:
                kind = self._kind(self.classes[path], (*seen, node.name))
                if kind:
                    return kind
            package, _, name = path.rpartition(".")
            if package.partition(".")[0] == "torch" and name in ("Module", "Optimizer"):
                raise self.error(
                    node.lineno,
                    f"{node.name} is a class of {path}: a component is a subclass of framework.{name}, without autograd",
                )
            if package.partition(".")[0] == "framework":
                return _BASES.get(name) or _built_in().get(name, ("", None))[0]
        return ""

    def _path(self, node: ast.expr) -> str:
        """The full path of a name, such as "framework.Module" for `fw.Module`; a name of this file is itself."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{self._path(node.value)}.{node.attr}"
        return ""

    def _of_class(self, key: str, node: ast.ClassDef) -> Component:
        parameters, accepted = self._arguments(key, node)
        if key == "optimizer" and "lr" not in parameters:
            raise self.error(
                node.lineno, f'{node.name} takes no `lr`: an optimizer has a learning rate, such as "lr: float = 0.1"'
            )
        settings = tuple(name for name in _SETTINGS[key] if name in accepted)
        inherited = self._row(node) or (Loss("") if key == "loss" else Component(""))  # the outputs that a loss takes
        maker = f"{self.module}:{node.name}"
        return replace(inherited, maker=maker, parameters=parameters, torch="", fixed={}, settings=settings, own=True)

    def _row(self, node: ast.ClassDef) -> Component | None:
        """The row of the first built-in class among the ancestors of a class; None where there is none."""
        for base in node.bases:
            path = self._path(base)
            found = self._row(self.classes[path]) if path in self.classes else _built_in().get(path.rpartition(".")[2])
            row = found[1] if isinstance(found, tuple) else found
            if row:
                return row
        return None

    def _arguments(self, key: str, node: ast.ClassDef) -> tuple[dict[str, Parameter], set[str]]:
        """The parameters of a class, its own or inherited, and all arguments that it accepts by name."""
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                first = [argument.arg for argument in named(part.args)[: _FIRST[key]]]
                left_out = (*first, *_SETTINGS[key])
                return self.parameters(part.args, node.name, left_out), {argument.arg for argument in named(part.args)}
        for base in node.bases:
            if self._path(base) in self.classes:
                return self._arguments(key, self.classes[self._path(base)])
        row = self._row(node)
        if row:
            return {name: Parameter(each.rule, each.default) for name, each in row.parameters.items()}, set(row.settings)
        return {}, set(_SETTINGS[key])

    def _of_function(self, node: ast.FunctionDef) -> Component:
        parameters = self.parameters(node.args, node.name, required(node.args))
        return Component(f"{self.module}:{node.name}", parameters, binds=True, own=True)


def snake_case(name: str) -> str:
    """A name of a class in lower case, with "_" between its words: "HardSwish" as "hard_swish"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@functools.cache
def _built_in() -> Mapping[str, tuple[str, Component]]:
    """Setting and row of each class of the framework that is a component, by its name."""
    return {
        row.maker.partition(":")[2]: (key, row) for key in ("activation", "loss", "optimizer") for row in BUILT_IN[key].values()
    } | {"BatchNorm": ("activation", BATCH_NORM)}
