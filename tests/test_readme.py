"""The README's examples run, and its commands are the two that it promises."""

import re
from pathlib import Path

import pytest
import torch

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[tuple[int, str]]:
    """The fenced blocks in `language`: the number of lines before each, and its text."""
    fences = re.finditer(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return [(TEXT.count("\n", 0, fence.start(1)), fence.group(1)) for fence in fences]


@pytest.mark.parametrize(("above", "code"), [pytest.param(*b, id=f"line{b[0]}") for b in blocks("python")])
def test_example_runs_on_its_own(above: int, code: str) -> None:
    torch.manual_seed(0)
    shifted = "\n" * above + code  # so that a traceback names the line of the README
    exec(compile(shifted, README, "exec"), {"__name__": "__main__"})


def test_one_command_trains_and_one_command_tests() -> None:
    train, test = (code.splitlines() for _, code in blocks("bash"))
    assert [len(train), len(test)] == [1, 1], "each is one line, to be copied in one go"
    assert train[0].endswith("monops train digits")
    assert test[0].endswith("pytest -n 2 --dist loadfile")


def test_a_method_fits_on_one_screen() -> None:
    (code,) = (code for _, code in blocks("python") if "SplittingMethod)" in code)
    definition = code[code.index("@dataclass") : code.index("\n\n\nM = ")]
    assert len(definition.splitlines()) < 30
