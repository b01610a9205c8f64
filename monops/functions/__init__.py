"""Convex functions with their proximal maps, among which are activations of neural networks."""

from monops.functions.activation import Activation
from monops.functions.base import Conjugate, Function, Separable
from monops.functions.box import Box, HardTanh, Support
from monops.functions.elastic_net import ElasticNet
from monops.functions.entropy import KullbackLeibler, NegativeEntropy
from monops.functions.hinge import Hinge, SquaredHinge
from monops.functions.huber import Huber
from monops.functions.l0 import L0
from monops.functions.l1 import L1, SoftThreshold
from monops.functions.l2 import L2, L21, GroupL2
from monops.functions.leaky_relu import LeakyReLU
from monops.functions.linear import Linear, Zero
from monops.functions.linf import LInf
from monops.functions.log_barrier import LogBarrier, Poisson
from monops.functions.logistic import Logistic
from monops.functions.quadratic import LeastSquares, QuadraticForm
from monops.functions.relu import ReLU
from monops.functions.sigmoid import Sigmoid
from monops.functions.softplus import Softplus
from monops.functions.sorted_l1 import SortedL1
from monops.functions.spectral import NuclearNorm, Spectral
from monops.functions.squared_l2 import SquaredL2
from monops.functions.supported import Supported
from monops.functions.tanh import Tanh
from monops.functions.total_variation import TV1D
from monops.functions.total_variation_2d import TV2D

__all__ = [
    "L0",
    "L1",
    "L2",
    "L21",
    "TV1D",
    "TV2D",
    "Activation",
    "Box",
    "Conjugate",
    "ElasticNet",
    "Function",
    "GroupL2",
    "HardTanh",
    "Hinge",
    "Huber",
    "KullbackLeibler",
    "LInf",
    "LeakyReLU",
    "LeastSquares",
    "Linear",
    "LogBarrier",
    "Logistic",
    "NegativeEntropy",
    "NuclearNorm",
    "Poisson",
    "QuadraticForm",
    "ReLU",
    "Separable",
    "Sigmoid",
    "SoftThreshold",
    "Softplus",
    "SortedL1",
    "Spectral",
    "SquaredHinge",
    "SquaredL2",
    "Support",
    "Supported",
    "Tanh",
    "Zero",
]
