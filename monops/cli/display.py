"""What the commands show: a progress bar, or one line an epoch; tables; warnings."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from monops.report import Check, Report
from monops.train import Training
from monops.trials import Comparison

_MEANS = (
    "loss {loss:.4f}  accuracy {train_accuracy:.2%}  forward {forward_steps:.1f}  backward {backward_steps:.1f} steps"
)


WIDE = 1000


class TrainingProgress:
    """A bar that moves within each epoch, and a line for each epoch that is done.

    Args:
        console: where to; one that is no terminal gets the lines alone.
        training: what is about to run.
    """

    def __init__(self, console: Console, training: Training) -> None:
        self.console = console
        self.epochs = training.options.epochs
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.total:.0f}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[means]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        done = training.epoch
        self.task = self.bar.add_task("", total=self.epochs, completed=done, epoch=min(done + 1, self.epochs), means="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def on_batch(self, means: Mapping[str, Any]) -> None:
        """Move the bar to where the epoch is."""
        done = means["epoch"] - 1 + means["progress"]
        shown = _MEANS.format(**means)
        self.bar.update(self.task, completed=done, epoch=means["epoch"], means=shown)

    def on_epoch(self, record: Mapping[str, Any]) -> None:
        """Print the line of an epoch, and move the bar to its end."""
        line = (
            f"epoch {record['epoch']:{len(str(self.epochs))}d}/{self.epochs}  "
            f"{_MEANS.format(**record)}  held out {record['test_accuracy']:.2%}  "
            f"step {record['step']:.3g}  {record['seconds']:.1f} s"
        )
        self.bar.update(self.task, completed=record["epoch"])
        self.console.print(Text(line), soft_wrap=True)


def figures_table(figures: Mapping[str, Any], files: Mapping[str, Path]) -> Table:
    """What came out of a training, and where it is."""
    rows = {
        "held-out accuracy": f"{figures['test_accuracy']:.2%}",
        "training": f"{figures['epochs']} epochs in {figures['seconds']:.1f} s",
        "parameters": f"{figures['parameters']:,}",
        "method": f"{figures['method']}, step {figures['step']:.3g}, tolerance {figures['tol']:g}",
        "steps per solve": f"{figures['forward_steps']:.1f} forward, {figures['backward_steps']:.1f} backward",
        "certified error": f"≤ {_number(figures['error_bound'])} (last solve), relative "
        f"≤ {_number(figures['relative_error_bound'])}",
        "cross-check": f"{'passed' if figures['reference_passed'] else 'FAILED'}: equilibria "
        f"within {figures['reference_error']:.1e} of SciPy's",
        **{name: str(path) for name, path in files.items()},
    }
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def checks_table(report: Report) -> Table:
    """One row a thing compared: how many checks, the worst against what is allowed, and how it ended."""
    groups: dict[str, list[Check]] = {}
    for check in report.checks:
        groups.setdefault(check.name.partition(":")[0], []).append(check)
    failed = sum(not check.passed for check in report.checks)
    table = Table(caption=f"{len(report.checks) - failed} checks passed, {failed} failed")
    for heading in ("compared with SciPy", "checks", "largest error", "allowed"):
        table.add_column(heading, justify="left" if heading.startswith("compared") else "right")
    table.add_column("")
    for name, checks in groups.items():
        bad = [check for check in checks if not check.passed]
        worst = max(checks, key=lambda check: check.error / check.tolerance)
        row = [name, str(len(checks)), f"{worst.error:.1e}", f"{worst.tolerance:.0e}"]
        table.add_row(*map(Text, row), Text("failed", "red") if bad else Text("ok", "green"))
        for check in bad:
            detail = Text(f"  {check.name.partition(': ')[2]}", "red")
            table.add_row(detail, "", f"{check.error:.1e}", f"{check.tolerance:.0e}", "")
    return table


def comparison_tables(result: Comparison, refusals: bool, console: Console) -> Iterator[Table | Text]:
    """A table for each problem with one row a method, the fastest in bold; then what else there is to say.

    Args:
        result: the measurements.
        refusals: whether to show why a method refused a problem, or only how many did.
        console: where to; on a narrow terminal the seconds a step and before the first one are left out.
    """
    tables = list(_tables(result, refusals, result.cells()))
    unbounded = console.options.update(width=WIDE)
    widest = max(
        (Measurement.get(console, unbounded, shown).maximum for shown in tables if isinstance(shown, Table)), default=0
    )
    if widest > console.width:
        tables = list(_tables(result, refusals, [(*line[:6], *line[8:]) for line in result.cells()]))
    yield from tables


def wide_console() -> Console:
    """Standard output; as wide as its lines are where it is no terminal, so that a file has no broken ones."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)


def _tables(result: Comparison, refusals: bool, cells: list[tuple[str, ...]]) -> Iterator[Table | Text]:
    heads, *lines = cells
    best = list(result.fastest().values())
    for problem in dict.fromkeys(row.problem for row in result.rows):
        table = Table(title=problem, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading in heads[1:]:
            is_text = heading in ("method", "status")
            table.add_column(heading, justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text)
        refused = []
        for row, (_, *line) in zip(result.rows, lines, strict=True):
            if row.problem != problem:
                continue
            if row.status is None:
                refused.append(row)
            else:
                line[1] = line[1].lower().replace("_", " ")
                table.add_row(*(Text(cell, "bold" if row in best else "") for cell in line))
        if table.row_count:
            yield table
        if refusals:
            for row in refused:
                yield Text(f"{problem}: {row.method} refused: {row.refusal}", "yellow")
        elif refused:
            yield Text(f"not for this problem: {', '.join(row.method for row in refused)}")
    yield Text(f"bold: the fastest by measured time to a residual of {result.tol:g}")


def _number(value: float | None) -> str:
    return "∞" if value is None else f"{value:.2e}"


@contextmanager
def warnings_on(console: Console) -> Iterator[None]:
    """Show the first warning of each kind as a line on `console`, and count the others."""
    seen: Counter[type[Warning]] = Counter()

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        seen[category] += 1
        if seen[category] == 1:
            console.print(Text(f"warning: {message}", style="yellow"), soft_wrap=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        try:
            yield
        finally:
            for category, count in seen.items():
                if count > 1:
                    more = f"warning: {count - 1} more of the kind {category.__name__}"
                    console.print(Text(more, style="yellow"))
