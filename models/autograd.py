"""Differentiation in reverse, and steps along it, as far as the models that are trained here need them. Arrays are
float32."""

import numpy as np


class Value:
    """An array, and how its gradient reaches what it was made of."""

    def __init__(self, data, parents=(), backward=None):
        self.data = data
        self.gradient = None
        self.parents = parents
        self.backward = backward

    def add_gradient(self, gradient):
        """Adds what reaches this value; dimensions that were broadcast are summed."""
        while gradient.ndim > self.data.ndim:
            gradient = gradient.sum(axis=0)
        for axis, size in enumerate(self.data.shape):
            if size == 1 and gradient.shape[axis] > 1:
                gradient = gradient.sum(axis=axis, keepdims=True)
        self.gradient = gradient if self.gradient is None else self.gradient + gradient


def differentiate(loss):
    """Leaves the gradient of `loss` in every value that it was made of."""
    order, seen, open_values = [], set(), [(loss, False)]
    while open_values:
        value, done = open_values.pop()
        if done:
            order.append(value)
        elif id(value) not in seen:
            seen.add(id(value))
            open_values.append((value, True))
            open_values.extend((parent, False) for parent in value.parents)
    loss.gradient = np.ones_like(loss.data)
    for value in reversed(order):
        if value.backward:
            value.backward(value.gradient)


def add(a, b):
    def backward(gradient):
        a.add_gradient(gradient)
        b.add_gradient(gradient)

    return Value(a.data + b.data, (a, b), backward)


def shift(a, constant):
    return Value(a.data + constant, (a,), a.add_gradient)


def scale(a, factor):
    return Value(a.data * np.float32(factor), (a,), lambda gradient: a.add_gradient(gradient * np.float32(factor)))


def matmul(a, b):
    def backward(gradient):
        a.add_gradient(gradient @ np.swapaxes(b.data, -1, -2))
        if b.data.ndim == 2:
            rows = a.data.reshape(-1, a.data.shape[-1])
            b.add_gradient(rows.T @ gradient.reshape(-1, gradient.shape[-1]))
        else:
            b.add_gradient(np.swapaxes(a.data, -1, -2) @ gradient)

    return Value(a.data @ b.data, (a, b), backward)


def reshape(a, shape):
    return Value(a.data.reshape(shape), (a,), lambda gradient: a.add_gradient(gradient.reshape(a.data.shape)))


def transpose(a, axes):
    return Value(a.data.transpose(axes), (a,), lambda gradient: a.add_gradient(gradient.transpose(np.argsort(axes))))


def gather(table, ids):
    def backward(gradient):
        rows = np.eye(len(table.data), dtype=np.float32)[ids.reshape(-1)]
        table.add_gradient(rows.T @ gradient.reshape(len(rows), -1))

    return Value(table.data[ids], (table,), backward)


def softmax(a):
    powers = np.exp(a.data - a.data.max(axis=-1, keepdims=True))
    shares = powers / powers.sum(axis=-1, keepdims=True)

    def backward(gradient):
        weighted = gradient * shares
        a.add_gradient(weighted - shares * weighted.sum(axis=-1, keepdims=True))

    return Value(shares, (a,), backward)


def swish(a):
    gate = 1 / (1 + np.exp(-a.data))
    return Value(a.data * gate, (a,), lambda gradient: a.add_gradient(gradient * gate * (1 + a.data * (1 - gate))))


def tanh(a):
    bent = np.tanh(a.data)
    return Value(bent, (a,), lambda gradient: a.add_gradient(gradient * (1 - bent**2)))


def gelu(a):
    """x times the share of a normal distribution below x."""
    share = (1 + erf(a.data * np.float32(0.5**0.5))) / 2
    density = np.exp(-(a.data**2) / 2) * np.float32((2 * np.pi) ** -0.5)
    return Value(a.data * share, (a,), lambda gradient: a.add_gradient(gradient * (share + a.data * density)))


def erf(x):
    """The error function, to 2e-7: Abramowitz and Stegun, 7.1.26. numpy has none."""
    factors = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    size = np.abs(x)
    t = 1 / (1 + np.float32(0.3275911) * size)
    total = np.zeros_like(x)
    for factor in factors:
        total = (total + np.float32(factor)) * t
    return np.sign(x) * (1 - total * np.exp(-(size**2)))


def first(a):
    """The first of the second dimension: of a sentence's tokens."""
    def backward(gradient):
        whole = np.zeros_like(a.data)
        whole[:, 0] = gradient
        a.add_gradient(whole)

    return Value(a.data[:, 0], (a,), backward)


def norm(a, weight, bias, epsilon):
    """Layer normalisation over the last dimension."""
    centred = a.data - a.data.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(epsilon))
    unit = centred / deviation

    def backward(gradient):
        weight.add_gradient((gradient * unit).reshape(-1, unit.shape[-1]).sum(axis=0))
        bias.add_gradient(gradient)
        inner = gradient * weight.data
        mean = inner.mean(axis=-1, keepdims=True)
        along = (inner * unit).mean(axis=-1, keepdims=True)
        a.add_gradient((inner - mean - unit * along) / deviation)

    return Value(unit * weight.data + bias.data, (a, weight, bias), backward)


def cross_entropy(logits, targets, counts):
    """The mean of the surprise at `targets` where `counts` is 1."""
    top = logits.data.max(axis=-1, keepdims=True)
    total = np.log(np.exp(logits.data - top).sum(axis=-1, keepdims=True)) + top
    logs = logits.data - total
    picked = np.take_along_axis(logs, targets[..., np.newaxis], axis=-1)[..., 0]
    number = np.float32(counts.sum())

    def backward(gradient):
        shares = np.exp(logs)
        np.put_along_axis(shares, targets[..., np.newaxis], np.exp(picked)[..., np.newaxis] - 1, axis=-1)
        logits.add_gradient(shares * (gradient * counts / number)[..., np.newaxis])

    return Value(np.float32(-(picked * counts).sum() / number), (logits,), backward)


def binary_cross_entropy(logits, targets):
    """The mean of the surprise where `targets` says 1 for yes and 0 for no."""
    surprise = np.logaddexp(np.float32(0), logits.data) - targets * logits.data

    def backward(gradient):
        shares = 1 / (1 + np.exp(-logits.data))
        logits.add_gradient((gradient * (shares - targets) / np.float32(targets.size)).astype(np.float32))

    return Value(np.float32(surprise.mean()), (logits,), backward)


class Adam:
    """Steps along the gradient, scaled by how much it varies."""

    def __init__(self, weights):
        self.weights = list(weights.values())
        self.mean = [np.zeros_like(value.data) for value in self.weights]
        self.square = [np.zeros_like(value.data) for value in self.weights]

    def step(self, number, rate):
        for value, mean, square in zip(self.weights, self.mean, self.square):
            mean += 0.1 * (value.gradient - mean)
            square += 0.02 * (value.gradient**2 - square)
            corrected = np.sqrt(square / (1 - 0.98**number)) + 1e-8
            value.data -= np.float32(rate) * (mean / (1 - 0.9**number)) / corrected
            value.gradient = None
