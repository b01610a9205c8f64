"""Training of equilibrium classifiers, and what is reported of a trained one."""

from monops.train.options import DEFAULTS, DTYPES, MODELS, Options, check_device
from monops.train.report import convergence, summarise
from monops.train.training import Training

__all__ = ["DEFAULTS", "DTYPES", "MODELS", "Options", "Training", "check_device", "convergence", "summarise"]
