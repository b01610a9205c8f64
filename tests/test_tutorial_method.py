"""The method of the third tutorial is as short as promised, works, and is checked by the battery."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import monops as mo
from monops.errors import ConditionError
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


def test_where_the_bound_of_the_step_is_0_or_infinite() -> None:
    kind = method()[1]["GoldenRatio"]
    assert kind().best_step(0.0, 0.0) is kind().best_step(0.0, math.inf) is None
    constant = mo.Affine(mo.Dense(torch.zeros(2, 2)), torch.tensor([-1.0, -2.0]))
    result = mo.solve(kind(0.5), constant, mo.Subdifferential(mo.ReLU()))
    assert result.status is mo.Status.CONVERGED
    assert torch.equal(result.point, torch.zeros(2))
    with pytest.raises(ConditionError, match="the bound is 0"):
        mo.solve(kind(0.5), mo.Subdifferential(mo.L1()), mo.Subdifferential(mo.ReLU()), torch.zeros(2))


def test_the_method_obeys_the_laws() -> None:
    check_splitting_method(method()[1]["GoldenRatio"], dtypes=(torch.float64,))
