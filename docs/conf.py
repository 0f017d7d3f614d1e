"""
Sphinx: C{sphinx-build docs docs/_build}.
"""

from hermes import __version__

project = "Hermes"
author = "The Hermes authors"
copyright = "2026, " + author
release = version = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "examples"]
myst_heading_anchors = 3
html_theme = "alabaster"
suppress_warnings = ["misc.highlighting_failure"]
