"""One random instance of everything the package has, each with plain data for the reference.

The tests and `monops verify` draw from here, so a class which is exported but missing here fails the tests.
"""

from __future__ import annotations

from collections.abc import Callable

from monops.functions import (
    ELU,
    L1,
    L2,
    TV1D,
    Arctan,
    Box,
    ElasticNet,
    Hinge,
    Huber,
    KullbackLeibler,
    LeakyReLU,
    Linear,
    LInf,
    LInfBall,
    LogBarrier,
    Logistic,
    NegativeEntropy,
    Poisson,
    ReLU,
    Sigmoid,
    Softplus,
    Softsign,
    SquaredHinge,
    SquaredL2,
    Support,
    Tanh,
)
from monops.functions import Zero as ZeroFunction
from monops.linear import (
    BlockDiagonal,
    Blocks,
    BlockSubstitution,
    BlockTriangular,
    Circulant,
    CirculantPlusGram,
    CircularConv,
    Composed,
    Decimated,
    Dense,
    Diagonal,
    Factored,
    FiniteDifference,
    FromCallable,
    FromScipy,
    Identity,
    Interpolated,
    Krylov,
    Restriction,
    Scaled,
    StridedCircularConv,
    Sum,
    Zero,
    ZeroPad,
)
from monops.splitting import (
    ADMM,
    FISTA,
    AdaptiveForwardBackward,
    Anderson,
    Broyden,
    ChambollePock,
    CondatVu,
    DavisYin,
    DouglasRachford,
    Extragradient,
    FixedPoint,
    ForwardBackward,
    ForwardBackwardForward,
    ForwardReflectedBackward,
    Halpern,
    LinearizedADMM,
    PeacemanRachford,
    ProjectiveSplitting,
    ProximalPoint,
    Relaxed,
    SemismoothNewton,
    SplittingMethod,
)
from monops.testing.draw import Draw, LinearCase
from monops.testing.joint import JOINT, FunctionCase
from monops.testing.layers import LAYERS
from monops.testing.plain import PLAIN, SCIPY
from monops.testing.structured import BLOCKS, PERIODIC

__all__ = [
    "FUNCTIONS",
    "JOINT",
    "LAYERS",
    "LINEAR",
    "LINEAR_CLASSES",
    "METHODS",
    "NUMPY_ONLY",
    "TORCH_ONLY",
    "Draw",
    "FunctionCase",
    "LinearCase",
]


LINEAR = PLAIN | BLOCKS
TORCH_ONLY = PERIODIC
NUMPY_ONLY = SCIPY
LINEAR_CLASSES = {
    Identity, Zero, Diagonal, Dense, FromCallable, Sum, Composed, Scaled, Krylov, Factored, FromScipy,
    CircularConv, Circulant, StridedCircularConv, Interpolated, Decimated, CirculantPlusGram, Restriction, ZeroPad,
    Blocks, BlockDiagonal, BlockTriangular, BlockSubstitution, FiniteDifference,
}  # fmt: skip


