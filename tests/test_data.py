"""Data sets: what is read, how it is normalised, and what bad files are answered with."""

import gzip
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from idx_files import IMAGES, LABELS, idx, mnist_files

from monops.data import MNIST_FILES, Dataset, digits, mnist
from monops.errors import DataError

TRAIN, TEST = 7, 3  # images in the small files


@pytest.fixture
def files() -> dict[str, bytes]:
    return mnist_files(TRAIN, TEST)


@pytest.fixture
def root(tmp_path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture(scope="module")
def handwritten() -> Dataset:
    return digits()


def test_digits_hold_out_a_stratified_fifth(handwritten: Dataset) -> None:
    assert handwritten.train_x.shape == (1437, 1, 8, 8)
    assert handwritten.test_x.shape == (360, 1, 8, 8)
    assert handwritten.train_x.dtype == torch.float32
    assert handwritten.train_y.dtype == torch.int64
    assert (handwritten.classes, handwritten.shape, handwritten.features) == (10, (1, 8, 8), 64)
    counts = torch.bincount(handwritten.test_y, minlength=10)
    every = counts + torch.bincount(handwritten.train_y, minlength=10)
    assert (counts - every / 5).abs().max() <= 1


def test_digits_are_always_split_the_same_way(handwritten: Dataset) -> None:
    np.random.seed(1)
    torch.manual_seed(1)
    assert torch.equal(digits().test_x, handwritten.test_x)


def test_images_are_normalised_by_the_training_part(handwritten: Dataset) -> None:
    assert handwritten.train_x.mean().abs() < 1e-5
    assert (handwritten.train_x.std() - 1).abs() < 1e-5
    assert handwritten.test_x.mean().abs() > 1e-5  # its own mean is not 0


def test_digits_name_the_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"monops\[train\]"):
        digits()


def test_data_move_to_a_dtype(handwritten: Dataset) -> None:
    moved = handwritten.to("cpu", torch.float64)
    assert (moved.train_x.dtype, moved.test_x.dtype) == (torch.float64, torch.float64)
    assert moved.train_y.dtype == torch.int64
    assert torch.equal(moved.train_x.float(), handwritten.train_x)


@pytest.mark.parametrize("zipped", [(), MNIST_FILES[:2], MNIST_FILES])
def test_mnist_reads_plain_and_gzipped_files(root: Path, files: dict[str, bytes], zipped: tuple[str, ...]) -> None:
    for name in zipped:
        (root / name).unlink()
        (root / f"{name}.gz").write_bytes(gzip.compress(files[name]))
    data = mnist(root)
    assert (data.classes, data.shape, data.features) == (10, (1, 28, 28), 784)
    labels = np.frombuffer(files[MNIST_FILES[3]], "u1", offset=8)
    assert data.test_y.tolist() == labels.tolist()
    train = np.frombuffer(files[MNIST_FILES[0]], "u1", offset=16).astype(float)
    test = np.frombuffer(files[MNIST_FILES[2]], "u1", offset=16).reshape(TEST, 1, 28, 28)
    wanted = torch.from_numpy((test - train.mean()) / train.std(ddof=1)).float()
    torch.testing.assert_close(data.test_x, wanted)
    assert len(data.train_x) == len(data.train_y) == TRAIN


def header(content: bytes, *numbers: int) -> bytes:
    """`content` with other numbers at its beginning."""
    return struct.pack(f">{len(numbers)}I", *numbers) + content[4 * len(numbers) :]


BROKEN: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("train-images-idx3-ubyte", lambda c: c[:-1], "truncated: got 5487 bytes of data, wanted 5488"),
    ("train-images-idx3-ubyte", lambda c: c[:9], "truncated: got 9 bytes, wanted a header of 16"),
    ("train-images-idx3-ubyte", lambda c: b"", "truncated: got 0 bytes, wanted a header of 16"),
    ("t10k-labels-idx1-ubyte", lambda c: c + b"\0", "too long: got 4 bytes of data, wanted 3"),
    ("t10k-images-idx3-ubyte", lambda c: header(c, LABELS), "magic number 2049, wanted 2051"),
    ("train-labels-idx1-ubyte", lambda c: header(c, IMAGES), "magic number 2051, wanted 2049"),
    (
        "t10k-images-idx3-ubyte",
        lambda c: header(c, IMAGES, 6, 14, 28),
        "14×28 pixels, wanted 28×28",
    ),
    ("t10k-images-idx3-ubyte", lambda c: header(c[:16], IMAGES, 0), "got no data"),
    ("train-labels-idx1-ubyte", lambda c: c[:-1] + b"\x0a", "got a label 10, wanted labels"),
    (
        "t10k-labels-idx1-ubyte",
        lambda c: header(c, LABELS, 2)[:-1],
        "got 2 labels for the 3 images",
    ),
]


@pytest.mark.parametrize(("name", "damage", "message"), BROKEN)
def test_mnist_says_what_is_wrong_with_a_file(
    root: Path, name: str, damage: Callable[[bytes], bytes], message: str
) -> None:
    path = root / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message) as error:
        mnist(root)
    assert name in str(error.value)


@pytest.mark.parametrize("cut", [lambda c: c[:-20], lambda c: b"plain" + c, lambda c: c[:40] + c[60:]])
def test_mnist_refuses_a_damaged_gzip_file(root: Path, files: dict[str, bytes], cut: Callable[[bytes], bytes]) -> None:
    name = MNIST_FILES[0]
    (root / name).unlink()
    (root / f"{name}.gz").write_bytes(cut(gzip.compress(files[name])))
    with pytest.raises(DataError, match=rf"{name}\.gz: truncated or damaged gzip file"):
        mnist(root)


def test_mnist_names_the_missing_files_and_those_wanted(root: Path) -> None:
    (root / MNIST_FILES[1]).unlink()
    with pytest.raises(DataError, match=f"{MNIST_FILES[1]} missing") as error:
        mnist(root)
    assert all(name in str(error.value) for name in MNIST_FILES)


def test_mnist_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder; wanted the four files"):
        mnist(tmp_path / "nowhere")


def test_constant_images_are_refused(root: Path) -> None:
    (root / MNIST_FILES[0]).write_bytes(idx(IMAGES, np.full((TRAIN, 28, 28), 9)))
    with pytest.raises(DataError, match="all training pixels are the same"):
        mnist(root)
