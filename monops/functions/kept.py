"""What functions compute from their data once, and keep."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch

from monops import tree

T = TypeVar("T")
Memo = dict[str, tuple[Hashable, list[torch.Tensor], Any]]


def kept(memo: Memo, name: str, of: Any, compute: Callable[[], T], key: Hashable = None) -> T:
    """`compute()`, or what it returned when it was last called by this name for the same key and tensors.

    Kept is what has no derivative in those tensors: nothing is while one of them requires grad, or where the result
    belongs to a transformation of `torch.func` or to `torch.inference_mode` and may not be used outside of it.

    Args:
        memo: where it is kept.
        name: one value is kept for each.
        of: the data (a tensor, an array or a tree of them) that the value is computed from; the same by identity.
        compute: what it is that may be kept.
        key: anything else that the value depends on.
    """
    leaves = tree.flatten(of).leaves
    if torch.is_inference_mode_enabled() or any(leaf.requires_grad for leaf in leaves):
        return compute()
    if name in memo:
        known, tensors, value = memo[name]
        if known == key and len(tensors) == len(leaves) and all(a is b for a, b in zip(tensors, leaves, strict=True)):
            return value
    result = compute()
    if all(_is_plain(leaf) for leaf in tree.flatten(result).leaves):
        memo[name] = key, leaves, result
    return result


def _is_plain(x: torch.Tensor) -> bool:
    """Whether x has memory and no graph; the wrappers of `torch.func`, which outlive it as wrecks, have none."""
    try:
        x.data_ptr()
    except RuntimeError:
        return False
    return not x.requires_grad
