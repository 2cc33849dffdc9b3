"""Configuration of the documentation site; `make docs` builds it into docs/_build/html."""

import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).parent
PROJECT = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
sys.path[:0] = [str(DOCS / "_extensions"), str(DOCS.parent / "src")]

project = PROJECT["name"]
author = PROJECT["authors"][0]["name"]
copyright = author  # the name that Sphinx gives this setting
version = release = PROJECT["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.doctest",
    "api_pages",
    "notebook_pages",
    "repository_links",
]
exclude_patterns = ["_build", "_extensions"]
nitpicky = True
# Types of other packages have no page here, and a name in single backticks need not be an object of this package.
nitpick_ignore_regex = [("py:(class|obj|data|exc)", "(?s).*")]
suppress_warnings = ["ref.python"]  # "shape (n_cases,)" in a type is no reference to the fields of that name
default_role = "py:obj"

repository_url = PROJECT["urls"]["Repository"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_mock_imports = ["torch", "lightning", "lightning_fabric", "safetensors", "timm"]  # a machine for documentation
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give type, shape and unit
napoleon_google_docstring = False
napoleon_use_param = napoleon_use_rtype = False  # as fields, words of a description would become references

html_theme = "pydata_sphinx_theme"
html_title = f"overread {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_domain_indices = False  # the sidebar lists the modules
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "icon_links": [{"name": "Source", "url": repository_url, "icon": "fa-brands fa-github"}],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
