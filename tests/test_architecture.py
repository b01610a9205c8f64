"""Imports go one way only, and the core needs torch, NumPy and SciPy alone."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "monops"

# A part (a module of `monops`, or a subpackage) imports from its own line and the lines above it.
LAYERS = [
    {"errors", "arrays", "memory", "tree", "signatures", "inversion", "options"},
    {"autodiff", "spaces"},
    {"linear"},
    {"functions"},
    {"monotone"},
    {"splitting"},
    {"batch", "compiled", "result", "loop", "inputs", "tuning", "solver", "counting"},
    {"implicit"},
    {"nn"},
    {"reference"},
    {"testing"},
    {"report", "operator_comparisons", "function_comparisons", "layer_comparisons", "verification"},
    {"models", "data", "checkpoint", "train", "plots", "racing", "trials", "bench", "scaffold", "cli"},
]
TOP = len(LAYERS) - 1  # the package itself may be imported from the last line only
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
CORE = {"torch", "numpy", "scipy"}
EXTRA = {"typer", "rich", "matplotlib", "sklearn"}
EXTRA_USERS = LAYERS[-1] - {"models", "checkpoint", "racing", "trials", "bench", "scaffold"}
REFERENCE_USERS = {
    "reference",
    "testing",
    "operator_comparisons",
    "function_comparisons",
    "layer_comparisons",
    "verification",
}


def part_of(module: str) -> str:
    """The part that `monops.PART.rest` belongs to; "monops" for the package itself."""
    return module.split(".")[1] if "." in module else module


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full module name of each import in a file, those inside functions included."""
    package = path.relative_to(PACKAGE.parent).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            if module == "monops":  # `from monops import tree` names a part, not the package
                parts = [alias.name for alias in node.names]
                yield from ((node.lineno, f"monops.{p}" if p in RANK else module) for p in parts)
            else:
                yield node.lineno, module


def edges() -> list[tuple[str, str, str]]:
    """(place, importing part, imported module) for every import in the package."""
    return [
        (f"{path.relative_to(PACKAGE.parent)}:{line}", path.relative_to(PACKAGE).parts[0], module)
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, module in imports(path)
    ]


EDGES = [(place, part.removesuffix(".py"), module) for place, part, module in edges()]
INTERNAL = [edge for edge in EDGES if edge[2].split(".")[0] == "monops"]
EXTERNAL = [(place, part, module.split(".")[0]) for place, part, module in EDGES]


def test_every_part_has_its_place() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__init__", "__main__", "__pycache__"} <= set(RANK), "add it to LAYERS"


def test_imports_go_one_way() -> None:
    wrong = [
        f"{place}: {part} imports {module}"
        for place, part, module in INTERNAL
        if part in RANK and not RANK.get(part_of(module), TOP) <= RANK[part]
    ]
    assert not wrong, "\n".join(wrong)


def test_the_package_itself_imports_no_extra() -> None:
    parts = {part_of(module) for _, part, module in INTERNAL if part == "__init__"}
    assert not parts & EXTRA_USERS


def test_the_reference_stands_alone() -> None:
    users = {part for _, part, module in INTERNAL if part_of(module) == "reference"}
    assert users <= REFERENCE_USERS
    needs = {module for _, part, module in EXTERNAL if part == "reference"}
    assert needs - sys.stdlib_module_names <= {"numpy", "scipy", "monops"}
    inside = {part_of(module) for _, part, module in INTERNAL if part == "reference"}
    assert inside <= {"reference", "errors"}


def test_the_core_needs_torch_numpy_and_scipy_alone() -> None:
    wrong = [
        f"{place}: {part} imports {module}"
        for place, part, module in EXTERNAL
        if module not in sys.stdlib_module_names | CORE | {"monops"} and not (part in EXTRA_USERS and module in EXTRA)
    ]
    assert not wrong, "\n".join(wrong)


def run_without_extras(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new process where the extras cannot be imported."""
    block = f"import sys; sys.modules.update(dict.fromkeys({sorted(EXTRA)!r}))\n"
    command = [sys.executable, "-W", "error", "-c", block + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_import_works_without_extras() -> None:
    done = run_without_extras("import monops, monops.nn; print(monops.__version__)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("arguments", [[], ["train", "digits"]])
def test_the_command_line_names_its_missing_extra(arguments: list[str]) -> None:
    code = f"sys.argv[1:] = {arguments!r}\nfrom monops.cli import main\nmain()"
    done = run_without_extras(code)
    assert done.returncode == 2
    assert "monops[train]" in done.stderr
    assert "Traceback" not in done.stderr
