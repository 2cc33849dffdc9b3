"""Pages of the site from the notebooks: docs/notebooks/NAME.md is written from notebooks/NAME.ipynb.

A notebook is shown with the outputs that are stored in it and is never executed here; the tests execute it.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repository_links import site_links
from sphinx.application import Sphinx

FOLDER = "notebooks"


def notebook_page(notebook: Mapping[str, Any], name: str) -> tuple[str, dict[str, bytes]]:
    """The Markdown of a notebook, and the pictures among its outputs by file name.

    Parameters
    ----------
    notebook : mapping
        The content of an .ipynb file (nbformat 4).
    name : str
        The name of the notebook, with which the names of its pictures begin.
    """
    blocks: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(text)
        elif cell["cell_type"] == "code" and text.strip():
            blocks.append(_fenced(text, "python"))
            for output in cell.get("outputs", ()):
                blocks += _output(output, name, pictures)
    return "\n\n".join(blocks) + "\n", pictures


def _output(output: Mapping[str, Any], name: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """The Markdown of one output: a picture where it has one, else its text."""
    data = output.get("data", {})
    if "image/png" in data:
        file = f"{name}-{len(pictures) + 1}.png"
        pictures[file] = base64.b64decode("".join(data["image/png"]))
        yield f"![Output of the cell above]({file})"
    elif text := "".join(data.get("text/plain", output.get("text", ""))):
        yield _fenced(text, "text")


def _fenced(text: str, language: str) -> str:
    """A code block whose fence is longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _write(app: Sphinx) -> None:
    docs = Path(app.srcdir)
    folder = docs / FOLDER
    folder.mkdir(exist_ok=True)
    wanted: dict[str, bytes] = {}
    for path in sorted((docs.parent / "notebooks").glob("*.ipynb")):
        text, pictures = notebook_page(json.loads(path.read_text()), path.stem)
        text = site_links(text, folder=path.parent, docs=docs, repository=app.config.repository_url)
        wanted |= {f"{path.stem}.md": text.encode()} | pictures
    for old in folder.iterdir():
        if old.name not in wanted:
            old.unlink()
    for name, content in wanted.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != content:
            (folder / name).write_bytes(content)


def _leave_out(app: Sphinx, name: str, content: list[str]) -> None:
    """Remove the entry of the notebooks from a table of contents where there are none: Sphinx would warn of it."""
    if not any((Path(app.srcdir) / FOLDER).glob("*.md")):
        content[0] = content[0].replace(f"../{FOLDER}/*\n", "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", _write, priority=100)
    app.connect("source-read", _leave_out)
    return {"parallel_read_safe": True}
