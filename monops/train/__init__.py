"""Training of equilibrium classifiers, and what is reported of a trained one."""

from monops.train.options import DATA, DEFAULTS, DTYPES, KINDS, Options, check_choice, check_device
from monops.train.report import convergence, summarise
from monops.train.training import Training

__all__ = [
    "DATA",
    "DEFAULTS",
    "DTYPES",
    "KINDS",
    "Options",
    "Training",
    "check_choice",
    "check_device",
    "convergence",
    "summarise",
]
