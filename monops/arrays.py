"""The few things in which torch tensors and NumPy arrays differ; the rest is written once over `namespace(x)`."""

import math
import numbers
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy import special
from torch._C import _functorch as functorch
from torch.autograd import forward_ad

from monops.errors import DeviceError, DTypeError, NonFiniteError, ShapeError, StepSizeError

Array: TypeAlias = Any  # a torch.Tensor or a numpy.ndarray
DType: TypeAlias = Any  # a torch.dtype or a numpy.dtype
Shape: TypeAlias = tuple[int, ...]


def is_torch(x: object) -> bool:
    """Whether `x` is a torch tensor or a torch dtype."""
    return isinstance(x, torch.Tensor | torch.dtype)


def namespace(x: Array | DType) -> ModuleType | Any:
    """The library that `x` (an array or a dtype) belongs to: the module `torch` or `numpy`.

    Raises:
        DTypeError: `x` is neither.
    """
    if is_torch(x):
        return torch
    if isinstance(x, np.ndarray | np.generic | np.dtype):
        return np
    raise DTypeError(f"expected a torch tensor or a NumPy array, got {type(x).__name__}")


def floating(x: Array) -> Array:
    """`x`, once it is certain that it holds real floating-point numbers of 32 or 64 bits."""
    xp = namespace(x)
    if x.dtype not in (xp.float32, xp.float64):
        raise DTypeError(f"expected float32 or float64 data, got {x.dtype}")
    return x


def device_of(x: Array) -> torch.device:
    """The device that `x` lives on (the CPU for NumPy arrays)."""
    return x.device if isinstance(x, torch.Tensor) else torch.device("cpu")


def as_device(device: torch.device | str) -> torch.device:
    """The device, with the index that PyTorch would choose where it has none: tensors always name theirs."""
    device = torch.device(device)
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return device


# In place of a dtype: that which PyTorch gives new tensors, looked up when it is needed.
DEFAULT_DTYPE: Any = None


def as_dtype(dtype: DType) -> DType:
    """`dtype` as a torch dtype or a `numpy.dtype` (so `np.float64`, a type, is accepted too), or PyTorch's default."""
    if dtype is DEFAULT_DTYPE:
        return torch.get_default_dtype()
    return dtype if isinstance(dtype, torch.dtype) else np.dtype(dtype)


def full(shape: Shape, value: float, dtype: DType, device: torch.device) -> Array:
    """An array of `shape` filled with `value`."""
    if is_torch(dtype):
        return torch.full(shape, value, dtype=dtype, device=device)
    return np.full(shape, value, dtype=dtype)


def eye(n: int, dtype: DType, device: torch.device) -> Array:
    """The n × n identity matrix."""
    return torch.eye(n, dtype=dtype, device=device) if is_torch(dtype) else np.eye(n, dtype=dtype)


def to_numpy(x: Array) -> np.ndarray:
    """`x` as a NumPy array on the host, cut off from any gradient graph."""
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def detach(x: Array) -> Array:
    """`x` without its gradient graph."""
    return x.detach() if isinstance(x, torch.Tensor) else x


