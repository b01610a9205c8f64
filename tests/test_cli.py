"""The command line: what it prints and writes, and one clear line with exit code 2 for bad input."""

import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from idx_files import mnist_files

from monops import checkpoint, cli
from monops.errors import ConvergenceWarning
from monops.report import Check, Report
from monops.train import Training


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(scope="module", autouse=True)
def few_samples() -> Iterator[None]:
    """Compare fewer samples with SciPy than the commands do, to save time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monops.train.report._CHECKED", 3)
        yield


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["monops", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return Done(int(end.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on the digits with one epoch."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    command = ["monops", "train", "digits", "--epochs", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*command, "--out", str(folder), "--json", f"{folder}/all.json"])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert not end.value.code
    return folder


def test_training_writes_its_files_and_nothing_else(finished: Path) -> None:
    assert sorted(os.listdir(finished)) == ["all.json", "checkpoint.pt", "report.png"]
    assert (finished / "report.png").read_bytes().startswith(b"\x89PNG")


def test_training_writes_all_figures(finished: Path) -> None:
    figures = json.loads((finished / "all.json").read_text())
    wanted = "test_accuracy seconds parameters forward_steps backward_steps reference_error"
    assert all(isinstance(figures[name], float | int) for name in wanted.split())
    assert figures["test_accuracy"] > 0.8
    assert figures["reference_error"] < 1e-5
    assert (figures["method"], figures["dtype"]) == ("peaceman-rachford", "float32")
    assert len(figures["curve"]) == figures["epochs"] == 1


def test_a_finished_run_resumes_to_the_same_figures(run: Run, finished: Path) -> None:
    done = run("train", "digits", "--resume", finished / "checkpoint.pt", "--out", "other")
    assert done.code == 0, done.err
    assert "epoch" not in done.out.partition("held-out accuracy")[0]
    accuracy = json.loads((finished / "all.json").read_text())["test_accuracy"]
    assert f"{accuracy:.2%}" in done.out
    assert sorted(os.listdir("other")) == ["checkpoint.pt", "report.png"]
    one, other = (checkpoint.load(f / "checkpoint.pt") for f in (finished, Path("other")))
    torch.testing.assert_close(one["model"], other["model"], rtol=0, atol=0)


def test_the_default_folder_and_a_line_for_each_epoch(run: Run) -> None:
    done = run("train", "digits", "--epochs", 2, "--threads", 1, "--method", "douglas-rachford", "--step", "0.5")
    assert done.code == 0, done.err
    assert not done.err
    lines = [line for line in done.out.splitlines() if line.startswith("epoch")]
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    for word in ("loss", "accuracy", "forward", "backward", "held out", "step 0.5"):
        assert word in lines[0]
    for word in ("held-out accuracy", "certified error", "cross-check", "passed", "95,010"):
        assert word in done.out
    assert sorted(os.listdir("runs/digits")) == ["checkpoint.pt", "report.png"]


def test_mnist_trains_from_its_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name, content in mnist_files(150, 20).items():
        (tmp_path / "data" / name).write_bytes(content)
    done = run("train", "mnist", "--data-root", "data", "--epochs", 1)
    assert done.code == 0, done.err
    assert "84,313" in done.out
    assert sorted(os.listdir("runs/mnist")) == ["checkpoint.pt", "report.png"]


BAD: list[tuple[list[str], str]] = [
    (["digits", "--method", "newton"], "method: got 'newton', wanted one of .*peaceman-rachford"),
    (["digits", "--step", "-1"], "step: got -1.0, wanted a number > 0"),
    (["digits", "--step", "fast"], "step: got 'fast', wanted a number > 0 or \"auto\""),
    (["digits", "--tol", "0"], "tol: got 0.0, wanted a number > 0"),
    (["digits", "--epochs", "0"], "epochs: got 0, wanted a whole number ≥ 1"),
    (["digits", "--seed", "-1"], "seed: got -1, wanted a whole number ≥ 0"),
    (["digits", "--dtype", "float16"], "dtype: got 'float16', wanted one of float32, float64"),
    (["digits", "--device", "nowhere"], "device: got 'nowhere', wanted one that is there"),
    (["digits", "--resume", "missing.pt"], "missing.pt: no such file; wanted a checkpoint"),
    (["digits", "--resume", "file"], "file: got a truncated or foreign file of 4 bytes, wanted"),
    (["digits", "--out", "file"], "--out: got the file file, wanted a folder"),
    (["digits", "--out", "file/run"], "--out: got file/run, but nothing can be written in .*file"),
    (["digits", "--json", "."], "--json: got the folder ., wanted a file"),
    (["mnist", "--data-root", "missing"], "missing: no such folder; wanted the four files train-"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_answered_in_one_line(run: Run, arguments: list[str], message: str) -> None:
    Path("file").write_text("text")
    done = run("train", *arguments)
    assert done.code == 2
    assert done.err.startswith("monops: ")
    assert len(done.err.splitlines()) == 1
    assert not done.out
    assert re.search(message, done.err), done.err
    assert os.listdir() == ["file"], "nothing is left behind"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--method", "douglas-rachford"], "method: got douglas-rachford, but the run of"),
        (["digits", "--seed", "5"], "seed: got 5, but the run of"),
        (["mnist", "--data-root", "."], "data: got mnist, but the run of .* has digits"),
    ],
)
def test_resuming_refuses_options_of_another_run(run: Run, finished: Path, arguments: list[str], message: str) -> None:
    before = (finished / "checkpoint.pt").read_bytes()
    done = run("train", *arguments, "--resume", finished / "checkpoint.pt")
    assert done.code == 2
    assert re.search(message, done.err), done.err
    assert (finished / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("arguments", [["train", "digits", "--spede", "9"], ["train", "letters"], ["train", "mnist"]])
def test_unknown_and_missing_arguments_are_not_swallowed(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert arguments[-1] in done.err or "--data-root" in done.err or "--spede" in done.err


@pytest.mark.parametrize("arguments", [["--help"], ["train", "mnist", "-h"], ["verify", "--help"]])
def test_help(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == 0
    assert "Usage: monops" in done.out


def test_a_run_that_diverges_ends_with_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Training.__init__

    def start_with_infinity(self: Training, options: Any) -> None:
        start(self, options)
        self.model.readout.bias.data[0] = float("inf")

    monkeypatch.setattr(Training, "__init__", start_with_infinity)
    done = run("train", "digits")
    assert done.code == 2
    assert done.err.startswith("monops: epoch 1, batch 0 of 0 … 89: the loss is nan")
    assert not os.listdir()


@pytest.mark.parametrize(("saved", "hint"), [(True, "--resume runs/digits/ch"), (False, "no epoch")])
def test_an_interrupted_run_says_how_to_go_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, saved: bool, hint: str
) -> None:
    def interrupted(self: Training, data: object, path: Path, **_: object) -> None:
        if saved:
            self.save(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "run", interrupted)
    done = run("train", "digits")
    assert done.code == 130
    assert hint in done.err


def test_a_missing_part_of_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "monops.plots", raising=False)
    monkeypatch.delattr("monops.plots", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = run("train", "digits")
    assert done.code == 2
    assert 'pip install "monops[train]"' in done.err
    assert len(done.err.splitlines()) == 1


REPORT = Report((Check("Dense: apply", 1e-15, 1e-12), Check("Dense: norm", 1e-3, 1e-12)))


def verified(monkeypatch: pytest.MonkeyPatch, checks: tuple[Check, ...], seen: dict[str, Any]) -> None:
    """Make the comparison end with `checks`."""

    def verify(*, progress: Callable[[Check], None], **options: Any) -> Report:
        seen.update(options)
        for check in checks:
            progress(check)
        return Report(checks)

    monkeypatch.setattr("monops.verification.verify", verify)


def test_a_verification_that_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    verified(monkeypatch, REPORT.checks, seen)
    done = run("verify", "--json", "report.json", "--dtype", "float32")
    assert done.code == 1
    assert seen == {"device": "cpu", "dtype": torch.float32}
    assert "1 checks passed, 1 failed" in done.out
    assert re.search(r"norm .* 1\.0e-03 .* 1e-12", done.out)
    written = json.loads(Path("report.json").read_text())
    assert written == {"device": "cpu", "dtype": "float32", **REPORT.to_dict()}


def test_a_verification_that_passes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    verified(monkeypatch, REPORT.checks[:1], seen)
    done = run("verify")
    assert done.code == 0
    assert seen == {"device": "cpu", "dtype": torch.float64}
    assert not os.listdir()


@pytest.mark.parametrize(
    ("option", "message"),
    [("--dtype=int8", "dtype: got 'int8', wanted one of"), ("--device=x", "device: got 'x'")],
)
def test_a_verification_of_something_unknown(run: Run, option: str, message: str) -> None:
    done = run("verify", option)
    assert done.code == 2
    assert done.err.startswith(f"monops: {message}")


def test_warnings_are_lines_and_repeated_ones_are_counted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def verify(**_: object) -> Report:
        for number in range(5):
            warnings.warn(f"solve {number} did not converge", ConvergenceWarning, stacklevel=1)
        return Report(REPORT.checks[:1])

    monkeypatch.setattr("monops.verification.verify", verify)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        done = run("verify")
    assert done.err.splitlines() == [
        "warning: solve 0 did not converge",
        "warning: 4 more of the kind ConvergenceWarning",
    ]
