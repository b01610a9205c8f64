"""Small data files in MNIST's IDX format."""

import struct

import numpy as np

IMAGES, LABELS = 2051, 2049  # magic numbers


def idx(magic: int, array: np.ndarray) -> bytes:
    """An IDX file with the bytes of `array`."""
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.astype("u1").tobytes()


def mnist_files(train: int, test: int) -> dict[str, bytes]:
    """MNIST's four files with so many random images, by their names."""
    rng = np.random.default_rng(0)
    files = {}
    for part, count in (("train", train), ("t10k", test)):
        files[f"{part}-images-idx3-ubyte"] = idx(IMAGES, rng.integers(0, 256, (count, 28, 28)))
        files[f"{part}-labels-idx1-ubyte"] = idx(LABELS, rng.integers(0, 10, count))
    return files
