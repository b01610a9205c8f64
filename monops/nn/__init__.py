"""Layers: modules that hold the parameters, and the equilibrium over them."""

from monops.nn.base import MonotoneLinear
from monops.nn.conv import MonotoneConv
from monops.nn.dense import MonotoneDense
from monops.nn.equilibrium import Equilibrium
from monops.nn.multitier import MonotoneMultiTier

__all__ = ["Equilibrium", "MonotoneConv", "MonotoneDense", "MonotoneLinear", "MonotoneMultiTier"]
