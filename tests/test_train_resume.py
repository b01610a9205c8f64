"""Training goes on exactly after any interruption, and keeps the last good state."""

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
from small_training import (
    BATCHES,
    IMAGES,
    SMALL,
    all_digits,
    assert_same,
    small_digits,
    trained,
)

from monops import checkpoint
from monops.data import Dataset
from monops.errors import CheckpointError, NonFiniteError, OptionError
from monops.models import METHODS
from monops.train import DEFAULTS, Training


@pytest.fixture
def data() -> Dataset:
    return small_digits()


# Going on exactly


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_is_the_same_bit_for_bit(method: str, data: Dataset, tmp_path: Path) -> None:
    options = replace(SMALL, method=method)
    path = tmp_path / "new" / "folder" / "checkpoint.pt"
    Training(replace(options, epochs=1)).run(data, path)
    resumed = Training.resume(path, epochs=3, data="digits", method=method)
    resumed.run(data, path)
    whole = trained(options, data)
    assert_same(resumed, whole)
    assert_same(Training.resume(path), whole)
    assert resumed.seconds == sum(record["seconds"] for record in resumed.curve)


COMMAND = [sys.executable, "-W", "error", "-m", "monops", "train", "digits"]


def test_a_killed_run_resumes_bit_for_bit(tmp_path: Path) -> None:
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
    whole = trained(replace(DEFAULTS["digits", "dense"], epochs=2), all_digits())
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
        ({"data": "mnist"}, "data: got mnist"),
        ({"model": "conv"}, "model: got conv, but the run of .* has dense"),
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
    shapes = r"layer\.linear\.A: got float32 of shape \(64, 64\), wanted float32 of shape \(200, 200\)"
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
        order = torch.randperm(IMAGES, generator=generator)
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
