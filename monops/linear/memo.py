"""What operators keep of what they have computed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

from monops.arrays import in_transform, is_tracked

Made = TypeVar("Made")


def constant(make: Callable[..., Made]) -> Callable[..., Made]:
    """A function whose last 64 results are kept and shared: plain tensors, whatever mode the first call was in.

    What is made under `torch.inference_mode` would be of no use in training, and what is made inside of a transform of
    `torch.func` of no use outside.
    """

    @functools.lru_cache(maxsize=64)
    @functools.wraps(make)
    def made_once(*arguments: Any) -> Made:
        with torch.inference_mode(False), torch._C._DisableFuncTorch():
            return make(*arguments)

    return made_once


def remembered(owner: object, name: str, make: Callable[[], Made], *tensors: torch.Tensor, uses: int = 1) -> Made:
    """make(), which computes something from `tensors` of `owner`; kept by it under `name` from that many uses on.

    What is used once, as in a derivative, would only fill the memory. What autograd is to see is made anew, and so is
    what is made under `torch.inference_mode`, since it would be of no use in training, or inside of `torch.func`.
    """
    if is_tracked(*tensors) or _is_passing():
        return make()
    memo, count = owner.__dict__.setdefault("_memo", {}), f"uses of {name}"
    if name in memo:
        return cast(Made, memo[name])
    made = make()
    memo[count] = memo.get(count, 0) + 1
    if memo[count] >= uses:
        memo[name] = made
    return made


def by_mode(owner: object, name: str, make: Callable[[], Made]) -> Made:
    """make(), kept by `owner` for each of autograd's modes: what was made without derivatives has none later."""
    if in_transform():
        return make()
    memo = owner.__dict__.setdefault("_memo", {})
    key = name, torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    if key not in memo:
        memo[key] = make()
    return cast(Made, memo[key])


def kept(owner: object, name: str) -> object | None:
    """What `owner` keeps under `name`, or None."""
    return owner.__dict__.get("_memo", {}).get(name)


def keep(owner: object, name: str, made: object) -> None:
    """Let `owner` keep under `name` what another operator has computed already."""
    if _is_passing():
        return
    owner.__dict__.setdefault("_memo", {})[name] = made


def _is_passing() -> bool:
    """Whether tensors made now are of no use later."""
    return torch.is_inference_mode_enabled() or in_transform()
