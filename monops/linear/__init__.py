"""Linear operators: one kind a file, and the algebra that keeps their structure."""

from monops.linear.base import LinearOperator
from monops.linear.block import BlockDiagonal, Blocks, BlockTriangular
from monops.linear.callable import FromCallable
from monops.linear.circulant import Circulant
from monops.linear.convolution import CircularConv, padded_grid
from monops.linear.decimated import Decimated, Interpolated
from monops.linear.dense import Dense
from monops.linear.diagonal import Diagonal
from monops.linear.difference import FiniteDifference
from monops.linear.factored import Factored
from monops.linear.gram import CirculantPlusGram
from monops.linear.identity import Identity, Zero
from monops.linear.krylov import Krylov
from monops.linear.lazy import Composed, Scaled, Sum
from monops.linear.restriction import Restriction, ZeroPad
from monops.linear.scipy import FromScipy
from monops.linear.strided import StridedCircularConv
from monops.linear.substitution import BlockSubstitution
from monops.linear.tiers import multi_tier

__all__ = [
    "BlockDiagonal",
    "BlockSubstitution",
    "BlockTriangular",
    "Blocks",
    "Circulant",
    "CirculantPlusGram",
    "CircularConv",
    "Composed",
    "Decimated",
    "Dense",
    "Diagonal",
    "Factored",
    "FiniteDifference",
    "FromCallable",
    "FromScipy",
    "Identity",
    "Interpolated",
    "Krylov",
    "LinearOperator",
    "Restriction",
    "Scaled",
    "StridedCircularConv",
    "Sum",
    "Zero",
    "ZeroPad",
    "multi_tier",
    "padded_grid",
]
