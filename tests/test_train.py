"""Training: what it learns, that it goes on exactly after any interruption, and what it refuses."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from monops import checkpoint, plots
from monops.data import Dataset, digits
from monops.errors import (
    CheckpointError,
    DeviceError,
    MonopsError,
    NonFiniteError,
    OptionError,
    StepSizeError,
)
from monops.models import METHODS, digits_dense, mnist_dense
from monops.splitting import ForwardBackward
from monops.train import DEFAULTS, Options, Training, summarise

SMALL = Options(model="digits", epochs=3, batch=16, rate=5e-3, tune_every=4)
BATCHES = 10  # of an epoch on `data`


@pytest.fixture(scope="module")
def every_digit() -> Dataset:
    return digits()


@pytest.fixture
def data(every_digit: Dataset) -> Dataset:
    """The first of the digits: 10 batches to train on."""
    train, test = slice(16 * BATCHES - 3), slice(64)
    return replace(
        every_digit,
        train_x=every_digit.train_x[train].clone(),
        train_y=every_digit.train_y[train],
        test_x=every_digit.test_x[test],
        test_y=every_digit.test_y[test],
    )


def trained(options: Options, data: Dataset) -> Training:
    training = Training(options)
    training.run(data)
    return training


def state(training: Training) -> dict[str, Any]:
    """All that the next epoch depends on."""
    return {
        "model": dict(training.model.state_dict()),
        "adam": training.optimizer.state_dict()["state"],
        "generator": training.generator.get_state(),
        "step": training.step,
        "epoch": training.epoch,
        "curve": [{name: value for name, value in record.items() if name != "seconds"} for record in training.curve],
    }


def assert_same(got: Training, wanted: Training) -> None:
    """Bit for bit the same state."""
    torch.testing.assert_close(state(got), state(wanted), rtol=0, atol=0)


# Models


def test_the_mnist_network_has_the_parameters_of_the_paper() -> None:
    assert sum(parameter.numel() for parameter in mnist_dense().parameters()) == 84313


@pytest.mark.parametrize("build", [mnist_dense, digits_dense])
def test_a_batch_may_be_empty(build: Any) -> None:
    model = build()
    side = 28 if build is mnist_dense else 8
    assert model(torch.zeros(0, 1, side, side)).shape == (0, 10)


def test_every_method_has_its_name() -> None:
    assert set(METHODS) >= {"forward-backward", "peaceman-rachford", "douglas-rachford"}
    assert METHODS["forward-backward"] is ForwardBackward


# Learning


def test_the_digits_are_learnt(every_digit: Dataset) -> None:
    training = trained(replace(DEFAULTS["digits"], epochs=3), every_digit)
    assert training.accuracy(every_digit.test_x, every_digit.test_y) > 0.93
    losses = [record["loss"] for record in training.curve]
    assert losses[0] > 3 * losses[-1]


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
    assert rates == pytest.approx([5e-3, 5e-3, 5e-4])


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


# Going on exactly


def test_a_run_follows_from_its_seed(data: Dataset) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = trained(SMALL, data)
    assert torch.equal(torch.get_rng_state(), before), "the global generator is left alone"
    torch.manual_seed(2)
    assert_same(trained(SMALL, data), one)
    other = trained(replace(SMALL, seed=1), data)
    assert not torch.equal(other.model.readout.weight, one.model.readout.weight)


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_is_the_same_bit_for_bit(method: str, data: Dataset, tmp_path: Path) -> None:
    options = replace(SMALL, method=method)
    path = tmp_path / "new" / "folder" / "checkpoint.pt"
    Training(replace(options, epochs=1)).run(data, path)
    resumed = Training.resume(path, epochs=3, model="digits", method=method)
    resumed.run(data, path)
    whole = trained(options, data)
    assert_same(resumed, whole)
    assert_same(Training.resume(path), whole)
    assert resumed.seconds == sum(record["seconds"] for record in resumed.curve)


COMMAND = [sys.executable, "-W", "error", "-m", "monops", "train", "digits"]


def test_a_killed_run_resumes_bit_for_bit(every_digit: Dataset, tmp_path: Path) -> None:
    options = ["--epochs", "2", "--out", str(tmp_path)]
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("epoch 1/2")
        process.send_signal(signal.SIGKILL)  # within the second epoch
    path = tmp_path / "checkpoint.pt"
    assert Training.resume(path).epoch == 1
    (tmp_path / ".checkpoint.pt.1.partial").write_bytes(b"as a kill within a write leaves it")
    done = subprocess.run([*COMMAND, "--resume", str(path)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "epoch 1/2" not in done.stdout
    assert "epoch 2/2" in done.stdout
    whole = trained(replace(DEFAULTS["digits"], epochs=2), every_digit)
    assert_same(Training.resume(path), whole)
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.pt", "report.png"]


@pytest.fixture
def saved(data: Dataset, tmp_path: Path) -> Path:
    """The checkpoint of a run that has one epoch behind it."""
    path = tmp_path / "checkpoint.pt"
    Training(replace(SMALL, epochs=1)).run(data, path)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "douglas-rachford"}, "method: got douglas-rachford, but .* peaceman-rachford"),
        ({"seed": 1}, "seed: got 1, but the run of .* has 0"),
        ({"tol": 1e-3}, "tol: got 0.001"),
        ({"step": 0.5}, "step: got 0.5, but the run of .* has auto"),
        ({"dtype": "float64"}, "dtype: got float64"),
        ({"model": "mnist"}, "model: got mnist"),
        ({"speed": 9}, "speed: got 9, but the run of .* has None"),
        ({"epochs": 0}, "epochs: got 0, wanted a whole number ≥ 1"),
    ],
)
def test_resuming_refuses_another_run(saved: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Training.resume(saved, **changes)


def test_resuming_refuses_fewer_epochs_than_are_done(data: Dataset, saved: Path) -> None:
    Training.resume(saved, epochs=2).run(data, saved)
    with pytest.raises(OptionError, match="epochs: got 1, wanted at least the 2 that"):
        Training.resume(saved, epochs=1)


def test_resuming_refuses_a_checkpoint_of_another_shape(saved: Path) -> None:
    content = checkpoint.load(saved)
    content["model"]["layer.linear.A"] = torch.zeros(64, 64)
    checkpoint.save(saved, content)
    shapes = r"layer\.linear\.A: got float32 of shape \(64, 64\), wanted float32 of shape \(87, 87\)"
    with pytest.raises(CheckpointError, match=shapes):
        Training.resume(saved)


@pytest.mark.parametrize("part", ["options", "model", "optimizer", "generator", "step", "curve"])
def test_resuming_refuses_a_checkpoint_with_a_part_missing(saved: Path, part: str) -> None:
    content = checkpoint.load(saved)
    del content[part]
    checkpoint.save(saved, content)
    with pytest.raises(CheckpointError, match=rf"got no state of a training .*{part}"):
        Training.resume(saved)


@pytest.mark.parametrize("options", [None, [], {"colour": "red"}, {}])
def test_resuming_refuses_options_it_does_not_know(saved: Path, options: Any) -> None:
    checkpoint.save(saved, checkpoint.load(saved) | {"options": options})
    with pytest.raises(CheckpointError, match="got no state of a training"):
        Training.resume(saved)


# What is not finite


def first_batch_of(image: int, epoch: int, seed: int) -> int:
    """The batch of an epoch, counted from 1, that an image is in."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epoch):
        order = torch.randperm(16 * BATCHES - 3, generator=generator)
    return order.tolist().index(image) // 16


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_image_that_is_not_finite_is_located(value: float, data: Dataset, tmp_path: Path) -> None:
    path, training, image = tmp_path / "checkpoint.pt", Training(SMALL), 100
    kept = []

    def poison(_: Any) -> None:
        kept.append(path.read_bytes())
        data.train_x[image, 0, 3, 3] = value

    batch = first_batch_of(image, epoch=2, seed=0)
    with pytest.raises(NonFiniteError, match=rf"epoch 2, batch {batch} of 0 … 9: .*input") as error:
        training.run(data, path, on_epoch=poison)
    assert "the state after epoch 1 is the last good one" in str(error.value)
    assert [path.read_bytes()] == kept
    assert os.listdir(tmp_path) == [path.name]


