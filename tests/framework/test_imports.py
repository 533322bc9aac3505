import ast
from pathlib import Path

import pytest

import framework

SOURCES = sorted(Path(framework.__file__).parent.glob("**/*.py"))
ALLOWED = {
    "framework",
    "torch",
    "math",
    "os",
    "typing",
    "collections",
    "contextlib",
    "contextvars",
    "copy",
    "dataclasses",
    "functools",
    "weakref",
}
FORBIDDEN = {
    "requires_grad",
    "requires_grad_",
    "numpy",
    "pandas",
    "matplotlib",
    "studies",
    "importlib",
    "__import__",
    "eval",
    "exec",
}
FORBIDDEN_OF_TORCH = {"nn", "optim", "autograd", "func", "grad", "vmap"}


def roots_imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "").split(".")[0]


def words_used(tree):
    """Every name and attribute outside strings and comments; those of torch and its modules as `torch.` and the name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        if isinstance(node, ast.Attribute):
            yield f"torch.{node.attr}" if isinstance(node.value, ast.Name) and node.value.id == "torch" else node.attr
        if isinstance(node, ast.Import):
            yield from (word for alias in node.names for word in words_of_path(alias.name))
        if isinstance(node, ast.ImportFrom):
            yield from (word for alias in node.names for word in words_of_path(f"{node.module}.{alias.name}"))


def words_of_path(path):
    root, *rest = path.split(".")
    return [root, *(f"torch.{word}" if root == "torch" else word for word in rest)]


def faults(source):
    tree = ast.parse(source)
    forbidden = FORBIDDEN | {f"torch.{word}" for word in FORBIDDEN_OF_TORCH | FORBIDDEN}
    return sorted(set(roots_imported(tree)) - ALLOWED) + sorted(set(words_used(tree)) & forbidden)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_framework_is_tensor_operations_and_math_only(path):
    assert faults(path.read_text()) == []


def test_every_module_of_the_framework_is_read():
    assert {"__init__.py", "ops.py", "module.py", "layers.py", "training.py"} <= {path.name for path in SOURCES}


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np",
        "import torch.nn",
        "import torch.nn.functional as F",
        "from torch import nn",
        "from torch.nn import functional",
        "from torch.optim import SGD",
        "from torch import autograd",
        "from studies.spec import spec",
        "from . import ops",
        "import scipy.special",
        "def f():\n    import pandas",
        "y = torch.nn.functional.relu(x)",
        "torch.autograd.backward(y)",
        "x = torch.ones(3, requires_grad=True)",
        "x.requires_grad_()",
        "x.requires_grad = True",
        "x.numpy()",
        "np = __import__('numpy')",
    ],
)
def test_a_forbidden_source_is_found_out(source):
    assert faults(source) != []


def test_a_docstring_may_name_what_the_code_may_not_use():
    assert faults('"""As in torch.nn, not numpy."""\nimport math\nfrom torch import Tensor\n') == []
