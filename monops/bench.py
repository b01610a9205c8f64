"""The fixed problems of `monops bench`, and the methods of the package on them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch

from monops.errors import OptionError
from monops.functions import L1, ReLU
from monops.linear import Dense, Identity
from monops.monotone import Affine, MonotoneOperator, Subdifferential
from monops.racing import compare
from monops.splitting import SplittingMethod
from monops.testing.catalogue import METHODS as CATALOGUE
from monops.testing.draw import Draw
from monops.trials import Comparison


class Posed(NamedTuple):
    """0 ∈ A(z) + B(z)."""

    A: MonotoneOperator
    B: MonotoneOperator


def _name(method: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", method).lower()


METHODS: dict[str, Callable[[], SplittingMethod]] = {_name(name): make for name, make in CATALOGUE.items()}
"""Every method of the package, by its name on the command line; step sizes are found by tuning."""


def _equilibrium(m: float) -> Callable[[Draw], Posed]:
    def problem(draw: Draw) -> Posed:
        n, batch = 87, 128
        a, b = draw.array(n, n, scale=n**-0.5), draw.array(n, n, scale=n**-0.5)
        M = m * np.eye(n) + a.T @ a - b + b.T
        return Posed(Affine(Dense(draw.put(M)), draw.put(draw.array(batch, n))), Subdifferential(ReLU()))

    return problem


def _lasso(draw: Draw) -> Posed:
    rows, n = 80, 120
    design = draw.array(rows, n, scale=rows**-0.5)
    truth = draw.array(n) * (draw.rng.random(n) < 0.1)
    y = design @ truth + draw.array(rows, scale=0.01)
    return Posed(_least_squares(draw, design, y), Subdifferential(L1(0.05)))


def _nonnegative(draw: Draw) -> Posed:
    rows, n = 120, 60
    design = abs(draw.array(rows, n, scale=rows**-0.5))
    y = design @ draw.array(n).clip(0) + draw.array(rows, scale=0.05)
    return Posed(_least_squares(draw, design, y), Subdifferential(ReLU()))


def _least_squares(draw: Draw, design: np.ndarray, y: np.ndarray) -> Affine:
    """The gradient of ½‖design·x - y‖²."""
    return Affine(Dense(draw.put(design.T @ design), symmetric=True), draw.put(design.T @ y))


def _total_variation(draw: Draw) -> Posed:
    n = 200
    clean = np.repeat(draw.array(10), n // 10)
    K = Dense(draw.put(np.eye(n)[1:] - np.eye(n)[:-1]))
    A = Affine(Identity((n,), **draw.kind), draw.put(clean + draw.array(n, scale=0.2)))
    return Posed(A, Subdifferential(L1(0.5)).precompose(K))


PROBLEMS: dict[str, Callable[[Draw], Posed]] = {
    "equilibrium-1": _equilibrium(1.0),
    "equilibrium-0.05": _equilibrium(0.05),
    "lasso": _lasso,
    "nonnegative": _nonnegative,
    "total-variation": _total_variation,
}
"""Problems by name, from a source of random data: dense equilibria of 87 units and 128 samples with m = 1 and 0.05, the
lasso, nonnegative least squares, and denoising by total variation in one dimension as KᴴBK."""


def run(
    methods: Iterable[str] = tuple(METHODS),
    problems: Iterable[str] = tuple(PROBLEMS),
    *,
    device: Any = "cpu",
    dtype: Any = None,
    tol: float = 1e-4,
    max_steps: int = 2000,
    progress: Callable[[str], None] = lambda name: None,
) -> Comparison:
    """Compare methods of the package on the fixed problems.

    Args:
        methods: names in `METHODS`.
        problems: names in `PROBLEMS`.
        device: for tensors.
        dtype: torch's or NumPy's; float32 tensors unless given.
        tol: relative tolerance of the solves.
        max_steps: of each solve, ≥ 1.
        progress: called with what comes next.

    Raises:
        OptionError: an unknown name or one given twice, or an option outside its range.

    Example:
        >>> result = run(["peaceman-rachford"], ["nonnegative"])
        >>> [row.status.name for row in result.rows]
        ['CONVERGED']
    """
    methods, problems = list(methods), list(problems)
    for what, names, known in (("methods", methods, METHODS), ("problems", problems, PROBLEMS)):
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            got = ", ".join(map(repr, unknown)) or "none"
            raise OptionError(f"{what}: got {got}, wanted some of {', '.join(known)}")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise OptionError(f"{what}: got {', '.join(map(repr, twice))} more than once, wanted each name once")
    draw = {"dtype": torch.float32 if dtype is None else dtype, "device": device}
    posed = {name: tuple(PROBLEMS[name](Draw(0, **draw))) for name in problems}
    chosen = {name: METHODS[name]() for name in methods}
    return compare(chosen, posed, tol=tol, max_steps=max_steps, progress=progress)
