"""The engines, one module and one process each; `before` is `ours` of an earlier commit.

`prepare(work, rows)` makes a work ready and returns how to train it; `grid(works, rows, jobs, seed)`, where a module has it,
does a whole grid as a user would.
"""

from collections.abc import Mapping

TITLES: Mapping[str, str] = {
    "ours": "this suite",
    "stack": "this suite without its compiled engine",
    "before": "this suite before its compiled engine",
    "jax_columns": "JAX in its best form, columns (w @ x)",
    "jax_rows": "JAX jit(vmap(scan)), rows (x @ w)",
    "torch_vmap": "torch.func vmap over a stack",
    "sklearn_mlp": "scikit-learn MLPClassifier",
    "torch_loop": "torch.nn + autograd, one model at a time",
    "torch_compile": "the same step under torch.compile",
    "floor": "the matrix products alone, by numpy",
    "large": "the same at the speed of a large product",
}
