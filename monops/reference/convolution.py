"""Convolutions as sparse matrices, assembled from kernels by index arithmetic."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import sparse


def circular(weight: np.ndarray, grid: tuple[int, ...]) -> sparse.csr_array:
    """The matrix of y[o, p] = Σ_{i, k} weight[o, i, k] x[i, (p + k - centre) mod grid], on flattened arrays.

    Shapes: weight (out, in, *kernel) → (out · |grid|, in · |grid|), rows and columns with the grid innermost.
    """
    outputs, inputs, *kernel = weight.shape
    points = np.indices(grid).reshape(len(grid), -1)
    size = points.shape[1]
    rows, columns, values = [], [], []
    for place in itertools.product(*map(range, kernel)):
        offset = np.array([k - n // 2 for k, n in zip(place, kernel, strict=True)])
        source = np.ravel_multi_index(tuple((points + offset[:, None]) % np.array(grid)[:, None]), grid)
        for o, i in itertools.product(range(outputs), range(inputs)):
            rows.append(o * size + np.arange(size))
            columns.append(i * size + source)
            values.append(np.full(size, weight[(o, i, *place)]))
    shape = (outputs * size, inputs * size)
    return sparse.csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
