"""The convex functions that are tested, and what their tests share."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st

from monops.functions import (
    ELU,
    L1,
    Arctan,
    Box,
    Conjugate,
    ElasticNet,
    Function,
    HardTanh,
    Hinge,
    Huber,
    KullbackLeibler,
    LeakyReLU,
    Linear,
    LInfBall,
    LogBarrier,
    Logistic,
    NegativeEntropy,
    Poisson,
    ReLU,
    Sigmoid,
    Softplus,
    Softsign,
    SoftThreshold,
    SquaredHinge,
    SquaredL2,
    Support,
    Tanh,
    Zero,
)

Make = Callable[..., Function]

# All parameters are binary fractions, so that points on the boundary of a domain are there exactly.
DIRECT: dict[str, Make] = {
    "ReLU": ReLU,
    "LeakyReLU": lambda **k: LeakyReLU(0.25, **k),
    "LeakyReLU, slope 1": lambda **k: LeakyReLU(1.0, **k),
    "Box": lambda **k: Box(-0.5, 2.0, **k),
    "HardTanh": HardTanh,
    "half-line": lambda **k: Box(-math.inf, 0.25, **k),
    "point": lambda **k: Box(0.5, 0.5, **k),
    "Support": lambda **k: Support(-0.5, 2.0, **k),
    "Support of a half-line": lambda **k: Support(-math.inf, 0.25, **k),
    "SoftThreshold": lambda **k: SoftThreshold(0.75, **k),
    "L1, weight 0": lambda **k: L1(0.0, **k),
    "SquaredL2": lambda **k: SquaredL2(3.0, **k),
    "SquaredL2, weight 0": lambda **k: SquaredL2(0.0, **k),
    "Tanh": Tanh,
    "Sigmoid": Sigmoid,
    "Softplus": Softplus,
    "ELU": lambda **k: ELU(0.5, **k),
    "ELU, alpha 1": ELU,
    "Arctan": Arctan,
    "Softsign": Softsign,
    "LInfBall": lambda **k: LInfBall(0.75, **k),
    "ElasticNet": lambda **k: ElasticNet(0.75, 0.5, **k),
    "ElasticNet, l2 = 0": lambda **k: ElasticNet(0.75, 0.0, **k),
    "Huber": lambda **k: Huber(0.5, 2.0, **k),
    "Huber, weight 0": lambda **k: Huber(0.5, 0.0, **k),
    "LogBarrier": lambda **k: LogBarrier(0.5, **k),
    "Poisson": lambda **k: Poisson(1.5, **k),
    "Poisson, count 0": lambda **k: Poisson(0.0, **k),
    "KullbackLeibler": lambda **k: KullbackLeibler(0.25, **k),
    "NegativeEntropy": NegativeEntropy,
    "Logistic": Logistic,
    "Logistic, label -2": lambda **k: Logistic(-2.0, **k),
    "Hinge": Hinge,
    "Hinge, label -2": lambda **k: Hinge(-2.0, **k),
    "SquaredHinge": lambda **k: SquaredHinge(-0.5, **k),
    "Linear": lambda **k: Linear(-0.75, **k),
    "Zero": Zero,
}
SMOOTH: dict[str, Make] = {name: DIRECT[name] for name in ("Tanh", "Sigmoid", "Softplus", "Arctan")}
# Functions whose conjugate is no class of its own.
WITHOUT_A_CLASS = [
    *(
        "LeakyReLU",
        "LeakyReLU, slope 1",
        "SquaredL2, weight 0",
        "ELU",
        *SMOOTH,
        "ElasticNet",
        "Huber",
        "LogBarrier",
        "Poisson",
    ),
    *("Poisson", "Poisson, count 0", "KullbackLeibler", "NegativeEntropy", "Logistic", "Hinge", "SquaredHinge"),
]
CONJUGATES: dict[str, Make] = {
    f"{name}*": lambda make=DIRECT[name], **k: Conjugate(make(**k)) for name in WITHOUT_A_CLASS
}
EVERY = DIRECT | CONJUGATES
STEPS = (0.01, 0.125, 0.5, 1.0, 2.0, 30.0)

all_cases = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
direct_cases = pytest.mark.parametrize("make", DIRECT.values(), ids=DIRECT)
smooth_cases = pytest.mark.parametrize("make", SMOOTH.values(), ids=SMOOTH)
both_libraries = pytest.mark.parametrize("library", [np.asarray, torch.as_tensor])
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
quick = settings(deadline=None, derandomize=True, max_examples=10)
numbers = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
points = st.lists(numbers | st.floats(-4, 4, width=32), min_size=1, max_size=8)
steps = st.floats(-8, 8).map(lambda e: 10.0**e)


def parameters(f: Function) -> dict[str, Any]:
    return {item.name: getattr(f, item.name) for item in dataclasses.fields(f) if item.metadata.get("axes") == "domain"}


def sample(*shape: int, seed: int = 0, scale: float = 3.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal(shape)


def dyadic(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-256, 257, shape) / 64


def tensor(x: Any) -> torch.Tensor:
    return torch.as_tensor(x, dtype=torch.float64).clone().requires_grad_()


def entries(f: Function, x: Any, step: float) -> Any:
    derivative: Any = f.prox_derivative(x, step)
    return derivative.entries


def close(x: Any, y: Any, tolerance: float) -> bool:
    """Whether x is near y, relative to y where that is large."""
    return bool(np.all(np.abs(x - y) <= tolerance * (1 + np.abs(y))))
