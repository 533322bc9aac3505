"""Training of units on the workers of a Dask cluster: what `pool.train_units` is for the cores of one machine.

Rows are those of a local run: a worker is one thread with the same code. Left alone, `distributed` waits for ever where a
package is missing on a worker or the scheduler, and where no worker is left. Each of these ends here with one clear error, and
a unit that kills its workers with failed rows.
"""

import contextlib
import hashlib
import logging
import platform
import re
import sys
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import cloudpickle

from studies.columns import Record
from studies.errors import UserError
from studies.plan.units import Unit
from studies.train import costs, engines, pool
from studies.train.code import SOURCES
from studies.train.worker import Lost, UnitOutcome, attempt

try:
    from distributed import CancelledError, Client, Future, KilledWorker, LocalCluster
    from distributed.comm import CommClosedError
except ImportError as error:
    raise UserError("backend dask needs two more packages: pip install 'ablation-suite[distributed]'") from error

CONNECTION = 10.0  # seconds a scheduler has to answer
PREFLIGHT = 60.0  # seconds the workers have to report their versions; at the first time they import torch
SILENCE = 600.0  # seconds without a result until a run gives up, beside a hundred times what the longest unit should take
QUIET = """  # a local worker: an interrupt is its parent's to handle, and its death is no news
import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed").setLevel("CRITICAL")
"""
_PACKAGES = ("torch", "numpy", "cloudpickle", "dask", "distributed")
Versions = dict[str, str | None]


@contextmanager
def connect(scheduler: str | None, jobs: int) -> Iterator[Client]:
    """A client of the scheduler at that address, or of a cluster of `jobs` processes on this machine, which ends with it.

    Local workers import the script that started them, which therefore needs `if __name__ == "__main__":`.

    Raises UserError where no scheduler answers, it has no worker, or one of them cannot give the rows of a local run.
    """
    # One line of this program says that a worker died or a run stopped; the messages of distributed are many.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            local = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "preload": [QUIET]}
            cluster = stack.enter_context(LocalCluster(n_workers=jobs, silence_logs=logging.CRITICAL, **local))
            yield stack.enter_context(Client(cluster, set_as_default=False))
            return
        client = stack.enter_context(_connect_client(scheduler))
        _check({"the scheduler": _ask(client.run_on_scheduler)})
        check_workers(client, client.nthreads())
        yield client


def _connect_client(scheduler: str) -> Client:
    """A client of a scheduler that has a worker."""
    if not re.fullmatch(r"(\w+://)?.+:\d+", scheduler):
        raise UserError(f"a scheduler is an address as it prints it, tcp://host:8786: {scheduler!r} was given")
    try:
        client = Client(scheduler, timeout=CONNECTION, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"no scheduler answers at {scheduler!r}: start one by `dask scheduler`, and give its address as tcp://host:8786"
        ) from error
    try:
        client.wait_for_workers(1, timeout=CONNECTION)
    except TimeoutError as error:
        client.close()
        raise UserError(
            f"the scheduler at {scheduler} has no worker: start some by `dask worker {scheduler} --nthreads 1`"
        ) from error
    return client


def check_workers(client: Client, workers: Collection[str]) -> None:
    """Raise UserError where one of the workers has more than a thread, or other code or versions than are here."""
    for worker, threads in client.nthreads(workers=list(workers)).items():
        if threads > 1:
            raise UserError(f"a worker trains on one thread: {worker} has {threads}; start it with --nthreads 1")
    reports = _ask(client.run, workers=list(workers), on_error="return")
    # One that dies as it is asked is no longer a worker.
    _check({f"worker {worker}": theirs for worker, theirs in reports.items() if not isinstance(theirs, OSError)})


