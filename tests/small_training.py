"""A training of seconds, and when two of them are the same."""

import functools
from dataclasses import replace
from typing import Any

import torch

from monops import data
from monops.data import Dataset
from monops.train import Options, Training

SMALL = Options(data="digits", epochs=3, batch=16, rate=2e-3, tune_every=4)
BATCHES = 10  # of an epoch on `small_digits`
IMAGES = 16 * BATCHES - 3  # so the last batch is smaller

all_digits = functools.cache(data.digits)


def small_digits() -> Dataset:
    """The first of the digits, in memory of their own."""
    whole = all_digits()
    return replace(
        whole,
        train_x=whole.train_x[:IMAGES].clone(),
        train_y=whole.train_y[:IMAGES],
        test_x=whole.test_x[:64],
        test_y=whole.test_y[:64],
    )


def trained(options: Options, dataset: Dataset) -> Training:
    """A training that is done."""
    training = Training(options)
    training.run(dataset)
    return training


def assert_same(got: Training, wanted: Training) -> None:
    """The same state, bit for bit."""
    torch.testing.assert_close(_state(got), _state(wanted), rtol=0, atol=0)


def _state(training: Training) -> dict[str, Any]:
    """All that the next epoch depends on, and what is recorded, but for the time it took."""
    return {
        "model": dict(training.model.state_dict()),
        "adam": training.optimizer.state_dict()["state"],
        "generator": training.generator.get_state(),
        "step": training.step,
        "epoch": training.epoch,
        "curve": [{name: value for name, value in record.items() if name != "seconds"} for record in training.curve],
    }
