"""Large arrays without page faults: telling the C library to keep the memory that they leave."""

from __future__ import annotations

import ctypes

# From malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST = 2**31 - 1


def reuse_freed() -> bool:
    """Make freed blocks of any size serve again in this process, instead of going back to the operating system.

    By default the GNU C library asks the system for each block of some megabytes anew, and the system fills it with
    zeros page by page. With states of that size this costs several times as much as elementwise arithmetic on them.
    After this call (`mallopt` with the largest thresholds) it happens once. The price: the process keeps the largest
    amount of memory that it ever used. It concerns the whole process, so monops never does it by itself; its command
    line does, and so do its benchmarks. Call it first, before other large arrays are made.

    Returns:
        Whether it took effect; False where the C library is another one (on macOS or Windows, say).

    Example:
        >>> import monops
        >>> took_effect = monops.reuse_freed()
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _MOST) and mallopt(_TRIM_THRESHOLD, _MOST))
