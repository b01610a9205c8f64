"""Random operators on periodic grids and of blocks, each with its matrix."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import cast

import numpy as np
from scipy.linalg import block_diag

from monops.linear import (
    BlockDiagonal,
    Blocks,
    BlockTriangular,
    CircularConv,
    Dense,
    Identity,
    Interpolated,
    Restriction,
    StridedCircularConv,
    ZeroPad,
    multi_tier,
)
from monops.reference import convolution
from monops.testing.draw import Draw, LinearCase
from monops.testing.plain import PLAIN


def _circular(*grid: int, kernel: tuple[int, ...], channels: tuple[int, int]) -> Callable[[Draw], LinearCase]:
    def case(draw: Draw) -> LinearCase:
        weight = draw.array(*channels, *kernel)
        return LinearCase(CircularConv(draw.put(weight), grid), convolution.circular(weight, grid).toarray())

    return case


def _circulant(draw: Draw) -> LinearCase:
    """The paper's I - W of convolutions."""
    grid, m = (4, 5), 0.5
    a, b = draw.array(2, 2, 3, 3, scale=0.3), draw.array(2, 2, 3, 3, scale=0.3)
    A, B = CircularConv(draw.put(a), grid), CircularConv(draw.put(b), grid)
    I = Identity.like(A)  # noqa: E741
    W = (1 - m) * I - A.H @ A + B - B.H
    a, b = (convolution.circular(weight, grid).toarray() for weight in (a, b))
    return LinearCase(I - W, m * np.eye(len(a)) + a.T @ a - b + b.T)


def _strided(
    *grid: int, kernel: tuple[int, ...], stride: tuple[int, ...], channels: tuple[int, int]
) -> Callable[[Draw], LinearCase]:
    def case(draw: Draw) -> LinearCase:
        weight = draw.array(*channels, *kernel)
        matrix = convolution.circular(weight, grid, stride).toarray()
        return LinearCase(StridedCircularConv(draw.put(weight), grid, stride), matrix)

    return case


def _interpolated(draw: Draw) -> LinearCase:
    case = _strided(6, 3, kernel=(3, 3), stride=(2, 3), channels=(2, 3))(draw)
    return LinearCase(Interpolated(cast(StridedCircularConv, case.op)), case.matrix.T)


def _decimated(draw: Draw) -> LinearCase:
    """A convolution on each side of a strided one."""
    fine = _circular(6, 4, kernel=(3, 1), channels=(3, 2))(draw)
    down = _strided(6, 4, kernel=(3, 3), stride=(3, 2), channels=(2, 3))(draw)
    coarse = _circular(2, 2, kernel=(1, 1), channels=(2, 2))(draw)
    return LinearCase(coarse.op @ down.op @ fine.op, coarse.matrix @ down.matrix @ fine.matrix)


def _gram(*grid: int, stride: tuple[int, ...], rank: int) -> Callable[[Draw], LinearCase]:
    """m I + CᴴC - B + Bᴴ, of which the resolvent is Woodbury's."""

    def case(draw: Draw) -> LinearCase:
        kernel = tuple(3 if n > 2 else 1 for n in grid)
        down = _strided(*grid, kernel=kernel, stride=stride, channels=(rank, 2))(draw)
        skew = _circular(*grid, kernel=kernel, channels=(2, 2))(draw)
        I = Identity.like(skew.op)  # noqa: E741
        op = 0.5 * I + down.op.H @ down.op - skew.op + skew.op.H
        size = len(skew.matrix)
        return LinearCase(op, 0.5 * np.eye(size) + down.matrix.T @ down.matrix - skew.matrix + skew.matrix.T)

    return case


def _restriction(draw: Draw) -> LinearCase:
    matrix = convolution.embedding((2, 5, 4), (2, 3, 3), (0, 1, 0)).T.toarray()
    return LinearCase(Restriction((2, 5, 4), (2, 3, 3), (0, 1, 0), **draw.kind), matrix)


def _zero_pad(draw: Draw) -> LinearCase:
    matrix = convolution.embedding((7,), (4,), (1,)).toarray()
    return LinearCase(ZeroPad((7,), (4,), **draw.kind), matrix)


def _blocks(draw: Draw) -> LinearCase:
    corner, (D, d), u = draw.array(2, 3), PLAIN["Diagonal"](draw), PLAIN["Dense"](draw).matrix
    top = np.hstack([d, np.zeros((len(d), 3))])
    bottom = np.hstack([u[:2], corner])
    return LinearCase(Blocks([[D, None], [Dense(draw.put(u[:2])), Dense(draw.put(corner))]]), np.vstack([top, bottom]))


def _block_diagonal(draw: Draw) -> LinearCase:
    parts = PLAIN["Dense, I - W of the paper"](draw), PLAIN["Diagonal"](draw)
    return LinearCase(BlockDiagonal([part.op for part in parts]), block_diag(*(part.matrix for part in parts)))


