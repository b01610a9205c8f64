"""The method of the third tutorial is as short as promised, works, and is checked by the battery."""

import re
from pathlib import Path
from typing import Any

import torch

import monops as mo
from monops.testing import check_splitting_method

TUTORIAL = Path(__file__).parents[1] / "tutorials" / "03-write-a-splitting-method.md"
CELLS = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), re.M | re.S)


def method() -> tuple[str, dict[str, Any]]:
    """The cell with the method, and what it defines."""
    (cell,) = (cell for cell in CELLS if "class GoldenRatio(" in cell)
    imports = "from dataclasses import dataclass\nfrom typing import Any, NamedTuple\n"
    names: dict[str, Any] = {"__name__": "tutorial"}
    exec(imports + "import monops as mo\nfrom monops.splitting import StepSize\n" + cell, names)
    return cell, names


def test_the_method_is_short() -> None:
    cell, _ = method()
    assert len(cell[cell.index("@dataclass") :].strip().splitlines()) < 30
    assert not hasattr(mo, "GoldenRatio"), "the package has this method now: the tutorial wants another one"


def test_the_method_obeys_the_laws() -> None:
    check_splitting_method(method()[1]["GoldenRatio"], dtypes=(torch.float64,))
