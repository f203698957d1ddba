"""The documentation site: ``sphinx-build -W --keep-going docs build/site``, or ``tox -e docs``."""

from __future__ import annotations

import sys
from typing import Any

from mamlbench import __version__

project = "mamlbench"
author = "The mamlbench maintainers"
copyright = "the mamlbench maintainers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",  # links to the source
    "sphinx_copybutton",
]
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
myst_heading_anchors = 3  # links such as explanation.md#modes-of-evaluation
smartquotes_action = "D"  # dashes only: much of what is quoted is code
suppress_warnings = ["myst.header"]  # the changelog that is shown begins at its second level

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
autodoc_inherit_docstrings = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 100
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"mamlbench {version}"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
pygments_style = "friendly"
pygments_dark_style = "monokai"


def _skip(app: Any, what: str, name: str, *_: object) -> bool | None:
    """Leave out what every options class and every named tuple has."""
    return True if what == "class" and name in {"Options", "__new__"} else None


def _describe(app: Any, what: str, name: str, value: object, options: object, lines: list[str]) -> None:  # noqa: PLR0917
    """Let an attribute of a record or a spec say what its field is described by."""
    module, _, path = name.rpartition(".")
    module, _, cls = module.rpartition(".")
    fields = getattr(getattr(sys.modules.get(module), cls, None), "model_fields", {})
    if what == "attribute" and path in fields and fields[path].description and not "".join(lines).strip():
        lines[:] = [fields[path].description, ""]


def setup(app: Any) -> None:
    """Called by sphinx."""
    app.connect("autodoc-process-docstring", _describe)
    app.connect("autodoc-skip-member", _skip)
