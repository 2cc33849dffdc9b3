"""User-correctable errors and their messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from overread.characters import masked, visible

_LONGEST = 200  # characters of an example that are shown


class InputError(Exception):
    """User-correctable error; its message names the place, what was expected, what was found and what to do.

    Parameters
    ----------
    where : object
        The place: a file, table, option or function.
    expected : str
        What was expected.
    found : str
        What was found, with counts.
    examples : iterable of object
        Examples of what was found; the first five are shown.
    do : str
        What the user can do.

    Notes
    -----
    The error can be pickled with all its attributes, so that a worker process can raise it in the parent.

    Examples
    --------
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
        """The single problems of an error made by `all`; otherwise the error itself."""
        return self._parts or (self,)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)

    def _message(self) -> str:
        examples = [_shortened(e) for e in self.examples[:5]]
        shown = f" ({', '.join(examples)}{', …' if len(self.examples) > 5 else ''})" if examples else ""
        message = f"{self.where}: expected {self.expected}; found {self.found}{shown}." + (
            f" {self.do}" if self.do else ""
        )
        return masked(
            visible(message)
        )  # names of files and cells stand in it: none may act on a terminal or tell a secret

    @classmethod
    def all(cls, problems: Sequence[InputError]) -> InputError:
        """Combine problems in one error whose message lists them; a single problem is returned unchanged.

        Parameters
        ----------
        problems : sequence of InputError
            The problems, at least one.

        Returns
        -------
        InputError
            The combined error.
        """
        if len(problems) == 1:
            return problems[0]
        error = cls(problems[0].where, problems[0].expected, problems[0].found)
        error._parts = tuple(problems)
        error.args = ("\n".join([f"{len(problems)} problems", *(f"  {i}. {p}" for i, p in enumerate(problems, 1))]),)
        return error


class WriteError(InputError):
    """A file or folder cannot be written, for example because of a full disk or missing permission.

    Code that excludes an unusable *input* and continues must let this error pass.
    """


def _restore(kind: type[InputError], args: tuple[Any, ...], attributes: Mapping[str, Any]) -> InputError:
    """Restore an error from `InputError.__reduce__`, since `__init__` has other arguments than the message."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with the known word that is a near spelling of the word; "" if there is none.

    Parameters
    ----------
    word : str
        The word of the user.
    known : iterable of str
        The known words.

    Returns
    -------
    str
        "Did you mean '...'?", or "".

    Notes
    -----
    Every part of the word (separated by spaces, underscores, hyphens) must be equal except for one letter that is
    missing, added, replaced or transposed with its neighbour, or two letters in parts of ten or more. Words that only
    look similar are never suggested: empyema is not emphysema, "north" is not "south".

    Examples
    --------
    >>> did_you_mean("Efusion", ["Effusion", "Edema"])
    "Did you mean 'Effusion'?"
    >>> did_you_mean("Calcification", ["Infiltration", "Consolidation"])
    ''
    """
    near = [(slips, k) for k in known if (slips := _slips(word, k)) is not None]
    return f"Did you mean '{min(near, key=lambda pair: pair[0])[1]}'?" if near else ""


def _shortened(example: str) -> str:
    """Cut a long example in its middle: a path is told apart by its end, a text by its start."""
    half = _LONGEST // 2
    return example if len(example) <= _LONGEST else f"{example[:half]}…{example[-half:]}"


def _parts(word: str) -> list[str]:
    return re.split(r"[\s_\-./]+", word.strip().casefold())


def _slips(word: str, known: str) -> int | None:
    """Return the number of typing errors between two spellings of a word; None if they are different words."""
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
    """Return the optimal string alignment distance: insertions, deletions, substitutions and transpositions."""
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
