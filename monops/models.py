"""Whole models around an equilibrium layer, those of the paper for MNIST among them."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from monops.functions import ReLU
from monops.nn import Equilibrium, MonotoneConv, MonotoneDense, MonotoneLinear, MonotoneMultiTier
from monops.splitting import (
    DouglasRachford,
    ForwardBackward,
    ForwardBackwardForward,
    ForwardReflectedBackward,
    PeacemanRachford,
    SplittingMethod,
)

_TUNED = PeacemanRachford("auto")


METHODS: dict[str, Callable[..., SplittingMethod]] = {
    "forward-backward": ForwardBackward,
    "peaceman-rachford": PeacemanRachford,
    "douglas-rachford": DouglasRachford,
    "forward-backward-forward": ForwardBackwardForward,
    "forward-reflected-backward": ForwardReflectedBackward,
}
"""The methods that the command line knows: with a step, and for a monotone matrix that is not symmetric."""


class Classifier(nn.Module):
    """Logits of images: x ↦ R z*(x) + r, where z*(x) is the equilibrium of a layer.

    Args:
        layer: an equilibrium layer, whose z has shape (n, *state).
        features: how many numbers make one z, after pooling.
        classes: how many logits come out.
        flatten: whether the layer takes each image as one vector.
        pool: the mean of this many pixels along each axis of z is read out; 1 for z as it is.

    Shapes:
        x: (n, *image); the logits: (n, classes).

    Example:
        >>> import torch
        >>> from monops.models import MODELS
        >>> MODELS["digits", "conv"]()(torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3, 10])
    """

    def __init__(self, layer: Equilibrium, features: int, classes: int, *, flatten: bool = True, pool: int = 1) -> None:
        super().__init__()
        self.layer = layer
        self.readout = nn.Linear(features, classes)
        self.flatten = flatten
        self.pool = pool

    def equilibrium(self, x: Tensor) -> Tensor:
        """The layer's equilibrium for the images x: (n, *state)."""
        return self.layer(self.inputs(x))

    def inputs(self, x: Tensor) -> Tensor:
        """The images as the layer takes them."""
        return x.flatten(1) if self.flatten else x

    def forward(self, x: Tensor) -> Tensor:
        z = self.equilibrium(x)
        if self.pool > 1:
            z = nn.functional.avg_pool2d(z, self.pool)
        return self.readout(z.flatten(1))


def _dense(inputs: int, features: int) -> Callable[..., Classifier]:
    """Fully connected: the image as one vector, all units read out."""

    def model(method: SplittingMethod = _TUNED, **options: Any) -> Classifier:
        return Classifier(_layer(MonotoneDense(inputs, features), method, **options), features, 10)

    return model


def _conv(channels: int, side: int, pool: int) -> Callable[..., Classifier]:
    """One zero-padded convolution, averaged over squares and read out."""

    def model(method: SplittingMethod = _TUNED, **options: Any) -> Classifier:
        layer = _layer(MonotoneConv(1, channels, (side, side)), method, **options)
        return Classifier(layer, channels * (side // pool) ** 2, 10, flatten=False, pool=pool)

    return model


def _multitier(channels: tuple[int, ...], side: int) -> Callable[..., Classifier]:
    """Tiers of convolutions, of which the last one is read out, its border of zeros included."""

    def model(method: SplittingMethod = _TUNED, **options: Any) -> Classifier:
        linear = MonotoneMultiTier(1, channels, (side, side), border=True)
        layer = _layer(linear, method, **options)
        return Classifier(layer, linear.space.sizes[-1], 10, flatten=False)

    return model


def _layer(linear: MonotoneLinear, method: SplittingMethod, tol: float = 1e-2, max_steps: int = 500) -> Equilibrium:
    return Equilibrium(linear, ReLU(), method, tol=tol, max_steps=max_steps)


# By data set and kind. Each takes a splitting method, and `tol` and `max_steps` of the solves. Those for MNIST are the
# networks of Winston & Kolter 2020, with 84,313, 79,500 and 81,394 parameters; all have m = 1.
MODELS: dict[tuple[str, str], Callable[..., Classifier]] = {
    ("digits", "dense"): _dense(64, 200),
    ("digits", "conv"): _conv(32, 8, pool=2),
    ("digits", "multitier"): _multitier((16, 32, 32), 8),
    ("mnist", "dense"): _dense(784, 87),
    ("mnist", "conv"): _conv(54, 28, pool=4),
    ("mnist", "multitier"): _multitier((16, 32, 32), 28),
}
