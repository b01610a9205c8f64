"""States of splitting methods: an array, or a named tuple of arrays, numbers and further tuples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from monops.arrays import Array, concatenate, flatten_trailing
from monops.errors import ConditionError

State: TypeAlias = Any  # an array, or a named tuple with one as its first member


def each(change: Callable[..., Array], state: State, *others: State) -> State:
    """The state with `change` of each array in it; of several states, of the arrays at the same places."""
    if isinstance(state, tuple):
        members = [each(change, *several) for several in zip(state, *others, strict=True)]
        return type(state)(*members) if hasattr(state, "_fields") else tuple(members)
    return change(state, *others) if hasattr(state, "ndim") else (state, *others)[-1]


def arrays(state: State) -> Iterator[Array]:
    """The arrays in the state."""
    for part in state if isinstance(state, tuple) else (state,):
        if isinstance(part, tuple):
            yield from arrays(part)
        elif hasattr(part, "ndim"):
            yield part


def first(state: State) -> Array:
    """The array in the state that is shaped as a point."""
    return first(state[0]) if isinstance(state, tuple) else state


def per_sample(values: Array, rank: int) -> Array:
    """The sum over the last `rank` axes, which are kept with length 1."""
    return values.sum(tuple(range(-rank, 0)))[(..., *(None,) * rank)] if rank else values


def pack(state: State, rank: int) -> tuple[Array, int]:
    """The state as one array, and how many of its trailing axes make a sample: as it is, or its parts in a row.

    Shapes: an array (*batch, `rank` axes), or a named tuple whose first member is one, all members with its batch axes.
    """
    if not isinstance(state, tuple):
        return state, rank
    batch = state[0].ndim - rank
    return concatenate([flatten_trailing(part, part.ndim - batch) for part in state]), 1


def unpack(packed: Array, like: State) -> State:
    """What `pack` made the array of, with parts of the same shapes as in `like`."""
    if not isinstance(like, tuple):
        return packed
    batch, parts, start = packed.ndim - 1, [], 0
    for part in like:
        size = math.prod(part.shape[batch:])
        parts.append(packed[..., start : start + size].reshape(part.shape))
        start += size
    return type(like)(*parts)


def require_unknowns(wrapper: Any, state: State, rank: int) -> None:
    """Raise unless the state of the method inside holds unknowns alone, as arrays with the batch axes of the first."""
    point = first(state)
    batch = point.shape[: point.ndim - rank]
    members = state if isinstance(state, tuple) else (state,)
    if wrapper.method.remembers or any(getattr(part, "shape", ())[: len(batch)] != batch for part in members):
        raise ConditionError(
            f"{type(wrapper).__name__} wants a method whose state holds nothing but unknowns, arrays with the batch "
            f"axes first, such as DouglasRachford() or ChambollePock(); {type(wrapper.method).__name__} has a "
            f"{type(state).__name__} that remembers more"
        )