def parts(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The real and the imaginary part; also of lazily conjugated ones, for which torch.func.vmap has no rule."""
    pairs = torch.view_as_real(x.resolve_conj())
    return pairs[..., 0], pairs[..., 1]


def epsilon(dtype: DType) -> float:
    """The spacing of floating-point numbers at 1."""
    return float(namespace(dtype).finfo(dtype).eps)


def check_array(x: Array, trailing: Shape, dtype: DType, device: torch.device, what: str) -> None:
    """Raise unless `x` has the trailing axes, dtype and device wanted; `what` names the receiver."""
    try:
        if x.dtype == dtype and x.shape[x.ndim - len(trailing) :] == trailing:
            if isinstance(x, torch.Tensor) and x.device != device:
                raise DeviceError(f"{what} lives on {device}, got an array on {x.device}")
            return
    except AttributeError:
        raise DTypeError(f"{what} expects {dtype} arrays, got {type(x).__name__}") from None
    if x.dtype != dtype:
        kind = "" if is_torch(x) == is_torch(dtype) else "a tensor of " if is_torch(x) else "a NumPy array of "
        raise DTypeError(f"{what} expects {dtype} arrays, got {kind}{x.dtype}")
    raise ShapeError(f"{what} expects shape (*batch, {_axes(trailing)}), got {tuple(x.shape)}")


def _axes(shape: Shape) -> str:
    return ", ".join(map(str, shape)) if shape else "no further axes"


def require_step(step: float, owner: object, method: str) -> float:
    """`step` as a float, once it is certain that it is a number in (0, ∞); `owner` and `method` are for the message.

    An owner with the attribute `takes_steps` is given arrays of them too, one number a sample, as they are.
    """
    # The first test spares the common case the slower second one.
    if (type(step) is float or (isinstance(step, numbers.Real) and type(step) is not bool)) and 0.0 < step < math.inf:
        return float(step)
    if getattr(owner, "takes_steps", False) and getattr(step, "ndim", 0) > 0:
        return step
    raise StepSizeError(f"{type(owner).__name__}.{method} wants a step in (0, ∞), got {step!r}")


def norm(x: Array, axes: int) -> Array:
    """Euclidean norm over the last `axes` axes: one number a sample."""
    if axes == 0:
        return abs(x)
    last = tuple(range(-axes, 0))
    if not isinstance(x, torch.Tensor):
        return np.linalg.vector_norm(x, axis=last)
    if x.ndim > axes and x.stride(0) == 1 and x.shape[0] > 1:
        # With the batch innermost several times faster than the library's norm; in parts, as squares take memory too.
        return torch.stack([(part * part).sum(last) for part in x.chunk(8, -1)]).sum(0).sqrt()
    return torch.linalg.vector_norm(x, dim=last)


def flatten_trailing(x: Array, axes: int) -> Array:
    """Make one axis of the last `axes` axes (a view where memory allows it)."""
    return x.reshape(*x.shape[: x.ndim - axes], math.prod(x.shape[x.ndim - axes :]))


def arrange(x: Array, layout: Shape) -> Array:
    """The same x, its domain axes stored in the order `layout`, outermost first, and its batch axes innermost.

    Shapes: `x` (*batch, *domain), `layout` a permutation of the domain's axes, or () for x as it is.
    """
    if not layout:
        return x
    batch = x.ndim - len(layout)
    order = (*(batch + axis for axis in layout), *range(batch))
    back = [order.index(axis) for axis in range(x.ndim)]
    if not isinstance(x, torch.Tensor):
        return np.ascontiguousarray(x.transpose(order)).transpose(back)
    stored = x.permute(order)
    if batch and not stored.is_contiguous() and x.is_contiguous():
        # The transposition of a matrix first: a copy that moves the batch and the other axes at once is slower.
        columns = x.reshape(math.prod(x.shape[:batch]), math.prod(x.shape[batch:])).mT.contiguous()
        stored = columns.reshape(*x.shape[batch:], *x.shape[:batch]).permute(*layout, *range(len(layout), x.ndim))
    return stored.contiguous().permute(back)


def standard(x: torch.Tensor, rank: int) -> torch.Tensor:
    """The same x in the usual memory order, contiguous: the opposite of `arrange`. Shapes: (*batch, `rank` axes)."""
    batch = x.ndim - rank
    if batch == 0 or x.is_contiguous():
        return x.contiguous()
    if x.requires_grad:  # a derivative comes back in the order of x, before anything is done with it
        layout = tuple(sorted(range(rank), key=lambda axis: x.stride(batch + axis), reverse=True))
        x.register_hook(lambda g: None if g is None else arrange(g, layout))
    sizes = math.prod(x.shape[batch:]), math.prod(x.shape[:batch])
    columns = x.permute(*range(batch, x.ndim), *range(batch)).reshape(sizes)
    return columns.mT.contiguous().reshape(x.shape)


def is_tracked(*tensors: torch.Tensor) -> bool:
    """Whether autograd is to see what is computed from these now, so that results without a graph do not serve."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def in_transform() -> bool:
    """Whether this runs inside of a transform of `torch.func`, outside of which tensors made now are of no use."""
    return bool(functorch.get_interpreter_stack())


def may_write() -> bool:
    """Whether results may be written into tensors made beforehand: not where PyTorch follows what is computed."""
    return not torch.is_grad_enabled() and not in_transform() and forward_ad._current_level < 0


def known_true(flag: Array) -> bool:
    """`bool(flag)`, but False where values cannot be read (inside `torch.func.vmap`, say)."""
    try:
        return bool(flag)
    except RuntimeError:
        return False


def require_finite(x: Array, what: str) -> None:
    """Raise a `NonFiniteError` if there is a NaN or an infinity in `x`."""
    if known_true(~namespace(x).isfinite(detach(x)).all()):
        raise NonFiniteError(f"{what} holds a NaN or an infinity")


def cast(x: Array, dtype: DType) -> Array:
    """`x` with its numbers (or truth values) in `dtype`, strides kept."""
    return x.to(dtype) if isinstance(x, torch.Tensor) else x.astype(dtype)


def clip(x: Array, lower: float | Array | None, upper: float | Array | None) -> Array:
    """min(max(x, lower), upper) by one kernel; bounds are numbers, arrays or None, and NaN stays NaN."""
    if isinstance(x, torch.Tensor) and is_torch(lower) != is_torch(upper):
        # torch.clamp takes two numbers or two tensors; to copy a number to the device would be to wait for it.
        lower, upper = (v if v is None or is_torch(v) else x.new_full((), v) for v in (lower, upper))
    return namespace(x).clip(x, lower, upper)


def add_multiple(x: Array, factor: float, y: Array) -> Array:
    """x + factor · y, by one kernel where the library has it."""
    return torch.add(x, y, alpha=factor) if isinstance(x, torch.Tensor) else x + factor * y


def slope(x: Array, y: Array, length: Any) -> Array:
    """(x - y) / length, with one array made."""
    difference = x - y
    difference /= length
    return difference


def reflect(y: Array, x: Array, out: torch.Tensor | None = None) -> Array:
    """2y - x, by one kernel where the library has it, written into `out` if that is given."""
    return torch.lerp(x, y, 2.0, out=out) if isinstance(x, torch.Tensor) else 2 * y - x


def relu(x: Array) -> Array:
    """max(x, 0) by one kernel; its derivative at 0 is 0."""
    return torch.relu(x) if isinstance(x, torch.Tensor) else np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), to full relative accuracy in both tails."""
    return torch.sigmoid(x) if isinstance(x, torch.Tensor) else special.expit(x)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), to full relative accuracy."""
    if isinstance(x, torch.Tensor):
        # From its threshold on torch returns x; at the default, 20, that is right to nine digits only.
        return torch.nn.functional.softplus(x, threshold=40.0)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))  # unlike logaddexp, quiet about NaN


def xlogy(x: Array, y: Array) -> Array:
    """x log(y), and 0 where x = 0."""
    return torch.xlogy(x, y) if isinstance(x, torch.Tensor) else special.xlogy(x, y)


def largest(x: Array, axes: int = 1) -> Array:
    """The largest entry over the last `axes` axes, which stay as axes of length 1; 0 where there is none."""
    last = tuple(range(-axes, 0))
    if 0 in x.shape[x.ndim - axes :]:
        return namespace(x).sum(x, last, keepdims=True)
    return x.amax(last, keepdim=True) if isinstance(x, torch.Tensor) else x.max(last, keepdims=True)


def descending(x: Array) -> Array:
    """`x` sorted along the last axis, the largest entry first."""
    return x.sort(-1, descending=True).values if isinstance(x, torch.Tensor) else -np.sort(-x, axis=-1)


def concatenate(arrays: list[Array]) -> Array:
    """The arrays one after the other along the last axis."""
    return torch.cat(arrays, -1) if isinstance(arrays[0], torch.Tensor) else np.concatenate(arrays, -1)
