"""Splitting methods for 0 ∈ A(z) + B(z): one method a file."""

from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.douglas_rachford import DouglasRachford
from monops.splitting.forward_backward import ForwardBackward
from monops.splitting.peaceman_rachford import PeacemanRachford

__all__ = ["DouglasRachford", "ForwardBackward", "PeacemanRachford", "SplittingMethod", "Step", "StepSize"]
