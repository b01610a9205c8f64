"""States with several parts, kept as one flat array."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from monops.arrays import Array, Shape, namespace
from monops.errors import ShapeError


@dataclass(frozen=True)
class BlockSpace:
    """A product of spaces as one space of flat vectors: what a method sees is one array, not a list of parts.

    Each part is laid out in Fortran order, its first axis innermost. So where states are too, batch innermost, as suits
    convolutions, each part is one contiguous piece of the state.

    Args:
        shapes: the shape of each part.

    Raises:
        ShapeError: no parts.

    Example:
        >>> import torch
        >>> space = BlockSpace(((2, 3), (3,)))
        >>> parts = space.split(torch.arange(9.0))
        >>> parts[0]
        tensor([[0., 2., 4.],
                [1., 3., 5.]])
        >>> space.join(parts)
        tensor([0., 1., 2., 3., 4., 5., 6., 7., 8.])
    """

    shapes: tuple[Shape, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shapes", tuple(tuple(shape) for shape in self.shapes))
        if not self.shapes:
            raise ShapeError("a BlockSpace wants at least one part, got none")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers in each part."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def domain(self) -> Shape:
        """The shape of the flat state, without batch axes."""
        return (sum(self.sizes),)

    @property
    def layout(self) -> Shape:
        """The memory order of states (see `LinearOperator.layout`): batch innermost where a part has a grid."""
        return (0,) if any(len(shape) > 1 for shape in self.shapes) else ()

    def split(self, z: Array) -> tuple[Array, ...]:
        """The parts of a state, as views. Shapes: (*batch, size) → (*batch, *shape) each.

        Raises:
            ShapeError: z has another size.
        """
        if z.ndim < 1 or z.shape[-1] != self.domain[0]:
            raise ShapeError(
                f"a state with parts {self.shapes} has shape (*batch, {self.domain[0]}), got {tuple(z.shape)}"
            )
        ends = list(itertools.accumulate(self.sizes))
        pieces = (z[..., a:b] for a, b in zip([0, *ends], ends, strict=False))
        return tuple(_unflatten(piece, shape) for piece, shape in zip(pieces, self.shapes, strict=True))

    def join(self, parts: Sequence[Array]) -> Array:
        """The state with these parts, whose batch axes broadcast. Shapes: (*batch, *shape) each → (*batch, size).

        Raises:
            ShapeError: parts of other shapes, or in another number, or batch axes that do not broadcast.
        """
        if len(parts) != len(self.shapes) or any(
            tuple(p.shape[p.ndim - len(s) :]) != s for p, s in zip(parts, self.shapes, strict=True)
        ):
            raise ShapeError(
                f"parts (*batch, *shape) of shapes {self.shapes} wanted, got {[tuple(p.shape) for p in parts]}"
            )
        batches = [tuple(p.shape[: p.ndim - len(s)]) for p, s in zip(parts, self.shapes, strict=True)]
        try:
            batch = np.broadcast_shapes(*batches)
        except ValueError:
            raise ShapeError(f"parts whose batch axes broadcast are wanted, got batch axes {batches}") from None
        xp = namespace(parts[0])
        pieces = [_flatten(xp.broadcast_to(p, (*batch, *s)), len(s)) for p, s in zip(parts, self.shapes, strict=True)]
        join = xp.cat if hasattr(xp, "cat") else xp.concatenate
        if not self.layout:
            return join(pieces, -1)
        # Joined along the outermost axis in memory, which copies each part in one piece.
        axes = len(batch)
        return batch_first(join([_permute(piece, (axes, *range(axes))) for piece in pieces], 0))


def batch_first(stored: Array) -> Array:
    """A flat state as it is seen, of one that is stored batch innermost. Shapes: (size, *batch) → (*batch, size)."""
    return _permute(stored, (*range(1, stored.ndim), 0))


def _unflatten(piece: Array, shape: Shape) -> Array:
    """(*batch, size) → (*batch, *shape), a view."""
    batch = piece.ndim - 1
    part = piece.reshape(*piece.shape[:-1], *reversed(shape))
    return _permute(part, (*range(batch), *reversed(range(batch, part.ndim))))


def _flatten(part: Array, axes: int) -> Array:
    """(*batch, *shape) → (*batch, size); no copy of a part in Fortran order."""
    batch = part.ndim - axes
    # Here the batch goes last, where it lies innermost in memory.
    last = _permute(part, (*reversed(range(batch, part.ndim)), *range(batch)))
    flat = last.reshape(math.prod(part.shape[batch:]), *part.shape[:batch])
    return _permute(flat, (*range(1, batch + 1), 0))


def _permute(x: Array, order: tuple[int, ...]) -> Array:
    return x.permute(order) if isinstance(x, torch.Tensor) else x.transpose(order)
