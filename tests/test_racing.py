"""Comparing methods: what is counted and timed, what a refusal does, and that measuring changes nothing."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, libraries

import monops as mo
from monops import Status, compare
from monops.counting import Counter
from monops.errors import NotConvergedError, OptionError
from monops.linear import Dense
from monops.monotone import Affine, MonotoneSum, Precomposed, Subdifferential
from monops.testing.catalogue import METHODS
from monops.trials import Comparison


def monotone(n: int = 12, batch: int = 5) -> tuple[Any, Any]:
    torch.manual_seed(0)
    a, b = (torch.randn(n, n, dtype=torch.float64) / n**0.5 for _ in range(2))
    M = torch.eye(n, dtype=torch.float64) + a.T @ a + b - b.T
    return Affine(Dense(M), torch.randn(batch, n, dtype=torch.float64)), Subdifferential(mo.ReLU())


def linked(n: int = 12) -> tuple[Any, Any]:
    """Denoising by differences: A + KᴴBK."""
    torch.manual_seed(0)
    K = Dense(torch.eye(n, dtype=torch.float64)[1:] - torch.eye(n, dtype=torch.float64)[:-1])
    A = Affine(mo.Identity((n,), dtype=torch.float64), torch.randn(n, dtype=torch.float64))
    return A, Subdifferential(mo.L1(0.3)).precompose(K)


PROBLEMS = {"monotone": monotone, "linked": linked}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", METHODS)
def test_counting_changes_no_result(name: str, problem: str) -> None:
    A, B = PROBLEMS[problem]()
    method = METHODS[name]()
    try:
        plain = mo.solve(method, A, B, tol=1e-8, warn=False)
    except mo.MonopsError as refusal:
        message = str(refusal)
        (row,) = compare([method], (A, B), tol=1e-8, repeats=1).rows
        if row.refusal != message:
            raise AssertionError(row.refusal) from refusal
        return
    counter = Counter()
    solver = plain.method
    counted = mo.solve(counter.method(solver), counter.operator(A), counter.operator(B), tol=1e-8, warn=False)
    assert torch.equal(plain.point, counted.point)
    assert plain.steps == counted.steps
    assert counter.total >= counted.steps


@pytest.mark.parametrize(
    ("method", "problem", "calls"),
    [
        (mo.PeacemanRachford(0.5), monotone, {"resolvent": 2}),
        (mo.DouglasRachford(0.5), monotone, {"resolvent": 2}),
        (mo.ForwardBackward(0.01), monotone, {"apply": 1, "resolvent": 1}),
        (mo.ForwardBackwardForward(0.01), monotone, {"apply": 2, "resolvent": 1}),
        (mo.ChambollePock(0.3), linked, {"resolvent": 2, "linear": 2}),
        (mo.CondatVu(0.3), linked, {"apply": 1, "resolvent": 2, "linear": 2}),
        (mo.ADMM(0.3), linked, {"resolvent": 2, "linear": 2}),
        (mo.LinearizedADMM(0.3), linked, {"resolvent": 2, "linear": 2}),
        (mo.Relaxed(mo.DouglasRachford(0.5), 1.2), monotone, {"resolvent": 2}),
    ],
)
def test_calls_of_a_step_are_those_of_its_formula(method: Any, problem: Any, calls: dict[str, int]) -> None:
    counter = Counter()
    A, B = problem()
    seen = []
    result = mo.solve(
        counter.method(method),
        counter.operator(A),
        counter.operator(B),
        max_steps=7,
        check_every=1,
        callback=lambda _: seen.append(counter.total),
        warn=False,
    )
    started = seen[0] - sum(calls.values())  # what finding the first state takes
    assert started in (0, 1)
    assert seen == [started + sum(calls.values()) * k for k in result.history.steps], "looks are not counted"
    steps = {kind: counter.calls[kind] // result.steps for kind in counter.calls}
    assert {kind: n for kind, n in steps.items() if n} == calls


def test_structure_is_not_hidden() -> None:
    counter = Counter()
    A, _ = monotone()
    C = counter.operator(Subdifferential(mo.L1()) + A)
    assert isinstance(C, MonotoneSum)
    assert isinstance(C.A, Affine)
    assert (C.A.lipschitz, type(C.A).__name__) == (A.lipschitz, "Affine")
    P = counter.operator(linked()[1])
    assert isinstance(P, Precomposed)
    assert isinstance(P.K, Dense)
    assert P.K.H.H is P.K
    x = torch.ones(12, dtype=torch.float64)
    C.A.apply(x)
    P.A.resolvent(1.0).reflected()(P.K(x))
    assert counter.calls == {"apply": 1, "resolvent": 1, "linear": 1, "derivative": 0}


def test_a_comparison_measures_and_shows_refusals() -> None:
    methods = {"PR": mo.PeacemanRachford("auto"), "DR": mo.DouglasRachford(0.2), "FISTA": mo.FISTA(0.01)}
    result = compare(methods, {"one": monotone(), "two": linked()}, tol=1e-6)
    assert [(row.problem, row.method) for row in result.rows] == [(p, m) for p in ("one", "two") for m in methods]
    PR, DR, FISTA = result.rows[:3]
    assert PR.status is DR.status is Status.CONVERGED
    assert PR.solver is not None
    assert isinstance(PR.solver.step, float)
    assert PR.tuning > 0 == DR.tuning
    assert PR.residual[-1] <= 1e-6 < PR.residual[-2]
    assert PR.steps == tuple(range(1, len(PR.steps) + 1))
    assert PR.calls[-1] == 2 * PR.steps[-1] == sum(PR.calls_by_kind.values())
    assert 0 < PR.seconds_per_step < 1
    assert PR.seconds[-1] == pytest.approx(PR.setup + PR.steps[-1] * PR.seconds_per_step)
    assert FISTA.status is None
    assert "gradient of a convex function" in FISTA.refusal
    table = result.table()
    assert FISTA.refusal in table
    assert str(result) == table
    assert len(table.splitlines()) == 7
    best = result.fastest(1e-3)
    assert best["one"].seconds_to(1e-3) == min(PR.seconds_to(1e-3), DR.seconds_to(1e-3))
    assert "two" not in best, "a method for two operators with resolvents refuses KᴴBK"
    assert FISTA.seconds_to(1e-3) == math.inf
    assert result.to_dict()["trials"][2]["refusal"] == FISTA.refusal


def test_a_comparison_is_drawn() -> None:
    result = compare([mo.PeacemanRachford(0.5), mo.FISTA(0.01)], {"one": monotone(), "two": linked()}, repeats=1)
    figure = result.plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    panels = figure.axes
    assert len(panels) == 6
    assert [axes.get_xlabel() for axes in panels[:3]] == ["steps", "operator calls", "milliseconds"]
    assert {axes.get_yscale() for axes in panels} == {"log"}
    assert np.shape(panels[0].lines[0].get_xydata()) == (len(result.rows[0].steps), 2)


def test_linear_rates_are_drawn_as_straight_lines_and_very_different_lengths_still_seen() -> None:
    methods = [mo.PeacemanRachford(0.5), mo.DouglasRachford(0.5), mo.DouglasRachford(0.005)]
    for compared, scale in ((methods[:2], "linear"), (methods, "log")):
        steps = compare(compared, monotone(), repeats=1, tol=1e-8).plot().axes[0]
        assert (steps.get_xscale(), steps.get_yscale()) == (scale, "log")


@libraries
def test_an_empty_batch_and_a_nan_are_shown_and_drawn(kind: str) -> None:
    M = draw_of(kind).put(np.array([[2.0, -1.0], [1.0, 2.0]]))
    for b, status in ((np.zeros((0, 2)), Status.CONVERGED), (np.full(2, np.nan), Status.NON_FINITE)):
        problem = Affine(Dense(M), draw_of(kind).put(b)), Subdifferential(mo.ReLU())
        result = compare([mo.PeacemanRachford(0.5), mo.FISTA(0.1)], problem, repeats=1)
        assert result.rows[0].status is status
        assert status.name in result.table()
        assert result.plot()._repr_png_().startswith(b"\x89PNG")
        if status is Status.CONVERGED:
            assert mo.choose([mo.PeacemanRachford(0.5)], *problem).name == "PeacemanRachford"


def test_no_trials_cannot_be_drawn() -> None:
    assert "problem  method" in Comparison((), None).table()
    with pytest.raises(OptionError, match="no trials cannot be drawn"):
        Comparison((), None).plot()


def test_each_dtype_has_a_tolerance_of_its_own() -> None:
    A, B = monotone()
    single = Affine(Dense(A.linear.matrix.float()), A.b.float()), B
    for problems in ({"single": single, "double": (A, B)}, {"double": (A, B), "single": single}):
        result = compare([mo.PeacemanRachford(0.5)], problems, repeats=1)
        rows = {row.problem: row for row in result.rows}
        assert rows["single"].tol == pytest.approx(2.0 ** (-23 * 2 / 3))
        assert rows["double"].tol == pytest.approx(2.0 ** (-52 * 2 / 3))
        assert result.fastest() == rows, "both were solved"
        assert all(row.residual[-1] <= row.tol and row.seconds_to() == row.seconds[-1] for row in result.rows)
        drawn = result.plot().axes
        for axes, row in zip(drawn[::3], result.rows, strict=True):
            (height,) = {line.get_ydata()[0] for line in axes.lines if "tolerance" in line.get_label()}
            assert height == row.tol
        plain = result.to_dict()
        assert (plain["tol"], [trial["tol"] for trial in plain["trials"]]) == (None, [row.tol for row in result.rows])


def test_numpy_and_methods_that_diverge() -> None:
    A = Affine(Dense(np.array([[1.0, -4.0], [4.0, 1.0]])), np.ones(2))
    methods = {"good": mo.PeacemanRachford(0.3), "bad": mo.ForwardBackward(5.0, allow_unproven=True)}
    good, bad = compare(methods, (A, Subdifferential(mo.ReLU())), max_steps=2000).rows
    assert good.status is Status.CONVERGED
    assert bad.status is not None
    assert bad.status is not Status.CONVERGED


def test_methods_of_one_class_are_named_by_what_differs() -> None:
    PR = mo.PeacemanRachford
    methods = [PR(0.5), PR(0.1), PR(0.1), mo.DouglasRachford(0.5), mo.Anderson(PR(0.5)), mo.Anderson(PR(0.5), memory=3)]
    result = compare(methods, monotone(), repeats=1)
    assert [row.method for row in result.rows] == [
        "PeacemanRachford(step=0.5)", "PeacemanRachford(step=0.1)", "PeacemanRachford(step=0.1) #2", "DouglasRachford",
        "Anderson(memory=10)", "Anderson(memory=3)",
    ]  # fmt: skip


def test_the_choice_is_by_measured_time_and_says_so() -> None:
    A, B = monotone()
    methods = {"slow": mo.DouglasRachford(0.001), "fast": mo.PeacemanRachford(0.3), "FISTA": mo.FISTA(0.01)}
    choice = mo.choose(methods, A, B, tol=1e-6, max_steps=300)
    assert choice.name == "fast"
    assert choice.method == methods["fast"]
    text = str(choice)
    assert text.startswith("fast: the fastest of 3 methods by measured time, ")
    assert "not converged: slow" in text
    assert "refused the problem: FISTA" in text
    assert "FISTA wants the gradient" in text


def test_no_method_to_choose() -> None:
    A, B = monotone()
    with pytest.raises(NotConvergedError, match="no method came to a residual"):
        mo.choose([mo.DouglasRachford(0.001)], A, B, tol=1e-9, max_steps=5)


@pytest.mark.parametrize(
    ("methods", "problems", "message"),
    [
        ([], (1, 2), "at least one SplittingMethod"),
        (["PR"], (1, 2), "each of methods wants a SplittingMethod .*got 'PR'"),
        ("PR", (1, 2), "SplittingMethods by name, or a list of them, got 'PR'"),
        (None, (1, 2), "or a list of them, got None"),
        ({"PR": None}, (1, 2), r"methods\['PR'\] wants a SplittingMethod"),
        ({1: mo.PeacemanRachford(1.0)}, monotone(), "names of methods want to be strings, got 1; write '1'"),
        ([mo.PeacemanRachford(1.0)], {0.5: monotone()}, "names of problems want to be strings, got 0.5"),
        ([mo.PeacemanRachford(1.0)], [monotone(), monotone()], r"several problems want names, as in \{'problem': \(A"),
        ([mo.PeacemanRachford(1.0)], (), r"a problem is a tuple \(A, B\) .*got a tuple of 0"),
        ([mo.PeacemanRachford(1.0)], {"one": monotone(), "two": (1, 2)}, "problem 'two': A wants a MonotoneOperator"),
        ([mo.PeacemanRachford(1.0)], {}, r"at least one \(A, B\)"),
        ([mo.PeacemanRachford(1.0)], {"x": 3}, r"a problem is a tuple \(A, B\)"),
        ([mo.PeacemanRachford(1.0)], (1, 2), "A wants a MonotoneOperator"),
    ],
)
def test_what_is_no_method_or_problem_is_refused(methods: Any, problems: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        compare(methods, problems)


def test_a_problem_of_one_operator_has_zero_on_its_points() -> None:
    """Of as many axes as the operator has: with others, operators on single samples would not fit together."""
    A = Subdifferential(mo.SquaredL2(1.0, axes=2))
    row = compare([mo.SemismoothNewton(0.5)], (A, None, torch.ones(4, 2, 3))).rows[0]
    assert row.refusal == ""
    assert row.steps[-1] == mo.solve(mo.SemismoothNewton(0.5), A, None, torch.ones(4, 2, 3), check_every=1).steps
    three: Any = 3
    for refused in (
        lambda: compare([mo.DouglasRachford()], (three, None)),
        lambda: mo.solve(mo.DouglasRachford(), three),
    ):
        with pytest.raises(OptionError, match=r"A wants a MonotoneOperator .* got 3"):
            refused()
