"""Devices that train: the cores of a machine, or its CUDA devices, one process each.

torch takes a second to import, which a plan for the CPU does without.
"""

import fcntl
import functools
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from joblib.externals import loky
from threadpoolctl import threadpool_info

from studies.errors import UserError, unknown
from studies.plan.units import DEVICES

if TYPE_CHECKING:
    import torch

CACHE = 7.5e6  # bytes a stack may touch in one step; measured: beyond, it leaves the cache, or crowds that of another process
EVALUATION = 256e6  # bytes a stack may touch when it is evaluated on all rows
SHARE = 0.4  # of a CUDA device's memory that a stack may fill: what is counted leaves out temporaries and the recorded step


def require_device(device: str) -> None:
    """Raise UserError unless it is the name of a device that is here."""
    if device not in DEVICES:
        raise UserError(unknown("device", device, DEVICES))
    if device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            "device cuda was asked for, and torch finds none here: give --device cpu, or install a CUDA build of torch"
        )


def processes(device: str, threads: int = 1) -> int:
    """The number of processes that train at once by default: one for each usable core, or for each CUDA device.

    Where trials have several threads, as many times fewer on the CPU.
    """
    if device == "cpu":
        return max(1, loky.cpu_count() // threads)
    import torch

    return torch.cuda.device_count()


def room(device: str) -> tuple[float, float]:
    """The bytes that a stack may touch in one step, and when it is evaluated."""
    if device == "cpu":
        return CACHE, EVALUATION
    import torch

    memory = SHARE * torch.cuda.get_device_properties(0).total_memory
    return memory, memory


def describe_device(device: str) -> str:
    """The column `device`: rows are equal to the bit within one kind of device at most."""
    if device == "cpu":
        return device
    import torch

    return f"cuda {torch.cuda.get_device_name(0)}"


@functools.cache
def instructions() -> str:
    """The instruction sets that torch and the BLAS library of numpy use here: sums of another width round otherwise."""
    import torch

    kernels = {library["architecture"] for library in threadpool_info() if library.get("internal_api") == "openblas"}
    return " ".join([torch.backends.cpu.get_cpu_capability(), *sorted(kernels)])


@functools.cache
def take(device: str) -> "torch.device":
    """The device of this process: of several CUDA devices, one that no other process of a run has taken."""
    import torch

    if device == "cpu" or torch.cuda.device_count() < 2:
        return torch.device(device)
    index = _claim(torch.cuda.device_count())
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def wait(device: "torch.device") -> None:
    """Return once the device has done all its work: a CUDA device works while the host goes on."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


_held: list[IO[str]] = []  # open files: a lock on one ends with its process, however that ends


def _claim(count: int) -> int:
    """The first of `count` devices whose lock is free, and now taken; by the process's number where none is."""
    for index in range(count):
        file = (Path(tempfile.gettempdir()) / f"ablation-{os.getuid()}-cuda-{index}.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        _held.append(file)
        return index
    return os.getpid() % count
