"""Monotone operators, their resolvents and their algebra."""

from monops.monotone.affine import Affine, FromResolvent
from monops.monotone.algebra import Inverse, Multiple, Perturbed, Translated
from monops.monotone.base import MonotoneOperator, Resolvent
from monops.monotone.precomposed import Precomposed
from monops.monotone.subdifferential import NormalCone, Subdifferential
from monops.monotone.sums import MonotoneSum
from monops.monotone.zero import ZeroOperator

__all__ = [
    "Affine",
    "FromResolvent",
    "Inverse",
    "MonotoneOperator",
    "MonotoneSum",
    "Multiple",
    "NormalCone",
    "Perturbed",
    "Precomposed",
    "Resolvent",
    "Subdifferential",
    "Translated",
    "ZeroOperator",
]
