"""The battery: the laws of operators, functions and splitting methods, for those that people write themselves.

Each function takes one thing, tries it on random data, and raises `BrokenLaw` (an `AssertionError`) where a law does
not hold: call them from a test. `monops.verify` compares the package's own things with the independent reference.
"""

from monops.testing.functions import check_function
from monops.testing.laws import BrokenLaw
from monops.testing.linear import check_linear_operator
from monops.testing.monotone import check_monotone_operator
from monops.testing.splitting import check_splitting_method

__all__ = [
    "BrokenLaw",
    "check_function",
    "check_linear_operator",
    "check_monotone_operator",
    "check_splitting_method",
]
