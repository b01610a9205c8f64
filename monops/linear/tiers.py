"""The operator of several tiers, each coupled to the next coarser one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from monops.errors import OptionError, ShapeError
from monops.linear.base import LinearOperator
from monops.linear.block import of_blocks
from monops.linear.decimated import Decimation
from monops.linear.identity import Identity
from monops.linear.lazy import Composed
from monops.linear.table import Block


def multi_tier(
    A: Sequence[LinearOperator], down: Sequence[LinearOperator], B: Sequence[LinearOperator], *, m: float
) -> LinearOperator:
    """M = I - W for W = (1 - m) I - AᴴA + B - Bᴴ with a block-bidiagonal A, and a B that makes W triangular.

    With A_ii on the diagonal of A and A_{i+1,i} = down[i] below it, and with -A_{i+1,i+1}ᴴ A_{i+1,i} below the
    diagonal of B, all blocks above the diagonal of W cancel:

        W_ii = (1 - m) I - A_iiᴴ A_ii - A_{i+1,i}ᴴ A_{i+1,i} + B_ii - B_iiᴴ,   W_{i+1,i} = -2 A_{i+1,i+1}ᴴ A_{i+1,i}.

    So M ⪰ m I whatever the operators are, and its resolvent is a substitution from tier to tier.

    Args:
        A: the diagonal blocks of A, any linear operators on each tier, at least one.
        down: operators from each tier to the codomain of the next one's block of A: one fewer.
        B: the diagonal blocks of B, as many as in A.
        m: the strong monotonicity, ≥ 0.

    Returns:
        A `BlockTriangular` on flat states; for one tier a `BlockDiagonal`.

    Raises:
        ShapeError: the numbers of operators, or the spaces of the tiers, do not chain.
        OptionError: m is not in [0, ∞), or something is no linear operator.

    Source: Winston & Kolter 2020, section 4.3 and appendix D.

    Example:
        >>> import torch
        >>> from monops.linear import Dense
        >>> one, two = Dense(torch.eye(2)), Dense(torch.ones(1, 2))
        >>> multi_tier([one, Dense(torch.eye(1))], [two], [one, Dense(torch.eye(1))], m=0.5).to_dense()
        tensor([[2.5000, 1.0000, 0.0000],
                [1.0000, 2.5000, 0.0000],
                [2.0000, 2.0000, 1.5000]])
    """
    if not 0 <= m < math.inf:
        raise OptionError(f"multi_tier wants m in [0, ∞), got {m}")
    if not len(A) == len(B) == len(down) + 1:
        raise ShapeError(f"n tiers want n operators A, n - 1 down, n B; got {len(A)}, {len(down)}, {len(B)}")
    for name, operators in (("A", A), ("down", down), ("B", B)):
        for i, op in enumerate(operators):
            if not isinstance(op, LinearOperator):
                raise OptionError(f"multi_tier wants linear operators, got {type(op).__name__} as {name}[{i}]")
    for i, op in enumerate(B):
        if (op.domain, op.codomain) != (A[i].domain, A[i].domain):
            raise ShapeError(f"B[{i}] wants to map {A[i].domain} to itself, as tier {i} does, got {op.signature}")
    for i, D in enumerate(down):
        if (D.domain, D.codomain) != (A[i].domain, A[i + 1].codomain):
            raise ShapeError(
                f"tiers {i} and {i + 1} do not chain: down[{i}] maps {D.domain} to {D.codomain}, "
                f"wanted {A[i].domain} to {A[i + 1].codomain}"
            )
    down = [_by_symbol(D) for D in down]
    rows: list[list[Block]] = [[None] * len(A) for _ in A]
    for i, (A_i, B_i) in enumerate(zip(A, B, strict=True)):
        M = m * Identity.like(A_i) + A_i.H @ A_i - B_i + B_i.H
        rows[i][i] = M + down[i].H @ down[i] if i < len(down) else M
        if i > 0:
            rows[i][i - 1] = 2.0 * (A_i.H @ down[i - 1])
    return of_blocks(rows)


def _by_symbol(D: LinearOperator) -> LinearOperator:
    """The same operator, its strided convolution given by the symbol.

    Made once, so that the resolvent of a tier and the coupling to the next one hold one object, and know it.
    """
    if isinstance(D, Composed):
        return D.left @ _by_symbol(D.right)
    return D.decimated if isinstance(D, Decimation) else D
