"""`monops.verify`: everything passes, what is broken on purpose is found, and what the report says."""

import functools
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import KINDS

from monops import (
    L1,
    Affine,
    Box,
    Dense,
    NormalCone,
    PeacemanRachford,
    ReLU,
    Report,
    Softplus,
    Subdifferential,
    Tanh,
    verify,
)
from monops.errors import OptionError
from monops.functions import LeakyReLU, Sigmoid, Support
from monops.linear import Diagonal, Identity
from monops.nn import Equilibrium, MonotoneDense
from monops.report import Check
from monops.testing import catalogue
from monops.testing.problems import kind_for, random_problems

D = torch.float64
CHECKED = [kind for kind in KINDS if kind != "numpy32"]


@functools.cache
def report_of(kind: str) -> Report:
    """Everything, verified once in each kind (NumPy in one precision, which says as much as two)."""
    dtype, device = KINDS[kind]
    return verify(dtype=dtype, device=device)


@pytest.mark.parametrize("kind", CHECKED)
def test_everything_passes(kind: str) -> None:
    report = report_of(kind)
    assert report.passed, str(report)
    for check in report.checks:
        is_gradient, is_solved = "gradient in" in check.name, "equilibrium" in check.name or ": output" in check.name
        if "share of its certified bound" in check.name:
            wanted = 1.0
        elif kind.endswith("64"):
            wanted = 1e-9 if is_gradient or is_solved else 1e-12
        else:
            wanted = 1e-4 if is_gradient else 1e-5
        if check.name.startswith("TV2D") and "value" not in check.name:
            wanted = max(wanted, 1e-7)  # what the instance in the catalogue claims
        assert check.tolerance == wanted, check.name


@pytest.mark.parametrize("kind", CHECKED)
def test_nothing_is_left_out(kind: str) -> None:
    names = [check.name for check in report_of(kind).checks]
    assert len(names) == len(set(names))
    is_numpy = kind.startswith("numpy")
    for name in [*catalogue.LINEAR, *catalogue.NUMPY_ONLY]:
        for what in ("apply", "adjoint", "norm"):
            assert f"{name}: {what}" in names
        between_two_spaces = ("Zero", "Dense", "Restriction", "ZeroPad", "Blocks")
        if not name.startswith("FiniteDifference") and name not in between_two_spaces:
            assert any(found.startswith(f"{name}: resolvent.H") for found in names)
    for name in [*catalogue.FUNCTIONS, *catalogue.JOINT]:
        for what in ("value", "prox, step 0.1", "derivative of the prox, step 7"):
            assert f"{name}: {what}" in names
        assert (f"{name}: prox of the conjugate, step 1" in names) is (name != "L0")
    for method, make in catalogue.METHODS.items():
        for name in random_problems(0, kind_for(make(), 0)):
            assert f"{method}, {name}: equilibrium" in names
            for part in ("M", "b"):
                assert (f"{method}, {name}: gradient in {part}" in names) is not is_numpy
    for layer in catalogue.LAYERS:
        for part in ("equilibrium at tight tolerance", "output", "gradient in U", "gradient in bias"):
            assert (f"{layer}: {part}" in names) is not is_numpy
    for part in ("A.0", "A.2", "B.1", "down.0", "down.1", "g", "g_down", "h"):
        assert (f"MonotoneMultiTier: gradient in {part}" in names) is not is_numpy
    if not is_numpy:
        assert all(f"{name}: adjoint" in names for name in catalogue.TORCH_ONLY)


@pytest.mark.parametrize("activation", [ReLU(), Tanh(), Sigmoid(), Softplus(), LeakyReLU(0.1), Box(-1.0, 0.5)])
def test_layers(activation: Any) -> None:
    torch.manual_seed(0)
    layer = Equilibrium(MonotoneDense(4, 6, dtype=D, m=0.7), activation, PeacemanRachford("auto"), tol=1e-3)
    x = torch.randn(5, 4, dtype=D)
    report = verify(layer, x)
    assert report, str(report)
    assert verify(layer.float(), x.float())


@pytest.mark.parametrize(
    "thing",
    [
        Affine(Dense(torch.eye(3))),
        Subdifferential(Softplus()),
        Subdifferential(Support(-0.5, 1.0)),
        NormalCone(Box(0.0, 1.0)),
        Diagonal(np.ones(3)),
        Identity((2, 2), dtype=D),
        L1(torch.tensor(0.5, dtype=D)),
        Tanh(),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_single_things(thing: Any) -> None:
    assert verify(thing)


def test_what_has_no_reference_is_refused() -> None:
    for thing in (3, "PeacemanRachford", Affine(Dense(torch.eye(2))).inverse()):
        with pytest.raises(OptionError, match=r"there is no reference for a (int|str|Inverse)"):
            verify(thing)
    with pytest.raises(OptionError, match="with inputs x"):
        verify(Equilibrium(MonotoneDense(2, 3)))
    with pytest.raises(OptionError, match=r"the reference knows ReLU, .*got Mine"):
        verify(type("Mine", (Tanh,), {})())


def test_reports() -> None:
    good, bad = Check("good", 1e-13, 1e-12), Check("bad", 0.5, 1e-12)
    nan = Check("nan", math.nan, 1.0)
    report = Report((good, bad))
    assert not report
    assert not report.passed
    assert report.worst == 0.5
    assert str(report).splitlines() == [
        "ok    good  1.0e-13  (≤ 1e-12)",
        "FAIL  bad   5.0e-01  (≤ 1e-12)",
        "1 passed, 1 failed",
    ]
    assert json.loads(json.dumps(report.to_dict())) == {
        "passed": False,
        "checks": [
            {"name": "good", "error": 1e-13, "tolerance": 1e-12, "passed": True},
            {"name": "bad", "error": 0.5, "tolerance": 1e-12, "passed": False},
        ],
    }
    assert Report((good,))
    assert not Report(()), "nothing checked is nothing proven"
    assert not nan.passed
    assert not Report((good, nan))
    assert math.isnan(Report((good, nan)).worst)


def test_progress_sees_every_check_in_order() -> None:
    seen: list[Check] = []
    report = verify(Dense(torch.eye(3, dtype=D)), progress=seen.append)
    assert tuple(seen) == report.checks
    assert len(seen) == 8


def test_seeds_give_other_data() -> None:
    first, again, other = (verify(Softplus(), seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert other
