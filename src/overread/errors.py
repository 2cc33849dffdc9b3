"""The one error that is the user's to mend, and the words it is said in."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class InputError(Exception):
    """What the user gave cannot be used; the message says where, what was expected, what was found, what to do.

    >>> print(InputError("labels.csv", "a column 'finding'", "columns case_id, fnding", do="Rename the column."))
    labels.csv: expected a column 'finding'; found columns case_id, fnding. Rename the column.
    """

    def __init__(self, where: object, expected: str, found: str, *, examples: Iterable[object] = (), do: str = ""):
        self.where, self.expected, self.found, self.do = str(where), expected, found, do
        self.examples = tuple(str(e) for e in examples)
        super().__init__(self._message())

    def _message(self) -> str:
        shown = f" ({', '.join(self.examples[:5])}{', …' if len(self.examples) > 5 else ''})" if self.examples else ""
        return f"{self.where}: expected {self.expected}; found {self.found}{shown}." + (
            f" {self.do}" if self.do else ""
        )

    @classmethod
    def all(cls, problems: Sequence[InputError]) -> InputError:
        """One error that says every problem at once (a single one is returned as it is)."""
        if len(problems) == 1:
            return problems[0]
        error = cls(problems[0].where, problems[0].expected, problems[0].found)
        error.args = ("\n".join([f"{len(problems)} problems", *(f"  {i}. {p}" for i, p in enumerate(problems, 1))]),)
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
