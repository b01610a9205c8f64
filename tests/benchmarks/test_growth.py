"""How the cost of a step grows with the grid's side, the channels and the batch; drawn into `runs/growth.png`."""

import math
from functools import partial
from pathlib import Path

import pytest
import torch

import monops
from monops import Affine, PeacemanRachford, ReLU, Subdifferential
from monops.compiled import state_after
from monops.nn import MonotoneConv

from .conftest import Timer

SWEEPS = {
    "side s": ([14, 30, 46, 62, 94, 126, 190, 254], lambda s: s * s * math.log(s), "s² log s"),
    "channels n": ([8, 16, 32, 64, 128], lambda n: n * n, "n²"),
    "batch": ([8, 16, 32, 64, 128], lambda b: b, "linear"),
}
FACTORISATION = ("channels n", lambda n: n**3, "n³")


def affine(name: str, value: int) -> Affine:
    """The operator of a convolution whose `name` is `value`; everything else is fixed."""
    side, channels, batch = (
        value if key == name else default for key, default in (("side s", 30), ("channels n", 32), ("batch", 64))
    )
    if name == "side s":
        channels, batch = 8, 16
    torch.manual_seed(0)
    linear = MonotoneConv(1, channels, (side, side))
    return Affine(linear.operator(), linear.inject(torch.randn(batch, 1, side, side)), claim=1.0)


def test_growth(interleave: Timer, request: pytest.FixtureRequest) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    monops.reuse_freed()
    method, f = PeacemanRachford(0.5), Subdifferential(ReLU(axes=3))
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    with torch.no_grad():
        for panel, (name, (values, law, label)) in zip(panels, SWEEPS.items(), strict=True):
            problems = {value: affine(name, value) for value in values}
            plans = {value: method.prepare(A, f) for value, A in problems.items()}
            states = {value: A.arrange(torch.randn(A.b.shape)) for value, A in problems.items()}
            steps = interleave({str(v): partial(state_after, method, plans[v], states[v]) for v in values}, rounds=7)
            curves = {"a step": ([steps[str(v)] for v in values], law, label)}
            if name == FACTORISATION[0]:
                prepare = interleave({str(v): partial(method.prepare, problems[v], f) for v in values}, rounds=3)
                curves["factorisation"] = ([prepare[str(v)] for v in values], *FACTORISATION[1:])
            for what, (seconds, growth, shape) in curves.items():
                milliseconds = [1e3 * s for s in seconds]
                (line,) = panel.loglog(values, milliseconds, "o-", label=f"{what}, measured")
                scale = milliseconds[-1] / growth(values[-1])
                panel.loglog(values, [scale * growth(v) for v in values], "--", color=line.get_color(), label=shape)
                print(
                    f"{name}, {what}: "
                    + ", ".join(f"{v}: {t:.2f} ms" for v, t in zip(values, milliseconds, strict=True))
                )
                assert all(t > 0 for t in milliseconds)
            panel.set(xlabel=name, ylabel="milliseconds", title=f"growth with {name}")
            panel.set_xticks(values, [str(v) for v in values], minor=False)
            panel.minorticks_off()
            panel.legend(frameon=False, fontsize=8)
    folder = Path(request.config.rootpath) / "runs"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / "growth.png", dpi=150)
