"""Findings of a study's own in words, as a command line gives them: a title, or a title and its parents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from overread.errors import InputError
from overread.findings.vocabularies import Vocabulary
from overread.findings.vocabulary_files import entries_of_file, extended

_WHERE = "extra findings"


def with_extra_findings(base: Vocabulary, extra: str | Path | Sequence[str | Path]) -> Vocabulary:
    """A vocabulary with findings of a study's own behind those that it has.

    Parameters
    ----------
    base : Vocabulary
        The vocabulary that is extended.
    extra : text, path, or sequence of them
        A title ("Aortic enlargement"); a title and its parents ("Aortic enlargement < enlarged_cardiomediastinum",
        several separated by commas), each by name, title or synonym; or a TOML file (ending .toml) with findings by
        name, or with a section [findings.extra].

    Returns
    -------
    Vocabulary
        The name of a finding is its title in lower case with underscores: "Aortic enlargement" is
        aortic_enlargement. The title is kept as written.

    Raises
    ------
    InputError
        Every problem at once: a finding that the vocabulary has, a title without Latin letters, an unknown parent, the
        same finding given twice, whatever is wrong with a file.

    Examples
    --------
    >>> from overread import findings
    >>> own = with_extra_findings(findings.load("chest"), ["Abnormal", "Calcification < Abnormal"])
    >>> own.names()[-2:], own.finding("calcification").parents
    (('abnormal', 'calcification'), ('abnormal',))
    """
    given = [extra] if isinstance(extra, str | Path) else list(extra)
    entries: dict[str, Any] = {}
    problems: list[InputError] = []
    for item in given:
        try:
            found = entries_of_file(Path(item)) if str(item).endswith(".toml") else _of_words(str(item))
        except InputError as error:
            problems.append(error)
            continue
        problems += [InputError(_WHERE, "each finding once", f"'{name}' again") for name in found if name in entries]
        entries |= found
    problems += _known(entries, base)
    if problems:
        raise InputError.all(problems)
    return extended(base, _with_parents(entries, base), _WHERE)


def _of_words(text: str) -> dict[str, Any]:
    """The entry of "TITLE" or "TITLE < PARENT, PARENT"."""
    title, sign, above = (part.strip() for part in text.partition("<"))
    parents = [p.strip() for p in above.split(",")] if sign else []
    letters = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().casefold()
    name = "_".join(re.findall("[a-z0-9]+", letters))
    if not all(parents) or "<" in above:
        raise InputError(_WHERE, "TITLE, or TITLE < PARENT, PARENT", f"'{text}'")
    if not name[:1].isalpha():
        do = 'State it in a TOML file, as NAME = { title = "..." }.'
        raise InputError(_WHERE, "a title that begins with a Latin letter", f"'{text}'", do=do)
    return {name: {"title": title, "parents": parents}}


def _known(entries: Mapping[str, Any], base: Vocabulary) -> Iterator[InputError]:
    """Findings that the vocabulary has already, by their name or title."""
    meanings = {_plain(word): f.name for f in base.findings for word in f.words}
    for name, entry in entries.items():
        title = entry.get("title", "") if isinstance(entry, Mapping) else ""
        known = meanings.get(_plain(name)) or meanings.get(_plain(str(title)))
        if known:
            expected = f"findings that the vocabulary '{base.name}' does not have"
            yield InputError(_WHERE, expected, f"'{title or name}', which is its '{known}'", do="Leave it out.")


def _with_parents(entries: Mapping[str, Any], base: Vocabulary) -> dict[str, Any]:
    """The entries with parents by name; an unknown parent stays as written, and is refused with the others."""
    own = {_plain(str(word)): n for n, e in entries.items() if isinstance(e, Mapping) for word in (n, e.get("title"))}
    meanings = {_plain(word): f.name for f in base.findings for word in f.words} | own
    whole = {}
    for name, entry in entries.items():
        parents = entry.get("parents") if isinstance(entry, Mapping) else None
        if isinstance(parents, list) and all(isinstance(p, str) for p in parents):
            entry = {**entry, "parents": [meanings.get(_plain(p), p) for p in parents]}
        whole[name] = entry
    return whole


def _plain(word: str) -> str:
    """The letters and digits of a word in lower case, by which files are read as well."""
    return "".join(c for c in word.casefold() if c.isalnum())
