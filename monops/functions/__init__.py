"""Convex functions with their proximal maps, among which are activations of neural networks."""

from monops.functions.activation import Activation
from monops.functions.base import Conjugate, Function, Separable
from monops.functions.box import Box, HardTanh, Support
from monops.functions.l1 import L1, SoftThreshold
from monops.functions.leaky_relu import LeakyReLU
from monops.functions.relu import ReLU
from monops.functions.sigmoid import Sigmoid
from monops.functions.softplus import Softplus
from monops.functions.squared_l2 import SquaredL2
from monops.functions.supported import Supported
from monops.functions.tanh import Tanh

__all__ = [
    "L1",
    "Activation",
    "Box",
    "Conjugate",
    "Function",
    "HardTanh",
    "LeakyReLU",
    "ReLU",
    "Separable",
    "Sigmoid",
    "SoftThreshold",
    "Softplus",
    "SquaredL2",
    "Support",
    "Supported",
    "Tanh",
]
