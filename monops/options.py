"""Options that are numbers or flags: of the right kind, and in their ranges."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

from monops.errors import OptionError


def require_number(name: str, value: Any, low: float = 0.0, high: float = math.inf, *, closed: str = "") -> float:
    """`value` as a float, once it is certain that it is a real number between `low` and `high`.

    Args:
        name: of the option, for the message.
        value: what was given.
        low: the lower bound, itself admitted where "[" is in `closed`.
        high: the upper bound, itself admitted where "]" is in `closed`.
        closed: "", "[", "]" or "[]".

    Raises:
        OptionError: it is not, or no number at all.

    Example:
        >>> require_number("tol", "1e-6")
        Traceback (most recent call last):
        monops.errors.OptionError: tol wants a number in (0, ∞), got '1e-6'
    """
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    ends = [bound for bracket, bound in zip("[]", (low, high), strict=True) if bracket in closed]
    if not is_real or not (low < value < high or value in ends):
        left, right = "[" if "[" in closed else "(", "]" if "]" in closed else ")"
        bounds = f"{left}{low:g}, {'∞' if high == math.inf else f'{high:g}'}{right}"
        raise OptionError(f"{name} wants a number in {bounds}, got {shown(value)}")
    return float(value)


def require_integer(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int, once it is certain that it is an integer ≥ `least`, of Python, NumPy or torch, and no bool.

    Raises:
        OptionError: it is not; the message names it as `name`.

    Example:
        >>> require_integer("max_steps", 1000)
        1000
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    is_bool = isinstance(value, bool) or "bool" in str(getattr(value, "dtype", ""))
    if is_bool or number < least:
        raise OptionError(f"{name} wants an integer ≥ {least}, got {shown(value)}")
    return number


def require_flag(name: str, value: Any) -> bool:
    """`value`, once it is certain that it is True or False.

    Raises:
        OptionError: it is not; the message names it as `name`.

    Example:
        >>> require_flag("restart", "no")
        Traceback (most recent call last):
        monops.errors.OptionError: restart wants True or False, got 'no'
    """
    if not isinstance(value, bool):
        raise OptionError(f"{name} wants True or False, got {shown(value)}")
    return value


def shown(value: Any) -> str:
    """What was got, for a message: as it is written where that is short, or else its class.

    Example:
        >>> shown("fast"), shown(dict), shown(list(range(99)))
        ("'fast'", 'the class dict', 'list')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text and not text.startswith("<") else type(value).__name__
