"""The engines, one module and one process each.

`prepare(work, rows)` makes a work ready and returns how to train it; `grid(works, rows, jobs)`, where a module has it, does a
whole grid as a user would.
"""

from collections.abc import Mapping

TITLES: Mapping[str, str] = {
    "ours": "this suite, stacks as its planner cuts them",
    "torch_loop": "torch.nn + autograd, one model at a time",
    "torch_compile": "the same step under torch.compile",
    "sklearn_mlp": "scikit-learn MLPClassifier",
    "torch_vmap": "torch.func vmap over a stack",
    "jax_rows": "JAX jit(vmap(scan)), rows (x @ w)",
    "jax_columns": "JAX in its best form, columns (w @ x)",
    "bare": "our tensor operations written out, no framework",
    "floor": "the matrix products alone",
}
