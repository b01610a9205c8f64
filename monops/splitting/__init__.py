"""Splitting methods for 0 ∈ A(z) + B(z): one method a file."""

from monops.splitting.accelerated import Accelerated
from monops.splitting.adaptive import AdaptiveForwardBackward
from monops.splitting.admm import ADMM
from monops.splitting.anderson import Anderson
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.broyden import Broyden
from monops.splitting.chambolle_pock import ChambollePock
from monops.splitting.condat_vu import CondatVu
from monops.splitting.davis_yin import DavisYin
from monops.splitting.douglas_rachford import DouglasRachford
from monops.splitting.extragradient import Extragradient
from monops.splitting.fista import FISTA
from monops.splitting.fixed_point import FixedPoint
from monops.splitting.forward_backward import ForwardBackward
from monops.splitting.forward_backward_forward import ForwardBackwardForward
from monops.splitting.forward_reflected_backward import ForwardReflectedBackward
from monops.splitting.halpern import Halpern
from monops.splitting.linearized_admm import LinearizedADMM
from monops.splitting.newton import SemismoothNewton
from monops.splitting.peaceman_rachford import PeacemanRachford
from monops.splitting.projective import ProjectiveSplitting
from monops.splitting.proximal_point import ProximalPoint
from monops.splitting.relaxed import Relaxed
from monops.splitting.state import State

__all__ = [
    "ADMM",
    "FISTA",
    "Accelerated",
    "AdaptiveForwardBackward",
    "Anderson",
    "Broyden",
    "ChambollePock",
    "CondatVu",
    "DavisYin",
    "DouglasRachford",
    "Extragradient",
    "FixedPoint",
    "ForwardBackward",
    "ForwardBackwardForward",
    "ForwardReflectedBackward",
    "Halpern",
    "LinearizedADMM",
    "PeacemanRachford",
    "ProjectiveSplitting",
    "ProximalPoint",
    "Relaxed",
    "SemismoothNewton",
    "SplittingMethod",
    "State",
    "Step",
    "StepSize",
]
