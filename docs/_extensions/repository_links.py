"""Links between Markdown files of the repository, as they work on the site.

The pages are read in the repository as well as on the site. A link that leaves docs/ leads to the page that includes
the file, where there is one, and otherwise to the file in the public repository. A link to a file that does not exist
is a warning.
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

# Files of the root that are pages of the site: docs/project/NAME.md includes them.
PAGES = {"CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing", "SECURITY.md": "security"}

_FENCE = re.compile(r"(^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)`*$)", flags=re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?![a-z]+:|#|/)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_LOGGER = logging.getLogger(__name__)


def site_links(text: str, *, folder: Path, docs: Path, repository: str) -> str:
    """Rewrite the relative links of a Markdown text.

    Parameters
    ----------
    text : str
        The content of a Markdown file.
    folder : Path
        The folder of that file, from which its links start.
    docs : Path
        The source folder of the site.
    repository : str
        URL of the public repository.

    Returns
    -------
    str
        The text; code blocks are unchanged.
    """

    def rewritten(match: re.Match[str]) -> str:
        target, anchor = Path(os.path.normpath(folder / match["path"])), match["anchor"] or ""
        if not target.exists():
            _LOGGER.warning("no file for the link %s", match["path"], location=str(folder))
        if target.is_relative_to(docs):
            return f"](/{target.relative_to(docs).as_posix()}{anchor})"
        path = target.relative_to(docs.parent).as_posix()
        if path in PAGES:
            return f"](/project/{PAGES[path]}.md{anchor})"
        return f"]({repository}/{'tree' if target.is_dir() else 'blob'}/main/{path}{anchor})"

    parts = _FENCE.split(text)
    # The pattern has two groups: each match yields the text before it, the code block and its fence.
    prose, blocks = parts[0::3], [*parts[1::3], ""]
    return "".join(_LINK.sub(rewritten, words) + block for words, block in zip(prose, blocks, strict=True))


def _read(app: Sphinx, name: str, content: list[str]) -> None:
    folder = Path(app.env.doc2path(name)).parent
    content[0] = site_links(content[0], folder=folder, docs=Path(app.srcdir), repository=app.config.repository_url)


def _include(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    folder = Path(os.path.normpath(Path(app.srcdir) / path)).parent
    content[0] = site_links(content[0], folder=folder, docs=Path(app.srcdir), repository=app.config.repository_url)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_config_value("repository_url", "", "env", types=(str,))
    app.connect("source-read", _read)
    app.connect("include-read", _include)
    return {"parallel_read_safe": True}
