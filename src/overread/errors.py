"""User-correctable errors and their messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from overread.characters import masked, visible

_LONGEST = 200  # characters of an example that are shown


class InputError(Exception):
    """User-correctable error; the message names the place, what was expected, what was found and what to do.

    It survives pickling with all its attributes, so that a worker process can raise it in the parent.

    >>> print(InputError("labels.csv", "a column 'finding'", "columns case_id, fnding", do="Rename the column."))
    labels.csv: expected a column 'finding'; found columns case_id, fnding. Rename the column.
    """

    def __init__(self, where: object, expected: str, found: str, *, examples: Iterable[object] = (), do: str = ""):
        self.where, self.expected, self.found, self.do = str(where), expected, found, do
        self.examples = tuple(str(e) for e in examples)
        self._parts: tuple[InputError, ...] = ()
        super().__init__(self._message())

    @property
    def problems(self) -> tuple[InputError, ...]:
        """The single problems: those joined by `all`, otherwise the error itself."""
        return self._parts or (self,)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)

    def _message(self) -> str:
        examples = [e if len(e) <= _LONGEST else f"{e[:_LONGEST]}…" for e in self.examples[:5]]
        shown = f" ({', '.join(examples)}{', …' if len(self.examples) > 5 else ''})" if examples else ""
        said = f"{self.where}: expected {self.expected}; found {self.found}{shown}." + (
            f" {self.do}" if self.do else ""
        )
        return masked(
            visible(said)
        )  # names of files and cells stand in it: none may act on a terminal or tell a secret

    @classmethod
    def all(cls, problems: Sequence[InputError]) -> InputError:
        """One error whose message lists every problem; a single problem is returned unchanged."""
        if len(problems) == 1:
            return problems[0]
        error = cls(problems[0].where, problems[0].expected, problems[0].found)
        error._parts = tuple(problems)
        error.args = ("\n".join([f"{len(problems)} problems", *(f"  {i}. {p}" for i, p in enumerate(problems, 1))]),)
        return error


class WriteError(InputError):
    """A file or folder cannot be written: full disk, read-only file system, missing permission and the like.

    Code that sets an unusable *input* aside and goes on must let this error pass.
    """


def _restore(kind: type[InputError], args: tuple[Any, ...], attributes: Mapping[str, Any]) -> InputError:
    """The counterpart of `InputError.__reduce__`: `__init__` takes other arguments than the message."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word that is a near spelling of the same word, or "" where none is.

    Notes
    -----
    Every part of the word (divided by spaces, underscores, hyphens) must be the same but for one letter that is
    missing, added, replaced or exchanged with its neighbour, or two in a part of ten letters and more. Words that only
    look alike are never named: empyema is not emphysema, "north" is not "south".

    >>> did_you_mean("Efusion", ["Effusion", "Edema"])
    "Did you mean 'Effusion'?"
    >>> did_you_mean("Calcification", ["Infiltration", "Consolidation"])
    ''
    """
    near = [(slips, k) for k in known if (slips := _slips(word, k)) is not None]
    return f"Did you mean '{min(near, key=lambda pair: pair[0])[1]}'?" if near else ""


def _parts(word: str) -> list[str]:
    return re.split(r"[\s_\-./]+", word.strip().casefold())


def _slips(word: str, known: str) -> int | None:
    """How many slips of the pen lie between two spellings of one word, None where they are different words."""
    left, right = _parts(word), _parts(known)
    if len(left) != len(right):  # a space too few or too many
        left, right = ["".join(left)], ["".join(right)]
        return 0 if left == right else None
    total = 0
    for a, b in zip(left, right, strict=True):
        slips = 0 if a == b else _distance(a, b)
        short = min(len(a), len(b))
        if slips > (2 if short >= 10 else 1 if short >= 2 and not any(c.isdigit() for c in a + b) else 0):
            return None
        total += slips
    return total


def _distance(a: str, b: str) -> int:
    """The optimal string alignment distance: insertions, deletions, substitutions, exchanges of neighbours."""
    if abs(len(a) - len(b)) > 2:
        return 3
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
