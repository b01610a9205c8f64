"""One random instance of everything the package has, each with plain data for the reference.

The tests and `monops verify` draw from here, so a class which is exported but missing here fails the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

from monops.arrays import Array, DType, as_dtype, is_torch
from monops.functions import L1, Box, Function, LeakyReLU, ReLU, Sigmoid, Softplus, SquaredL2, Support, Tanh
from monops.linear import (
    Circulant,
    CircularConv,
    Composed,
    Dense,
    Diagonal,
    Factored,
    FromCallable,
    FromScipy,
    Identity,
    Krylov,
    LinearOperator,
    Scaled,
    Sum,
    Zero,
)
from monops.reference import convolution
from monops.splitting import DouglasRachford, ForwardBackward, PeacemanRachford, SplittingMethod


class Draw:
    """A source of random data in a chosen array library, dtype and device.

    Args:
        seed: of the generator.
        size: about the number of unknowns, ≥ 1.
        dtype: a torch dtype or a NumPy one; float32 or float64.
        device: for tensors.
    """

    def __init__(self, seed: int, size: int = 6, dtype: DType = torch.float64, device: Any = "cpu") -> None:
        self.rng = np.random.default_rng(seed)
        self.size, self.dtype = size, as_dtype(dtype)
        self.device = torch.device(device) if is_torch(self.dtype) else torch.device("cpu")

    @property
    def kind(self) -> dict[str, Any]:
        """dtype and device, as operators take them."""
        return {"dtype": self.dtype, "device": self.device}

    def array(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        """Normal numbers of this standard deviation, float64, but representable in float32 too."""
        return (scale * self.rng.standard_normal(shape)).astype(np.float32).astype(np.float64)

    def put(self, x: np.ndarray) -> Array:
        """The plain array `x` in the chosen library, dtype and device."""
        if is_torch(self.dtype):
            return torch.as_tensor(x, **self.kind)
        return np.asarray(x, dtype=self.dtype)


class LinearCase(NamedTuple):
    """An operator and its matrix, which was built from the same plain data in another way."""

    op: LinearOperator
    matrix: np.ndarray


def _identity(draw: Draw) -> LinearCase:
    return LinearCase(Identity((draw.size,), -0.75, **draw.kind), -0.75 * np.eye(draw.size))


def _zero(draw: Draw) -> LinearCase:
    n = draw.size
    return LinearCase(Zero((n,), (n + 1,), **draw.kind), np.zeros((n + 1, n)))


def _diagonal(draw: Draw) -> LinearCase:
    entries = draw.array(draw.size)
    return LinearCase(Diagonal(draw.put(entries)), np.diag(entries))


def _dense(draw: Draw) -> LinearCase:
    matrix = draw.array(draw.size + 2, draw.size)
    return LinearCase(Dense(draw.put(matrix)), matrix)


def _symmetric(draw: Draw) -> LinearCase:
    half = draw.array(draw.size, draw.size)
    A = Dense(draw.put(half))
    return LinearCase(A.H @ A, half.T @ half)


def _paper(draw: Draw) -> LinearCase:
    n, m = draw.size, 0.5
    a, b = draw.array(n, n, scale=n**-0.5), draw.array(n, n, scale=n**-0.5)
    A, B, I = Dense(draw.put(a)), Dense(draw.put(b)), Identity((n,), **draw.kind)  # noqa: E741
    W = (1 - m) * I - A.H @ A + B - B.H
    return LinearCase(I - W, m * np.eye(n) + a.T @ a - b + b.T)


def _callable(draw: Draw) -> LinearCase:
    """A weighted shift: x ↦ weights · (x moved by one place)."""
    n = draw.size
    weights = draw.array(n)
    matrix = np.zeros((n, n))
    matrix[np.arange(n), np.arange(n) - 1] = weights
    if is_torch(draw.dtype):
        op = FromCallable(
            lambda x, w: w * x.roll(1, -1),
            lambda y, w: (w * y).roll(-1, -1),
            (n,),
            params=(draw.put(weights),),
            **draw.kind,
        )
    else:
        w = draw.put(weights)
        op = FromCallable(lambda x: w * np.roll(x, 1, -1), lambda y: np.roll(w * y, -1, -1), (n,), **draw.kind)
    return LinearCase(op, matrix)


def _circular(*grid: int, kernel: tuple[int, ...], channels: tuple[int, int]) -> Callable[[Draw], LinearCase]:
    def case(draw: Draw) -> LinearCase:
        weight = draw.array(*channels, *kernel)
        return LinearCase(CircularConv(draw.put(weight), grid), convolution.circular(weight, grid).toarray())

    return case


def _circulant(draw: Draw) -> LinearCase:
    """The paper's I - W of convolutions."""
    grid, m = (4, 5), 0.5
    a, b = draw.array(2, 2, 3, 3, scale=0.3), draw.array(2, 2, 3, 3, scale=0.3)
    A, B = CircularConv(draw.put(a), grid), CircularConv(draw.put(b), grid)
    I = Identity.like(A)  # noqa: E741
    W = (1 - m) * I - A.H @ A + B - B.H
    a, b = (convolution.circular(weight, grid).toarray() for weight in (a, b))
    return LinearCase(I - W, m * np.eye(len(a)) + a.T @ a - b + b.T)


