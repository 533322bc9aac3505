"""The compiled core's C functions and structures; core/fused.cpp has the same."""

import ctypes
import functools
from typing import Any

import torch

from studies.train.engines.fused import builds

_POINTER = ctypes.c_void_p
HYPERPARAMETERS = ("lr", "weight_decay", "clip", "momentum", "nesterov", "eps", "alpha", "rho", "beta1", "beta2")


class LayerSpec(ctypes.Structure):
    """One layer of a model."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("kind", "takes", "features", "flags")),
        *((name, ctypes.c_double) for name in ("a", "b")),
        ("seed", ctypes.c_uint64),
    )


class RowsSpec(ctypes.Structure):
    """Rows of samples, with labels or targets."""

    _fields_ = (("inputs", _POINTER), ("labels", _POINTER), ("targets", _POINTER), ("samples", ctypes.c_int64))


class RecordsSpec(ctypes.Structure):
    """Places where a run writes its records."""

    _fields_ = (
        ("epochs", _POINTER),
        ("sets", ctypes.POINTER(RowsSpec)),
        *((name, _POINTER) for name in ("losses", "errors", "norms", "wrong")),
        *((name, ctypes.c_int64) for name in ("count", "set_count")),
    )


class Hyperparameters(ctypes.Structure):
    """Numbers of an optimizer; 0 where a rule has none of that name."""

    _fields_ = tuple((name, ctypes.c_double) for name in HYPERPARAMETERS)


class ModelSpec(ctypes.Structure):
    """A model, its training rows, and how it trains."""

    _fields_ = (
        ("layers", ctypes.POINTER(LayerSpec)),
        *((name, ctypes.c_int32) for name in ("layer_count", "loss", "loss_is_mean", "rule", "decision", "shuffle")),
        ("loss_parameter", ctypes.c_double),
        ("hyperparameters", Hyperparameters),
        *((name, ctypes.c_int64) for name in ("batch_size", "most_rows")),
        ("order_seed", ctypes.c_uint64),
        ("train", RowsSpec),
    )


class Functions:
    """The core's functions for one type of numbers."""

    def __init__(self, library: ctypes.CDLL, dtype: torch.dtype) -> None:
        def function(name: str, result: Any, *arguments: Any) -> Any:  # noqa: ANN401
            found = library[f"fused_{name}_{'double' if dtype == torch.float64 else 'float'}"]
            found.restype, found.argtypes = result, arguments
            return found

        self.new = function("new", _POINTER, ctypes.POINTER(ModelSpec), _POINTER)
        self.run = function("run", ctypes.c_int32, _POINTER, _POINTER, ctypes.POINTER(RecordsSpec))
        self.read = function("read", None, _POINTER, _POINTER, _POINTER)
        self.free = function("free", None, _POINTER)


@functools.cache
def functions(dtype: torch.dtype) -> Functions:
    """The functions for that type, of the build with the widest vectors of this processor."""
    return Functions(ctypes.CDLL(str(builds.best_build(torch.backends.cpu.get_cpu_capability()))), dtype)