def _block_triangular(draw: Draw) -> LinearCase:
    first, second, third = (
        PLAIN["Dense, I - W of the paper"](draw),
        PLAIN["Diagonal"](draw),
        PLAIN["Dense, I - W of the paper"](draw),
    )
    below, n = draw.array(draw.size, draw.size), draw.size
    matrix = block_diag(first.matrix, second.matrix, third.matrix)
    matrix[2 * n :, :n] = below
    rows = [[first.op, None, None], [None, second.op, None], [Dense(draw.put(below)), None, third.op]]
    return LinearCase(BlockTriangular(rows), matrix)


def _block_substitution(draw: Draw) -> LinearCase:
    case = _block_triangular(draw)
    step = 0.5 / (1 + float(np.linalg.norm(case.matrix, 2)))
    return LinearCase(case.op.H.resolvent(step), np.linalg.inv(np.eye(len(case.matrix)) + step * case.matrix.T))


def _multi_tier(*grids: tuple[int, ...], channels: tuple[int, ...], stride: int = 2) -> Callable[[Draw], LinearCase]:
    """The paper's operator, with the literal formula on full block matrices as its matrix."""

    def case(draw: Draw) -> LinearCase:
        axes, kernel = len(grids[0]), (3,) * len(grids[0])
        sampled = [tuple(n // stride for n in grid) for grid in grids]
        A = [draw.array(c, c, *kernel, scale=0.3) for c in channels]
        B = [draw.array(c, c, *kernel, scale=0.3) for c in channels]
        down = [draw.array(d, c, *kernel, scale=0.3) for c, d in itertools.pairwise(channels)]
        couplings = []
        for i, weight in enumerate(down):
            C = StridedCircularConv(draw.put(weight), grids[i], (stride,) * axes)
            couplings.append(ZeroPad((channels[i + 1], *grids[i + 1]), C.codomain, **draw.kind) @ C)
        op = multi_tier(
            [CircularConv(draw.put(w), grid) for w, grid in zip(A, grids, strict=True)],
            couplings,
            [CircularConv(draw.put(w), grid) for w, grid in zip(B, grids, strict=True)],
            m=0.5,
        )
        plain = [convolution.circular(w, grid).toarray() for w, grid in zip(A, grids, strict=True)]
        full_a = block_diag(*plain)
        full_b = block_diag(*(convolution.circular(w, grid).toarray() for w, grid in zip(B, grids, strict=True)))
        ends = np.cumsum([0, *(len(block) for block in plain)])
        for i, weight in enumerate(down):
            whole, inside = (channels[i + 1], *grids[i + 1]), (channels[i + 1], *sampled[i])
            start = tuple((n - k) // 2 for n, k in zip(whole, inside, strict=True))
            D = convolution.embedding(whole, inside, start) @ convolution.circular(weight, grids[i], (stride,) * axes)
            below = slice(ends[i + 1], ends[i + 2]), slice(ends[i], ends[i + 1])
            full_a[below], full_b[below] = D.toarray(), -plain[i + 1].T @ D.toarray()
        order = np.concatenate(
            [
                start + np.arange(size).reshape(c, *grid).transpose().reshape(-1)
                for start, size, c, grid in zip(ends, np.diff(ends), channels, grids, strict=False)
            ]
        )
        matrix = 0.5 * np.eye(len(full_a)) + full_a.T @ full_a - full_b + full_b.T
        return LinearCase(op, matrix[np.ix_(order, order)])

    return case


BLOCKS: dict[str, Callable[[Draw], LinearCase]] = {
    "Restriction": _restriction,
    "ZeroPad": _zero_pad,
    "Blocks": _blocks,
    "BlockDiagonal": _block_diagonal,
    "BlockTriangular": _block_triangular,
    "BlockSubstitution": _block_substitution,
}
PERIODIC: dict[str, Callable[[Draw], LinearCase]] = {
    "CircularConv, 1-d": _circular(7, kernel=(5,), channels=(3, 2)),
    "CircularConv, 2-d": _circular(6, 5, kernel=(3, 1), channels=(2, 3)),
    "CircularConv, 3-d": _circular(3, 4, 5, kernel=(3, 1, 3), channels=(2, 2)),
    "Circulant, I - W of the paper": _circulant,
    "StridedCircularConv, 1-d": _strided(9, kernel=(5,), stride=(3,), channels=(2, 3)),
    "StridedCircularConv, 2-d": _strided(6, 4, kernel=(3, 1), stride=(2, 2), channels=(3, 2)),
    "StridedCircularConv, 3-d": _strided(4, 3, 2, kernel=(3, 3, 1), stride=(2, 3, 1), channels=(2, 1)),
    "Interpolated": _interpolated,
    "Decimated": _decimated,
    "CirculantPlusGram, all aliases at once": _gram(6, 4, stride=(2, 2), rank=3),
    "CirculantPlusGram, of low rank": _gram(6, 4, stride=(3, 2), rank=1),
    "CirculantPlusGram, 3-d": _gram(2, 4, 3, stride=(2, 2, 3), rank=1),
    "multi_tier, one tier": _multi_tier((5,), channels=(2,)),
    "multi_tier, 1-d by 3": _multi_tier((9,), (5,), channels=(2, 3), stride=3),
    "multi_tier, 2-d": _multi_tier((8, 6), (5, 4), channels=(1, 2)),
    "multi_tier, three tiers": _multi_tier((10,), (6,), (4,), channels=(2, 3, 2)),
}
