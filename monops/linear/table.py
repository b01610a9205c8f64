"""Tables of operators: rows of blocks, of which some may be absent."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Sequence

from monops.arrays import as_dtype
from monops.errors import DeviceError, DTypeError, OptionError, ShapeError
from monops.linear.base import LinearOperator

Block = LinearOperator | None
Rows = Sequence[Sequence[Block]]


def each(change: Callable[[LinearOperator], LinearOperator], rows: Iterable[Iterable[Block]]) -> Rows:
    """`change` of each block that is there."""
    return tuple(tuple(None if block is None else change(block) for block in row) for row in rows)


def total_of(blocks: Iterable[Block]) -> Block:
    """The sum of the blocks that are there; None without any."""
    present = [block for block in blocks if block is not None]
    return functools.reduce(operator.add, present) if present else None


def product(row: Sequence[Block], column: Sequence[Block]) -> Block:
    """Σ row[j] @ column[j] over the pairs that are there; None without any."""
    return total_of(a @ b for a, b in zip(row, column, strict=True) if a is not None and b is not None)


def on_diagonal(blocks: Sequence[LinearOperator]) -> Rows:
    """The table with these blocks on its diagonal and nothing elsewhere."""
    return tuple(tuple(block if i == j else None for j in range(len(blocks))) for i, block in enumerate(blocks))


def is_lower(rows: Sequence[Sequence[Block]]) -> bool:
    """Whether there is no block above the diagonal."""
    return all(block is None for i, row in enumerate(rows) for block in row[i + 1 :])


def has_square_diagonal(rows: Rows) -> bool:
    """Whether the table is square, with a block from a space to itself at each place of the diagonal."""
    square = len(rows) == len(rows[0])
    diagonal = [row[i] for i, row in enumerate(rows)] if square else [None]
    return all(block is not None and block.domain == block.codomain for block in diagonal)


def first(blocks: Iterable[Block]) -> LinearOperator:
    """The first block that is there."""
    return next(block for block in blocks if block is not None)


def checked(rows: Iterable[Iterable[Block]], name: str) -> Rows:
    """The table as tuples; a `MonopsError` unless its blocks fit together, in the name of the operator `name`."""
    table = tuple(tuple(row) for row in rows)
    if not table or not table[0] or len({len(row) for row in table}) != 1:
        raise ShapeError(f"{name} wants rows of one length ≥ 1, got lengths {[len(row) for row in table]}")
    for row in table:
        for block in row:
            if not (block is None or isinstance(block, LinearOperator)):
                raise OptionError(f"{name} wants LinearOperators such as Dense(matrix), got {type(block).__name__}")
    for what, lines in (("row", table), ("column", tuple(zip(*table, strict=True)))):
        space = "codomain" if what == "row" else "domain"
        for i, line in enumerate(lines):
            shapes = {getattr(block, space) for block in line if block is not None}
            if len(shapes) != 1:
                raise ShapeError(f"{name} wants blocks of one {space} in {what} {i}, got {sorted(shapes)}")
    present = [block for row in table for block in row if block is not None]
    if len({as_dtype(block.dtype) for block in present}) > 1:
        raise DTypeError(f"blocks of one dtype wanted, got {[block.signature for block in present]}")
    if len({block.device for block in present}) > 1:
        raise DeviceError(f"blocks on one device wanted, got {[block.signature for block in present]}")
    return table
