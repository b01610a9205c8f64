"""The dense problems which the benchmarks share."""

import torch

from monops import Affine, Dense, Identity


def dense_affine(n: int, batch: int, m: float = 1.0, requires_grad: bool = False) -> Affine:
    """The paper's F for random A and B, as `torch.nn.Linear` would draw them, and a random right-hand side."""
    torch.manual_seed(0)
    bound = n**-0.5
    a, b = (torch.empty(n, n).uniform_(-bound, bound).requires_grad_(requires_grad) for _ in range(2))
    A, B = Dense(a), Dense(b)
    W = (1 - m) * Identity.like(A) - A.H @ A + B - B.H
    return Affine(Identity.like(A) - W, torch.randn(batch, n), claim=m)
