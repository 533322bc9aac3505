"""The stacks of this suite's framework, as its planner cuts them, each trained by `framework.fit`."""

from functools import partial

from benchmarks.engines import ours

prepare = partial(ours.prepare, engine="stack")
