"""What determines a training run."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from monops.errors import DeviceError, OptionError
from monops.models import METHODS, MODELS
from monops.splitting import StepSize

DATA, KINDS = (tuple(dict.fromkeys(names)) for names in zip(*MODELS, strict=True))
DTYPES = {"float32": torch.float32, "float64": torch.float64}
CHANGEABLE = ("epochs", "device", "threads")  # what may differ when a run goes on


@dataclass(frozen=True, kw_only=True)
class Options:
    """What determines a run; together with the data, and on one machine, bit for bit.

    Args:
        data: the data set: "digits" or "mnist".
        model: the kind of model for it: "dense", "conv" or "multitier", see `monops.models.MODELS`.
        method: the splitting method: one of `monops.models.METHODS`.
        step: its step size > 0, or "auto": tuned on a fixed batch as training goes on.
        tol: the relative residual at which a solve ends, in (0, 1).
        max_steps: the number of steps after which a solve ends anyhow, with a warning, ≥ 1.
        epochs: how often the training part is gone through, ≥ 1.
        batch: how many images make one gradient, ≥ 1.
        rate: the learning rate of Adam, > 0.
        decay_every: after how many epochs the learning rate is divided by 10, ≥ 1.
        tune_every: after how many batches of an epoch an "auto" step is tuned again, ≥ 1.
        seed: of the initial weights and of the order of the images, ≥ 0.
        device: a torch device, such as "cpu" or "cuda".
        dtype: "float32" or "float64".
        threads: of the CPU, ≥ 1; their number can change the last bits. Models as small as these
            gain little from a second one, and lose much where other programs compute too.

    Raises:
        OptionError: a value is outside its range.
        DeviceError: there is no such device.
    """

    data: str
    model: str = "dense"
    method: str = "peaceman-rachford"
    step: StepSize = "auto"
    tol: float = 1e-2
    max_steps: int = 500
    epochs: int = 40
    batch: int = 128
    rate: float = 1e-3
    decay_every: int = 10
    tune_every: int = 100
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1

    def __post_init__(self) -> None:
        for name, known in (("data", DATA), ("model", KINDS), ("method", METHODS), ("dtype", DTYPES)):
            check_choice(name, getattr(self, name), known)
        for name, bound in (("step", math.inf), ("tol", 1.0), ("rate", math.inf)):
            if not (name == "step" and self.step == "auto"):
                _check_number(name, getattr(self, name), bound)
        for name in ("max_steps", "epochs", "batch", "decay_every", "tune_every", "threads", "seed"):
            _check_whole(name, getattr(self, name), 0 if name == "seed" else 1)
        check_device(self.device)


def merge(saved: Mapping[str, Any], changes: Mapping[str, Any], path: str | Path) -> Options:
    """The options `saved` in the checkpoint `path`, with `changes` where they are allowed."""
    for name, wanted in changes.items():
        if name not in CHANGEABLE and wanted != saved.get(name):
            raise OptionError(
                f"{name}: got {wanted}, but the run of {path} has {saved.get(name)}, which stays "
                f"(only {', '.join(CHANGEABLE)} may change when a run goes on)"
            )
    return Options(**{**saved, **changes})


def check_choice(name: str, value: Any, known: Collection[str]) -> None:
    """Raise an `OptionError` unless the option's value is one of those known."""
    if value not in known:
        raise OptionError(f"{name}: got {value!r}, wanted one of {', '.join(known)}")


def _check_number(name: str, value: Any, bound: float) -> None:
    if not (isinstance(value, int | float) and 0 < value < bound):
        limits = "number > 0" if bound == math.inf else f"number > 0 and < {bound:g}"
        raise OptionError(f"{name}: got {value!r}, wanted a {limits}")


def _check_whole(name: str, value: Any, least: int) -> None:
    if not (type(value) is int and least <= value < 2**63):
        raise OptionError(f"{name}: got {value!r}, wanted a whole number ≥ {least}")


def check_device(name: str) -> None:
    """Raise unless numbers can be put on the torch device `name`, and read back.

    Raises:
        DeviceError: torch knows no such device, or it is not there.
    """
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"device: got {name!r}, wanted one that is there ({reason})") from error


# What suits each data set and model best, of all that was tried.
DEFAULTS = {
    ("digits", "dense"): Options(data="digits", epochs=15, batch=16, rate=3e-3),
    ("digits", "conv"): Options(data="digits", model="conv", epochs=15, batch=32, rate=3e-3),
    ("digits", "multitier"): Options(data="digits", model="multitier", epochs=15, batch=16, rate=3e-3),
    ("mnist", "dense"): Options(data="mnist"),
    ("mnist", "conv"): Options(data="mnist", model="conv", threads=2),
    ("mnist", "multitier"): Options(data="mnist", model="multitier", threads=2),
}
