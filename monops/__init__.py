"""monops: monotone and linear operators, splitting methods, and equilibria with exact derivatives, on PyTorch."""

from monops import errors, functions, linear, monotone, nn, splitting
from monops.errors import ConvergenceWarning, MonopsError, MonopsWarning
from monops.functions import (
    L1,
    Box,
    Function,
    HardTanh,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softplus,
    SoftThreshold,
    SquaredL2,
    Supported,
    Tanh,
)
from monops.implicit import WarmStart, equilibrium
from monops.linear import (
    BlockDiagonal,
    BlockTriangular,
    CircularConv,
    Dense,
    Diagonal,
    FromCallable,
    FromScipy,
    Identity,
    LinearOperator,
    Restriction,
    StridedCircularConv,
    Zero,
    ZeroPad,
    multi_tier,
    padded_grid,
)
from monops.memory import reuse_freed
from monops.monotone import Affine, MonotoneOperator, NormalCone, Subdifferential
from monops.report import Report
from monops.result import Result, Status, error_bound
from monops.solver import solve, tune
from monops.spaces import BlockSpace
from monops.splitting import DouglasRachford, ForwardBackward, PeacemanRachford, SplittingMethod, Step
from monops.verification import verify

__version__ = "0.1.0"

__all__ = [
    "L1",
    "Affine",
    "BlockDiagonal",
    "BlockSpace",
    "BlockTriangular",
    "Box",
    "CircularConv",
    "ConvergenceWarning",
    "Dense",
    "Diagonal",
    "DouglasRachford",
    "ForwardBackward",
    "FromCallable",
    "FromScipy",
    "Function",
    "HardTanh",
    "Identity",
    "LeakyReLU",
    "LinearOperator",
    "MonopsError",
    "MonopsWarning",
    "MonotoneOperator",
    "NormalCone",
    "PeacemanRachford",
    "ReLU",
    "Report",
    "Restriction",
    "Result",
    "Sigmoid",
    "SoftThreshold",
    "Softplus",
    "SplittingMethod",
    "SquaredL2",
    "Status",
    "Step",
    "StridedCircularConv",
    "Subdifferential",
    "Supported",
    "Tanh",
    "WarmStart",
    "Zero",
    "ZeroPad",
    "equilibrium",
    "error_bound",
    "errors",
    "functions",
    "linear",
    "monotone",
    "multi_tier",
    "nn",
    "padded_grid",
    "reuse_freed",
    "solve",
    "splitting",
    "tune",
    "verify",
]
