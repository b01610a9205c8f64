"""The paper's convolutional operators as explicit matrices, and gradients back to their parameters.

One tier is the single convolution. The formula M = m I + AᵀA - B + Bᵀ is evaluated as it stands, with the full block
matrices A and B, whatever cancels in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from monops.reference.convolution import Shape, circular, embedding, kernel_gradient, zero_padded

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Tiers:
    """Kernels and scales, and the grids on which they act.

    Attributes:
        A, B: kernels (c, c, *kernel), one a tier.
        down: kernels (c of the next tier, c of this one, *kernel), one fewer.
        g, g_down, h: their scales: A = √|g| W / ‖W‖, down likewise, B = h W / ‖W‖.
        U: kernel (c of the first tier, inputs, *kernel) of the input, zero-padded.
        bias: of the first tier, or None.
        m: the strong monotonicity.
        grids: the periodic grid of each tier.
        images: the part of each grid, from the kernel's reach on, that is not kept at zero.
        stride: from tier to tier.
    """

    A: Arrays
    B: Arrays
    down: Arrays
    g: np.ndarray
    g_down: np.ndarray
    h: np.ndarray
    U: np.ndarray
    bias: np.ndarray | None
    m: float
    grids: list[Shape]
    images: list[Shape]
    stride: Shape

    @property
    def shapes(self) -> list[Shape]:
        """The shape of each tier's state."""
        return [(len(w), *grid) for w, grid in zip(self.A, self.grids, strict=True)]

    @property
    def slices(self) -> list[slice]:
        """Where each tier stands in a flat state."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes]).tolist()
        return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    @property
    def reach(self) -> Shape:
        """How far the kernels reach."""
        return tuple(k // 2 for k in self.U.shape[2:])

    def frame(self, tier: int) -> sparse.csr_array:
        """The matrix from a tier's image to its grid."""
        channels, *grid = self.shapes[tier]
        return embedding((channels, *grid), (channels, *self.images[tier]), (0, *self.reach))

    @property
    def free(self) -> np.ndarray:
        """Which entries of a flat state are not kept at zero."""
        return np.concatenate([self.frame(i).sum(axis=1) > 0 for i in range(len(self.A))])

    def embed(self, tier: int) -> sparse.csr_array:
        """The matrix from the sampled grid of a tier to the grid of the next."""
        channels = len(self.A[tier + 1])
        sampled = tuple(n // s for n, s in zip(self.grids[tier], self.stride, strict=True))
        start = tuple(r - -(-r // s) for r, s in zip(self.reach, self.stride, strict=True))
        return embedding((channels, *self.grids[tier + 1]), (channels, *sampled), (0, *start))

    @cached_property
    def blocks(self) -> tuple[list[sparse.csr_array], list[sparse.csr_array], list[sparse.csr_array]]:
        """The matrices A_ii, A_{i+1,i} and B_ii."""
        roots, downs = np.sqrt(np.abs(self.g)), np.sqrt(np.abs(self.g_down))
        A = [circular(s * _unit(w), n) for w, s, n in zip(self.A, roots, self.grids, strict=True)]
        B = [circular(s * _unit(w), n) for w, s, n in zip(self.B, self.h, self.grids, strict=True)]
        down = [
            sparse.csr_array(self.embed(i) @ circular(s * _unit(w), self.grids[i], self.stride))
            for i, (w, s) in enumerate(zip(self.down, downs, strict=True))
        ]
        return A, down, B

    def full(self) -> tuple[np.ndarray, np.ndarray]:
        """The block matrices A and B."""
        diagonal, down, B_diagonal = ([block.toarray() for block in blocks] for blocks in self.blocks)
        at, size = self.slices, self.slices[-1].stop
        A, B = np.zeros((size, size)), np.zeros((size, size))
        for i in range(len(diagonal)):
            A[at[i], at[i]], B[at[i], at[i]] = diagonal[i], B_diagonal[i]
        for i, D in enumerate(down):
            A[at[i + 1], at[i]] = D
            B[at[i + 1], at[i]] = -diagonal[i + 1].T @ D
        return A, B

    def matrix(self) -> np.ndarray:
        """M = I - W on flat states, the tiers flattened one after the other."""
        A, B = self.full()
        return self.m * np.eye(len(A)) + A.T @ A - B + B.T

    def apply(self, z: np.ndarray) -> np.ndarray:
        """M z on flat states, by products with the sparse blocks of A and B. Shapes: z (batch, size of a state)."""
        diagonal, down, B = self.blocks
        parts = [z[:, at].T for at in self.slices]
        of_A = [block @ part for block, part in zip(diagonal, parts, strict=True)]
        rows = [self.m * part for part in parts]
        for i, D in enumerate(down):
            coupled = D @ parts[i]
            of_A[i + 1] = of_A[i + 1] + coupled
            # B_{i+1,i} = -A_{i+1,i+1}ᵀ D, and its transpose in the row above.
            rows[i + 1] = rows[i + 1] + diagonal[i + 1].T @ coupled
            rows[i] = rows[i] - D.T @ (diagonal[i + 1] @ parts[i + 1])
        for i, block in enumerate(diagonal):
            rows[i] = rows[i] + block.T @ of_A[i] - B[i] @ parts[i] + B[i].T @ parts[i]
            if i < len(down):
                rows[i] = rows[i] + down[i].T @ of_A[i + 1]
        return np.concatenate(rows).T

    def inject(self, x: np.ndarray) -> np.ndarray:
        """U x + bias on flat states. Shapes: (batch, inputs, *size) → (batch, size of a state)."""
        y = (zero_padded(self.U, self.images[0]) @ x.reshape(len(x), -1).T).T
        if self.bias is not None:
            y = y + np.repeat(self.bias, np.prod(self.images[0]))
        state = np.zeros((len(x), self.slices[-1].stop))
        state[:, self.slices[0]] = (self.frame(0) @ y.T).T
        return state

    def gradients(self, x: np.ndarray, G: np.ndarray, g_b: np.ndarray) -> Mapping[str, np.ndarray | Arrays]:
        """Gradients in all parameters, from G in the matrix M and g_b in U x + bias."""
        diagonal, down, _ = self.blocks
        A, _ = self.full()
        at = self.slices
        of_A, of_B = A @ (G + G.T), G.T - G
        parts: dict[str, Arrays] = {name: [] for name in ("A", "B", "down", "g", "g_down", "h")}
        for i, w in enumerate(self.A):
            gradient = of_A[at[i], at[i]]
            if i > 0:  # B_{i,i-1} = -A_iiᵀ A_{i,i-1}
                gradient = gradient - down[i - 1] @ of_B[at[i], at[i - 1]].T
            kernel, scale = _of_normalised(kernel_gradient(gradient, w.shape, self.grids[i]), w, self.g[i])
            parts["A"].append(kernel)
            parts["g"].append(scale)
            kernel = kernel_gradient(of_B[at[i], at[i]], self.B[i].shape, self.grids[i])
            unit, norm = _unit(self.B[i]), np.linalg.norm(self.B[i]) or 1.0
            parts["h"].append(np.sum(kernel * unit))
            parts["B"].append(self.h[i] / norm * (kernel - unit * np.sum(kernel * unit)))
        for i, w in enumerate(self.down):
            gradient = of_A[at[i + 1], at[i]] - diagonal[i + 1] @ of_B[at[i + 1], at[i]]
            sampled = self.embed(i).T @ gradient
            kernel = kernel_gradient(sampled, w.shape, self.grids[i], self.stride)
            kernel, scale = _of_normalised(kernel, w, self.g_down[i])
            parts["down"].append(kernel)
            parts["g_down"].append(scale)
        on_image = g_b[:, at[0]] @ self.frame(0)
        return {
            "A": parts["A"],
            "B": parts["B"],
            "down": parts["down"],
            "g": np.array(parts["g"]),
            "g_down": np.array(parts["g_down"]),
            "h": np.array(parts["h"]),
            "U": self._of_input(x, on_image),
            "bias": on_image.reshape(len(x), len(self.U), -1).sum((0, 2)),
        }

    def _of_input(self, x: np.ndarray, on_image: np.ndarray) -> np.ndarray:
        """The gradient in U, by the same padding to a larger grid as in `zero_padded`."""
        size, (outputs, inputs, *kernel) = self.images[0], self.U.shape
        grid = tuple(n + k for n, k in zip(size, kernel, strict=True))
        zeros = (0,) * len(size)
        out, into = (embedding((c, *grid), (c, *size), (0, *zeros)) for c in (outputs, inputs))
        G = (out @ on_image.T) @ (into @ x.reshape(len(x), -1).T).T
        return kernel_gradient(np.asarray(G), self.U.shape, grid)


def _unit(weight: np.ndarray) -> np.ndarray:
    """The kernel with norm 1; zero, by convention, of a kernel of zeros."""
    return weight / (np.linalg.norm(weight) or 1.0)


def _of_normalised(gradient: np.ndarray, weight: np.ndarray, g: float) -> tuple[np.ndarray, np.ndarray]:
    """The gradients in W and in g, from that in √|g| W / ‖W‖."""
    unit, root = _unit(weight), np.sqrt(np.abs(g))
    along = np.sum(gradient * unit)
    of_g = along * np.sign(g) / (2 * root) if g != 0 else np.zeros(())  # by convention: √|g| has no derivative at 0
    return root / (np.linalg.norm(weight) or 1.0) * (gradient - unit * along), of_g
