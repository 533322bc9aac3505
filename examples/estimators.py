"""Estimators of scikit-learn and a network of `framework`, on the same folds."""

import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import framework as fw


def train(split, *, seed, model="logistic"):
    """A trained estimator, whose outputs the suite asks for, or the outputs of a network."""
    if model == "network":
        return network(split, seed)
    if model == "boosting":
        estimator = HistGradientBoostingClassifier(max_iter=30, random_state=seed)
    elif model == "logistic":
        estimator = LogisticRegression(random_state=seed)
    else:
        raise ValueError(f"model is logistic, boosting or network: {model!r} was given")
    return estimator.fit(split.train.inputs, split.train.targets)


@torch.inference_mode()
def network(split, seed):
    """The outputs of a network with two hidden layers."""
    features, classes = split.train.inputs.shape[1], len(split.classes)
    net = fw.Sequential(fw.Linear(features, 16), fw.Tanh(), fw.Linear(16, 16), fw.Tanh(), fw.Linear(16, classes))
    fw.initialize(net, fw.xavier, seed=seed)
    fw.fit(net, fw.CrossEntropyLoss(), fw.Adam(net, lr=0.01), rows(split.train), epochs=60, batch_size=32, seeds=[seed])
    return {name: fw.predict(net, rows(getattr(split, name)).inputs)[0] for name in ("train", "validation")}


def rows(table):
    """Rows as the framework takes them: of one model."""
    return fw.Rows(torch.as_tensor(table.inputs), torch.as_tensor(table.targets))
