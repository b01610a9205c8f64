"""Pictures of a training and of how splitting methods converge, without pyplot's state."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from monops.checkpoint import write_atomically
from monops.errors import OptionError

# Colours that stay apart for colour-blind readers (Okabe and Ito, 2008).
_BLUE, _ORANGE, _GREEN, _PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_COLORS = (_BLUE, _ORANGE, _GREEN, _PINK, "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# Lines of lengths that differ by more than this factor are drawn over a logarithmic scale.
SPREAD = 30

Curve = Sequence[Mapping[str, Any]]


class _Picture(Figure):
    """A figure that notebooks show, with pyplot or without."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=110)
        return file.getvalue()


def report(figures: Mapping[str, Any]) -> Figure:
    """Loss, error, steps per solve, and the convergence of the methods, side by side.

    Args:
        figures: what `monops.train.summarise` returns.
    """
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    figure.suptitle(
        f"{figures['model']}: {figures['test_accuracy']:.2%} of the held-out images "
        f"classified correctly after {len(figures['curve'])} epochs",
        fontsize="large",
    )
    axes = figure.subplots(2, 2)
    draw_loss(axes[0, 0], figures["curve"])
    draw_error(axes[0, 1], figures["curve"])
    draw_steps(axes[1, 0], figures["curve"])
    draw_convergence(axes[1, 1], figures["convergence"], figures["tol"])
    return figure


