"""Linear operators: one kind a file, and the algebra that keeps their structure."""

from monops.linear.base import LinearOperator
from monops.linear.callable import FromCallable
from monops.linear.circulant import Circulant
from monops.linear.convolution import CircularConv
from monops.linear.dense import Dense
from monops.linear.diagonal import Diagonal
from monops.linear.factored import Factored
from monops.linear.identity import Identity, Zero
from monops.linear.krylov import Krylov
from monops.linear.lazy import Composed, Scaled, Sum
from monops.linear.scipy import FromScipy

__all__ = [
    "Circulant",
    "CircularConv",
    "Composed",
    "Dense",
    "Diagonal",
    "Factored",
    "FromCallable",
    "FromScipy",
    "Identity",
    "Krylov",
    "LinearOperator",
    "Scaled",
    "Sum",
    "Zero",
]
