"""The convolutional networks of the paper, and the bare kernels that their steps are compared with."""

from collections.abc import Callable

import torch

from monops.nn import MonotoneConv, MonotoneMultiTier

BATCH = 128
LAYERS: dict[str, Callable[[], MonotoneConv | MonotoneMultiTier]] = {
    "81 channels, CIFAR-10": lambda: MonotoneConv(3, 81, (32, 32)),
    "54 channels, MNIST": lambda: MonotoneConv(1, 54, (28, 28)),
    "tiers (16, 32, 60), CIFAR-10": lambda: MonotoneMultiTier(3, (16, 32, 60), (32, 32)),
    "tiers (16, 32, 32), MNIST": lambda: MonotoneMultiTier(1, (16, 32, 32), (28, 28)),
}


def inputs(layer: MonotoneConv | MonotoneMultiTier, batch: int = BATCH) -> torch.Tensor:
    """Random images for a layer."""
    size = layer.size if isinstance(layer, MonotoneConv) else layer.images[0]
    return torch.randn(batch, layer.inputs, *size)


def states(layer: MonotoneConv | MonotoneMultiTier) -> list[tuple[int, ...]]:
    """The shape (channels, *grid) of each tier."""
    return [(layer.channels, *layer.grid)] if isinstance(layer, MonotoneConv) else list(layer.space.shapes)


def bare_step(shapes: list[tuple[int, ...]], batch: int = BATCH) -> Callable[[], None]:
    """The bare FFT step: a real FFT, three real products of channels, an inverse FFT and a clamp, for each tier.

    Each goes into an array that is there already; nothing is permuted, so the numbers make no sense.
    """
    runs = [_bare(shape, batch) for shape in shapes]

    def step() -> None:
        for run in runs:
            run()

    return step


def _bare(shape: tuple[int, ...], batch: int) -> Callable[[], None]:
    channels, height, width = shape
    frequencies = height * (width // 2 + 1)
    x = torch.randn(batch, channels, height, width)
    spectrum = torch.fft.rfft2(x)
    matrix = torch.randn(frequencies, channels, channels)
    sources = [torch.randn(frequencies, channels, batch) for _ in range(3)]
    targets = [torch.empty_like(source) for source in sources]
    back, clamped = torch.empty_like(x), torch.empty_like(x)

    def run() -> None:
        torch.fft.rfft2(x, out=spectrum)
        for source, target in zip(sources, targets, strict=True):
            torch.bmm(matrix, source, out=target)
        torch.fft.irfft2(spectrum, s=(height, width), out=back)
        torch.clamp(back, min=0, out=clamped)

    return run
