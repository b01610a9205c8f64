"""Checkpoints: whole or not at all, no code run by reading one, clear answers to wrong files."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from monops import checkpoint
from monops.errors import CheckpointError

CONTENT: dict[str, Any] = {
    "weights": {"a": torch.arange(3000.0), "b": torch.ones(2, dtype=torch.float64)},
    "generator": torch.Generator().manual_seed(3).get_state(),
    "curve": [{"epoch": 1, "loss": 0.5, "step": "auto", "better": True}, {}],
    "nothing": None,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "checkpoint.pt"
    checkpoint.save(target, CONTENT)
    return target


def test_what_is_saved_is_loaded(path: Path) -> None:
    loaded = checkpoint.load(path)
    assert loaded["weights"]["b"].dtype == torch.float64
    assert loaded["curve"] == CONTENT["curve"]
    assert loaded["nothing"] is None
    for part in ("weights", "generator"):
        torch.testing.assert_close(loaded[part], CONTENT[part], rtol=0, atol=0)


def test_saving_replaces_and_leaves_nothing_else(path: Path) -> None:
    checkpoint.save(path, {"epoch": 2})
    assert checkpoint.load(path) == {"epoch": 2}
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_failing_write_keeps_the_old_file_and_leaves_nothing_else(
    path: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(CheckpointError, match=r"cannot be written: .*No space left on device"):
        checkpoint.save(path, {"epoch": 2})
    assert os.listdir(path.parent) == [path.name]
    assert checkpoint.load(path)["curve"] == CONTENT["curve"]


def test_an_interrupted_write_keeps_the_old_file_and_leaves_nothing_else(path: Path) -> None:
    def interrupted(file: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoint.write_atomically(path, interrupted)
    assert os.listdir(path.parent) == [path.name]
    assert checkpoint.load(path)["nothing"] is None


def test_what_killed_writers_left_is_removed(path: Path) -> None:
    (path.parent / f".{path.name}.123.partial").write_bytes(b"half")
    (path.parent / ".other.123.partial").write_bytes(b"not ours")
    checkpoint.remove_partial(path)
    assert sorted(os.listdir(path.parent)) == [".other.123.partial", path.name]


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        checkpoint.save(tmp_path / "nowhere" / "checkpoint.pt", {})


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(path: Path, part: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: got a truncated or foreign file"):
        checkpoint.load(path)


def test_a_flipped_bit_is_noticed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(1000.0, 1010.0).numpy().tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged file: the checksum"):
        checkpoint.load(path)


class Malicious:
    """Pickled so that reading it makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


def test_reading_executes_nothing(tmp_path: Path) -> None:
    path, made = tmp_path / "checkpoint.pt", tmp_path / "made"
    evil = {"format": checkpoint.FORMAT, "version": 2, "content": {"x": Malicious(made)}}
    for write in (torch.save, lambda what, where: where.write_bytes(pickle.dumps(what))):
        write(evil, path)
        with pytest.raises(CheckpointError, match="foreign"):
            checkpoint.load(path)
        assert not made.exists()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([1, 2], "another program"),
        ({"weights": torch.ones(2)}, "another program"),
        (
            {"format": checkpoint.FORMAT, "version": 99, "content": {}},
            "version 99, wanted version 2",
        ),
        ({"format": checkpoint.FORMAT, "version": 2}, "without content"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, record: Any, message: str) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(record, path)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path)


@pytest.mark.parametrize("name", ["missing.pt", "."])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        checkpoint.load(tmp_path / name)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (nn.Linear(3, 4).state_dict(), r"weight: got float32 of shape \(4, 3\), wanted .*\(4, 2\)"),
        (nn.Linear(2, 4).double().state_dict(), "weight: got float64 of .*, wanted float32"),
        ({"weight": torch.ones(4, 2)}, r"bias: got no such tensor, wanted float32 of shape \(4,\)"),
        (
            nn.Linear(2, 4).state_dict() | {"scale": torch.ones(1)},
            r"scale: got float32 of shape \(1,\), wanted no such tensor",
        ),
    ],
)
def test_weights_of_another_shape_are_refused_and_change_nothing(
    weights: dict[str, torch.Tensor], message: str
) -> None:
    module = nn.Linear(2, 4)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(CheckpointError, match=f"source: {message}"):
        checkpoint.load_weights(module, weights, "source")
    torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)
