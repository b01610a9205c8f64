"""Steps whose elementwise parts `torch.compile` has fused into few passes over the state."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch._dynamo.exc import TorchDynamoException

from monops.arrays import Array
from monops.errors import MonopsWarning
from monops.splitting import SplittingMethod


def state_after(method: SplittingMethod, plan: Any, z: Array) -> Array:
    """The state one iteration after z."""
    return method.checked_advance(plan, z).state


class CompiledSteps:
    """`state_after`, compiled; as it stands, after a warning, where compilation fails.

    Resolvents that are linear keep the kernels which their operators have chosen. The compiled code is found again by
    what it depends on: methods, kinds of operators and shapes. So only the first solve of a kind waits for it.
    """

    def __init__(self) -> None:
        self.run: Callable[..., Array] = state_after
        try:
            self.run = _compiled()
        except RuntimeError as error:  # this version of Python, say
            self._give_up(error)

    def __call__(self, method: SplittingMethod, plan: Any, z: Array) -> Array:
        if self.run is not state_after:
            try:
                return self.run(method, plan, z)
            except TorchDynamoException as error:
                self._give_up(error)
        return state_after(method, plan, z)

    def _give_up(self, error: Exception) -> None:
        self.run = state_after
        reason = str(error).strip().splitlines()
        warnings.warn(
            f"compile=True has no effect, since torch.compile failed: {reason[0] if reason else type(error).__name__}",
            MonopsWarning,
            stacklevel=5,
        )


@functools.cache
def _compiled() -> Callable[..., Array]:
    return torch.compile(state_after)
