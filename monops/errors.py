"""Every error and warning that monops raises, so that one ``except MonopsError`` catches them all."""


class MonopsError(Exception):
    """Base of all errors raised by monops: the message names what was got and what was wanted."""


class ShapeError(MonopsError, ValueError):
    """An array's trailing axes, or the spaces of two operators, do not fit."""


class DTypeError(MonopsError, TypeError):
    """An array or operator has another dtype, or another array library, than was wanted."""


class DeviceError(MonopsError, ValueError):
    """An array or operator lives on another device than was wanted."""


class OptionError(MonopsError, ValueError):
    """An option has a value outside its admissible range, or an unknown name was given."""


class StepSizeError(OptionError):
    """A step size at which convergence is not proven (or which makes no sense, such as ≤ 0)."""


class ConditionError(MonopsError):
    """The operators lack a property without which the method does not apply; the message says which."""


class SingularError(MonopsError, ArithmeticError):
    """An inverse was asked for that does not exist to working precision."""


class NotSingleValuedError(MonopsError):
    """A value, gradient or derivative was asked of an operator that has none there."""


class NoResolventError(MonopsError):
    """A resolvent was asked of an operator for which none can be computed."""


class NonFiniteError(MonopsError, ArithmeticError):
    """A NaN or infinity turned up in the data or in an iterate."""


class NotConvergedError(MonopsError, ArithmeticError):
    """An inner solver (a Krylov resolvent, say) did not reach its tolerance."""


class DerivativeError(MonopsError):
    """A derivative was asked for in a way in which it would come out wrong."""


class DataError(MonopsError, ValueError):
    """A data file is missing, truncated or not of the expected format."""


class CheckpointError(MonopsError, ValueError):
    """A checkpoint cannot be read, or belongs to another model or run."""


class MonopsWarning(UserWarning):
    """Base of all warnings issued by monops."""


class ConvergenceWarning(MonopsWarning):
    """A solve ended without reaching its tolerance."""


class RateWarning(MonopsWarning):
    """A solve contracted more slowly than is proven, which shows a wrong adjoint or a wrong constant."""
