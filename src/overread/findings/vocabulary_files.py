"""Vocabularies from TOML: one that ships with the package, a file, a `[findings]` section, the record of a run."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from overread import limits, regular
from overread.errors import InputError, did_you_mean
from overread.findings.vocabularies import Finding, Vocabulary

DEFAULT = "chest"
_NAME = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Words that tables use for no finding, or for no restriction to one.
_TAKEN = ("all", "na", "nan", "none", "null")
_KEYS = ("title", "code", "parents", "synonyms")
_SECTION = ("vocabulary", "extra")
_UNWRITABLE = re.compile("[\x00-\x1f\x7f\\ud800-\\udfff]")
_LONGEST = 200  # characters of a title, code or synonym, which stand in headings and tables
_EXTENDED = ", extended"  # behind the name of a vocabulary to which findings were added
_MOST = 2000  # findings: each is an analysis of its own


def load(vocabulary: Path | str = DEFAULT) -> Vocabulary:
    """The vocabulary of that name that ships with the package ("chest"), or that of a TOML file.

    Parameters
    ----------
    vocabulary : Path or str
        A name, or a path: a text with a slash or the ending .toml is a path.

    Returns
    -------
    Vocabulary

    Raises
    ------
    InputError
        No such name or file, or every problem of the file at once: unknown keys, names that are not in canonical form,
        parents that are not there or run in a circle, a word that means two findings.

    Examples
    --------
    >>> load("chest").names()[:2]
    ('no_finding', 'atelectasis')
    """
    if isinstance(vocabulary, str) and not vocabulary.endswith(".toml") and not {"/", os.sep} & set(vocabulary):
        return _packaged(vocabulary)
    path = Path(vocabulary)
    return _checked(path.name.removesuffix(".toml"), _entries(_table(_text(path), path), path), path)


def stated(section: Mapping[str, Any], where: object, *, folder: Path | str = "") -> Vocabulary:
    """The vocabulary that a `[findings]` section states: one by name or path, and findings of the user's own.

    Parameters
    ----------
    section : mapping
        `vocabulary`, a name or a path ("chest"), and `extra`, findings by name with title, code, parents, synonyms.
    where : object
        The file and section, for messages.
    folder : Path or str
        The folder that the path of a vocabulary is relative to: that of the file which holds the section.

    Raises
    ------
    InputError
        Whatever is wrong with the section or the file that it names.
    """
    if not isinstance(section, Mapping):
        raise InputError(where, "a section of keys and values", f"{section!r:.80}")
    problems = [
        InputError(where, "keys " + ", ".join(_SECTION), f"'{k}'", do=did_you_mean(str(k), _SECTION))
        for k in section
        if k not in _SECTION
    ]
    named = section.get("vocabulary", DEFAULT)
    if not isinstance(named, str) or not named:
        problems.append(InputError(where, "vocabulary: a name such as 'chest', or a path", f"{named!r:.80}"))
    if problems:
        raise InputError.all(problems)
    is_path = named.endswith(".toml") or "/" in named or os.sep in named
    base = load(Path(folder) / named if is_path else named)
    return extended(base, section.get("extra", {}), f"{where}, extra")


def extended(base: Vocabulary, entries: Mapping[str, Any], where: object) -> Vocabulary:
    """A vocabulary with further findings behind its own; without entries the vocabulary itself.

    Parameters
    ----------
    base : Vocabulary
        The vocabulary that is extended.
    entries : mapping
        Findings by name, each with title, and optionally code, parents and synonyms, as in a TOML file.
    where : object
        The file and section, for messages.

    Raises
    ------
    InputError
        A finding that the vocabulary has, or whatever is wrong with an entry.
    """
    extra = _entries(entries, where)
    if not extra:
        return base
    problems = []
    for name in sorted({f.name for f in extra} & set(base.names())):
        expected = f"names that the vocabulary '{base.name}' does not have"
        problems.append(InputError(where, expected, f"'{name}'", do="Leave it out, or choose another name."))
    if problems:
        raise InputError.all(problems)
    name = base.name.removesuffix(_EXTENDED) + _EXTENDED
    return _checked(name, [*base.findings, *extra], where)


def entries_of_file(path: Path) -> dict[str, Any]:
    """The findings that a TOML file states: its section [findings.extra], or every table of the file.

    Raises
    ------
    InputError
        No file, or one that is not TOML.
    """
    table = _table(_text(path), path)
    section = table.get("findings")
    if isinstance(section, Mapping) and "title" not in section:
        table = section.get("extra", {})
    if not table:
        raise InputError(path, "findings by name, each with its title, or a section [findings.extra]", "none")
    return dict(table)


def record_of(vocabulary: Vocabulary, *, full: bool = False) -> dict[str, Any]:
    """What a run or a model records of a vocabulary: name and hash, and the findings where they are needed.

    Parameters
    ----------
    vocabulary : Vocabulary
        The vocabulary that was used.
    full : bool
        Whether the findings are recorded also where they are those of the package, as models do: a later version of
        the package may define a finding otherwise.

    Returns
    -------
    dict
        `name`, `hash` and, unless the package has them, `findings` by name, as JSON can say it.
    """
    record: dict[str, Any] = {"name": vocabulary.name, "hash": vocabulary.hash}
    if not full and vocabulary.name in _names() and _packaged(vocabulary.name).hash == vocabulary.hash:
        return record
    entries = {
        f.name: {
            "title": f.title,
            "code": f.code,
            "parents": list(f.parents),
            "synonyms": {source: list(words) for source, words in f.synonyms.items()},
        }
        for f in vocabulary.findings
    }
    return record | {"findings": entries}


def recorded(record: Mapping[str, Any] | None, where: object) -> Vocabulary:
    """The vocabulary that a run or a model recorded, see `record_of`; one that recorded none used "chest".

    Parameters
    ----------
    record : mapping, optional
        What was recorded.
    where : object
        The file that holds it, for messages.

    Returns
    -------
    Vocabulary

    Raises
    ------
    InputError
        The record is none, was altered, or names a vocabulary that the package does not have.
    """
    if record is None:
        return load(DEFAULT)
    name = record.get("name") if isinstance(record, Mapping) else None
    if not isinstance(name, str):
        raise InputError(where, "a vocabulary's name and hash", f"{record!r:.80}")
    if "findings" not in record:
        return _packaged(name)
    vocabulary = _checked(name, _entries(record["findings"], where), where)
    if record.get("hash") != vocabulary.hash:
        do = "Copy the folder again, or do the work again."
        raise InputError(where, f"the vocabulary '{name}' as it was recorded", "findings that were changed", do=do)
    return vocabulary


@cache
def _packaged(name: str) -> Vocabulary:
    if name not in _names():
        expected = f"{' or '.join(_names())}, or the path of a TOML file"
        raise InputError("findings.vocabulary", expected, f"'{name}'", do=did_you_mean(name, _names()))
    file = resources.files(__package__) / f"{name}.toml"
    return _checked(name, _entries(_table(file.read_text(encoding="utf-8"), file), file), file)


@cache
def _names() -> tuple[str, ...]:
    """The names of the vocabularies that ship with the package."""
    files = (f.name for f in resources.files(__package__).iterdir())
    return tuple(sorted(f.removesuffix(".toml") for f in files if f.endswith(".toml")))


def _text(path: Path) -> str:
    expected = "a vocabulary (TOML)"
    try:
        if not regular.kind(path) and not path.is_file():
            raise InputError(path, expected, "no file there", do="Check the path.")
        return regular.content(path, most=limits.DOCUMENT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(path, f"{expected} in UTF-8", "bytes that are not", do="Save it as UTF-8.") from error
    except OSError as error:
        raise InputError(path, expected, f"a file that cannot be read ({error.strerror})") from error


def _table(text: str, where: object) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise InputError(where, "TOML nested in at most 64 levels", "more") from error
    except ValueError as error:  # a name that stands twice is one
        raise InputError(where, "TOML", str(error)) from error


def _entries(table: Any, where: object) -> list[Finding]:
    """The findings of a table, every wrong key and value reported."""
    if not isinstance(table, Mapping):
        raise InputError(where, "findings by name, each with its title", f"{table!r:.80}")
    if len(table) > _MOST:
        raise InputError(where, f"at most {_MOST:,} findings", f"{len(table):,}")
    problems = [p for name, entry in table.items() for p in _entry_problems(name, entry, where)]
    if problems:
        raise InputError.all(problems[:20])
    return [_finding(name, entry) for name, entry in table.items()]


def _finding(name: str, entry: Mapping[str, Any]) -> Finding:
    given = entry.get("synonyms", {})
    by_source = given if isinstance(given, Mapping) else {"": given}
    return Finding(
        name,
        entry["title"],
        entry.get("code", ""),
        tuple(entry.get("parents", ())),
        {source: tuple(words) for source, words in by_source.items()},
    )


def _entry_problems(name: Any, entry: Any, where: object) -> Iterator[InputError]:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN or len(name) > _LONGEST:
        expected = "names of lower case letters, digits and single underscores, such as aortic_enlargement"
        yield InputError(where, expected, f"{name!r:.80}", do=_canonical(str(name)))
    place = f"{where}, {name!s:.80}"
    if not isinstance(entry, Mapping):
        yield InputError(place, 'a finding, such as { title = "Aortic enlargement" }', f"{entry!r:.80}")
        return
    for key in entry:
        if key not in _KEYS:
            yield InputError(place, "keys " + ", ".join(_KEYS), f"'{key!s:.80}'", do=did_you_mean(str(key), _KEYS))
    if "title" not in entry:
        yield InputError(place, "a key 'title'", f"keys {', '.join(map(str, entry)) or '(none)'}")
    elif not _is_word(entry["title"]):
        yield InputError(place, "title: a text", f"{entry['title']!r:.80}")
    if entry.get("code", "") != "" and not _is_word(entry["code"]):
        yield InputError(place, "code: a text, '' where there is none", f"{entry['code']!r:.80}")
    if not _are_words(entry.get("parents", ())):
        yield InputError(place, "parents: a list of names", f"{entry['parents']!r:.80}")
    synonyms = entry.get("synonyms", {})
    lists = synonyms.values() if isinstance(synonyms, Mapping) else [synonyms]
    if not all(_are_words(words) for words in lists):
        expected = 'synonyms: a list of words, or such lists by source, { chexpert = ["Lung Opacity"] }'
        yield InputError(place, expected, f"{synonyms!r:.80}")


def _canonical(name: str) -> str:
    """What the name is in canonical form, where it has one."""
    near = "_".join(re.findall("[a-z0-9]+", name.casefold()))
    return f"Write {near}." if _NAME.fullmatch(near) and near not in (*_TAKEN, name) else ""


def _is_word(value: Any) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST
        and value == value.strip()
        and not _UNWRITABLE.search(value)
    )


def _are_words(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_is_word(v) for v in value)


def _checked(name: str, entries: list[Finding], where: object) -> Vocabulary:
    """The vocabulary of these findings, their parents and words compared with each other."""
    if not entries:
        raise InputError(where, "at least one finding", "none")
    problems = [*_parent_problems(entries, where), *_word_problems(entries, where)]
    if problems:
        raise InputError.all(problems[:20])
    return Vocabulary(name, tuple(entries))


def _parent_problems(entries: list[Finding], where: object) -> list[InputError]:
    parents = {f.name: f.parents for f in entries}
    problems = [
        InputError(f"{where}, {f.name}", "parents of the vocabulary", f"'{p}'", do=did_you_mean(p, parents))
        for f in entries
        for p in f.parents
        if p not in parents
    ]
    problems += [
        InputError(f"{where}, {f.name}", "each parent once", "a repeat", examples=f.parents)
        for f in entries
        if len(set(f.parents)) < len(f.parents)
    ]
    circle = [] if problems else _circle(parents)
    if circle:
        problems.append(InputError(where, "parents that run in no circle", " -> ".join(circle)))
    return problems


def _circle(parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Findings of which each has the next as a parent and the last is the first; [] where there is no such circle."""
    left = dict(parents)
    while ends := [name for name, above in left.items() if not any(p in left for p in above)]:
        for name in ends:
            del left[name]
    if not left:
        return []
    path = [next(iter(left))]
    while path[-1] not in path[:-1]:
        path.append(next(p for p in left[path[-1]] if p in left))
    return path[path.index(path[-1]) :]


def _word_problems(entries: list[Finding], where: object) -> list[InputError]:
    """Words that mean two findings: files name columns without regard to case, spaces and punctuation."""
    meanings: dict[str, dict[str, str]] = {}
    for f in entries:
        for word in f.words:
            plain = "".join(c for c in word.casefold() if c.isalnum())
            meanings.setdefault(plain, {}).setdefault(f.name, word)
    problems = [
        InputError(
            where, "a word that means one finding", f"'{next(iter(found.values()))}' of several", examples=list(found)
        )
        for found in meanings.values()
        if len(found) > 1
    ]
    for f in entries:
        for source, words in f.synonyms.items():
            if len({w.casefold() for w in words}) < len(words):
                place = f"{where}, {f.name}" + (f", {source}" if source else "")
                problems.append(InputError(place, "each synonym once", "a repeat", examples=words))
    return problems
