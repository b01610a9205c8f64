"""Layers: modules that hold the parameters, and the equilibrium over them."""

from monops.nn.dense import MonotoneDense
from monops.nn.equilibrium import Equilibrium, MonotoneLinear

__all__ = ["Equilibrium", "MonotoneDense", "MonotoneLinear"]