def test_a_loss_that_is_not_finite_is_located(data: Dataset, tmp_path: Path) -> None:
    training, path = Training(SMALL), tmp_path / "checkpoint.pt"
    training.model.readout.bias.data[0] = math.inf
    with pytest.raises(NonFiniteError, match="epoch 1, batch 0 of 0 … 9: the loss is nan"):
        training.run(data, path)
    assert not path.exists()


@pytest.mark.parametrize("name", ["layer.linear.A", "layer.linear.bias", "readout.weight"])
def test_weights_that_are_not_finite_are_named_and_not_saved(name: str, data: Dataset, tmp_path: Path) -> None:
    """A gradient becomes infinite in the last batch, so no loss of the epoch tells."""
    training, path = Training(SMALL), tmp_path / "checkpoint.pt"
    calls: list[None] = []

    def last_is_infinite(gradient: torch.Tensor) -> torch.Tensor:
        calls.append(None)
        return gradient * (math.inf if len(calls) == BATCHES else 1)

    training.model.get_parameter(name).register_hook(last_is_infinite)
    with pytest.raises(NonFiniteError, match=rf"epoch 1, last batch: {name} is no longer finite"):
        training.run(data, path)
    assert not path.exists()


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
        ({"model": "cifar"}, "model: got 'cifar', wanted one of digits, mnist"),
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
    assert figures["parameters"] == training.parameters == 64 * 87 + 87 + 2 * 87**2 + 88 * 10
    assert figures["curve"] == training.curve
    assert figures["reference_passed"]
    assert 0 < figures["reference_error"] < 1e-5
    assert 0 < figures["relative_error_bound"] < 0.2
    assert figures["error_bound"] > 0
    assert (figures["tol"], figures["seed"], figures["threads"]) == (1e-2, 0, 1)
    assert set(figures["convergence"]) == set(METHODS)
    steps = {name: len(run["residual"]) for name, run in figures["convergence"].items()}
    assert all(run["residual"][-1] <= 1e-6 for run in figures["convergence"].values())
    fastest_first = ["peaceman-rachford", "douglas-rachford", "forward-backward"]
    assert sorted(fastest_first, key=steps.__getitem__) == fastest_first
    plots.save(plots.report(figures), tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
