"""One instance of everything, in every array library and precision: thin, over `monops.testing.catalogue`."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, settings
from scipy import sparse

from monops import Affine, Box, Dense, Diagonal, FromCallable, NormalCone, ReLU, Sigmoid, Subdifferential, Tanh
from monops.arrays import Array, DType
from monops.functions import L1, SquaredL2
from monops.linear import Factored, FromScipy, Identity, LinearOperator
from monops.monotone import FromResolvent, MonotoneOperator, MonotoneSum, Perturbed, ZeroOperator
from monops.reference.equilibrium import equilibrium
from monops.reference.functions import FUNCTIONS
from monops.testing import catalogue
from monops.testing.catalogue import Draw, LinearCase

# Without shrinking: the examples are small as they are, and some take a while.
quick = settings(deadline=None, derandomize=True, max_examples=5, phases=(Phase.explicit, Phase.generate))

# Array library, precision and device. CUDA is among them where there is one.
KINDS: dict[str, tuple[DType, str]] = {
    "torch64": (torch.float64, "cpu"),
    "torch32": (torch.float32, "cpu"),
    "numpy64": (np.float64, "cpu"),
    "numpy32": (np.float32, "cpu"),
}
if torch.cuda.is_available():
    KINDS |= {"cuda64": (torch.float64, "cuda"), "cuda32": (torch.float32, "cuda")}
# torch.func.jvp imports something which warns so, once.
jit_warning = pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
kinds = pytest.mark.parametrize("kind", list(KINDS))
libraries = pytest.mark.parametrize("kind", ["torch64", "numpy64"])


def draw_of(kind: str, seed: int = 0, size: int = 6) -> Draw:
    dtype, device = KINDS[kind]
    return Draw(seed, size, dtype, device)


def calls_of(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[str]:
    """A list that gets the name whenever `owner.name` is called from now on."""
    calls: list[str] = []
    original = getattr(owner, name)

    def spy(*arguments: Any, **options: Any) -> Any:
        calls.append(name)
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, spy)
    return calls


def is_numpy(kind: str) -> bool:
    return kind.startswith("numpy")


def _family(draw: Draw) -> LinearCase:
    matrix = draw.array(3, draw.size, draw.size)
    return LinearCase(Dense(draw.put(matrix)), matrix)


def _diagonal_family(draw: Draw) -> LinearCase:
    entries = draw.array(3, draw.size)
    return LinearCase(Diagonal(draw.put(entries), 1), entries[..., None] * np.eye(draw.size))


def _grid(draw: Draw) -> LinearCase:
    entries = draw.array(draw.size, 2)
    return LinearCase(Diagonal(draw.put(entries)), np.diag(entries.ravel()))


def _rows_to_columns(draw: Draw) -> LinearCase:
    """A map between spaces of two axes, known by a pair of functions."""
    n = draw.size
    op = FromCallable(lambda x: 2 * x.swapaxes(-1, -2), lambda y: 2 * y.swapaxes(-1, -2), (n, 2), (2, n), **draw.kind)
    rows, columns = np.divmod(np.arange(2 * n), n)
    matrix = np.zeros((2 * n, 2 * n))
    matrix[np.arange(2 * n), columns * 2 + rows] = 2.0
    return LinearCase(op, matrix)


def _sum_of_families(draw: Draw) -> LinearCase:
    """Lazy, since an operator known by functions has no matrix to add to; its resolvents are iterative."""
    left, right = _family(draw), catalogue.LINEAR["FromCallable"](draw)
    return LinearCase(left.op + right.op, left.matrix + right.matrix)


def _products_of_families(draw: Draw) -> LinearCase:
    left, right = catalogue.LINEAR["FromCallable"](draw), _family(draw)
    return LinearCase(0.5 * (left.op @ right.op), 0.5 * left.matrix @ right.matrix)


def _symmetric_family(draw: Draw) -> LinearCase:
    half = draw.array(3, draw.size, draw.size)
    A = Dense(draw.put(half))
    return LinearCase(A.H @ A, half.swapaxes(-1, -2) @ half)


def _factored_family(draw: Draw) -> LinearCase:
    case = _family(draw)
    return LinearCase(Factored(case.op), case.matrix)


LINEAR: dict[str, Callable[[Draw], LinearCase]] = {
    **catalogue.LINEAR,
    "Dense, a family": _family,
    "Dense, a symmetric family": _symmetric_family,
    "Diagonal, a family": _diagonal_family,
    "Diagonal, two axes": _grid,
    "FromCallable, two axes": _rows_to_columns,
    "Sum, a family": _sum_of_families,
    "Composed and Scaled, a family": _products_of_families,
    "Factored, a family": _factored_family,
}


def linear_cases() -> list[tuple[str, str]]:
    """(name, kind) for every operator in every kind it lives in."""
    numpy_only = [(name, kind) for name in catalogue.NUMPY_ONLY for kind in KINDS if is_numpy(kind)]
    return [(name, kind) for name in LINEAR for kind in KINDS] + numpy_only


def linear_case(name: str, kind: str, seed: int = 0, size: int = 6) -> LinearCase:
    return {**LINEAR, **catalogue.NUMPY_ONLY}[name](draw_of(kind, seed, size))


def paper(draw: Draw, *batch: int, m: float = 0.5) -> tuple[Affine, np.ndarray, np.ndarray]:
    """A(z) = M z - b with M = I - W of the paper, and the plain M and b."""
    n = draw.size
    a, s = draw.array(n, n, scale=n**-0.5), draw.array(n, n, scale=n**-0.5)
    matrix, b = m * np.eye(n) + a.T @ a - s + s.T, draw.array(*batch, n)
    return Affine(Dense(draw.put(matrix)), draw.put(b)), matrix, b


def uneven(kind: str, rows: int = 16) -> tuple[Affine, Array, np.ndarray]:
    """A problem with f = tanh's, a start from which its samples need very different numbers of steps, its solution."""
    draw = draw_of(kind)
    A, matrix, b = paper(draw, rows)
    z = _tanh_solution(matrix.tobytes(), b.tobytes(), rows)
    return A, draw.put(z + 10.0 ** np.linspace(-13, 1, rows)[:, None] * draw.array(rows, 6)), z


