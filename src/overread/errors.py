"""User-correctable errors and their messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


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
        shown = f" ({', '.join(self.examples[:5])}{', …' if len(self.examples) > 5 else ''})" if self.examples else ""
        return f"{self.where}: expected {self.expected}; found {self.found}{shown}." + (
            f" {self.do}" if self.do else ""
        )

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
    """A hint that names the nearest known word, or "" where none is near.

    >>> did_you_mean("Efusion", ["Effusion", "Edema"])
    "Did you mean 'Effusion'?"
    >>> did_you_mean("xyz", ["Effusion"])
    ''
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else ""
