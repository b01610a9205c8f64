"""The files that `monops new-method` writes: a splitting method that works, with comments on what to change; a test."""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path

from monops.errors import OptionError

METHOD = '''\
"""CLASS: a splitting method for 0 ∈ A(z) + B(z), to be made your own.

As it stands it is Douglas-Rachford splitting, and passes its test. What to change is
marked CHANGE.
"""

from dataclasses import dataclass

from monops import SplittingMethod, Step
from monops.splitting import StepSize


@dataclass(frozen=True)
class CLASS(SplittingMethod):
    """z ← z + J_B(2 J_A(z) - z) - J_A(z).

    CHANGE: the formula above, and where it is from (author, year, equation number).

    Args:
        step: α in (0, ∞), or "auto" for one that `solve` finds.
    """

    step: StepSize = 1.0  # CHANGE: more parameters are more fields

    def prepare(self, A, B):
        """Factorise, once a solve; refuse a step without proven convergence."""
        # CHANGE: A.resolvent(step) is (I + step·A)⁻¹; A itself, for A.apply(z), needs
        # no preparation. That the step is in (0, 1/L), say, is checked by
        # self.require_step_below(lambda: inverse_lipschitz(self, A)), with the
        # function of this name from monops.splitting.parts.
        return A.resolvent(self.step), B.resolvent(self.step)

    def advance(self, plan, z):
        """Make one iteration, by + - * / and calls of operators: torch and NumPy."""
        J_A, J_B = plan
        x = J_A(z)
        y = J_B(2 * x - z)
        # CHANGE: the step. `state` is what the next iteration starts from, `point`
        # approximates the solution. `gap` is a function for an element of A(x) + B(y)
        # where x - y → 0: here (z - x)/step ∈ A(x) plus (2x - z - y)/step ∈ B(y).
        # By it `solve` knows when to stop.
        return Step(state=z + y - x, point=y, gap=lambda: (x - y) / self.step)

    def best_step(self, m, L):
        """Give the step that "auto" tries first."""
        return 1 / L if 0 < L < float("inf") else None

    # CHANGE: where a rate is proven for A m-strongly monotone and L-Lipschitz, define
    # rate(self, m, L): the factor by which a step brings states nearer to their limit.
'''

TEST = '''\
"""CLASS obeys the laws of a splitting method, and solves a small problem."""

import monops as mo
import torch
from monops.testing import check_splitting_method

from MODULE import CLASS


def test_laws():
    """Random problems with known solutions, in torch and NumPy, in both precisions.

    Tried are the solution, the meaning of the gap, the rate, what happens out of steps
    and with a NaN, and the gradient through `equilibrium`.
    """
    check_splitting_method(CLASS("auto"))


def test_a_problem_solved_by_hand():
    """Where 2 x - y = 1 and x + 2 y = -1 with x, y ≥ 0, the solution is (1/2, 0)."""
    M, b = torch.tensor([[2.0, -1.0], [1.0, 2.0]]), torch.tensor([1.0, -1.0])
    problem = mo.Affine(mo.Dense(M), b), mo.Subdifferential(mo.ReLU())
    result = mo.solve(CLASS(0.5), *problem, tol=1e-5)
    assert result.status is mo.Status.CONVERGED
    want = torch.tensor([0.5, 0.0])
    torch.testing.assert_close(result.point, want, rtol=0, atol=1e-4)
'''


def names(name: str) -> tuple[str, str]:
    """The names of the module and the class: `"my-method"`, `"my_method"` and `"MyMethod"` are the same.

    Raises:
        OptionError: they are no Python names, or the module would hide another one.

    Example:
        >>> names("MyMethod"), names("my-method-2")
        (('my_method', 'MyMethod'), ('my_method_2', 'MyMethod2'))
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*([_-][A-Za-z0-9]+)*", name):
        raise OptionError(f"NAME: got {name!r}, wanted letters, digits and - or _ between them, such as my-method")
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.replace("-", "_"))
    module = spaced.lower()
    title = "".join(part[0].upper() + part[1:] for part in spaced.split("_"))
    if keyword.iskeyword(module) or keyword.iskeyword(title):
        raise OptionError(f"NAME: got {name!r}, a word of the language; wanted another one, such as my-method")
    if module == "conftest" or module.startswith("test_") or title in ("SplittingMethod", "Step", "StepSize"):
        raise OptionError(f"NAME: got {name!r}, which the files use for something else; wanted another one")
    return module, title


def new_method(name: str, folder: str | Path = ".") -> tuple[Path, Path]:
    """Write a method that works, and its test, into `folder`, and return the two paths.

    Args:
        name: of the method, in any spelling that `names` takes.
        folder: has to be there.

    Raises:
        OptionError: a bad name, a file that is there already, or one that cannot be written.
    """
    module, title = names(name)
    paths = Path(folder) / f"{module}.py", Path(folder) / f"test_{module}.py"
    for path in paths:
        if path.exists():
            raise OptionError(f"{path} is there already, and is left as it is; take another name or move it away")
    if importlib.util.find_spec(module) is not None:
        raise OptionError(f"NAME: got {name!r}, but {module}.py would hide a module of that name; wanted another one")
    for path, text in zip(paths, (METHOD, TEST), strict=True):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text.replace("CLASS", title).replace("MODULE", module))
        except OSError as error:
            raise OptionError(f"{path} cannot be written: {error}") from error
    return paths
