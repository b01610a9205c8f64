"""The directive `function-table`: every function of the catalogue, as its class documents it.

Formulas stand in the docstrings of the classes and nowhere else. The first sentences of one say what f is and what its
prox is; its section *Source* names where that is from; the facts are asked of the catalogue's instance.
"""

import inspect
import math
import re

from sphinx.util.docutils import SphinxDirective

from monops.functions import Conjugate, Function

COLUMNS = ("class", "function", "proximal map", "facts of the example", "source")
PROX = re.compile(r"(?:; |\. |: )(?=(?:its|the) prox )|(?<=\.) (?=The prox )|\n\n(?=The prox )", re.IGNORECASE)


def described(kind):
    """What a class says of its function, of the prox, and of the source."""
    text = inspect.cleandoc(kind.__doc__)
    summary = re.split(r"\n\n(?=\w+:\n)", text)[0]
    source = re.search(r"^Source:\n((?:[ ]+.*\n?)+)", text, re.MULTILINE)
    function, *proxes = PROX.split(summary, maxsplit=1)
    prox = proxes[0].split("\n\n")[0] if proxes else ""
    return tuple(" ".join(part.split()).rstrip(".") for part in (function.split("\n\n")[0], prox, _group(source)))


def facts(f):
    """What the instance of the catalogue knows of itself."""
    found = ["indicator"] if f.is_indicator else []
    if 0 < f.strong_convexity < math.inf:
        found.append(f"{f.strong_convexity:.3g}-strongly convex")
    if f.smoothness < math.inf:
        found.append(f"gradient {f.smoothness:.3g}-Lipschitz")
    dual = type(f.conjugate())
    if dual is not Conjugate:
        dual = next(kind for kind in dual.__mro__ if not kind.__name__.startswith("_"))
        found.append(f"conjugate `~monops.functions.{dual.__name__}`")
    elif type(f).conjugate_value is not Function.conjugate_value:
        found.append("formula for the conjugate")
    return ", ".join(found)


def rows():
    """One row for each class with an instance in the catalogue."""
    import torch

    from monops.testing import catalogue
    from monops.testing.draw import Draw

    draw = Draw(0, dtype=torch.float64)
    instances = [make().f for make in catalogue.FUNCTIONS.values()]
    instances += [make(draw).f for make in catalogue.JOINT.values()]
    for f in {type(f): f for f in reversed(instances)}.values():
        function, prox, source = described(type(f))
        yield f"`~monops.functions.{type(f).__name__}`", function, prox, facts(f), source


def _group(match):
    return match.group(1) if match else ""


class FunctionTable(SphinxDirective):
    """The table, in alphabetical order."""

    def run(self):
        lines = [".. list-table::", "   :header-rows: 1", "   :class: function-table", ""]
        for row in (COLUMNS, *sorted(rows(), key=lambda row: row[0].lower())):
            for i, cell in enumerate(row):
                lines.append(f"   {'* -' if i == 0 else '  -'} {cell}".rstrip())
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app):
    """Make the directive known to Sphinx."""
    app.add_directive("function-table", FunctionTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
