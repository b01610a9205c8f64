"""Samples that leave the batch of a solve."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from monops.arrays import Array, Shape, is_torch
from monops.linear import LinearOperator
from monops.monotone import MonotoneOperator, Resolvent
from monops.monotone.base import take_rows


def take(plan: Any, index: Array, shape: Shape) -> Any:
    """The plan for samples `index` along the first axis of states of this shape; see `Resolvent.take`."""
    if isinstance(plan, tuple):
        taken = [take(member, index, shape) for member in plan]
        return type(plan)(*taken) if hasattr(plan, "_fields") else tuple(taken)
    if isinstance(plan, float | int):
        return plan
    if isinstance(plan, torch.Tensor | np.ndarray):
        return take_rows(plan, index, shape)
    if isinstance(plan, LinearOperator):
        return plan.take(index, shape)
    if isinstance(plan, Resolvent | MonotoneOperator):
        return plan.take(index, shape)
    raise NotImplementedError(f"a plan with a {type(plan).__name__} keeps all samples")


def rows_of(rows: np.ndarray, like: Array) -> Array:
    """`rows` as an index for arrays such as `like`."""
    return torch.as_tensor(rows, device=like.device) if is_torch(like) else rows


def copy(x: Array) -> Array:
    """Another array with the same numbers."""
    return x.clone() if is_torch(x) else x.copy()
