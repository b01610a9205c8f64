"""The dense problems which the benchmarks share."""

import torch

from monops import Affine, Dense, Identity

Leaves = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def dense_leaves(n: int, batch: int) -> Leaves:
    """Random A and B, as `torch.nn.Linear` would draw them, and a random right-hand side."""
    torch.manual_seed(0)
    bound = n**-0.5
    a, b = (torch.empty(n, n).uniform_(-bound, bound) for _ in range(2))
    return a, b, torch.randn(batch, n)


def dense_affine(leaves: Leaves, m: float = 1.0) -> Affine:
    """The paper's F."""
    A, B = Dense(leaves[0]), Dense(leaves[1])
    W = (1 - m) * Identity.like(A) - A.H @ A + B - B.H
    return Affine(Identity.like(A) - W, leaves[2], claim=m)
