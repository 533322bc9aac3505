"""Engines by name, each as "module:class", which is imported where trials are planned or trained, not to read a spec."""

AUTO = "auto"
ENGINES = {  # that `[base]` may name; `auto` is the first of these that is built and can train the settings
    "fused": "studies.train.engines.fused:FusedEngine",
    "stack": "studies.train.engines.stack:StackEngine",
    "torch_nn": "studies.train.engines.torch_nn:TorchEngine",
}
OF_FUNCTIONS = "python"
FUNCTIONS = {OF_FUNCTIONS: "studies.train.engines.python:PythonEngine"}  # trains what `[engine]` names
MEANINGS = {
    "auto": "`fused` where it is built and can train these settings, else `stack`.",
    "fused": "a compiled core, one model at a time, on the CPU.",
    "stack": "the framework, many models at a time.",
    "torch_nn": "torch.nn, autograd and torch.optim, one model at a time, for comparison.",
}