def _sum(draw: Draw) -> LinearCase:
    left, right = _callable(draw), _symmetric(draw)
    return LinearCase(left.op + right.op, left.matrix + right.matrix)


def _composed(draw: Draw) -> LinearCase:
    left = _callable(draw)
    return LinearCase(left.op.H @ left.op, left.matrix.T @ left.matrix)


def _scaled(draw: Draw) -> LinearCase:
    case = _callable(draw)
    return LinearCase(-1.5 * case.op, -1.5 * case.matrix)


def _krylov(draw: Draw) -> LinearCase:
    case = _callable(draw)
    step = 0.5 / (1 + float(np.linalg.norm(case.matrix, 2)))
    return LinearCase(Krylov(case.op, step), np.linalg.inv(np.eye(draw.size) + step * case.matrix))


def _factored(draw: Draw) -> LinearCase:
    case = _paper(draw)
    return LinearCase(Factored(case.op), case.matrix)


def _scipy(draw: Draw) -> LinearCase:
    matrix = draw.array(draw.size, draw.size) * (draw.rng.random((draw.size, draw.size)) < 0.5)
    return LinearCase(FromScipy(sparse.csc_array(matrix.astype(draw.dtype))), matrix)


def _scipy_matrix_free(draw: Draw) -> LinearCase:
    case = _callable(draw)
    return LinearCase(FromScipy(case.op.to_scipy()), case.matrix)


LINEAR: dict[str, Callable[[Draw], LinearCase]] = {
    "Identity": _identity,
    "Zero": _zero,
    "Diagonal": _diagonal,
    "Dense": _dense,
    "Dense, A.H @ A": _symmetric,
    "Dense, I - W of the paper": _paper,
    "FromCallable": _callable,
    "Sum": _sum,
    "Composed": _composed,
    "Scaled": _scaled,
    "Krylov": _krylov,
    "Factored": _factored,
}
TORCH_ONLY: dict[str, Callable[[Draw], LinearCase]] = {
    "CircularConv, 1-d": _circular(7, kernel=(5,), channels=(3, 2)),
    "CircularConv, 2-d": _circular(6, 5, kernel=(3, 1), channels=(2, 3)),
    "CircularConv, 3-d": _circular(3, 4, 5, kernel=(3, 1, 3), channels=(2, 2)),
    "Circulant, I - W of the paper": _circulant,
}
NUMPY_ONLY: dict[str, Callable[[Draw], LinearCase]] = {
    "FromScipy, sparse": _scipy,
    "FromScipy, matrix-free": _scipy_matrix_free,
}
LINEAR_CLASSES = {
    Identity, Zero, Diagonal, Dense, FromCallable, Sum, Composed, Scaled, Krylov, Factored, FromScipy,
    CircularConv, Circulant,
}  # fmt: skip


class FunctionCase(NamedTuple):
    """A function with its name and parameters in `monops.reference.functions`."""

    f: Function
    reference: str
    parameters: dict[str, Any]


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
}

METHODS: dict[str, Callable[[], SplittingMethod]] = {
    "ForwardBackward": lambda: ForwardBackward("auto"),
    "PeacemanRachford": lambda: PeacemanRachford("auto"),
    "DouglasRachford": lambda: DouglasRachford("auto"),
}
