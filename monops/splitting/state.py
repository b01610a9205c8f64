"""States of splitting methods: an array, or a named tuple of arrays, numbers and further tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from monops.arrays import Array

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
    return state[0] if isinstance(state, tuple) else state


def per_sample(values: Array, rank: int) -> Array:
    """The sum over the last `rank` axes, which are kept with length 1."""
    return values.sum(tuple(range(-rank, 0)))[(..., *(None,) * rank)] if rank else values
