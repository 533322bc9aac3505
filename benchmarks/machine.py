"""Machine and versions of a measurement: `machine.json`."""

import datetime
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.engines import floor
from studies import files
from studies.store import store
from studies.train import runner

_PEERS = ("scikit-learn", "jax", "jaxlib")


def describe(size: str) -> dict[str, Any]:
    """Date, machine, versions, load, and the speed of a large matrix product on one thread, in GFLOP/s."""
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "size": size,
        "processor_name": _processor(),
        **store.machine(),
        **{package: _version(package) for package in _PEERS},
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "gigaflops_before": speed(),
    }


def speed() -> list[float]:
    """GFLOP/s of a large matrix product, measured a few times."""
    with runner.one_thread():
        return [round(each, 1) for each in floor.gigaflops(9)]


def write(results: Path, about: dict[str, Any], seconds: float) -> None:
    """Write `machine.json`, with the speed measured once more: where it differs, the machine was not quiet."""
    content = {**about, "gigaflops_after": speed(), "seconds": round(seconds)}
    files.write(results / "machine.json", json.dumps(content, indent=1) + "\n")


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
