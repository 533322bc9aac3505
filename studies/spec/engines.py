"""Engines by name, each as "module:class", which is imported where trials are planned or trained, not to read a spec."""

ENGINES = {  # that `[base]` may name
    "stack": "studies.train.engines.stack:StackEngine",
    "torch_nn": "studies.train.engines.torch_nn:TorchEngine",
}
OF_FUNCTIONS = "python"
FUNCTIONS = {OF_FUNCTIONS: "studies.train.engines.python:PythonEngine"}  # trains what `[engine]` names
MEANINGS = {
    "stack": "the framework, many models at a time.",
    "torch_nn": "torch.nn, autograd and torch.optim, one model at a time, for comparison.",
}
