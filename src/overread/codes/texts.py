"""Texts with the codes that they were rendered from."""

from __future__ import annotations

import functools
import json
import re
import string
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

Parameter = str | int | float | tuple[str, ...]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Code:
    """The name of a method or a note, with its parameters.

    Parameters
    ----------
    name : str
        A key of the text files of this package, in lower case with underscores.
    parameters : tuple of pairs of str and str, int, float or tuple of str
        What the text is completed with.

    Examples
    --------
    >>> code = Code("scale_logit_t", (("df", 22.5),))
    >>> str(code), code["df"]
    ('scale_logit_t(df=22.5)', 22.5)
    """

    name: str
    parameters: tuple[tuple[str, Parameter], ...] = ()

    def __str__(self) -> str:
        given = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in self.parameters)
        return f"{self.name}({given})" if given else self.name

    def __getitem__(self, parameter: str) -> Parameter:
        return dict(self.parameters)[parameter]


class Text(str):
    """A text that knows the codes that it was rendered from.

    It is a string, so that it is printed, compared and written as any other; everything derived from it by string
    operations is plain and has no codes. The estimates table takes only texts with codes.
    """

    __slots__ = ("codes",)
    codes: tuple[Code, ...]

    def __new__(cls, text: str = "", codes: tuple[Code, ...] = ()) -> Text:
        """Make a text and give it its codes."""
        self = super().__new__(cls, text)
        self.codes = codes
        return self

    def __reduce__(self) -> tuple[type[Text], tuple[str, tuple[Code, ...]]]:
        return Text, (str(self), self.codes)


NONE = Text()


def method(name: str, **parameters: Parameter) -> Text:
    """Render the text of a method.

    Parameters
    ----------
    name : str
        A key of a file `text/methods*.toml`.
    **parameters : str, int, float or tuple of str
        The values of the placeholders of its text.

    Returns
    -------
    Text

    Raises
    ------
    KeyError
        No such method, or a placeholder without a value: a fault of the program, not of the user.
    """
    return _rendered("methods", Code(name, tuple(parameters.items())))


def note(name: str, **parameters: Parameter) -> Text:
    """Render the text of a note: why something could not be estimated, or what a reader must know about it.

    Parameters
    ----------
    name : str
        A key of a file `text/notes*.toml`.
    **parameters : str, int, float or tuple of str
        The values of the placeholders of its text.

    Returns
    -------
    Text

    Raises
    ------
    KeyError
        No such note, or a placeholder without a value: a fault of the program, not of the user.
    """
    return _rendered("notes", Code(name, tuple(parameters.items())))


def methods(*parts: Text | None) -> Text:
    """Join the parts of a method, with commas: what was computed, how it was clustered, the scale of the interval.

    Examples
    --------
    >>> both = methods(method("wilson"), None)
    >>> both, both.codes
    ('Wilson', (Code(name='wilson', parameters=()),))
    """
    return _joined("methods", ", ", parts)


def notes(*parts: Text | None) -> Text:
    """Join notes with semicolons, each once, in their order."""
    return _joined("notes", "; ", parts)


def encode(text: Text) -> str:
    """The codes of a text as one string, separated by spaces; the columns `method_code` and `note_codes` hold it.

    Raises
    ------
    TypeError
        A text without codes: it was not rendered by `method` or `note`.
    """
    return " ".join(map(str, _codes_of(text))) if text else ""


@functools.lru_cache(maxsize=1 << 14)  # a report reads the same few thousand texts a hundred thousand times
def decode(encoded: str) -> tuple[Code, ...]:
    """The codes in a string that `encode` made.

    Examples
    --------
    >>> decode('wilson one_class(n=7, outcome="absent")')[1]["outcome"]
    'absent'
    """
    found, position = [], 0
    while position < len(encoded):
        name = _NAME.match(encoded, position)
        if name is None:
            raise ValueError(f"not a code at character {position}: {encoded!r}")
        position, parameters = name.end(), []
        while encoded[position : position + 1] in ("(", ","):
            key, _, _ = encoded[position + 1 :].lstrip().partition("=")
            start = encoded.index("=", position) + 1
            value, position = json.JSONDecoder().raw_decode(encoded, start)
            parameters.append((key, tuple(value) if isinstance(value, list) else value))
        position += encoded[position : position + 1] == ")"
        found.append(Code(name.group(), tuple(parameters)))
        position += 1
    return tuple(found)


