"""Total variation on plain arrays, by the dual problem on explicit matrices of differences."""

import numpy as np
from scipy import optimize

from monops.reference.kinds import Array, Reference, by_point, constrained
from monops.reference.norms import sphere_hessian


def _differences(n: int) -> Array:
    return np.diff(np.eye(n), axis=0)


def _of_image(shape: tuple[int, ...]) -> Array:
    """To the next column and to the next row, 0 in the last one. Shapes: (2, rows · columns, rows · columns)."""
    m, n = shape
    open_ended = [np.vstack([_differences(k), np.zeros((1, k))]) for k in (n, m)]
    return np.stack([np.kron(np.eye(m), open_ended[0]), np.kron(open_ended[1], np.eye(n))])


def _bounded(v: Array, D: Array, bound: float | Array) -> Array:
    """u in a box with ‖v - Dᴴu‖ least, by an active-set method."""
    return optimize.lsq_linear(D.T, v, (-bound, bound), method="bvls", tol=1e-15).x


def _signals(n: int, rows: int, weight: float | Array) -> tuple[Array, Array]:
    """The differences within rows of n numbers in all, and the price of each; none where that is 0."""
    prices = np.repeat(np.broadcast_to(weight, (rows,)), n // rows - 1)
    return np.kron(np.eye(rows), _differences(n // rows))[prices > 0], prices[prices > 0]


def _signal_prox(v: Array, step: float, weight: float | Array = 1.0, rows: int = 1) -> Array:
    D, prices = _signals(len(v), rows, weight)
    return v - D.T @ _bounded(v, D, step * prices) if len(D) else v


def _signal_derivative(v: Array, step: float, weight: float | Array = 1.0, rows: int = 1) -> Array:
    """What is constant stays so: where the dual solution is off its bounds."""
    D, prices = _signals(len(v), rows, weight)
    if len(D):
        D = D[np.abs(_bounded(v, D, step * prices)) < step * prices * (1 - 1e-12)]
    return constrained(np.zeros((len(v), len(v))), D)


def _signal_value(x: Array, weight: float | Array = 1.0, rows: int = 1) -> Array:
    D, prices = _signals(x.shape[-1], rows, weight)
    return np.abs(x @ D.T) @ prices


def _in_discs(v: Array, D: Array, bound: float) -> Array:
    """u with two numbers for each pixel in a disc, and ‖v - Dᴴu‖ least, for each row of v.

    By Newton's method on ½‖v - Dᴴu‖² - μ Σ log(bound² - ‖u_p‖²) for smaller and smaller μ, with steps by which a
    self-concordant function falls and no u leaves its disc (Nesterov & Nemirovskii 1994).
    """
    k, (_, m, n) = len(v), D.shape
    flat = D.reshape(2 * m, n)
    u = np.zeros((k, 2, m))
    pixel = np.arange(m)
    first = bound * np.maximum(np.linalg.norm(v, axis=-1), 1e-300)[:, None, None]
    for mu in (first * 0.1**i for i in range(15)):
        for _ in range(50):
            room = bound**2 - (u * u).sum(1, keepdims=True)
            slope = 2 * mu * u / room - (D @ (v - u.reshape(k, -1) @ flat)[:, None, :, None])[..., 0]
            own = 4 * mu[..., None] * u[:, :, None] * u[:, None] / (room**2)[:, :, None]
            own[:, (0, 1), (0, 1)] += (2 * mu / room)[:, 0, None]
            H = np.broadcast_to((flat @ flat.T).reshape(2, m, 2, m), (k, 2, m, 2, m)).copy()
            H[:, :, pixel, :, pixel] += own.transpose(3, 0, 1, 2)
            d = -np.linalg.solve(H.reshape(k, 2 * m, 2 * m), slope.reshape(k, -1, 1)).reshape(u.shape)
            decrement = np.sqrt(np.maximum(-(d * slope).sum((1, 2), keepdims=True) / mu, 0))
            u = u + d / (1 + decrement)
            if decrement.max(initial=0) < 0.1:
                break
    return u


def _stationary(v: Array, D: Array, u: Array, bound: float) -> tuple[Array, Array]:
    """The prox of bound·Σ ‖(D x)_p‖ at v, and its derivative, from a dual solution u that is almost exact.

    Where u is inside of its disc, D x is zero; elsewhere it is not, and the function smooth: a few steps of Newton's
    method give all digits.
    """
    x = v - np.tensordot(u, D, 2)
    nothing = np.zeros((len(v), len(v)))
    lengths = np.sqrt(((D @ x) ** 2).sum(0))
    is_edge = lengths > bound - np.sqrt((u * u).sum(0))
    fixed = D[:, ~is_edge].reshape(-1, len(v))
    x = constrained(nothing, fixed) @ x
    J = nothing
    for _ in range(4):
        H, slope = nothing.copy(), x - v
        for row in D[:, is_edge].swapaxes(0, 1):
            jump = row @ x
            H += bound * row.T @ sphere_hessian(jump) @ row
            slope = slope + bound * row.T @ jump / np.linalg.norm(jump)
        J = constrained(H, fixed)
        x = x - J @ slope
    return x, J


def _image(v: Array, step: float, weight: float, isotropic: bool) -> tuple[Array, Array]:
    """The prox and its derivative, for flattened images (k, n)."""
    D, bound = _of_image(v.shape[1:]), step * weight
    flat = v.reshape(len(v), -1)
    if weight == 0:
        return v, np.broadcast_to(np.eye(flat.shape[1]), (len(v), flat.shape[1], flat.shape[1]))
    if isotropic:
        pairs = zip(flat, _in_discs(flat, D, bound), strict=True)
        points, derivatives = zip(*(_stationary(w, D, u, bound) for w, u in pairs), strict=True)
    else:
        both, nothing = D.reshape(-1, flat.shape[1]), np.zeros((flat.shape[1],) * 2)
        duals = [_bounded(w, both, bound) for w in flat]
        points = tuple(w - both.T @ u for w, u in zip(flat, duals, strict=True))
        derivatives = tuple(constrained(nothing, both[np.abs(u) < bound * (1 - 1e-12)]) for u in duals)
    return np.array(points).reshape(v.shape), np.array(derivatives)


def _image_prox(v: Array, step: float, weight: float = 1.0, isotropic: bool = True) -> Array:
    return _image(v.reshape(-1, *v.shape[-2:]), step, weight, isotropic)[0].reshape(v.shape)


def _image_derivative(v: Array, step: float, weight: float = 1.0, isotropic: bool = True) -> Array:
    J = _image(v.reshape(-1, *v.shape[-2:]), step, weight, isotropic)[1]
    return J.reshape(*v.shape[:-2], *J.shape[1:])


def _image_value(x: Array, weight: float = 1.0, isotropic: bool = True) -> Array:
    jumps = _of_image(x.shape[-2:]) @ x.reshape(*x.shape[:-2], 1, -1, 1)
    return weight * (np.sqrt((jumps**2).sum(-3)) if isotropic else np.abs(jumps).sum(-3)).sum((-1, -2))


VARIATION: dict[str, Reference] = {
    "TV1D": Reference(_signal_value, by_point(_signal_prox), by_point(_signal_derivative), axes=1),
    "TV2D": Reference(_image_value, _image_prox, _image_derivative, axes=2),
}
