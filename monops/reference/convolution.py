"""Convolutions as sparse matrices, assembled from kernels by index arithmetic, and gradients back to the kernels.

All arrays (channels, *grid) are flattened with the grid innermost, as NumPy does it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from scipy import sparse

Shape = tuple[int, ...]


def _taps(kernel: Shape, grid: Shape, stride: Shape) -> Iterator[tuple[Shape, np.ndarray]]:
    """Each place in the kernel with, for every output point, the flat index of the point that it reads."""
    coarse = tuple(n // s for n, s in zip(grid, stride, strict=True))
    points = np.indices(coarse).reshape(len(grid), -1)
    for place in itertools.product(*map(range, kernel)):
        offset = np.array([k - n // 2 for k, n in zip(place, kernel, strict=True)])
        source = (points * np.array(stride)[:, None] + offset[:, None]) % np.array(grid)[:, None]
        yield place, np.ravel_multi_index(tuple(source), grid)


def circular(weight: np.ndarray, grid: Shape, stride: Shape | None = None) -> sparse.csr_array:
    """The matrix of y[o, p] = Σ_{i, k} weight[o, i, k] x[i, (stride·p + k - centre) mod grid], on flattened arrays.

    Shapes: weight (out, in, *kernel) → (out · |grid / stride|, in · |grid|).
    """
    outputs, inputs, *kernel = weight.shape
    fine = int(np.prod(grid))
    rows, columns, values = [], [], []
    for place, source in _taps(tuple(kernel), grid, stride or (1,) * len(grid)):
        for o, i in itertools.product(range(outputs), range(inputs)):
            rows.append(o * len(source) + np.arange(len(source)))
            columns.append(i * fine + source)
            values.append(np.full(len(source), weight[(o, i, *place)]))
    shape = (outputs * len(source), inputs * fine)
    return sparse.csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape)


def kernel_gradient(G: np.ndarray, weight_shape: Shape, grid: Shape, stride: Shape | None = None) -> np.ndarray:
    """The gradient in the weight of the elementwise product of G and circular(weight, grid, stride), summed up."""
    outputs, inputs, *kernel = weight_shape
    gradient = np.zeros(weight_shape)
    fine = int(np.prod(grid))
    for place, source in _taps(tuple(kernel), grid, stride or (1,) * len(grid)):
        for o, i in itertools.product(range(outputs), range(inputs)):
            gradient[(o, i, *place)] = G[o * len(source) + np.arange(len(source)), i * fine + source].sum()
    return gradient


def embedding(whole: Shape, inside: Shape, start: Shape) -> sparse.csr_array:
    """The matrix that puts an array of shape `inside` among zeros, at `start` in one of shape `whole`."""
    points = np.indices(inside).reshape(len(inside), -1) + np.array(start)[:, None]
    rows = np.ravel_multi_index(tuple(points), whole)
    shape = (int(np.prod(whole)), len(rows))
    return sparse.csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=shape)


def zero_padded(weight: np.ndarray, size: Shape) -> sparse.csr_array:
    """The matrix of an ordinary convolution of images of this size, zeros being read around them."""
    outputs, inputs, *kernel = weight.shape
    # On a grid larger by the kernel nothing comes round from the other side.
    grid = tuple(n + k for n, k in zip(size, kernel, strict=True))
    zeros = (0,) * len(size)
    out, into = (embedding((c, *grid), (c, *size), (0, *zeros)) for c in (outputs, inputs))
    return sparse.csr_array(out.T @ circular(weight, grid) @ into)
