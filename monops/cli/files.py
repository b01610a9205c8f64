"""Files that commands write."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monops.checkpoint import write_atomically
from monops.errors import OptionError


def require_writable(option: str, path: Path, folder: bool) -> None:
    """Find out before the work whether its fruit can be written."""
    if path.exists() and path.is_dir() != folder:
        kind = ("file", "folder") if folder else ("folder", "file")
        raise OptionError(f"{option}: got the {kind[0]} {path}, wanted a {kind[1]}")
    parent = path
    while not parent.exists():
        parent = parent.absolute().parent
    if not os.access(parent, os.W_OK) or not (parent.is_dir() or parent == path):
        raise OptionError(f"{option}: got {path}, but nothing can be written in {parent}")


def write_json(path: Path, figures: dict[str, Any]) -> None:
    """Write figures whole or not at all."""
    text = json.dumps(figures, indent=2, allow_nan=False) + "\n"
    with writing("--json", path):
        write_atomically(path, lambda file: file.write(text.encode()))


@contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """Make the folder for `path`, and name the option that asked for it where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise OptionError(f"{option}: {path} cannot be written: {error}") from error
