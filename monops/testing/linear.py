"""The laws of linear operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from monops import tree
from monops.arrays import Array, as_dtype, flatten_trailing, is_torch, namespace, to_numpy
from monops.errors import DTypeError, ShapeError
from monops.linear import Factored, FromCallable, Identity, LinearOperator
from monops.testing.laws import Laws, inner, require_a

# Resolvents are compared with a dense solve where I + step·op has at most this condition number.
CONDITION = 1e3


def check_linear_operator(
    op: LinearOperator, matrix: np.ndarray | None = None, *, seed: int = 0, tol: float | None = None
) -> None:
    """Raise unless `op` obeys the laws of a linear operator.

    - it is the map of its matrix (`matrix`, if given, else `to_dense()`), for every batch shape, sample by sample;
    - ⟨op(x), y⟩ = ⟨x, op.H(y)⟩, `op.H.H` is op, a claim of symmetry is true;
    - sums, differences, multiples and products, and their adjoints, have the matrices they should have;
    - where it is square: x = J(x) + step·op(J(x)) for the resolvent J, and J.H is the resolvent of op.H;
    - `norm()`, `monotonicity()` and `cocoercivity()` are bounds;
    - `to_scipy()` is the same map, products with matrices included;
    - dtype, device and array library are kept, inputs left untouched, wrong ones refused;
    - where tensors require grad, the derivatives are right (float64).

    Args:
        op: what to check.
        matrix: its matrix on flattened spaces, got in another way: (*batch, prod(codomain), prod(domain)).
        seed: of the random inputs.
        tol: largest relative error; the dtype's ε to the power ⅔ unless given.

    Raises:
        BrokenLaw: an `AssertionError` which says what broke, on which input, by how much.
        OptionError: `op` is no linear operator.

    Example:
        >>> import torch
        >>> from monops import Diagonal
        >>> check_linear_operator(Diagonal(torch.tensor([1.0, 2.0])), np.diag([1.0, 2.0]))
    """
    require_a(LinearOperator, op, "Dense(matrix)")
    laws = Laws.of(op, seed, op.dtype, op.device, tol)
    with torch.no_grad(), laws.trying("the laws of a linear operator"):
        x = laws.normal(*op.batch, *op.domain)
        laws.same_kind("op(x) keeps batch, dtype and device", op(x), x, (*op.batch, *op.codomain))
        dense = to_numpy(op.to_dense()).astype(np.float64)
        wanted = (*op.batch, int(np.prod(op.codomain)), int(np.prod(op.domain)))
        laws.true("to_dense has shape (*batch, codomain, domain)", dense.shape == wanted, "", f"{dense.shape}")
        if matrix is not None:
            laws.equal("to_dense is the matrix", dense, np.broadcast_to(matrix, wanted))
        size = float(np.linalg.norm(dense, 2, axis=(-2, -1)).max(initial=0))
        _map(laws, op, dense, size)
        _adjoint(laws, op, dense, size)
        _facts(laws, op, dense, size)
        _algebra(laws, op, dense, size)
        if op.domain == op.codomain:
            _resolvent(laws, op, dense, size)
        if not op.batch:
            _scipy(laws, op, dense, size)
    leaves = tree.flatten(op).leaves
    if as_dtype(op.dtype) == torch.float64 and any(leaf.requires_grad for leaf in leaves):
        _derivatives(laws, op)


def _flat(op: LinearOperator, x: Array, axes: int) -> np.ndarray:
    return to_numpy(flatten_trailing(x, axes)).astype(np.float64)


def _image(op: LinearOperator, dense: np.ndarray, x: Array) -> np.ndarray:
    """dense · x, on flattened spaces."""
    return (dense @ _flat(op, x, len(op.domain))[..., None])[..., 0]


def _map(laws: Laws, op: LinearOperator, dense: np.ndarray, size: float) -> None:
    for leading in ((), (1,), (3,), (2, 3)):
        batch = (*leading, *op.batch)
        x = laws.normal(*batch, *op.domain)
        on = f"x of shape {tuple(x.shape)}"
        with laws.untouched(x):
            y = op(x)
        laws.same_kind("op(x) keeps batch, dtype and device", y, x, (*batch, *op.codomain), on)
        reach = size * float(np.linalg.norm(to_numpy(x)))
        laws.equal("op(x) is the matrix times x", _flat(op, y, len(op.codomain)), _image(op, dense, x), on, scale=reach)
    x = laws.normal(3, *op.batch, *op.domain)
    w = laws.normal(3, *op.batch, *op.codomain)
    product = inner(op(x), w, len(op.codomain)).sum()
    laws.equal("pairing(x, w) = ⟨op(x), w⟩", op.pairing(x, w), product, scale=reach)
    one_by_one = namespace(x).stack([op(x[i]) for i in range(3)])
    laws.equal("a batch is its samples one by one", op(x), one_by_one, scale=size)
    empty = laws.normal(0, *op.batch, *op.domain)
    laws.same_kind("an empty batch stays empty", op(empty), empty, (0, *op.batch, *op.codomain))
    with laws.refused("a wrong shape is refused", ShapeError):
        op(laws.normal(*(n + 1 for n in op.domain)) if op.domain else laws.normal(2)[0])
    with laws.refused("the other array library is refused", DTypeError):
        op(np.zeros(op.domain) if is_torch(op.dtype) else torch.zeros(op.domain, dtype=torch.float64))


def _adjoint(laws: Laws, op: LinearOperator, dense: np.ndarray, size: float) -> None:
    adjoint = op.H
    spaces = (adjoint.domain, adjoint.codomain, as_dtype(adjoint.dtype), adjoint.device)
    laws.true(
        "op.H goes the other way", spaces == (op.codomain, op.domain, as_dtype(op.dtype), op.device), "", f"{spaces}"
    )
    laws.equal("the matrix of op.H is the transpose", adjoint.to_dense(), dense.swapaxes(-1, -2), scale=size)
    x, y = laws.normal(4, *op.batch, *op.domain), laws.normal(4, *op.batch, *op.codomain)
    left, right = inner(op(x), y, len(op.codomain)), inner(x, adjoint(y), len(op.domain))
    reach = size * float(np.linalg.norm(to_numpy(x))) * float(np.linalg.norm(to_numpy(y)))
    laws.equal("⟨op(x), y⟩ = ⟨x, op.H(y)⟩", left, right, scale=reach)
    laws.true("op.H.H is op", adjoint.H is op)
    laws.equal("op.adjoint().adjoint() is op", op.adjoint().adjoint()(x), op(x), scale=size)
    if op.symmetric:
        laws.true("a symmetric operator has one space", op.domain == op.codomain)
        laws.equal("a symmetric operator equals its adjoint", dense, dense.swapaxes(-1, -2), scale=size)


def _facts(laws: Laws, op: LinearOperator, dense: np.ndarray, size: float) -> None:
    laws.at_most("norm() bounds ‖op‖", size, op.norm() * (1 + laws.tol))
    laws.at_most("norm() of op.H bounds ‖op‖", size, op.H.norm() * (1 + laws.tol))
    if op.domain == op.codomain:
        least = np.linalg.eigvalsh((dense + dense.swapaxes(-1, -2)) / 2).min(initial=np.inf)
        laws.at_most("monotonicity() is a lower bound of ⟨op(x), x⟩/‖x‖²", op.monotonicity(), least + laws.tol * size)
        law, beta = "cocoercivity() is a β ≥ 0 with ⟨op(x), x⟩ ≥ β‖op(x)‖²", op.cocoercivity()
        laws.true(law, beta >= 0, "", f"β = {beta}")
        if beta > 0:  # else the law says nothing, as of what is not monotone
            beta = min(beta, 1 / (laws.tol * (size or 1.0)))
            shifted = dense - beta * dense.swapaxes(-1, -2) @ dense
            least = np.linalg.eigvalsh((shifted + shifted.swapaxes(-1, -2)) / 2).min(initial=np.inf)
            laws.at_most(law, -least, laws.tol * size * (1 + beta * size), f"β = {beta:.3g}")
    else:
        for fact in ("monotonicity", "cocoercivity"):
            with laws.refused(f"{fact}() wants domain = codomain", ShapeError):
                getattr(op, fact)()


def _algebra(laws: Laws, op: LinearOperator, dense: np.ndarray, size: float) -> None:
    """Sums and products with itself, with an identity, and with an operator without any structure."""

    def check(name: str, got: LinearOperator, want: np.ndarray, reach: float) -> None:
        laws.equal(f"the matrix of {name}", got.to_dense(), want, scale=reach)
        laws.equal(f"the matrix of ({name}).H", got.H.to_dense(), want.swapaxes(-1, -2), scale=reach)

    dense_h = dense.swapaxes(-1, -2)
    check("2·op", 2 * op, 2 * dense, size)
    check("op·0.5", op * 0.5, 0.5 * dense, size)
    check("-op", -op, -dense, size)
    check("op/4", op / 4, dense / 4, size)
    check("op + op", op + op, 2 * dense, size)
    check("op - 3·op", op - 3 * op, -2 * dense, size)
    check("op.H @ op", op.H @ op, dense_h @ dense, size**2)
    check("op @ op.H", op @ op.H, dense @ dense_h, size**2)
    check("(op + op.H.H) @ op.H", (op + op.H.H) @ op.H, 2 * dense @ dense_h, size**2)
    other, plain = _plain(laws, op)
    reach = size + float(np.linalg.norm(plain))
    check("op + other", op + other, dense + plain, reach)
    check("other + op", other + op, dense + plain, reach)
    check("other - op", other - op, plain - dense, reach)
    check("op.H @ other", op.H @ other, dense_h @ plain, reach**2)
    check("other.H @ op", other.H @ op, plain.T @ dense, reach**2)
    if op.domain == op.codomain:
        identity, unit = Identity.like(op), np.eye(dense.shape[-1])
        check("I - op", identity - op, unit - dense, 1 + size)
        check("op + 0.5·I", op + 0.5 * identity, dense + 0.5 * unit, 1 + size)
        check("(2·I) @ op", (2 * identity) @ op, 2 * dense, size)
        check("op @ (2·I)", op @ (2 * identity), 2 * dense, size)
    x = laws.normal(2, *op.batch, *op.domain)
    laws.equal("(op.H @ op)(x) is op.H(op(x))", (op.H @ op)(x), op.H(op(x)), scale=size**2)


def _plain(laws: Laws, op: LinearOperator) -> tuple[LinearOperator, np.ndarray]:
    """An operator between the same spaces, known by a pair of functions only, and its matrix."""
    rows, columns = int(np.prod(op.codomain)), int(np.prod(op.domain))
    plain = laws.draw.array(rows, columns)
    array = laws.draw.put(plain)

    def through(matrix: Array, axes: int, out: tuple[int, ...]) -> Callable[..., Any]:
        return lambda x: (flatten_trailing(x, axes) @ matrix.T).reshape(*x.shape[: x.ndim - axes], *out)

    forward, backward = through(array, len(op.domain), op.codomain), through(array.T, len(op.codomain), op.domain)
    return FromCallable(forward, backward, op.domain, op.codomain, dtype=op.dtype, device=op.device), plain


def _resolvent(laws: Laws, op: LinearOperator, dense: np.ndarray, size: float) -> None:
    unit = np.eye(dense.shape[-1])
    for step in (0.3 / (1 + size), 0.3, 5.0, -0.3 / (1 + size)):
        system = unit + step * dense
        if np.linalg.cond(system).max(initial=0) > CONDITION:
            continue
        on = f"step {step:.3g}"
        J = op.resolvent(step)
        laws.true("the resolvent maps the space to itself", (J.domain, J.codomain) == (op.domain,) * 2, on)
        x = laws.normal(3, *op.batch, *op.domain)
        reach = float(np.linalg.norm(to_numpy(x)))
        with laws.untouched(x):
            y = J(x)
        laws.same_kind("the resolvent keeps dtype and device", y, x, tuple(x.shape), on)
        laws.equal("J(x) + step·op(J(x)) = x", y + step * op(y), x, on, slack=10)
        want = np.linalg.solve(system, _flat(op, x, len(op.domain))[..., None])[..., 0]
        laws.equal("J(x) solves with the matrix", _flat(op, y, len(op.domain)), want, on, scale=reach, slack=10)
        laws.equal("J.H is the resolvent of op.H", J.H(x), op.H.resolvent(step)(x), on, scale=reach, slack=10)
        z = laws.normal(3, *op.batch, *op.domain)
        mine, theirs = inner(J(x), z, len(op.domain)), inner(x, J.H(z), len(op.domain))
        laws.equal("⟨J(x), z⟩ = ⟨x, J.H(z)⟩", mine, theirs, on, scale=reach**2, slack=10)
        laws.equal("J.H.H is J", J.H.H(x), y, on, scale=reach)


def _scipy(laws: Laws, op: LinearOperator, dense: np.ndarray, size: float) -> None:
    other = op.to_scipy()
    laws.true("to_scipy has the shape of the matrix", other.shape == dense.shape, "", f"{other.shape}")
    rng = laws.draw.rng
    x, y = rng.standard_normal((dense.shape[1], 2)), rng.standard_normal((dense.shape[0], 2))
    x, y = x.astype(other.dtype), y.astype(other.dtype)
    for name, got, want in (
        ("matvec", other.matvec(x[:, 0]), dense @ x[:, 0]),
        ("rmatvec", other.rmatvec(y[:, 0]), dense.T @ y[:, 0]),
        ("matmat", other.matmat(x), dense @ x),
        ("rmatmat", other.rmatmat(y), dense.T @ y),
    ):
        laws.equal(f"to_scipy().{name}", got, want, scale=size)


def _derivatives(laws: Laws, op: LinearOperator) -> None:
    """First derivatives of op(x), op.H(y) and the resolvent, in x and in what requires grad."""
    flat = tree.flatten(op)
    moving = [i for i, leaf in enumerate(flat.leaves) if leaf.requires_grad]
    step = 0.3 / (1 + op.norm())

    def rebuilt(values: tuple[torch.Tensor, ...]) -> LinearOperator:
        leaves = [leaf.detach() for leaf in flat.leaves]
        for i, value in zip(moving, values, strict=True):
            own_two = flat.axes[i] == 2 and op.symmetric  # a symmetric matrix moves among symmetric ones
            leaves[i] = (value + value.mT) / 2 if own_two else value
        return flat.rebuild(leaves, fresh=True)

    x, y = laws.normal(2, *op.batch, *op.domain), laws.normal(2, *op.batch, *op.codomain)
    maps: list[tuple[str, Array, Callable[[LinearOperator, Array], Array]]] = [
        ("op(x)", x, lambda o, v: o(v)),
        ("op.H(y)", y, lambda o, v: o.H(v)),
    ]
    if op.domain == op.codomain and not isinstance(op, Factored):  # which keeps plain numbers
        maps.append((f"resolvent({step:.3g})(x)", x, lambda o, v: o.resolvent(step)(v)))
    for name, at, apply in maps:
        leaves = [flat.leaves[i].detach().clone().requires_grad_() for i in moving]

        def function(v: Array, *values: torch.Tensor, apply: Any = apply) -> Array:
            return apply(rebuilt(values), v)

        try:
            torch.autograd.gradcheck(function, (at.requires_grad_(), *leaves))
        except RuntimeError as error:
            laws.fail(f"the derivatives of {name} are right", "", str(error).strip().splitlines()[0])
