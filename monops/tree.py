"""Operators as trees of tensors: frozen dataclasses, flattened to their tensors and built again from others.

Every operator, function, method and problem is a frozen dataclass of plain data, so one traversal serves moving to
a device, collecting what to differentiate, and lifting to a batch. A field may carry metadata for it:

- ``axes``: how the tensors in the field broadcast. ``"domain"`` for one which broadcasts, aligned at the right,
  against the states; an integer k for one whose last k axes are its own (2 for a matrix).
- ``memo``: the field holds results computed from the tensors; a tree built from other tensors gets a fresh one.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from monops.arrays import as_device
from monops.errors import OptionError

_Axes = str | int | None
_HOLE: Any = object()


class Flat(NamedTuple):
    """A tree taken apart: `leaves` and their `axes`, and `rebuild(leaves, fresh=False)` to make it again."""

    leaves: list[torch.Tensor]
    axes: list[_Axes]
    rebuild: Callable[..., Any]


def flatten(tree: Any) -> Flat:
    """Take `tree` (dataclasses, tuples, tensors, plain data, nested) apart into its tensors.

    `rebuild(leaves)` makes the same tree around other tensors without running constructors; with `fresh=True` the
    memos in it are emptied, which is needed where the new tensors hold other numbers. An object in several places of
    the tree counts once, and is one object in what is made too.
    """
    pairs = list(_leaves(tree, None, set()))
    skeleton = _replace(tree, itertools.repeat(_HOLE), False, {})  # holds on to no tensor

    def rebuild(leaves: Sequence[torch.Tensor], fresh: bool = False) -> Any:
        return _replace(skeleton, iter(leaves), fresh, {})

    return Flat([leaf for leaf, _ in pairs], [axes for _, axes in pairs], rebuild)


def map_tensors(change: Callable[[torch.Tensor], torch.Tensor], tree: Any) -> Any:
    """`tree` with `change` applied to every tensor, and its memos emptied."""
    flat = flatten(tree)
    return flat.rebuild([change(leaf) for leaf in flat.leaves], fresh=True)


def move(tree: Any, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Any:
    """`tree` on another device or in another dtype: its tensors, and the fields in it of these names."""

    def change(leaf: torch.Tensor) -> torch.Tensor:
        kind = dtype if leaf.is_floating_point() else None
        if dtype is not None and leaf.is_complex():
            kind = dtype.to_complex()
        return leaf.to(device=device, dtype=kind)

    moved = map_tensors(change, tree)
    for node in _nodes(moved):
        names = {f.name for f in dataclasses.fields(node)}
        if device is not None and "device" in names:
            object.__setattr__(node, "device", as_device(device))
        if dtype is not None and "dtype" in names:
            object.__setattr__(node, "dtype", dtype)
    return moved


def _nodes(tree: Any) -> Iterator[Any]:
    if isinstance(tree, tuple):
        for item in tree:
            yield from _nodes(item)
    elif _is_node(tree):
        yield tree
        for field in dataclasses.fields(tree):
            yield from _nodes(getattr(tree, field.name))


def _is_node(tree: Any) -> bool:
    return dataclasses.is_dataclass(tree) and not isinstance(tree, type)


def _leaves(tree: Any, axes: _Axes, seen: set[int]) -> Iterator[tuple[torch.Tensor, _Axes]]:
    if isinstance(tree, torch.Tensor):
        yield tree, axes
    elif isinstance(tree, tuple):
        for item in tree:
            yield from _leaves(item, axes, seen)
    elif isinstance(tree, list | dict):
        if any(isinstance(v, torch.Tensor) for v in (tree.values() if isinstance(tree, dict) else tree)):
            raise OptionError("tensors of an operator are looked for in fields and tuples, got some in a list or dict")
    elif _is_node(tree) and id(tree) not in seen:
        seen.add(id(tree))
        for field in dataclasses.fields(tree):
            if not field.metadata.get("memo"):
                yield from _leaves(getattr(tree, field.name), field.metadata.get("axes"), seen)


def _replace(tree: Any, leaves: Iterator[torch.Tensor], fresh: bool, made: dict[int, Any]) -> Any:
    if tree is _HOLE or isinstance(tree, torch.Tensor):
        return next(leaves)
    if isinstance(tree, tuple):
        items = [_replace(item, leaves, fresh, made) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else tuple(items)
    if not _is_node(tree):
        return tree
    if id(tree) in made:
        return made[id(tree)]
    copy = made[id(tree)] = object.__new__(type(tree))
    for field in dataclasses.fields(tree):
        value = getattr(tree, field.name)
        if field.metadata.get("memo"):
            value = type(value)() if fresh else value
        else:
            value = _replace(value, leaves, fresh, made)
        object.__setattr__(copy, field.name, value)
    return copy