def _ask(call: Callable[..., Any], **options: Any) -> Any:  # noqa: ANN401
    """The result of `versions` at the other end of `call`. The function itself is sent: this package may be missing there."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return call(versions, callback_timeout=PREFLIGHT, **options)
    except TimeoutError as error:
        raise UserError(
            f"the cluster did not report its versions within {PREFLIGHT:.0f} seconds: restart its workers"
        ) from error
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def versions() -> Versions:
    """The versions that rows and their way over the network depend on, as they are in this process; None: missing."""
    found: Versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    try:
        found["numerics"] = str(import_module("studies.plan.units").NUMERICS)
        code = hashlib.blake2b(digest_size=4)
        for name in ("framework", "studies"):
            folder = Path(str(import_module(name).__file__)).parent
            for path in sorted(path for path in folder.rglob("*.*") if path.suffix in SOURCES):
                code.update(path.read_bytes())
        found["ablation-suite"] = f"code {code.hexdigest()}"
        found["core"] = "built" if any(folder.glob("train/engines/fused/core.*")) else "not built"
    except ImportError:
        found["ablation-suite"] = None
    return found


def _check(reports: Mapping[str, Versions]) -> None:
    """Raise UserError where a report differs from the versions here."""
    ours = versions()
    for place, theirs in reports.items():
        missing = [package for package in ours if package in theirs and theirs[package] is None]
        other = [
            f"{package} {theirs[package]} there, {ours[package]} here"
            for package in ours
            if theirs.get(package) is not None and theirs[package] != ours[package]
        ]
        if missing or other:
            problems = [*(f"{package} is missing" for package in missing), *other]
            raise UserError(
                f"{place} cannot give the rows of this machine: {', '.join(problems)}; install the same there "
                "(pip install --constraint constraints.txt '.[distributed]'), or leave it out"
            )


def run_on_cluster(
    units: Iterable[Unit],
    client: Client,
    received: Callable[[list[Record]], None],
    resources: Mapping[str, float] | None = None,
) -> None:
    """Train the units on the workers of a client.

    Args:
        units: Units of work.
        client: A client of the cluster.
        received: Gets the records of each unit as soon as it is done, in any order.
        resources: Resources that a worker must have free for a unit, as declared when it was started: with {"GPU": 1}, a GPU
            trains one unit at a time.

    Raises:
        ConnectionError: The scheduler is lost.
        TimeoutError: Nothing was heard for long.
        UserError: A worker that came later has other versions, or no worker has the resources.
    """
    resources = dict(resources or {})
    _require(resources, client)

    def train(units: Iterable[Unit], jobs: int) -> Generator[UnitOutcome, None, None]:
        every = list(units)
        for together in [every] if jobs > 1 else [[unit] for unit in every]:
            if together:
                yield from _outcomes(together, client, resources)

    pool.train_persistently(train, units, max(2, len(client.nthreads())), received)


def _require(resources: Mapping[str, float], client: Client) -> None:
    """Raise UserError where no worker has the resources: a unit would wait for one for ever."""
    workers = client.scheduler_info()["workers"].values()
    if not any(all(worker["resources"].get(name, 0) >= count for name, count in resources.items()) for worker in workers):
        wanted = " ".join(f"{name}={count:g}" for name, count in resources.items())
        raise UserError(f"no worker has {wanted}: start one for each by `dask worker ... --nthreads 1 --resources {wanted!r}`")


def _outcomes(units: Sequence[Unit], client: Client, resources: Mapping[str, float]) -> Generator[UnitOutcome, None, None]:
    """The outcome of each unit, in the order in which they end."""
    checked = set(client.nthreads())
    patience = SILENCE + 100 * max(engines.engine_of(unit).cost(unit) for unit in units) * costs.unit_seconds()
    patience = min(patience, threading.TIMEOUT_MAX)  # of a user's function nobody knows how long it takes
    ended: SimpleQueue[Future] = SimpleQueue()  # as_completed has one timeout for all units, not one for the next
    try:
        # All at once: units that wait here would not reach workers that come later.
        running = {client.submit(attempt, unit, pure=False, resources=resources or None): unit for unit in units}
        for future in running:
            future.add_done_callback(ended.put)
        while running:
            future = ended.get(timeout=patience)
            outcome = _outcome(future, patience)
            new = set(client.nthreads()) - checked
            if new:
                check_workers(client, new)
                checked |= new
            yield running.pop(future), outcome
    except (Empty, TimeoutError) as error:
        raise TimeoutError(f"nothing was heard of the cluster for {patience:.0f} seconds: see what its workers say") from error
    except (CancelledError, ConnectionError, CommClosedError) as error:
        raise ConnectionError("the scheduler is gone: start the cluster again") from error


def _outcome(future: Future, patience: float) -> list[Record] | Lost:
    """The result of a unit that has ended; if its worker died before the result was here, after the unit was trained again."""
    try:
        return future.result(timeout=patience)
    except KilledWorker as error:
        return Lost(f"{error.allowed_failures + 1} workers died while they trained it")
