"""How the documentation is built, without a network: `python -m sphinx docs docs/_build/html`."""

import re
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for check_offline and functions_table

from check_offline import outside_references
from sphinx.errors import SphinxError

project = "monops"
author = "monops contributors"
copyright = author
version = release = metadata.version("monops")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "myst_nb",
    "functions_table",
]
exclude_patterns = ["_build", "**/jupyter_execute", "**/.ipynb_checkpoints"]

# -- API pages: Google docstrings, in the order of the source -------------------------------
autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints = "none"  # arrays are `Any` to a type checker; the docstrings give their shapes
autodoc_inherit_docstrings = False  # a method is explained once, where it is first defined
default_role = "py:obj"  # `Dense` in a docstring links to the class
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Shapes", "returns_style"), "Assumes", "Source"]
add_module_names = False

# -- Text and tutorials: MyST; tutorials and examples (which `docs` links to) run at every build
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_merge_streams = True
nb_execution_mode = "auto"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_ipywidgets_js = {}  # the default links to servers elsewhere

# -- Pages --------------------------------------------------------------------------------
html_theme = "furo"
html_title = f"monops {release}"
html_theme_options = {"navigation_with_keys": True}

# Formulas: MathJax as one file which carries its glyphs with it, so that pages work offline.
_MATHJAX = "sphinx-mathjax-offline"
html_static_path = [str(metadata.distribution(_MATHJAX).locate_file(f"{_MATHJAX}/static/mathjax/tex-svg-full.js"))]
mathjax_path = "tex-svg-full.js"
mathjax3_config = {"options": {"enableMenu": False}}


def _escape_shapes(app, what, name, obj, options, lines):
    """Keep the stars of shapes such as (*batch, *domain) from being read as emphasis."""
    lines[:] = [re.sub(r"(?<![\\*\w])\*(?=\w+[,)])", r"\*", line) for line in lines]


def _skip_fields(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples, which the docstring of the class explains."""
    return True if (getattr(obj, "__doc__", "") or "").startswith("Alias for field") else None


def _check_offline(app, exception):
    """Fail the build if a page would fetch anything from elsewhere."""
    found = [] if exception or app.builder.format != "html" else outside_references(app.outdir)
    if found:
        raise SphinxError("the pages fetch files from elsewhere:\n" + "\n".join(found))


def setup(app):
    app.connect("autodoc-process-docstring", _escape_shapes, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", _skip_fields)
    app.connect("build-finished", _check_offline)
