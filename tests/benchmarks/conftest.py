"""Benchmarks: `pytest tests/benchmarks -s`. They print ratios measured in one run, and assert on results only."""

import statistics
import time
from collections.abc import Callable

import pytest
import torch

Timer = Callable[..., dict[str, float]]


@pytest.fixture
def interleave() -> Timer:
    """Median seconds of some functions, called in turn (A B C A B C …) after a warm-up: drift hits all alike."""

    def run(functions: dict[str, Callable[[], object]], rounds: int = 15) -> dict[str, float]:
        for function in functions.values():
            function()
        seconds: dict[str, list[float]] = {name: [] for name in functions}
        for _ in range(rounds):
            for name, function in functions.items():
                begin = time.perf_counter()
                function()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                seconds[name].append(time.perf_counter() - begin)
        return {name: statistics.median(times) for name, times in seconds.items()}

    return run


@pytest.fixture(autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)
    print()