def convergence(result: Any) -> Figure:
    """The largest residual at each look of a solve, with lines that fall by the proven and by the measured rate.

    Args:
        result: a `monops.Result`.
    """
    figure = _Picture(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps, residual = result.history.steps, result.history.residual
    worst = residual.reshape(len(steps), -1).max(1, initial=0)
    name = type(result.method).__name__
    _residual(axes, steps, worst, f"{name}, step {getattr(result.method, 'step', 1.0):.3g}", 0)
    _rates(axes, steps, worst, result.predicted_rate, result.measured_rate, 0)
    axes.set_yscale("log")
    ending = result.status.name.replace("_", " ").lower()
    _finish(axes, f"{ending} after {result.steps} steps", "steps", "relative residual")
    return figure


def comparison(rows: Sequence[Any]) -> Figure:
    """Residual against steps, operator calls and seconds: one line a method, one row of panels a problem.

    Linear rates are straight lines. Only where lines end more than thirty times as far from 0 as others, so that these
    would be hard to see, are steps, calls or seconds on a logarithmic scale as well.

    Args:
        rows: the trials of a `monops.racing.Comparison`; those refused are left out. Their tolerances
            are dashed lines.

    Raises:
        OptionError: there are no trials.
    """
    if not rows:
        raise OptionError("a comparison of no trials cannot be drawn: give compare a method and a problem at least")
    problems = list(dict.fromkeys(row.problem for row in rows))
    names = list(dict.fromkeys(row.method for row in rows))
    figure = _Picture(figsize=(12, 0.8 + 3.4 * len(problems)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(problems), 3, squeeze=False, sharey="row")
    for line, problem in zip(panels, problems, strict=True):
        for row in rows:
            if row.problem == problem and row.status is not None:
                place = names.index(row.method)
                for axes, x in zip(line, (row.steps, row.calls, [1e3 * t for t in row.seconds]), strict=True):
                    _residual(axes, x, row.residual, row.method, place)
                if row.predicted_rate is not None:
                    _rates(line[0], row.steps, row.residual, row.predicted_rate, row.measured_rate, place)
        for axes, what in zip(line, ("steps", "operator calls", "milliseconds"), strict=True):
            for tol in sorted({row.tol for row in rows if row.problem == problem}):
                axes.axhline(tol, color="0.4", linewidth=1, linestyle="--", label=f"tolerance {tol:g}")
            axes.set_yscale("log")
            _scale_ends(axes)
            _frame(axes, problem, what, "relative residual" if axes is line[0] else "")
    shown_lines = [shown for axes in panels.flat for shown in axes.lines]
    lines = {str(shown.get_label()): shown for shown in shown_lines if not str(shown.get_label()).startswith("_")}
    if any(row.predicted_rate is not None for row in rows):
        lines["proven rate"] = Line2D([], [], color="0.4", linewidth=1, linestyle=":")
        lines["measured rate"] = Line2D([], [], color="0.4", linewidth=1, linestyle="-.")
    figure.legend(lines.values(), lines, loc="outside right upper", frameon=False, fontsize="small")
    return figure


def _scale_ends(axes: Axes) -> None:
    """Steps from 0 on, or on a logarithmic scale where the lines are of very different lengths."""
    drawn = [np.asarray(line.get_xydata()) for line in axes.lines if not str(line.get_label()).startswith("tolerance")]
    ends = [line[-1, 0] for line in drawn if len(line) and np.isfinite(line[:, 1]).any()]
    if ends and max(ends) > SPREAD * min(ends):
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0, right=None if ends else 1)


def _residual(axes: Axes, x: Sequence[float], residual: Sequence[float], name: str, index: int) -> None:
    """The line of one method; with more methods than colours, lines are dashed too."""
    axes.plot(
        x,
        residual,
        color=_COLORS[index % len(_COLORS)],
        marker=_MARKERS[index % len(_MARKERS)],
        markevery=max(1, len(residual) // 8),
        markersize=4,
        linewidth=1.4,
        linestyle=("-", "--", "-.", ":")[index // len(_COLORS) % 4],
        label=name,
    )


def _rates(
    axes: Axes,
    steps: Sequence[int],
    residual: Sequence[float],
    predicted: float | None,
    measured: float,
    index: int,
) -> None:
    """The residual if it fell from its first value by the proven rate, and to its last one by the measured one."""
    is_alone = len(axes.figure.axes) == 1
    color, low = "0.3" if is_alone else _COLORS[index % len(_COLORS)], min(residual)
    k = np.array(steps, dtype=float)
    lines = [(measured, residual[-1] * measured ** (k - k[-1]), "-.", "measured")]
    if predicted is not None:
        lines.append((predicted, residual[0] * predicted ** (k - k[0]), ":", "proven"))
    for rate, y, style, what in lines:
        if 0 < rate < 1 and len(k) > 1:
            y = np.where((y >= low) & (y <= 3 * max(residual)), y, np.nan)  # or one fast line would set the scale
            label = f"{what}: {rate:.3g} a step" if is_alone else "_rate"
            axes.plot(k, y, color=color, linestyle=style, linewidth=1, label=label)


def save(figure: Figure, path: str | Path) -> None:
    """Write `figure` to `path` as PNG, at one stroke."""
    canvas = FigureCanvasAgg(figure)
    write_atomically(path, lambda file: canvas.print_png(file))


def draw_loss(axes: Axes, curve: Curve) -> None:
    """The training loss after each epoch."""
    _line(axes, curve, "loss", "training part", _BLUE)
    axes.set_yscale("log")
    _finish(axes, "Training loss", "epoch", "cross entropy (nats)")


def draw_error(axes: Axes, curve: Curve) -> None:
    """The share of images classified wrongly after each epoch."""
    errors = [
        {
            "epoch": record["epoch"],
            "train": 100 * (1 - record["train_accuracy"]),
            "test": 100 * (1 - record["test_accuracy"]),
        }
        for record in curve
    ]
    _line(axes, errors, "train", "training part", _BLUE)
    _line(axes, errors, "test", "held out", _ORANGE)
    axes.set_ylim(bottom=0)
    _finish(axes, "Classification error", "epoch", "images classified wrongly (%)")


def draw_steps(axes: Axes, curve: Curve) -> None:
    """How many steps of the splitting method a solve took, on average over each epoch."""
    _line(axes, curve, "forward_steps", "forward: equilibrium", _BLUE)
    _line(axes, curve, "backward_steps", "backward: gradient", _ORANGE)
    axes.set_ylim(bottom=0)
    _finish(axes, "Steps per solve", "epoch", "mean number of steps")


def draw_convergence(axes: Axes, convergence: Mapping[str, Mapping[str, Any]], tol: float | None = None) -> None:
    """Residual against steps, one line a method (the paper's figure 3)."""
    for index, (name, run) in enumerate(convergence.items()):
        residual = run["residual"]
        axes.plot(
            range(1, len(residual) + 1),
            residual,
            color=_COLORS[index % len(_COLORS)],
            marker=_MARKERS[index % len(_MARKERS)],
            markevery=max(1, len(residual) // 8),
            markersize=5,
            linewidth=1.6,
            label=f"{name.title()}, step {run['step']:.3g}",
        )
    if tol is not None:
        axes.axhline(tol, color="0.4", linewidth=1, linestyle="--", label=f"tolerance {tol:g}")
    axes.set_yscale("log")
    _finish(axes, "Convergence on the trained layer", "steps", "relative residual")


def _line(axes: Axes, curve: Curve, key: str, label: str, color: str) -> None:
    epochs = [record["epoch"] for record in curve]
    values = [record[key] for record in curve]
    axes.plot(epochs, values, color=color, linewidth=1.6, marker="o", markersize=3.5, label=label)


def _finish(axes: Axes, title: str, x: str, y: str) -> None:
    _frame(axes, title, x, y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(axes.lines) > 1:
        axes.legend(frameon=False, fontsize="small")


def _frame(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, which="major", color="0.88", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
