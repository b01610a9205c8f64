"""Activations which are no proximal maps: asking for one says why, and what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn

from monops.errors import OptionError


def SiLU(*arguments: Any, **options: Any) -> NoReturn:
    """x/(1 + exp(-x)) decreases for x < -1.28, so it is no proximal map.

    Raises:
        OptionError: always.

    Example:
        >>> SiLU()
        Traceback (most recent call last):
        monops.errors.OptionError: SiLU is no proximal map: ...
    """
    raise _refusal("SiLU", "x/(1 + exp(-x)) decreases for x < -1.28", "Softplus() or ELU()")


Swish = SiLU


def GELU(*arguments: Any, **options: Any) -> NoReturn:
    """x Φ(x), with Φ the distribution of a normal number, decreases for x < -0.75, so it is no proximal map.

    Raises:
        OptionError: always.

    Example:
        >>> GELU()
        Traceback (most recent call last):
        monops.errors.OptionError: GELU is no proximal map: ...
    """
    raise _refusal("GELU", "x Φ(x) decreases for x < -0.75", "Softplus() or ELU()")


def GroupSort(*arguments: Any, **options: Any) -> NoReturn:
    """Sorting is no proximal map: where it swaps two entries, its derivative has the eigenvalue -1.

    Raises:
        OptionError: always.

    Example:
        >>> GroupSort(2)
        Traceback (most recent call last):
        monops.errors.OptionError: GroupSort is no proximal map: ...
    """
    raise _refusal(
        "GroupSort",
        "where sorting swaps two entries its derivative has the eigenvalue -1 (and for three or more is not symmetric)",
        "ReLU(), or the projection onto a set such as Simplex()",
    )


def _refusal(name: str, why: str, instead: str) -> OptionError:
    return OptionError(
        f"{name} is no proximal map: {why}, while a proximal map is the monotone and nonexpansive gradient of a "
        f"convex function (Moreau 1965); use {instead} instead"
    )
