"""The documentation site builds without a warning, needs no network, and has every page two clicks from its start."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GENERATED = {DOCS / "_build", DOCS / "notebooks", DOCS / "reference/api"}
pytestmark = pytest.mark.slow  # the site is built once
INSTALL = "the documentation tools are not installed: pip install 'overread[docs]'"


def _entries(page):
    """The pages that the tables of contents of a page name, generated ones left out."""
    for body in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL):
        for line in filter(None, map(str.strip, body.splitlines())):
            target = match[1] if (match := re.fullmatch(r".*<(.+)>", line)) else line
            if "*" in target:  # the pattern may go up: "../notebooks/*"
                found = (p.resolve() for p in page.parent.glob(f"{target}.md"))
                yield from (p for p in found if not GENERATED & set(p.parents))
            elif not line.startswith(":"):
                yield page.parent / f"{target}.md"


def test_every_page_is_in_a_table_of_contents_two_clicks_from_the_start():
    first = set(_entries(DOCS / "index.md"))
    second = {entry for page in first for entry in _entries(page)}
    pages = {p for p in DOCS.rglob("*.md") if not GENERATED & set(p.parents)}
    assert {DOCS / "index.md"} | first | second == pages


def test_the_tables_of_contents_name_the_generated_pages():
    text = (DOCS / "reference/index.md").read_text() + (DOCS / "tutorial/index.md").read_text()
    assert {"api/*", "../notebooks/*"} <= set(text.splitlines())


class _Page(HTMLParser):
    """What a page refers to: its links, the files that a browser loads for it, and its anchors."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {v for k in ("id", "name") if (v := found.get(k))}
        if tag == "a" and (href := found.get("href")):
            self.links.add(href)
        if tag == "link" and found.get("rel") in ("stylesheet", "preload", "icon", "preconnect", "prefetch"):
            self.loaded.add(found["href"])
        if tag in ("script", "img", "iframe", "source") and (source := found.get("src")):
            self.loaded.add(source)

    def targets(self) -> Iterator[tuple[Path, str]]:
        """File and anchor of every link within the site."""
        for link in self.links:
            parts = urlsplit(link)
            if not parts.scheme:
                path = Path(os.path.normpath(self.path.parent / unquote(parts.path))) if parts.path else self.path
                yield path, unquote(parts.fragment)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site, built from links to this checkout on a machine where torch cannot be imported."""
    pytest.importorskip("sphinx", reason=INSTALL)
    pytest.importorskip("myst_parser", reason=INSTALL)
    pytest.importorskip("pydata_sphinx_theme", reason=INSTALL)
    tree, blocked = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("blocked")
    (blocked / "torch").mkdir()
    (blocked / "torch/__init__.py").write_text("raise ImportError('no torch on this machine')\n")
    for path in ROOT.iterdir():
        if path.is_dir() and path != DOCS:
            (tree / path.name).symlink_to(path)
    sources = [p for p in DOCS.rglob("*") if not GENERATED & set(p.parents) and "__pycache__" not in p.parts]
    for path in [*ROOT.iterdir(), *sources]:
        if path.is_file():
            copy = tree / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    out = tree / "docs/_build/html"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-b", "html", "-n", "-W", "--keep-going", "-q",
         "-d", tree / "docs/_build/doctrees", tree / "docs", out],
        env=os.environ | {"PYTHONPATH": str(blocked)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {path: _Page(path) for path in out.rglob("*.html") if "_static" not in path.parts}


def _out(built):
    return next(path.parent for path in built if path.name == "search.html")


def test_every_link_within_the_site_leads_to_a_page_and_an_anchor(built):
    broken = {
        f"{page.path.name}: {path.name}#{anchor}"
        for page in built.values()
        for path, anchor in page.targets()
        if not path.is_file() or (anchor and path in built and anchor not in built[path].anchors)
    }
    assert broken == set()


def test_every_link_to_the_repository_leads_to_a_file_of_it(built):
    links = {link for page in built.values() for link in page.links}
    paths = {
        m[1] for link in links if (m := re.match(r"https://github\.com/[^/]+/[^/]+/(?:blob|tree)/main/([^#]+)", link))
    }
    assert {"validation/README.md", "protocols/nih-readers.toml"} <= paths
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_the_site_loads_nothing_from_elsewhere(built):
    loaded = {source for page in built.values() for source in page.loaded}
    styles = list(_out(built).rglob("*.css"))
    fetched = {
        m for path in styles for m in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", path.read_text())
    }
    assert loaded
    assert {source for source in loaded if re.match(r"(https?:)?//", source)} == set()
    assert styles
    assert fetched == set()


def test_every_built_page_is_two_clicks_from_the_start(built):
    start = _out(built) / "index.html"
    first = {path for path, _ in built[start].targets()} & built.keys()
    second = {path for page in first for path, _ in built[page].targets()} & built.keys()
    assert built.keys() - {start} - first - second == {_out(built) / "search.html"}  # a field on every page


def test_the_reference_holds_every_function_that_the_statistics_pages_name(built):
    named = set()
    for page in DOCS.glob("reference/statistics-*.md"):
        named |= set(re.findall(r"\| `[a-z_]+\.([a-z_]+)\(", page.read_text()))
    anchors = {anchor.rpartition(".")[2] for page in built.values() for anchor in page.anchors if "." in anchor}
    assert {"auc", "largest_gap", "net_benefit", "mrmc_power"} <= named
    assert named - anchors == set()


def test_the_search_index_holds_the_pages(built):
    index = (_out(built) / "searchindex.js").read_text()
    assert "reference/definitions" in index
    assert "obuchowski" in index


@pytest.fixture
def extensions(monkeypatch):
    """The modules of the site's own extensions."""
    pytest.importorskip("sphinx", reason=INSTALL)
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    return importlib.import_module


