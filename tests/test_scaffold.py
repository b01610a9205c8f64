"""`monops new-method`: what it writes works as it is, and it overwrites nothing."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from monops import cli
from monops.errors import OptionError
from monops.scaffold import names, new_method


def test_what_is_written_passes_its_own_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["monops", "new-method", "golden-ratio"])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert sorted(os.listdir()) == ["golden_ratio.py", "test_golden_ratio.py"]
    assert "class GoldenRatio(SplittingMethod)" in (tmp_path / "golden_ratio.py").read_text(encoding="utf-8")
    written = importlib.import_module("test_golden_ratio")
    del sys.modules["golden_ratio"], sys.modules["test_golden_ratio"]
    tests = [value for name, value in vars(written).items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()
    rules = ["--isolated", "--no-cache", "--select", "E,W,F,I,UP,B,SIM,C4,PT,D", "--config"]
    convention = 'lint.pydocstyle.convention = "google"'
    for command in (["check", *rules, convention, "."], ["format", "--isolated", "--no-cache", "--check", "."]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("taken", ["my_method.py", "test_my_method.py"])
def test_nothing_is_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(OptionError, match=f"{taken} is there already"):
        new_method("MyMethod", tmp_path)
    assert os.listdir(tmp_path) == [taken]
    assert (tmp_path / taken).read_text() == "mine"


@pytest.mark.parametrize("name", ["", "3x", "a b", "-x", "x-", "a--b", "../x", "x.py", "é", "class", "none-"])
def test_bad_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="NAME: got"):
        new_method(name, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["torch", "Json", "monops", "step", "splitting-method", "test-mine", "conftest"])
def test_names_that_hide_something_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="NAME: got"):
        new_method(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "both"),
    [
        ("my-method", ("my_method", "MyMethod")),
        ("MyMethod", ("my_method", "MyMethod")),
        ("ADMM", ("admm", "ADMM")),
        ("FISTAPlus", ("fista_plus", "FISTAPlus")),
        ("tseng", ("tseng", "Tseng")),
    ],
)
def test_names(name: str, both: tuple[str, str]) -> None:
    assert names(name) == both


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be written"):
        new_method("my-method", tmp_path / "missing")


def test_the_command_refuses_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["monops", "new-method", "3x"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("monops: NAME: got '3x', wanted")