@functools.cache
def _tanh_solution(matrix: bytes, b: bytes, rows: int) -> np.ndarray:
    known = FUNCTIONS["Tanh"]
    arrays = np.frombuffer(matrix).reshape(6, 6), np.frombuffer(b).reshape(rows, 6)
    return equilibrium(*arrays, known.prox, known.prox_derivative)


def orthogonal(draw: Draw, rows: int, columns: int, scale: float = 1.5) -> LinearOperator:
    """K with K Kᴴ = scale² I."""
    q = np.linalg.qr(draw.rng.standard_normal((columns, columns)))[0]
    return Dense(draw.put(scale * q[:rows]))


def _smooth(draw: Draw) -> MonotoneOperator:
    return Subdifferential(SquaredL2(draw.put(abs(draw.array(draw.size)) + 0.1)))


def _from_functions(draw: Draw) -> MonotoneOperator:
    return Affine(2 * Identity((draw.size,), **draw.kind) + 0.3 * catalogue.LINEAR["FromCallable"](draw).op)


def _sparse(draw: Draw) -> MonotoneOperator:
    matrix = 4 * np.eye(draw.size) + draw.array(draw.size, draw.size) * (draw.rng.random((draw.size,) * 2) < 0.3)
    return Affine(FromScipy(sparse.csc_array(matrix.astype(draw.dtype))), draw.put(draw.array(draw.size)))


def _symmetric(draw: Draw) -> MonotoneOperator:
    return Affine(catalogue.LINEAR["Dense, A.H @ A"](draw).op + 0.5 * Identity((draw.size,), **draw.kind))


def _family_of_affine(draw: Draw) -> MonotoneOperator:
    case = _symmetric_family(draw)
    return Affine(case.op + 0.5 * Identity.like(case.op), draw.put(draw.array(3, draw.size)))


def _relation(draw: Draw) -> MonotoneOperator:
    return FromResolvent(Diagonal(draw.put(np.linspace(0, 1, draw.size))), at=0.7)


def _dense_relation(draw: Draw) -> MonotoneOperator:
    q = np.linalg.qr(draw.rng.standard_normal((draw.size,) * 2))[0]
    return FromResolvent(Dense(draw.put((q * np.linspace(0, 1, draw.size)) @ q.T), symmetric=True), at=2.0)


MONOTONE: dict[str, Callable[[Draw], MonotoneOperator]] = {
    "Affine": lambda d: paper(d)[0],
    "Affine, a batch": lambda d: paper(d, 4)[0],
    "Affine, symmetric": _symmetric,
    "Affine, a family": _family_of_affine,
    "Affine, two axes": lambda d: Affine(Diagonal(d.put(abs(d.array(d.size, 2)))), d.put(d.array(d.size, 2))),
    "Affine, by functions": _from_functions,
    "Affine, factored": lambda d: paper(d)[0].factored(),
    "FromResolvent": _relation,
    "FromResolvent, dense": _dense_relation,
    "Inverse": lambda d: paper(d)[0].inverse(),
    "Multiple": lambda d: 2.5 * paper(d)[0],
    "MonotoneSum": lambda d: MonotoneSum(_symmetric(d), _smooth(d)),
    "NormalCone": lambda d: NormalCone(Box(-0.5, 1.0)),
    "Perturbed": lambda d: Subdifferential(L1(0.3)) + 0.5 * Identity((d.size,), **d.kind) + d.put(d.array(d.size)),
    "Perturbed, at once": lambda d: Perturbed(Subdifferential(L1(0.3)), 0.5, d.put(d.array(d.size))),
    "Perturbed, smooth": lambda d: Perturbed(_smooth(d), 0.5),
    "Precomposed, square": lambda d: paper(d)[0].precompose(orthogonal(d, d.size, d.size)),
    "Precomposed, wide": lambda d: Subdifferential(Tanh()).precompose(orthogonal(d, d.size - 2, d.size)),
    "Subdifferential, conjugate": lambda d: Subdifferential(Sigmoid().conjugate()),
    "Subdifferential, smooth": _smooth,
    "Subdifferential, two axes": lambda d: Subdifferential(ReLU(axes=2)),
    "Translated": lambda d: Subdifferential(L1(0.3)).translate(d.put(d.array(d.size))),
    "Precomposed, without a resolvent": lambda d: Subdifferential(Tanh()).precompose(
        Dense(d.put(d.array(d.size + 1, d.size)))
    ),
    "ZeroOperator": lambda d: ZeroOperator(),
    "Translated, affine": lambda d: paper(d)[0].translate(d.put(d.array(d.size))),
}
