"""Engines by name, each as "module:class", which is imported where trials are planned or trained, not to read a spec."""

ENGINES = {
    "stack": "studies.train.engines.stack:StackEngine",
    "torch_nn": "studies.train.engines.torch_nn:TorchEngine",  # for comparison
}
