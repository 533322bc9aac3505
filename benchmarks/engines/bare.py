"""Plain tensor operations: our stack's step written out for one structure at a time, without a framework.

It computes what learning needs and no more: no value of the loss, no history, no modules. Its distance from this suite is what
generality costs; the matrix products are in both.
"""

import dataclasses
import itertools
import math
import time

import torch
from torch import Tensor

from benchmarks.work import Prepared, Rows, Trained, UnavailableError, Work, first_weights, percent_wrong, widths

EPS = 1e-5  # of batch norm
MOMENTUM = 0.1  # of its running averages
BETA1, BETA2, ADAM_EPS = 0.9, 0.999, 1e-8


def prepare(work: Work, rows: Rows) -> Prepared:
    """Nothing is compiled."""
    if work.activation not in ("tanh", "relu") or work.loss != "cross_entropy" or work.batchnorm == "simplified":
        raise UnavailableError("written out for tanh and ReLU under cross-entropy, without batch norm or with an affine one")
    _train(dataclasses.replace(work, epochs=1), rows, 0)  # what only the first training of a process pays
    return Prepared(lambda rows, seed: _train(work, rows, seed))


def _train(work: Work, rows: Rows, seed: int) -> Trained:
    torch.set_flush_denormal(True)
    inputs = torch.from_numpy(rows.train_inputs).mT.contiguous()
    targets = torch.nn.functional.one_hot(torch.from_numpy(rows.train_labels)).float().mT.contiguous()
    folds = torch.tensor(work.folds)
    with torch.inference_mode():
        net = _Net(work, rows, seed)
        stream = torch.Generator().manual_seed(seed)
        begin = time.perf_counter()
        for _ in range(work.epochs):
            order = torch.rand(inputs.shape[0], 1, inputs.shape[2], generator=stream).argsort(2)
            x, t = (each.gather(2, order.expand_as(each)) for each in (inputs, targets))
            for batch in zip(x.split(work.batch_size, 2), t.split(work.batch_size, 2), strict=True):
                net.step(*(each.contiguous().index_select(0, folds) for each in batch))
        seconds = time.perf_counter() - begin
        labels = net.predict(torch.from_numpy(rows.test_inputs[work.folds]).mT.contiguous()).argmax(1).numpy()
    wrong = [percent_wrong(predicted, rows.test_labels[fold]) for predicted, fold in zip(labels, work.folds, strict=True)]
    return Trained(seconds, dict(zip(work.members, wrong, strict=True)))


