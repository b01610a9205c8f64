"""What is reported of a trained classifier: its figures, and how each method converges on it."""

import copy
import math
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from monops.data import Dataset
from monops.models import METHODS
from monops.nn import Equilibrium
from monops.solver import solve
from monops.splitting import DouglasRachford, ForwardBackward, PeacemanRachford
from monops.train.training import Training
from monops.tuning import tune
from monops.verification import verify

_SAMPLES = 128  # held-out images which the solves of the report are for, fewer where states are large
_NUMBERS = 400_000  # in all these states together
_COMPARED = (ForwardBackward, PeacemanRachford, DouglasRachford)  # the methods of the paper's figure
_CHECKED = 16  # of these are compared with SciPy, whose way is slow
_TIGHT = 1e-6


def summarise(training: Training, data: Dataset) -> dict[str, Any]:
    """All figures of a trained classifier, made of numbers, strings, lists and dicts alone.

    Args:
        training: a training with at least one epoch behind it.
        data: what it was trained on.
    """
    with training.threads():
        return _summarise(training, training.on_device(data))


def _summarise(training: Training, data: Dataset) -> dict[str, Any]:
    accuracy = training.accuracy(data.test_x, data.test_y)
    layer, last = training.model.layer, training.curve[-1]
    one = layer.problem(training.model.inputs(data.test_x[:1]))[0].b
    samples = min(_SAMPLES, max(_CHECKED, _NUMBERS // one.numel()))
    images = training.model.inputs(data.test_x[:samples])
    with torch.no_grad():
        size = torch.linalg.vector_norm(layer(images).flatten(1), dim=1).cpu()
    assert layer.last is not None
    bound = torch.as_tensor(layer.last.error_bound)
    checks = verify(layer, x=images[:_CHECKED]).checks
    return {
        "test_accuracy": accuracy,
        "train_accuracy": last["train_accuracy"],
        "loss": last["loss"],
        "seconds": training.seconds,
        "parameters": training.parameters,
        "forward_steps": last["forward_steps"],
        "backward_steps": last["backward_steps"],
        "error_bound": _finite(bound.max()),
        "relative_error_bound": _finite((bound / size).max()),
        # That which is allowed up to 1 is no error, but the error's share of its certified bound.
        "reference_error": max(check.error for check in checks if check.tolerance < 1),
        "reference_passed": all(check.passed for check in checks),
        **asdict(training.options),
        "step": training.step,
        "torch": torch.__version__,
        "convergence": convergence(layer, images),
        "curve": training.curve,
    }


@torch.no_grad()
def convergence(layer: Equilibrium, x: Tensor, max_steps: int = 200) -> dict[str, dict[str, Any]]:
    """How the basic splitting methods, and the layer's own, converge on its problem for x, in float64.

    Each runs with its tuned step, to a relative residual of 1e-6 or for `max_steps` steps. By
    method: "step", and for each step from the first the largest "residual" of all samples.

    Source: Winston & Kolter 2020, figure 3.
    """
    layer = copy.deepcopy(layer).double()
    A, B = layer.problem(x.double())
    runs = {}
    for name, kind in METHODS.items():
        if kind not in (*_COMPARED, type(layer.method)):
            continue
        method: Any = kind
        tuned = tune(method(step="auto"), A, B, tol=_TIGHT, max_steps=max_steps)
        result = solve(tuned, A, B, tol=_TIGHT, max_steps=max_steps, check_every=1, warn=False)
        residual = result.history.residual.max(axis=1)
        runs[name] = {"step": tuned.step, "residual": residual.tolist()}
    return runs


def _finite(value: Tensor) -> float | None:
    """The number, or None (as JSON has no infinity) for a bound which says nothing."""
    return float(value) if math.isfinite(value) else None
