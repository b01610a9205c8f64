"""Convex functions with their proximal maps, among which are activations of neural networks."""

from monops.functions.activation import Activation
from monops.functions.affine_sets import AffineSet, HalfSpace, Hyperplane
from monops.functions.algebra import Perturbed, Translated
from monops.functions.arctan import Arctan
from monops.functions.balls import L2Ball, LInfBall
from monops.functions.base import Conjugate, Function, Separable
from monops.functions.box import Box, HardTanh, Support
from monops.functions.box_hyperplane import BoxHyperplane
from monops.functions.cones import PSDCone, SecondOrderCone
from monops.functions.convex_set import ConvexSet
from monops.functions.elastic_net import ElasticNet
from monops.functions.elu import ELU
from monops.functions.entropy import KullbackLeibler, NegativeEntropy
from monops.functions.envelope import Distance, MoreauEnvelope
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
from monops.functions.not_proximal import GELU, GroupSort, SiLU, Swish
from monops.functions.perspective import SquarePerspective
from monops.functions.precomposed import Precomposed
from monops.functions.quadratic import LeastSquares, QuadraticForm
from monops.functions.relu import NonNegative, ReLU
from monops.functions.scaled import Multiple, Rescaled
from monops.functions.separable_sum import SeparableSum
from monops.functions.sigmoid import Sigmoid
from monops.functions.simplex import L1Ball, Simplex
from monops.functions.softmax import Softmax
from monops.functions.softplus import Softplus
from monops.functions.softsign import Softsign
from monops.functions.sorted_l1 import SortedL1
from monops.functions.spectral import NuclearNorm, Spectral
from monops.functions.squared_l2 import SquaredL2
from monops.functions.supported import Supported
from monops.functions.tanh import Tanh
from monops.functions.total_variation import TV1D
from monops.functions.total_variation_2d import TV2D

__all__ = [
    "ELU",
    "GELU",
    "L0",
    "L1",
    "L2",
    "L21",
    "TV1D",
    "TV2D",
    "Activation",
    "AffineSet",
    "Arctan",
    "Box",
    "BoxHyperplane",
    "Conjugate",
    "ConvexSet",
    "Distance",
    "ElasticNet",
    "Function",
    "GroupL2",
    "GroupSort",
    "HalfSpace",
    "HardTanh",
    "Hinge",
    "Huber",
    "Hyperplane",
    "KullbackLeibler",
    "L1Ball",
    "L2Ball",
    "LInf",
    "LInfBall",
    "LeakyReLU",
    "LeastSquares",
    "Linear",
    "LogBarrier",
    "Logistic",
    "MoreauEnvelope",
    "Multiple",
    "NegativeEntropy",
    "NonNegative",
    "NuclearNorm",
    "PSDCone",
    "Perturbed",
    "Poisson",
    "Precomposed",
    "QuadraticForm",
    "ReLU",
    "Rescaled",
    "SecondOrderCone",
    "Separable",
    "SeparableSum",
    "SiLU",
    "Sigmoid",
    "Simplex",
    "SoftThreshold",
    "Softmax",
    "Softplus",
    "Softsign",
    "SortedL1",
    "Spectral",
    "SquarePerspective",
    "SquaredHinge",
    "SquaredL2",
    "Support",
    "Supported",
    "Swish",
    "Tanh",
    "Translated",
    "Zero",
]
