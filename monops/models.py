"""Whole models around an equilibrium layer; the paper's fully connected network among them."""

import re
from collections.abc import Callable

from torch import Tensor, nn

from monops import splitting
from monops.functions import ReLU
from monops.nn import Equilibrium, MonotoneDense
from monops.splitting import PeacemanRachford, SplittingMethod

_TUNED = PeacemanRachford("auto")


def _methods() -> dict[str, Callable[..., SplittingMethod]]:
    exported = (getattr(splitting, name) for name in splitting.__all__)
    classes = (c for c in exported if isinstance(c, type) and issubclass(c, SplittingMethod))
    names = {re.sub(r"(?<=.)(?=[A-Z])", "-", c.__name__).lower(): c for c in classes}
    return {name: c for name, c in names.items() if "step" in getattr(c, "__match_args__", ())}


METHODS = _methods()
"""Every splitting method of the package with a step, by its name on the command line."""


class Classifier(nn.Module):
    """Logits of images: x ↦ R z*(x) + r, where z*(x) is the equilibrium of a layer.

    Args:
        layer: an equilibrium layer, whose z has shape (n, *state).
        features: how many numbers make one z.
        classes: how many logits come out.
        flatten: whether the layer takes each image as one vector.

    Shapes:
        x: (n, *image); the logits: (n, classes).

    Example:
        >>> import torch
        >>> from monops.models import digits_dense
        >>> digits_dense()(torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3, 10])
    """

    def __init__(self, layer: Equilibrium, features: int, classes: int, *, flatten: bool = True) -> None:
        super().__init__()
        self.layer = layer
        self.readout = nn.Linear(features, classes)
        self.flatten = flatten

    def equilibrium(self, x: Tensor) -> Tensor:
        """The layer's equilibrium for the images x: (n, *state)."""
        return self.layer(self.inputs(x))

    def inputs(self, x: Tensor) -> Tensor:
        """The images as the layer takes them."""
        return x.flatten(1) if self.flatten else x

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.equilibrium(x).flatten(1))


def mnist_dense(method: SplittingMethod = _TUNED, *, tol: float = 1e-2, max_steps: int = 500) -> Classifier:
    """The paper's dense network for MNIST: 784 → 87 units, m = 1, ReLU; 84,313 parameters.

    Args:
        method: how the equilibrium is found.
        tol: the relative residual at which a solve ends.
        max_steps: the number of steps after which a solve ends anyhow, with a warning.

    Source: Winston and Kolter, "Monotone operator equilibrium networks", 2020.
    """
    return _dense(784, 87, 10, method, tol, max_steps)


def digits_dense(method: SplittingMethod = _TUNED, *, tol: float = 1e-2, max_steps: int = 500) -> Classifier:
    """Such a network for 8×8 digits: 64 → 200 units; 95,010 parameters. Arguments as for `mnist_dense`."""
    return _dense(64, 200, 10, method, tol, max_steps)


def _dense(inputs: int, features: int, classes: int, method: SplittingMethod, tol: float, max_steps: int) -> Classifier:
    linear = MonotoneDense(inputs, features, m=1.0)
    layer = Equilibrium(linear, ReLU(), method, tol=tol, max_steps=max_steps)
    return Classifier(layer, features, classes)
