"""Classes of other people that a base class calls: their methods have to take what it gives them."""

from __future__ import annotations

import inspect
from types import FunctionType

from monops.errors import OptionError


def require_signatures(kind: type, **called: tuple[str, ...]) -> None:
    """Raise an `OptionError` unless methods that `kind` itself defines can be called with arguments of these names."""
    for name, arguments in called.items():
        method = kind.__dict__.get(name)
        if not isinstance(method, FunctionType):
            continue
        signature = inspect.signature(method)
        try:
            signature.bind(None, *arguments)
        except TypeError as error:
            wanted = ", ".join(("self", *arguments))
            raise OptionError(
                f"{kind.__name__}.{name} is called as {name}({wanted}), so that is what it has to take, got "
                f"{name}{signature}"
            ) from error
