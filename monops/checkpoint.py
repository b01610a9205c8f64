"""Checkpoints: a reader sees the old file or the new one, whole, and runs no code of theirs."""

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from monops.errors import CheckpointError

FORMAT = "monops-checkpoint"
VERSION = 2


def save(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `path` at one stroke: whatever happens, the file is the old or new one.

    Args:
        path: where to; the folder must exist.
        content: nested dicts and lists of tensors, numbers, strings, booleans and None.

    Raises:
        CheckpointError: the file cannot be written; an older file at `path` stays as it was.
    """
    record = {"format": FORMAT, "version": VERSION, "content": dict(content)}
    try:
        write_atomically(path, lambda file: torch.save(record, file))
    except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
        raise CheckpointError(f"{path}: the checkpoint cannot be written: {error}") from error


def load(path: str | Path) -> dict[str, Any]:
    """Read what `save` wrote, tensors on the CPU; nothing in the file is executed.

    Raises:
        CheckpointError: there is no such file, or it is truncated, damaged or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; wanted a checkpoint of monops")
    try:
        damaged = _first_damaged_part(path)
        record = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that anybody may have written can break a reader anyhow
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: got a truncated or foreign file of {path.stat().st_size} bytes, "
            f"wanted a checkpoint of monops ({reason})"
        ) from error
    if damaged:
        raise CheckpointError(f"{path}: got a damaged file: the checksum of {damaged} is wrong")
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise CheckpointError(f"{path}: got a file of another program, wanted one of {FORMAT}")
    if record.get("version") != VERSION:
        raise CheckpointError(f"{path}: got format version {record.get('version')}, wanted version {VERSION}")
    content = record.get("content")
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: got a checkpoint without content")
    return content


def _first_damaged_part(path: Path) -> str | None:
    """The name of a part of the zip file whose checksum is wrong (torch itself does not look)."""
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], source: str | Path) -> None:
    """Put `weights` into `module`, all or nothing.

    Raises:
        CheckpointError: a tensor is missing, unknown, or of another shape or dtype.
    """
    wanted = module.state_dict()
    for name in [*wanted, *(name for name in weights if name not in wanted)]:
        got_form, wanted_form = _form(weights, name), _form(wanted, name)
        if got_form != wanted_form:
            raise CheckpointError(f"{source}: {name}: got {got_form}, wanted {wanted_form}")
    module.load_state_dict(dict(weights))


def _form(weights: Mapping[str, Tensor], name: str) -> str:
    if name not in weights:
        return "no such tensor"
    tensor = weights[name]
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, and put it in place once it is on the disk.

    If anything fails, the temporary file is removed and `path` is as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def remove_partial(path: str | Path) -> None:
    """Remove what writers of `path` that were killed in `write_atomically` left beside it."""
    for leftover in Path(path).parent.glob(f".{Path(path).name}.*.partial"):
        leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself durable, where the system can (Windows cannot open folders)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