def test_a_link_that_leaves_the_documentation_leads_to_a_page_or_to_the_repository(extensions, tmp_path):
    for name in ("docs/reference/tables.md", "CONTRIBUTING.md", "protocols/demo.toml", "benchmarks/roc.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    text = (
        "[a](tables.md#keys) [b](../../CONTRIBUTING.md) [c](../../protocols/demo.toml#L3) [d](../../benchmarks) "
        "[e](https://example.org/x.md) [f](#below)\n\n```text\n[g](../../protocols/demo.toml)\n```\n"
    )
    found = extensions("repository_links").site_links(
        text, folder=tmp_path / "docs/reference", docs=tmp_path / "docs", repository="https://host/us/it"
    )
    assert found == (
        "[a](/reference/tables.md#keys) [b](/project/contributing.md) [c](https://host/us/it/blob/main/protocols/demo.toml"
        "#L3) [d](https://host/us/it/tree/main/benchmarks) [e](https://example.org/x.md) [f](#below)\n\n"
        "```text\n[g](../../protocols/demo.toml)\n```\n"
    )


def test_a_notebook_becomes_a_page_with_its_stored_outputs(extensions):
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# First\n", "look"]},
            {
                "cell_type": "code",
                "source": ["print('```')"],
                "outputs": [
                    {"output_type": "stream", "text": ["done\n"]},
                    {"output_type": "display_data", "data": {"image/png": "aGk=", "text/plain": ["<Figure>"]}},
                ],
            },
        ]
    }
    text, pictures = extensions("notebook_pages").notebook_page(notebook, "first")
    assert text == (
        "# First\nlook\n\n````python\nprint('```')\n````\n\n```text\ndone\n```\n\n"
        "![Output of the cell above](first-1.png)\n"
    )
    assert pictures == {"first-1.png": b"hi"}


def test_public_modules_are_found_under_whatever_name_a_package_has(extensions, tmp_path):
    files = {
        "__init__.py": "",
        "numbers/__init__.py": "",
        "numbers/__init__.pyi": "from . import areas as areas\nfrom .areas import area as area\n",
        "numbers/areas/__init__.py": "",
        "numbers/areas/__init__.pyi": "from .inner import area as area\n",
        "numbers/areas/inner.py": "def area(): ...\n",
        "tables/__init__.py": "from overread.tables.read import read\n__all__ = ['read']\n",
        "tables/read.py": "def read(): ...\n",
        "errors.py": "class InputError(Exception): ...\n",
    }
    for name, text in files.items():
        path = tmp_path / "overread" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    page = tmp_path / "page.md"
    page.write_text("`overread.errors.InputError` and `overread.tables.read`")
    found = extensions("api_pages").public_modules(tmp_path, [page])
    assert [module.name for module in found] == [
        "overread.errors", "overread.numbers", "overread.numbers.areas", "overread.tables",
    ]  # fmt: skip


def test_plain_docstrings_become_restructured_text(extensions):
    restructured = extensions("docstring_text").restructured
    assert restructured(["size: side in pixels", "    of the square", "", "the largest |t| of **options"]) == [
        "size", "    side in pixels", "    of the square", "", r"the largest \|t\| of \*\*options",
    ]  # fmt: skip
    doctest = [">>> a | b", "{1}"]
    assert restructured(doctest) == doctest
