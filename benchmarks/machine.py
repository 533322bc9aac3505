"""Machine and versions of a measurement: `machine.json`."""

import datetime
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks.host import hosts
from studies import files
from studies.store import store
from studies.train.engines.fused import builds

_PEERS = ("scikit-learn", "jax", "jaxlib")


def where() -> dict[str, Any]:
    """Date and processor."""
    return {"date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}", "processor_name": _processor()}


def describe(size: str) -> dict[str, Any]:
    """Date, machine, versions, load, and the speed of a large matrix product on one thread, in GFLOP/s."""
    return {
        **where(),
        "size": size,
        **store.machine(),
        **{package: _version(package) for package in _PEERS},
        "core": _core(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "gigaflops_before": speed(),
    }


def speed() -> list[float]:
    """GFLOP/s of a large matrix product, measured a few times."""
    with hosts({"floor": "floor"}) as running:
        return [round(each, 1) for each in running["floor"].call("gigaflops", 9)]


def write(results: Path, about: dict[str, Any], seconds: float) -> None:
    """Write `machine.json`, with the speed measured once more: where it differs, the machine was not quiet."""
    content = {**about, "gigaflops_after": speed(), "seconds": round(seconds)}
    files.write(results / "machine.json", json.dumps(content, indent=1) + "\n")


def _core() -> str | None:
    """The build of the compiled engine that runs here; None where none was built."""
    if not builds.any_built():
        return None
    return builds.best_build(torch.backends.cpu.get_cpu_capability()).name.partition(".")[0]


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
