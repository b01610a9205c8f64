"""Comparison with the independent SciPy reference: one call, one report."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from monops import function_comparisons, layer_comparisons, operator_comparisons
from monops.arrays import DType, namespace, to_numpy
from monops.errors import OptionError
from monops.functions import Function
from monops.linear import LinearOperator
from monops.monotone import Affine, MonotoneOperator, Subdifferential
from monops.nn import Equilibrium
from monops.report import Check, Report
from monops.splitting import SplittingMethod
from monops.testing import catalogue
from monops.testing.catalogue import Draw, LinearCase


def verify(
    thing: Any = None,
    x: torch.Tensor | None = None,
    *,
    device: Any = "cpu",
    dtype: DType = torch.float64,
    seed: int = 0,
    progress: Callable[[Check], None] | None = None,
) -> Report:
    """Compare `thing` with the SciPy reference.

    - a linear operator: apply, adjoint, resolvent and its adjoint, norm, monotonicity, against its explicit matrix;
    - a function: values, proxes and their derivatives at several steps, its conjugate's prox;
    - `Affine`, `Subdifferential`, `NormalCone`: their resolvents;
    - a splitting method: equilibria for every function, and the gradients through them;
    - a layer `Equilibrium` over the modules of `monops.nn`, with inputs `x`: its output, error bound, and gradients;
    - nothing: an instance of everything the package has.

    Args:
        thing: what to verify.
        x: inputs, for a layer.
        device: where the random data goes; operators and layers are verified where they are.
        dtype: float32 or float64, torch's or NumPy's; likewise.
        seed: of the random data.
        progress: called with each check as it is done.

    Returns:
        A `Report`, true if all passed. Tolerances are relative: in float64 1e-12 for one evaluation, 1e-9 for
        equilibria and gradients; in float32 1e-5, and 1e-4 for gradients, which may be small sums of large terms.

    Raises:
        OptionError: there is no reference for this kind of thing; the laws in `monops.testing` still apply.

    Example:
        >>> import torch
        >>> from monops import Dense
        >>> print(verify(Dense(torch.eye(3, dtype=torch.float64))))  # doctest: +ELLIPSIS
        ok    Dense: apply ...
        8 passed, 0 failed
    """
    draw = Draw(seed, dtype=dtype, device=device)
    checks = []
    for check in _everything(draw) if thing is None else _checks(thing, draw, x):
        checks.append(check)
        if progress is not None:
            progress(check)
    return Report(tuple(checks))


def _everything(draw: Draw) -> Iterator[Check]:
    is_numpy = namespace(draw.dtype) is np
    for name, make in {**catalogue.LINEAR, **(catalogue.NUMPY_ONLY if is_numpy else catalogue.TORCH_ONLY)}.items():
        yield from operator_comparisons.linear_checks(name, make(draw), draw)
    if not is_numpy:  # what comes from SciPy lives in NumPy
        kind = Draw(0, dtype=np.dtype(str(draw.dtype).removeprefix("torch.")))
        for name, make in catalogue.NUMPY_ONLY.items():
            yield from operator_comparisons.linear_checks(name, make(kind), kind)
    for name, case in catalogue.FUNCTIONS.items():
        yield from function_comparisons.function_checks(name, case(), draw)
        yield from function_comparisons.monotone_function_checks(f"Subdifferential({name})", case(), draw)
    for name, joint in catalogue.JOINT.items():
        yield from function_comparisons.function_checks(name, joint(draw), draw)
    yield from operator_comparisons.affine_checks("Affine", *operator_comparisons.random_affine(draw), draw)
    yield from operator_comparisons.algebra_checks(draw)
    for name, method in catalogue.METHODS.items():
        yield from operator_comparisons.method_checks(name, method(), draw)
    if not is_numpy:
        for name, make_layer in catalogue.LAYERS.items():
            yield from layer_comparisons.layer_checks(name, *make_layer(draw))


@functools.singledispatch
def _checks(thing: Any, draw: Draw, x: Any) -> Iterator[Check]:
    raise OptionError(
        f"there is no reference for a {type(thing).__name__}; see verify's documentation for what has one"
    )


@_checks.register
def _(op: LinearOperator, draw: Draw, x: Any) -> Iterator[Check]:
    kind = Draw(0, dtype=op.dtype, device=op.device)
    return operator_comparisons.linear_checks(
        type(op).__name__, LinearCase(op, operator_comparisons.matrix_of(op)), kind
    )


@_checks.register
def _(f: Function, draw: Draw, x: Any) -> Iterator[Check]:
    return function_comparisons.function_checks(type(f).__name__, function_comparisons.case_of(f), draw)


@_checks.register
def _(A: MonotoneOperator, draw: Draw, x: Any) -> Iterator[Check]:
    if isinstance(A, Affine):
        matrix = to_numpy(A.linear.to_dense()).astype(np.float64)
        kind = Draw(0, dtype=A.linear.dtype, device=A.linear.device)
        return operator_comparisons.affine_checks("Affine", A, matrix, to_numpy(A.b).astype(np.float64), kind)
    if isinstance(A, Subdifferential):
        case = function_comparisons.case_of(A.f)
        return function_comparisons.monotone_function_checks(type(A).__name__, case, draw)
    raise OptionError(f"there is no reference for a {type(A).__name__}")


@_checks.register
def _(method: SplittingMethod, draw: Draw, x: Any) -> Iterator[Check]:
    return operator_comparisons.method_checks(type(method).__name__, method, draw)


@_checks.register
def _(layer: Equilibrium, draw: Draw, x: Any) -> Iterator[Check]:
    if x is None:
        raise OptionError("a layer is verified with inputs x: verify(layer, x)")
    return layer_comparisons.layer_checks(type(layer.linear).__name__, layer, x)
