"""Data sets as plain tensors: scikit-learn's digits, and MNIST from its official IDX files."""

import gzip
import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from monops.errors import DataError

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_IMAGES, _LABELS = 0x00000803, 0x00000801  # IDX magic: unsigned bytes (08) in 3 or 1 dimensions
_SPLIT_SEED = 0


@dataclass(frozen=True)
class Dataset:
    """Images x with labels y, divided into a part to train on and a part held out.

    Args:
        name: what the data set is called.
        train_x: normalised images (n, *shape).
        train_y: labels (n,), int64 in [0, classes).
        test_x: held-out images (k, *shape), normalised with the training part's mean and deviation.
        test_y: held-out labels (k,).
        classes: the number of classes.
        shape: one image: (channels, height, width).
    """

    name: str
    train_x: Tensor  # (n, *shape)
    train_y: Tensor  # (n,)
    test_x: Tensor  # (k, *shape)
    test_y: Tensor  # (k,)
    classes: int
    shape: tuple[int, ...]

    @property
    def features(self) -> int:
        """How many numbers make one image."""
        return math.prod(self.shape)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Dataset":
        """The same data on `device`, images as `dtype` (labels stay int64)."""
        return replace(
            self,
            train_x=self.train_x.to(device, dtype),
            train_y=self.train_y.to(device),
            test_x=self.test_x.to(device, dtype),
            test_y=self.test_y.to(device),
        )


def digits() -> Dataset:
    """The 1,797 handwritten 8×8 digits that come with scikit-learn, so no download is needed.

    A fifth (360 images) is held out, stratified by class; the split is always the same.

    Raises:
        DataError: scikit-learn is not installed.

    Source: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI, 1998.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise DataError(f'the digits come with scikit-learn ({error}): pip install "monops[train]"') from error
    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=0.2, stratify=labels, random_state=_SPLIT_SEED
    )
    return _dataset("digits", (train_x, train_y, test_x, test_y), (1, 8, 8))


def mnist(root: str | Path) -> Dataset:
    """MNIST: 60,000 images of 28×28 pixels to train on and 10,000 held out.

    Args:
        root: the folder with the four official IDX files, each gzipped (``.gz``) or not.

    Raises:
        DataError: a file is missing, truncated, not in IDX format, of other dimensions than 28×28,
            holds labels outside 0 … 9, or images and labels differ in number.

    Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", 1998.
    """
    paths = _locate(Path(root))
    arrays = []
    for images, labels in (paths[:2], paths[2:]):
        pixels, classes = _read_images(images), _read_labels(labels)
        if len(pixels) != len(classes):
            raise DataError(
                f"{labels}: got {len(classes)} labels for the {len(pixels)} images "
                f"of {images.name}, wanted as many as images"
            )
        arrays += [pixels, classes]
    return _dataset("mnist", tuple(arrays), (1, 28, 28))


def _dataset(name: str, arrays: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> Dataset:
    """Normalise by mean and deviation of all training pixels, as usual for MNIST."""
    train_x, train_y, test_x, test_y = (torch.tensor(array) for array in arrays)
    deviation, mean = torch.std_mean(train_x.float())
    if not deviation > 0:
        raise DataError(f"{name}: all training pixels are the same, so they cannot be normalised")

    def normalise(x: Tensor) -> Tensor:
        return ((x.float() - mean) / deviation).reshape(-1, *shape)

    return Dataset(name, normalise(train_x), train_y.long(), normalise(test_x), test_y.long(), 10, shape)


def _locate(root: Path) -> list[Path]:
    wanted = f"wanted the four files {', '.join(MNIST_FILES)} (each may end in .gz)"
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; {wanted}")
    found = {name: _either(root, name) for name in MNIST_FILES}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise DataError(f"{root}: {', '.join(missing)} missing; {wanted}")
    return [path for path in found.values() if path is not None]


def _either(root: Path, name: str) -> Path | None:
    candidates = (root / name, root / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _read_images(path: Path) -> np.ndarray:
    pixels = _read_idx(path, _IMAGES, dimensions=3)
    if pixels.shape[1:] != (28, 28):
        got = "×".join(map(str, pixels.shape[1:]))
        raise DataError(f"{path}: got images of {got} pixels, wanted 28×28")
    return pixels


def _read_labels(path: Path) -> np.ndarray:
    labels = _read_idx(path, _LABELS, dimensions=1)
    if labels.max() > 9:
        raise DataError(f"{path}: got a label {labels.max()}, wanted labels from 0 to 9")
    return labels


def _read_idx(path: Path, magic: int, dimensions: int) -> np.ndarray:
    """An IDX file: a big-endian magic number, one length for each axis, then the bytes."""
    raw = _read_bytes(path)
    header = 4 * (1 + dimensions)
    if len(raw) < header:
        raise DataError(f"{path}: truncated: got {len(raw)} bytes, wanted a header of {header}")
    got, *shape = (int(n) for n in np.frombuffer(raw, dtype=">u4", count=1 + dimensions))
    if got != magic:
        raise DataError(f"{path}: not the wanted IDX file: got magic number {got}, wanted {magic}")
    size = math.prod(shape)
    if size == 0:
        raise DataError(f"{path}: got no data (lengths {shape}), wanted at least one entry")
    if len(raw) != header + size:
        problem = "truncated" if len(raw) < header + size else "too long"
        raise DataError(
            f"{path}: {problem}: got {len(raw) - header} bytes of data, wanted {size} ({' × '.join(map(str, shape))})"
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape)


def _read_bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: truncated or damaged gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
