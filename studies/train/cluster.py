"""Stacks on the workers of a Dask cluster, through joblib: what `pool.run` is for the cores of one machine.

Rows are equal to those of a local run to the bit: a worker is one thread with the same code. Left alone, joblib's backend
waits for ever where a package is missing on a worker or the scheduler, where a unit kills its workers, and where no worker is
left; it trains in this process where the cluster has one core. Each of these ends here with a row or with one clear error.
"""

import asyncio
import contextlib
import hashlib
import logging
import multiprocessing
import platform
import re
import sys
import warnings
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
from joblib._dask import DaskDistributedBackend
from joblib.externals.loky.process_executor import _ExceptionWithTraceback

from studies.errors import UserError
from studies.plan import costs
from studies.plan.units import Stack
from studies.store.shards import Record
from studies.train import pool
from studies.train.worker import Lost, Outcome, attempt

try:
    from distributed import CancelledError, Client, Future, KilledWorker, LocalCluster, as_completed
    from distributed.comm import CommClosedError
except ImportError as error:
    raise UserError("backend dask needs two more packages: pip install 'ablation-suite[distributed]'") from error

CONNECTION = 10.0  # seconds a scheduler has to answer
PREFLIGHT = 60.0  # seconds the workers have to report their versions; at the first time they import torch
SILENCE = 600.0  # seconds without a result until a run gives up, beside a hundred times what the longest stack should take
BACKEND = "ablation_dask"
QUIET = """  # a local worker: an interrupt is its parent's to handle, and its death is no news
import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed").setLevel("CRITICAL")
"""
_PACKAGES = ("torch", "numpy", "joblib", "cloudpickle", "dask", "distributed")
Versions = dict[str, str | None]


class Backend(DaskDistributedBackend):  # type: ignore[misc]
    """joblib's backend, but a lost unit is an outcome like others, and a cluster of one core is a cluster.

    joblib 1.6.0 never tells of a future that ends in an error, nor of one whose result dies with its worker on the way here
    and cannot be had again: distributed 2026.8.0 gathers results in `as_completed`, where the exception is nobody's.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.waiting_futures = as_completed([], loop=self.client.loop)
        self._deliveries: set[asyncio.Task[None]] = set()

    async def _collect(self) -> None:
        while self._continue:
            async for future in self.waiting_futures:
                delivery = asyncio.create_task(self._deliver(future))  # one of its own: it may wait for a unit run again
                self._deliveries.add(delivery)
                delivery.add_done_callback(self._deliveries.discard)
            await asyncio.sleep(0.01)

    async def _deliver(self, future: Future) -> None:
        """Tell joblib what became of a unit: its result, a loss, or an exception that joblib raises."""
        try:
            outcome = await self.client.gather(future, asynchronous=True)
        except KilledWorker as error:
            outcome = [Lost(f"{error.allowed_failures + 1} workers died while they trained it")]
        except CancelledError:
            outcome = _ExceptionWithTraceback(ConnectionError("the scheduler is gone"))
        except Exception as error:
            outcome = _ExceptionWithTraceback(error)
        self._results.pop(future).set_result(outcome)
        self._callbacks.pop(future)(outcome)

    def effective_n_jobs(self, n_jobs: int) -> int:  # noqa: ARG002
        """Always 2: for 1, joblib trains in this process, and it waits only seconds for a worker that starts again."""
        return 2


joblib.register_parallel_backend(BACKEND, Backend)


@contextmanager
def opened(scheduler: str | None, jobs: int) -> Iterator[Client]:
    """A client of the scheduler at that address, or of a cluster of `jobs` processes on this machine, which ends with it.

    Local workers import the script that started them, which therefore needs `if __name__ == "__main__":`.

    Raises UserError where no scheduler answers, it has no worker, or one of them cannot give the rows of a local run.
    """
    # Workers that die and runs that stop are told of here, in a line; their own words are many.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.filterwarnings("ignore", category=UserWarning, module="joblib")
        if scheduler is None:
            local = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "preload": [QUIET]}
            cluster = stack.enter_context(LocalCluster(n_workers=jobs, silence_logs=logging.CRITICAL, **local))
            yield stack.enter_context(Client(cluster, set_as_default=False))
            return
        client = stack.enter_context(_connected(scheduler))
        _check({"the scheduler": _ask(client.run_on_scheduler)})
        check_workers(client, client.nthreads())
        yield client


def _connected(scheduler: str) -> Client:
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
    """What `versions` gives at the other end of `call`, which need not have this package: the function itself is sent."""
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
            for path in sorted(folder.rglob("*.py")):
                code.update(path.read_bytes())
        found["ablation-suite"] = f"code {code.hexdigest()}"
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


def run(
    stacks: Iterable[Stack],
    client: Client,
    received: Callable[[list[Record]], None],
    resources: Mapping[str, float] | None = None,
) -> None:
    """Train the stacks on the workers of a client; `received` gets the records of each as soon as it is done, in any order.

    `resources` is what a worker must have free for a unit, as declared when it was started: with {"GPU": 1}, a GPU trains one
    stack at a time.

    Raises ConnectionError where the scheduler is lost, TimeoutError after a long silence, UserError where a worker that came
    later has other versions, or no worker has the resources.
    """
    options = {"resources": dict(resources)} if resources else {}
    _require(options.get("resources", {}), client)

    def train(stacks: Iterable[Stack], jobs: int) -> Generator[Outcome, None, None]:
        every = list(stacks)
        for together in [every] if jobs > 1 else [[stack] for stack in every]:
            if together:
                yield from _outcomes(together, client, options)

    pool.persistently(train, stacks, max(2, len(client.nthreads())), received)


def _require(resources: Mapping[str, float], client: Client) -> None:
    """Raise UserError where no worker has the resources: a unit would wait for one for ever."""
    workers = client.scheduler_info()["workers"].values()
    if not any(all(worker["resources"].get(name, 0) >= count for name, count in resources.items()) for worker in workers):
        wanted = " ".join(f"{name}={count:g}" for name, count in resources.items())
        raise UserError(f"no worker has {wanted}: start one for each by `dask worker ... --nthreads 1 --resources {wanted!r}`")


def _outcomes(stacks: Sequence[Stack], client: Client, options: Mapping[str, Any]) -> Generator[Outcome, None, None]:
    """What becomes of each stack, in any order; those that are lost come last."""
    checked = set(client.nthreads())
    waiting = {stack.trials[0].key: stack for stack in stacks}
    losses = []
    patience = SILENCE + 100 * max(map(costs.units, stacks)) * costs.unit_seconds()
    try:
        with joblib.parallel_config(backend=BACKEND, client=client, **options):
            # All at once: what waits here would not reach workers that come later.
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all", timeout=patience)
            for outcome in parallel(joblib.delayed(attempt)(stack) for stack in stacks):
                new = set(client.nthreads()) - checked
                if new:
                    check_workers(client, new)
                    checked |= new
                if isinstance(outcome, Lost):
                    losses.append(outcome)
                else:
                    yield waiting.pop(outcome[0]["trial"]), outcome
    except multiprocessing.TimeoutError as error:  # joblib's; no relation of the builtin one
        raise TimeoutError(f"nothing was heard of the cluster for {patience:.0f} seconds: see what its workers say") from error
    except (ConnectionError, CommClosedError) as error:
        raise ConnectionError("the scheduler is gone: start the cluster again") from error
    # A loss does not say of what; alone, as in the try that decides, it is of the only stack.
    yield from zip(waiting.values(), losses, strict=True)