def render(kind: str, code: Code) -> Text:
    """The text of a code; `kind` is "methods" or "notes"."""
    return _rendered(kind, code)


def pattern(kind: str, codes: Sequence[Code]) -> str:
    """The text of codes of one name; parameters that differ between them are shown as "…".

    Examples
    --------
    >>> pattern("notes", [Code("one_class", (("n", n), ("outcome", "absent"))) for n in (7, 9)])
    'NE: all cases (n = …) had the finding absent'
    """
    first = codes[0]
    shown = {key: value if all(c[key] == value for c in codes) else _DIFFERENT for key, value in first.parameters}
    return _FORMATTER.vformat(_templates(kind)[first.name], (), shown)


def names(kind: str) -> tuple[str, ...]:
    """The names of all methods or notes, in the order of the files."""
    return tuple(_templates(kind))


def fill(text: str, parameters: Mapping[str, Parameter]) -> str:
    """A text with its placeholders filled in.

    Examples
    --------
    >>> fill("{n} {n:plural|site|sites}: {sites:list}", {"n": 1, "sites": ("north",)})
    '1 site: north'
    """
    return _FORMATTER.vformat(text, (), parameters)


def _codes_of(text: Text) -> tuple[Code, ...]:
    if not isinstance(text, Text) or not text.codes:
        raise TypeError(f"a text without codes: {text!r}; render it with codes.method or codes.note")
    return text.codes


def _joined(kind: str, separator: str, parts: Iterable[Text | None]) -> Text:
    unique = tuple(dict.fromkeys(code for part in parts if part for code in _codes_of(part)))
    return Text(separator.join(_rendered(kind, code) for code in unique), unique)


def _rendered(kind: str, code: Code) -> Text:
    # Equal values may be written differently (1 and 1.0, 0.0 and -0.0): their representation distinguishes them.
    return _cached(kind, code, repr(code.parameters))


@functools.lru_cache(maxsize=2**14)
def _cached(kind: str, code: Code, _representation: str) -> Text:
    return Text(fill(_templates(kind)[code.name], dict(code.parameters)), (code,))


@functools.cache
def _templates(kind: str) -> dict[str, str]:
    """All texts of one kind, from the files `text/KIND*.toml`; a name stands in one of them only."""
    found: dict[str, str] = {}
    for file in sorted(resources.files("overread.codes").joinpath("text").iterdir(), key=lambda f: f.name):
        if file.name.startswith(kind) and file.name.endswith(".toml"):
            for name, entry in tomllib.loads(file.read_text("utf-8")).items():
                if name in found:
                    raise ValueError(f"{file.name}: {name} is defined twice")
                found[name] = entry["text"]
    return found


class _Different:
    """Stands for values that differ, in any format."""

    def __format__(self, format_spec: str) -> str:
        return "…"


_DIFFERENT = _Different()


class _Formatter(string.Formatter):
    """Python's format language with `{n:plural|patient|patients}`, `{names:list}` and `{names:and}`."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec.startswith("plural|"):
            _, one, several = format_spec.split("|")
            return one if value == 1 else several
        if format_spec == "list" and value is not _DIFFERENT:
            return ", ".join(value)
        if format_spec == "and" and value is not _DIFFERENT:
            return " and ".join(part for part in (", ".join(value[:-1]), *value[-1:]) if part)
        return str(super().format_field(value, format_spec))


_FORMATTER = _Formatter()