FUNCTIONS: dict[str, Callable[[], FunctionCase]] = {
    "ReLU": lambda: FunctionCase(ReLU(), "ReLU", {}),
    "LeakyReLU": lambda: FunctionCase(LeakyReLU(0.25), "LeakyReLU", {"slope": 0.25}),
    "Box (HardTanh)": lambda: FunctionCase(Box(-1.0, 0.5), "Box", {"lower": -1.0, "upper": 0.5}),
    "Support": lambda: FunctionCase(Support(-0.5, 1.0), "Support", {"lower": -0.5, "upper": 1.0}),
    "L1 (SoftThreshold)": lambda: FunctionCase(L1(0.3), "L1", {"weight": 0.3}),
    "SquaredL2": lambda: FunctionCase(SquaredL2(0.7), "SquaredL2", {"weight": 0.7}),
    "Tanh": lambda: FunctionCase(Tanh(), "Tanh", {}),
    "Sigmoid": lambda: FunctionCase(Sigmoid(), "Sigmoid", {}),
    "Softplus": lambda: FunctionCase(Softplus(), "Softplus", {}),
    "ELU": lambda: FunctionCase(ELU(0.5), "ELU", {"alpha": 0.5}),
    "Arctan": lambda: FunctionCase(Arctan(), "Arctan", {}),
    "Softsign": lambda: FunctionCase(Softsign(), "Softsign", {}),
    "LInfBall": lambda: FunctionCase(LInfBall(0.25), "LInfBall", {"radius": 0.25}),
    "ElasticNet": lambda: FunctionCase(ElasticNet(0.3, 0.5), "ElasticNet", {"l1": 0.3, "l2": 0.5}),
    "Huber": lambda: FunctionCase(Huber(0.5, 0.75), "Huber", {"delta": 0.5, "weight": 0.75}),
    "LogBarrier": lambda: FunctionCase(LogBarrier(0.4), "LogBarrier", {"weight": 0.4}),
    "Poisson": lambda: FunctionCase(Poisson(1.5), "Poisson", {"count": 1.5}),
    "KullbackLeibler": lambda: FunctionCase(KullbackLeibler(0.5), "KullbackLeibler", {"base": 0.5}),
    "NegativeEntropy": lambda: FunctionCase(NegativeEntropy(), "NegativeEntropy", {}),
    "Logistic": lambda: FunctionCase(Logistic(-2.0), "Logistic", {"label": -2.0}),
    "Hinge": lambda: FunctionCase(Hinge(-1.0), "Hinge", {"label": -1.0}),
    "SquaredHinge": lambda: FunctionCase(SquaredHinge(0.5), "SquaredHinge", {"label": 0.5}),
    "Linear": lambda: FunctionCase(Linear(-0.75), "Linear", {"c": -0.75}),
    "Zero": lambda: FunctionCase(ZeroFunction(), "Zero", {}),
    "L2": lambda: FunctionCase(L2(0.8), "L2", {"weight": 0.8}),
    "LInf": lambda: FunctionCase(LInf(0.8), "LInf", {"weight": 0.8}),
    "TV1D": lambda: FunctionCase(TV1D(0.3), "TV1D", {"weight": 0.3}),
}

METHODS: dict[str, Callable[[], SplittingMethod]] = {
    "ForwardBackward": lambda: ForwardBackward("auto"),
    "PeacemanRachford": lambda: PeacemanRachford("auto"),
    "DouglasRachford": lambda: DouglasRachford("auto"),
    "Relaxed": lambda: Relaxed(PeacemanRachford("auto"), 0.7),
    "Halpern": lambda: Halpern(DouglasRachford("auto")),
    "ProximalPoint": lambda: ProximalPoint(1.0),
    "ForwardBackwardForward": lambda: ForwardBackwardForward("auto"),
    "ForwardReflectedBackward": lambda: ForwardReflectedBackward("auto"),
    "Extragradient": lambda: Extragradient("auto"),
    "FISTA": lambda: FISTA("auto"),
    "AdaptiveForwardBackward": lambda: AdaptiveForwardBackward(),
    "DavisYin": lambda: DavisYin("auto"),
    "ChambollePock": lambda: ChambollePock("auto"),
    "CondatVu": lambda: CondatVu("auto"),
    "ADMM": lambda: ADMM("auto"),
    "LinearizedADMM": lambda: LinearizedADMM("auto"),
    "ProjectiveSplitting": lambda: ProjectiveSplitting("auto"),
    "FixedPoint": lambda: FixedPoint(0.2),
    "Anderson": lambda: Anderson(PeacemanRachford("auto")),
    "Broyden": lambda: Broyden(PeacemanRachford("auto")),
    "SemismoothNewton": lambda: SemismoothNewton("auto"),
}