class _Net:
    """A stack of one structure; parameters and gradients are flat, as an optimizer is dearest in its number of calls."""

    def __init__(self, work: Work, rows: Rows, seed: int) -> None:
        sizes = widths(work, rows)
        count, batch = len(work.members), work.batch_size
        self.tanh, self.adam = work.activation == "tanh", work.optimizer == "adam"
        shapes: list[list[tuple[int, ...]]] = []
        for index, (features, units) in enumerate(itertools.pairwise(sizes)):
            normed = work.batchnorm == "affine" and index < len(work.hidden)
            shapes.append([(units, features), (units, 1), *([(units, 1)] * 2 if normed else [])])
        total = sum(math.prod(shape) for layer in shapes for shape in layer)
        self.flat, self.flat_gradient = torch.zeros(2, count, total)
        self.layers, self.gradients = _views(self.flat, shapes), _views(self.flat_gradient, shapes)
        for layer, drawn in zip(self.layers, first_weights(work, rows, seed), strict=True):
            layer[0].copy_(torch.from_numpy(drawn))
            if len(layer) > 2:
                layer[2].fill_(1.0)
        self.outputs = [torch.empty(count, units, batch) for units in sizes[1:]]
        self.normed = [torch.empty(count, units, batch) for units in work.hidden]
        self.moments = [torch.empty(2, count, units, 1) for units in work.hidden]
        self.sums = [torch.empty(2, count, units, 1) for units in work.hidden]
        self.running = [torch.stack([torch.zeros(count, units, 1), torch.ones(count, units, 1)]) for units in work.hidden]
        self.back = [torch.empty(count, units, batch) for units in work.hidden]
        self.lr = torch.tensor(work.rates)[:, None]
        self.average, self.square, self.work = torch.zeros(3, count, total)
        self.steps = 0
        self.two, self.samples = (torch.tensor(value) for value in (2.0, float(batch)))
        self.unbiased, self.eps, self.share = torch.tensor(batch - 1.0), torch.tensor(EPS), torch.tensor(1.0 / batch)
        self.minus_one, self.newest1, self.newest2 = (torch.tensor(value) for value in (-1.0, 1 - BETA1, 1 - BETA2))

    def step(self, x: Tensor, target: Tensor) -> None:
        """Forward, backward and update on a batch `(models, features, samples)`."""
        inputs, scales = [x], []
        for index, (weight, bias, *affine) in enumerate(self.layers):
            out = torch.bmm(weight, inputs[index], out=self.outputs[index])
            if not affine:  # batch norm subtracts the bias again
                out.add_(bias)
            else:
                mean, squares = moments = self.moments[index]
                torch.mean(out, 2, keepdim=True, out=mean)
                out.sub_(mean)
                torch.sum(out * out, 2, keepdim=True, out=squares)
                inverse_sd = squares.div(self.samples).add_(self.eps).rsqrt_()
                squares.div_(self.unbiased)
                mean.add_(bias)
                self.running[index].lerp_(moments, MOMENTUM)
                gain, shift = affine
                scales.append((inverse_sd, gain * inverse_sd))
                out = torch.mul(out, scales[index][1], out=self.normed[index]).add_(shift)
            if index < len(self.back):
                self._activate(out)
            inputs.append(out)
        logits = inputs.pop()
        gradient = logits.sub_(logits.amax(1, keepdim=True)).exp_()
        gradient.div_(gradient.sum(1, keepdim=True)).sub_(target).mul_(self.share)
        for index in reversed(range(len(self.layers))):
            weight_gradient, bias_gradient, *affine = self.gradients[index]
            if affine:
                gradient = self._through_norm(gradient, index, *scales[index])
            weight_gradient.copy_(torch.bmm(gradient, inputs[index].mT))
            if not affine:
                torch.sum(gradient, 2, keepdim=True, out=bias_gradient)
            if index:
                y = inputs[index]
                gradient = torch.bmm(self.layers[index][0].mT, gradient, out=self.back[index - 1])
                if self.tanh:
                    gradient.mul_(1 - y * y)
                else:
                    gradient.mul_(y.sign())
        self._update()

    def predict(self, x: Tensor) -> Tensor:
        """Logits `(models, classes, samples)`, normalised by running averages."""
        for index, (weight, bias, *affine) in enumerate(self.layers):
            x = torch.baddbmm(bias, weight, x)
            if affine:
                mean, variance = self.running[index]
                x = (x - mean) * (affine[0] * (variance + EPS).rsqrt()) + affine[1]
            if index < len(self.back):
                self._activate(x)
        return x

    def _activate(self, x: Tensor) -> None:
        if self.tanh:
            torch.add(self.minus_one, x.mul_(self.two).sigmoid_(), alpha=2.0, out=x)
        else:
            x.clamp_(min=0.0)

    def _through_norm(self, gradient: Tensor, index: int, inverse_sd: Tensor, scale: Tensor) -> Tensor:
        centred, (along, total) = self.outputs[index], self.sums[index]
        _, _, gain_gradient, shift_gradient = self.gradients[index]
        torch.sum(gradient, 2, keepdim=True, out=total)
        torch.sum(gradient * centred, 2, keepdim=True, out=along).mul_(inverse_sd)
        gain_gradient.copy_(along)
        shift_gradient.copy_(total)
        gradient.addcmul_(centred, along.mul_(inverse_sd), value=-1.0 / gradient.shape[2])
        return gradient.sub_(total, alpha=1.0 / gradient.shape[2]).mul_(scale)

    def _update(self) -> None:
        if not self.adam:
            self.flat.addcmul_(self.flat_gradient, self.lr, value=-1.0)
            return
        self.steps += 1
        correction = math.sqrt(1 - BETA2**self.steps)
        self.average.lerp_(self.flat_gradient, self.newest1)
        self.square.lerp_(torch.mul(self.flat_gradient, self.flat_gradient, out=self.work), self.newest2)
        root = torch.sqrt(self.square, out=self.work).add_(ADAM_EPS * correction)
        self.flat.addcmul_(torch.div(self.average, root, out=root), self.lr, value=-correction / (1 - BETA1**self.steps))


def _views(flat: Tensor, shapes: list[list[tuple[int, ...]]]) -> list[list[Tensor]]:
    """The tensors of each layer, in the columns of the flat one."""
    columns = iter(flat.split([math.prod(shape) for layer in shapes for shape in layer], 1))
    return [[next(columns).unflatten(1, shape) for shape in layer] for layer in shapes]
