"""The one table of what the core has, by the framework's names, in the order of the enumerations in core/fused.cpp."""

LAYERS = (
    *("Linear", "BatchNorm", "Dropout", "Identity", "ReLU", "LeakyReLU", "PReLU", "ELU", "SELU", "GELU", "SiLU"),
    *("Mish", "Softplus", "Hardtanh", "Tanh", "Sigmoid", "Softmax"),
)
LOSSES = ("MSELoss", "MAELoss", "HuberLoss", "HingeLoss", "BCELoss", "CrossEntropyLoss")
RULES = ("SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW", "Adamax")
DECISIONS = ("argmax", "threshold", "rounded")
SHUFFLES = ("epoch", "once", "never")
MAKERS = frozenset(f"framework:{name}" for name in (*LAYERS, *LOSSES, *RULES))
