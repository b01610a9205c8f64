"""Convex functions with their proximal maps, among which are activations of neural networks."""

from monops.functions.activation import Activation
from monops.functions.affine_sets import AffineSet, HalfSpace, Hyperplane
from monops.functions.algebra import Multiple, Perturbed, Rescaled, Translated
from monops.functions.arctan import Arctan
from monops.functions.balls import L2Ball, LInfBall
from monops.functions.base import Conjugate, Function, Separable
from monops.functions.box import Box, HardTanh, Support
from monops.functions.box_hyperplane import BoxHyperplane
from monops.functions.cones import PSDCone, SecondOrderCone
from monops.functions.convex_set import ConvexSet
from monops.functions.elu import ELU
from monops.functions.envelope import Distance, MoreauEnvelope
from monops.functions.l1 import L1, SoftThreshold
from monops.functions.leaky_relu import LeakyReLU
from monops.functions.not_proximal import GELU, GroupSort, SiLU, Swish
from monops.functions.perspective import SquarePerspective
from monops.functions.precomposed import Precomposed
from monops.functions.relu import NonNegative, ReLU
from monops.functions.separable_sum import SeparableSum
from monops.functions.sigmoid import Sigmoid
from monops.functions.simplex import L1Ball, Simplex
from monops.functions.softmax import Softmax
from monops.functions.softplus import Softplus
from monops.functions.softsign import Softsign
from monops.functions.squared_l2 import SquaredL2
from monops.functions.supported import Supported
from monops.functions.tanh import Tanh

__all__ = [
    "ELU",
    "GELU",
    "L1",
    "Activation",
    "AffineSet",
    "Arctan",
    "Box",
    "BoxHyperplane",
    "Conjugate",
    "ConvexSet",
    "Distance",
    "Function",
    "GroupSort",
    "HalfSpace",
    "HardTanh",
    "Hyperplane",
    "L1Ball",
    "L2Ball",
    "LInfBall",
    "LeakyReLU",
    "MoreauEnvelope",
    "Multiple",
    "NonNegative",
    "PSDCone",
    "Perturbed",
    "Precomposed",
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
    "SquarePerspective",
    "SquaredL2",
    "Support",
    "Supported",
    "Swish",
    "Tanh",
    "Translated",
]
