"""`monops bench`: its problems, its tables and files, and one line for bad input."""

import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console

from monops import Status, bench, cli
from monops.cli.display import comparison_tables
from monops.errors import OptionError
from monops.testing.draw import Draw

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["monops", "bench", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run


@pytest.mark.parametrize("problem", bench.PROBLEMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_problem_is_solved(problem: str, dtype: torch.dtype) -> None:
    A, _ = bench.PROBLEMS[problem](Draw(0, dtype=dtype))
    zero = A.zero()
    assert zero is not None
    assert zero.dtype == dtype
    method = "linearized-admm" if problem == "total-variation" else "douglas-rachford"
    (row,) = bench.run([method], [problem], dtype=dtype).rows
    assert row.status is Status.CONVERGED


def test_the_equilibria_have_their_m() -> None:
    for name, m in (("equilibrium-1", 1.0), ("equilibrium-0.05", 0.05)):
        A, _ = bench.PROBLEMS[name](Draw(0))
        zero = A.zero()
        assert zero is not None
        assert tuple(zero.shape) == (128, 87)
        assert m <= A.strong_monotonicity < m + 0.1


def test_a_benchmark_prints_a_table_and_writes_its_files(run: Run) -> None:
    files = ("--plot", "pictures/one.png", "--json", "out/figures.json")
    code, out, err = run("--methods", "admm, peaceman-rachford,fista", "--problems=total-variation,lasso", *files)
    assert (code, err) == (0, "")
    assert re.search(r"^total-variation", out, re.MULTILINE)
    assert re.search(r"admm +converged +\d+ +\d+ +\d\.\de-05", out)
    assert "total-variation: peaceman-rachford refused: KᴴAK has a known resolvent only" in out.replace("\n", " ")
    assert "bold: the fastest by measured time to a residual of 0.0001" in out
    assert out.endswith("wrote pictures/one.png\nwrote out/figures.json\n"), "new folders are no secret"
    assert Path("pictures/one.png").read_bytes().startswith(b"\x89PNG")
    figures = json.loads(Path("out/figures.json").read_text())
    assert (figures["device"], figures["dtype"], figures["tol"]) == ("cpu", "float32", 1e-4)
    assert len(figures["trials"]) == 6
    assert figures["trials"][0]["calls_by_kind"]["linear"] > 0


LONG = "forward-reflected-backward"


def test_lines_are_whole_where_there_is_no_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    _, out, _ = run("--methods", f"{LONG},peaceman-rachford", "--problems=total-variation,lasso")
    assert re.search(rf"^ {LONG} +converged( +[\d.e-]+){{6}} *$", out, re.MULTILINE)
    assert re.search(r"^total-variation: peaceman-rachford refused: .{60}", out, re.MULTILINE)


def test_names_are_whole_on_a_terminal_of_eighty_columns() -> None:
    result = bench.run([LONG], ["lasso"])
    for width, heads in ((80, "steps  calls  residual  +ms"), (120, "residual  µs/step  setup ms  +ms")):
        console = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO(), highlight=False)
        for shown in comparison_tables(result, refusals=True, console=console):
            console.print(shown)
        printed = console.file.getvalue()  # type: ignore[attr-defined]
        assert re.search(rf" {LONG} +converged +\d+", printed)
        assert re.search(heads, printed)


def test_progress_counts() -> None:
    seen: list[str] = []
    bench.run(["fista", "admm"], ["lasso"], progress=seen.append)
    assert seen == ["lasso: fista (1 of 2)", "lasso: admm (2 of 2)"]


def test_refusals_are_short_unless_methods_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: bench.METHODS[name] for name in ("linearized-admm", "douglas-rachford")}
    monkeypatch.setattr(bench, "METHODS", few)
    code, out, _ = run("--problems", "total-variation", "--dtype", "float64", "--tol", "1e-6")
    assert code == 0
    assert "not for this problem: douglas-rachford" in out
    assert "refused" not in out
    assert sorted(os.listdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "newton"], "methods: got 'newton', wanted some of forward-backward, "),
        (["--methods", ""], "methods: got none"),
        (["--methods", "fista,admm,fista"], "methods: got 'fista' more than once"),
        (["--problems", "lasso,lasso"], "problems: got 'lasso' more than once"),
        (["--problems", "lasso,ridge"], "problems: got 'ridge', wanted some of equilibrium-1, "),
        (["--dtype", "float16"], "dtype: got 'float16'"),
        (["--device", "nowhere"], "device: got 'nowhere'"),
        (["--tol", "0"], "tol wants a number in"),
        (["--plot", "."], "--plot: got the folder ., wanted a file"),
        (["--json", "."], "--json: got the folder ., wanted a file"),
    ],
)
def test_bad_input_is_answered_in_one_line(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert not out
    assert err.startswith(f"monops: {message}")
    assert len(err.splitlines()) == 1


def test_the_function_refuses_unknown_names_too() -> None:
    with pytest.raises(OptionError, match="wanted some of"):
        bench.run(["no such method"])
