"""Training: what it learns and reports, and what it refuses."""

import functools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import SMALL, all_digits, assert_same, small_digits, trained

from monops import plots
from monops.data import Dataset
from monops.errors import DeviceError, MonopsError, OptionError, StepSizeError
from monops.models import METHODS, MODELS
from monops.nn import MonotoneConv, MonotoneMultiTier
from monops.splitting import ForwardBackward
from monops.train import DEFAULTS, KINDS, Training, report, summarise


@pytest.fixture
def data() -> Dataset:
    return small_digits()


# Models


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("model", "parameters"), [("dense", 84313), ("conv", 79500), ("multitier", 81394)])
def test_the_mnist_networks_have_the_parameters_of_the_paper(model: str, parameters: int) -> None:
    assert count(MODELS["mnist", model]()) == parameters


def test_the_cifar_networks_would_have_the_parameters_of_the_paper() -> None:
    single = MonotoneConv(3, 81, (32, 32))
    assert count(single) + count(torch.nn.Linear(81 * 8 * 8, 10)) == 172218
    tiers = MonotoneMultiTier(3, (16, 32, 60), (32, 32), border=True)
    assert count(tiers) + count(torch.nn.Linear(tiers.space.sizes[-1], 10)) == 170194


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_may_be_empty(name: tuple[str, str]) -> None:
    side = 28 if name[0] == "mnist" else 8
    assert MODELS[name]()(torch.zeros(0, 1, side, side)).shape == (0, 10)


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_learns_and_is_compared(kind: str, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_CHECKED": 2, "_NUMBERS": 4000}.items():  # two images, as SciPy takes seconds for each
        monkeypatch.setattr(report, name, value)
    monkeypatch.setattr(report, "convergence", functools.partial(report.convergence, max_steps=20))
    training = trained(replace(SMALL, model=kind, epochs=4, tune_every=20), data)
    losses = [record["loss"] for record in training.curve]
    assert losses[-1] < 0.92 * losses[0]  # the multi-tier network is the slowest to start
    figures = summarise(training, data)
    assert figures["reference_passed"]
    assert (figures["data"], figures["model"]) == ("digits", kind)


def test_every_method_has_its_name() -> None:
    assert set(METHODS) >= {"forward-backward", "peaceman-rachford", "douglas-rachford"}
    assert METHODS["forward-backward"] is ForwardBackward


# Learning


def test_the_digits_are_learnt() -> None:
    training = trained(replace(DEFAULTS["digits", "dense"], epochs=2), all_digits())
    assert training.accuracy(all_digits().test_x, all_digits().test_y) > 0.9
    losses = [record["loss"] for record in training.curve]
    assert losses[0] > 2 * losses[-1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_epoch_reports_what_happened(method: str, dtype: str, data: Dataset) -> None:
    training = Training(replace(SMALL, method=method, dtype=dtype))
    seen: list[dict[str, Any]] = []
    epochs: list[dict[str, Any]] = []
    training.run(data, on_batch=seen.append, on_epoch=epochs.append)
    assert epochs == training.curve
    assert [record["epoch"] for record in epochs] == [1, 2, 3]
    assert all(0 < means["progress"] <= 1 for means in seen)
    record = epochs[-1]
    assert record["test_accuracy"] == training.accuracy(
        data.test_x.to(training.model.readout.weight.dtype), data.test_y
    )
    assert 0 < record["loss"] < math.log(10)
    assert 1 <= record["backward_steps"] <= 400
    assert 1 <= record["forward_steps"] <= 400
    assert 0 < record["step"] == training.step
    assert training.seconds == sum(record["seconds"] for record in epochs)


def test_means_are_over_images_not_batches(data: Dataset) -> None:
    """The last batch is smaller: with a rate near 0, the mean loss is that of all images at once."""
    training = trained(replace(SMALL, epochs=1, rate=1e-30, tol=1e-6), data)
    with torch.no_grad():
        logits = training.model(data.train_x)
    loss = torch.nn.functional.cross_entropy(logits, data.train_y)
    assert training.curve[0]["loss"] == pytest.approx(float(loss), rel=1e-5)
    right = (logits.argmax(1) == data.train_y).double().mean()
    assert training.curve[0]["train_accuracy"] == pytest.approx(float(right))


def test_the_learning_rate_decays(data: Dataset) -> None:
    training, rates = Training(replace(SMALL, decay_every=2)), []
    training.run(data, on_epoch=lambda _: rates.append(training.optimizer.param_groups[0]["lr"]))
    assert rates == pytest.approx([2e-3, 2e-3, 2e-4])


def test_a_fixed_step_stays(data: Dataset) -> None:
    training = trained(replace(SMALL, step=0.3), data)
    assert {record["step"] for record in training.curve} == {0.3}


def test_a_tuned_step_that_is_outgrown_is_tuned_again(data: Dataset) -> None:
    training = Training(replace(SMALL, method="forward-backward", tune_every=1000))
    layer = training.model.layer

    def outgrow(_: Any) -> None:
        layer.method = layer.method.with_step(1e3)

    training.run(data, on_batch=outgrow)
    assert training.epoch == SMALL.epochs
    assert training.curve[-1]["step"] < 1


def test_a_run_follows_from_its_seed(data: Dataset) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = trained(SMALL, data)
    assert torch.equal(torch.get_rng_state(), before), "the global generator is left alone"
    torch.manual_seed(2)
    assert_same(trained(SMALL, data), one)
    other = trained(replace(SMALL, seed=1), data)
    assert not torch.equal(other.model.readout.weight, one.model.readout.weight)


def test_a_run_that_diverges_says_so(data: Dataset) -> None:
    with pytest.raises(MonopsError, match=r"epoch 1, batch .*the state after epoch 0 is the last"):
        trained(replace(SMALL, rate=1e30), data)


def test_a_fixed_step_without_proof_is_located(data: Dataset) -> None:
    with pytest.raises(StepSizeError, match=r"epoch 1, batch 0 .*ForwardBackward wants a step in"):
        trained(replace(SMALL, method="forward-backward", step=50.0), data)


# Options


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"data": "cifar"}, "data: got 'cifar', wanted one of digits, mnist"),
        ({"model": "transformer"}, "model: got 'transformer', wanted one of dense, conv, multitier"),
        ({"method": "newton"}, "method: got 'newton', wanted one of .*peaceman-rachford"),
        ({"dtype": "float16"}, "dtype: got 'float16', wanted one of float32, float64"),
        ({"step": 0.0}, "step: got 0.0, wanted a number > 0"),
        ({"step": -1}, "step: got -1, wanted a number > 0"),
        ({"step": math.nan}, "step: got nan, wanted a number > 0"),
        ({"step": "fast"}, "step: got 'fast', wanted a number > 0"),
        ({"tol": 0.0}, "tol: got 0.0, wanted a number > 0 and < 1"),
        ({"tol": 1.0}, "tol: got 1.0, wanted a number > 0 and < 1"),
        ({"rate": math.inf}, "rate: got inf, wanted a number > 0"),
        ({"epochs": 0}, "epochs: got 0, wanted a whole number ≥ 1"),
        ({"epochs": 1.5}, "epochs: got 1.5, wanted a whole number ≥ 1"),
        ({"batch": True}, "batch: got True, wanted a whole number ≥ 1"),
        ({"seed": -1}, "seed: got -1, wanted a whole number ≥ 0"),
        ({"max_steps": 0}, "max_steps: got 0, wanted a whole number ≥ 1"),
        ({"threads": 0}, "threads: got 0, wanted a whole number ≥ 1"),
    ],
)
def test_options_outside_of_their_range_are_refused(option: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        replace(SMALL, **option)


@pytest.mark.parametrize("device", ["nowhere", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(DeviceError, match=f"device: got '{device}', wanted one that is there"):
        replace(SMALL, device=device)


# What is reported


def test_the_report_of_a_training(data: Dataset, tmp_path: Path) -> None:
    training = trained(SMALL, data)
    figures = json.loads(json.dumps(summarise(training, data), allow_nan=False))
    assert figures["test_accuracy"] == training.accuracy(data.test_x, data.test_y)
    assert figures["parameters"] == training.parameters == 64 * 200 + 200 + 2 * 200**2 + 201 * 10
    assert figures["curve"] == training.curve
    assert figures["reference_passed"]
    assert 0 < figures["reference_error"] < 1e-5
    assert 0 < figures["relative_error_bound"] < 0.2
    assert figures["error_bound"] > 0
    assert (figures["tol"], figures["seed"], figures["threads"]) == (1e-2, 0, 1)
    assert set(figures["convergence"]) == {"forward-backward", "peaceman-rachford", "douglas-rachford"}
    residuals = {name: run["residual"] for name, run in figures["convergence"].items()}
    assert all(residual[-1] <= 1e-6 for residual in residuals.values())
    fastest_first = ["peaceman-rachford", "douglas-rachford", "forward-backward"]
    assert sorted(fastest_first, key=lambda name: len(residuals[name])) == fastest_first
    plots.save(plots.report(figures), tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
