"""The gallery: each solution is that of an independent solver, and a batch gives what its samples give one by one."""

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("cvxpy", reason="the independent solver of most examples; it comes with monops[dev]")

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL: dict[str, list[dict[str, Any]]] = {
    "lasso": [{"rows": 20, "features": 6, "weights": 3}, {"rows": 20, "features": 6, "weights": 3, "mu": 0.5}],
    "nonnegative_least_squares": [{"channels": 20, "substances": 5, "mixtures": 3}],
    "basis_pursuit": [{"measurements": 12, "unknowns": 24, "nonzero": 3, "signals": 3}],
    "matrix_completion": [{"n": 6}],
    "support_vector_machine": [{"points": 30}],
    "total_variation": [{"size": 8, "blurred": False}, {"size": 8, "blurred": True}],
    "optimal_transport": [{"n": 6}, {"n": 6, "epsilon": 0.02}],
    "portfolio": [{"appetites": 3}, {"appetites": 3, "cap": 0.3}],
    "consensus": [{"features": 5}],
    "matrix_game": [{"rows": 3, "columns": 4}],
    "traffic": [{"demands": 4}, {"demands": 4, "bridge": False}],
}


def functions_of(name: str) -> dict[str, Any]:
    """The imports and functions of an example, without what it runs at its top level."""
    path = EXAMPLES / f"{name}.md"
    text = path.read_text(encoding="utf-8")
    lines = [""] * (text.count("\n") + 1)  # so that a traceback names the line of the file
    for cell in re.finditer(r"^```\{code-cell\} ipython3\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        above = text.count("\n", 0, cell.start(1))
        code = [line for line in cell.group(1).splitlines() if not line.startswith(":tags:")]
        skipped = cell.group(1).count("\n") - len(code)
        lines[above + skipped : above + skipped + len(code)] = code
    kept = ast.parse("\n".join(lines))
    kept.body = [node for node in kept.body if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)]
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(kept, path, "exec"), namespace)
    return namespace


@pytest.fixture(autouse=True)
def _double() -> Any:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # as the examples do
    yield
    torch.set_default_dtype(before)


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.md")} == set(SMALL)


CASES = [pytest.param(name, sizes, id=f"{name}-{i}") for name, each in SMALL.items() for i, sizes in enumerate(each)]


@pytest.mark.parametrize(("name", "sizes"), CASES)
def test_an_example_agrees_with_the_independent_solver(name: str, sizes: dict[str, Any]) -> None:
    example = functions_of(name)
    shared, samples = example["draw"](**sizes)
    got = example["solution"](*shared, *samples).detach()
    assert len(got) > 1, "examples are batched"
    for i in range(len(got)):
        one_by_one = example["solution"](*shared, *(d[i : i + 1] for d in samples)).detach()[0]
        want = example["reference"](*(d.numpy() for d in shared), *(d[i].numpy() for d in samples))
        scale = float(np.linalg.norm(want))
        assert np.linalg.norm(got[i].numpy() - want) <= 1e-6 * scale
        assert float((got[i] - one_by_one).norm()) <= 1e-7 * scale


def test_the_lasso_is_differentiated_in_its_weight() -> None:
    example = functions_of("lasso")
    (A, mu), (b, lam) = example["draw"](20, 6, 4, mu=0.5)
    implicit, closed = example["slope"](A, mu, b, lam, 1)
    assert float(closed.abs().max()) > 0
    torch.testing.assert_close(implicit, closed, rtol=1e-6, atol=1e-8)
    ahead, behind = (example["solution"](A, mu, b, lam + h)[:, 1] for h in (1e-5, -1e-5))
    torch.testing.assert_close(implicit, (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-7)
