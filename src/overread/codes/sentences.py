"""Sentences on methods, each with the condition under which it is printed: data in `text/sentences.toml`.

A sentence is printed for what was computed. Its condition is on the codes and the numbers of estimates, and on named
facts about the study; it never looks at text, at a configuration or at a pattern.
"""

from __future__ import annotations

import functools
import itertools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from math import isfinite
from typing import Any

from overread.codes.texts import Code, Parameter, decode, fill

Parameters = Mapping[str, Parameter]
Facts = Mapping[str, Sequence[Parameters]]
_KEYS = ("analysis", "metric", "finding", "subgroup")
_NUMBERS = ("estimate", "low", "high", "p", "p_adjusted")
_HAS: Mapping[str, tuple[str, ...]] = {
    "estimate": ("estimate",),
    "interval": ("low", "high"),
    "p": ("p",),
    "p_adjusted": ("p_adjusted",),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """What a row of estimates must be. An empty field is no restriction; of each field one name is enough.

    Parameters
    ----------
    analysis, metric, finding, subgroup : tuple of str
        Values of the columns of these names.
    method : tuple of str
        Names of method codes, one of which the row has.
    without : tuple of str
        Names of method codes, none of which the row has.
    note, without_note : tuple of str
        The same for the codes of its notes.
    other_than : tuple of str
        Analyses that are excluded.
    has : str
        The number that must be finite: "estimate", "interval", "p" or "p_adjusted"; "missing": the estimate is not
        finite.
    """

    analysis: tuple[str, ...] = ()
    metric: tuple[str, ...] = ()
    finding: tuple[str, ...] = ()
    subgroup: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    note: tuple[str, ...] = ()
    without_note: tuple[str, ...] = ()
    other_than: tuple[str, ...] = ()
    has: str = "estimate"

    def matches(self, kind: Kind) -> bool:
        """Whether rows of this kind fulfil the condition."""
        return (
            all(not wanted or value in wanted for wanted, value in self._columns(kind))
            and kind.analysis not in self.other_than
            and (not self.method or not kind.methods.isdisjoint(self.method))
            and kind.methods.isdisjoint(self.without)
            and (not self.note or not kind.notes.isdisjoint(self.note))
            and kind.notes.isdisjoint(self.without_note)
            and self.has in kind.has
        )

    def _columns(self, kind: Kind) -> tuple[tuple[tuple[str, ...], str], ...]:
        return (
            (self.analysis, kind.analysis),
            (self.metric, kind.metric),
            (self.finding, kind.finding),
            (self.subgroup, kind.subgroup),
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that no condition can tell apart: their keys, the names of their codes, and which numbers are finite."""

    analysis: str
    metric: str
    finding: str
    subgroup: str
    methods: frozenset[str]
    notes: frozenset[str]
    has: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence on methods.

    Parameters
    ----------
    name, section, text : str
        Its name, the paragraph that it belongs to, and its text with placeholders.
    references : tuple of str
        Keys of the bibliography, cited at its end.
    when : tuple of Condition
        It is printed if a row fulfils one of these; with `facts`, if these are present too.
    facts : tuple of str
        Names of facts, all of which must be present. It is printed once for each set of their parameters.
    """

    name: str
    section: str
    text: str
    references: tuple[str, ...] = ()
    when: tuple[Condition, ...] = ()
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Printed:
    """A sentence that is printed: its name, its paragraph, its text and the keys of its references."""

    name: str
    section: str
    text: str
    references: tuple[str, ...]


@functools.cache
def all_sentences() -> tuple[Sentence, ...]:
    """All sentences, in the order of the file."""
    text = resources.files("overread.codes").joinpath("text", "sentences.toml").read_text("utf-8")
    return tuple(_sentence(name, entry) for name, entry in tomllib.loads(text).items())


def kinds_of(rows: Iterable[Mapping[str, Any]]) -> dict[Kind, set[Code]]:
    """The rows of estimates by kind, with their codes.

    Parameters
    ----------
    rows : iterable of mappings
        Rows of the table `estimates`; they need the columns analysis, metric, finding, subgroup, method_code,
        note_codes and the numbers estimate, low, high, p and p_adjusted.

    Returns
    -------
    dict
        For each kind the codes of its rows, which differ in their parameters.
    """
    found: dict[Kind, set[Code]] = {}
    for row in rows:
        methods, notes = _codes(row.get("method_code") or ""), _codes(row.get("note_codes") or "")
        analysis, metric, finding, subgroup = (str(row.get(column) or "") for column in _KEYS)
        of_method, of_note = (frozenset(code.name for code in codes) for codes in (methods, notes))
        kind = Kind(analysis, metric, finding, subgroup, of_method, of_note, _finite(row))
        found.setdefault(kind, set()).update(methods, notes)
    return found


def printed(rows: Iterable[Mapping[str, Any]], facts: Facts) -> list[Printed]:
    """The sentences whose condition is fulfilled, in their order, completed with parameters of codes and facts.

    Parameters
    ----------
    rows : iterable of mappings
        Rows of the table `estimates`.
    facts : mapping of str to sequences of parameters
        The facts that are present, each with one set of parameters or several.

    Returns
    -------
    list of Printed
    """
    kinds = kinds_of(rows)
    return [one for sentence in all_sentences() for one in _printed(sentence, kinds, facts)]


def _printed(sentence: Sentence, kinds: Mapping[Kind, set[Code]], facts: Facts) -> Iterable[Printed]:
    matched = [(c, kind) for c in sentence.when for kind in kinds if c.matches(kind)]
    if (sentence.when and not matched) or not all(facts.get(name) for name in sentence.facts):
        return
    values: dict[str, set[Parameter]] = {}
    for condition, kind in matched:
        for code in kinds[kind]:
            if code.name in (*condition.method, *condition.note):
                for key, value in code.parameters:
                    values.setdefault(key, set()).add(value)
    given = {key: _one(found) for key, found in values.items()}
    for sets in itertools.product(*(facts[name] for name in sentence.facts)):
        parameters = given | {key: value for each in sets for key, value in each.items()}
        yield Printed(sentence.name, sentence.section, fill(sentence.text, parameters), sentence.references)


def _one(found: set[Parameter]) -> Parameter:
    """The value of a parameter; of several values all, in words."""
    if len(found) == 1:
        return next(iter(found))
    numbers = all(isinstance(value, int | float) for value in found)
    return " or ".join(f"{value:g}" if numbers else str(value) for value in sorted(found, key=_order))


def _order(value: Parameter) -> tuple[float, str]:
    return (float(value), "") if isinstance(value, int | float) else (0.0, str(value))


@functools.cache
def _codes(encoded: str) -> tuple[Code, ...]:
    return decode(encoded)


def _finite(row: Mapping[str, Any]) -> frozenset[str]:
    finite = {n for n in _NUMBERS if row.get(n) is not None and isfinite(row[n])}
    has = {name for name, numbers in _HAS.items() if finite.issuperset(numbers)}
    return frozenset(has if "estimate" in has else has | {"missing"})


def _sentence(name: str, entry: Mapping[str, Any]) -> Sentence:
    conditions = entry.get("when", [])
    facts = entry.get("fact", [])
    unknown = entry.keys() - {"section", "text", "references", "when", "fact"}
    if unknown or not (conditions or facts):
        raise ValueError(f"sentences.toml: {name}: unknown keys {sorted(unknown)}, or no condition")
    return Sentence(
        name,
        entry["section"],
        entry["text"],
        tuple(entry.get("references", ())),
        tuple(_condition(name, c) for c in ([conditions] if isinstance(conditions, dict) else conditions)),
        (facts,) if isinstance(facts, str) else tuple(facts),
    )


def _condition(name: str, entry: Mapping[str, Any]) -> Condition:
    unknown = entry.keys() - {f.name for f in fields(Condition)}
    if unknown:
        raise ValueError(f"sentences.toml: {name}: unknown keys {sorted(unknown)}")
    if entry.get("has", "estimate") not in (*_HAS, "missing"):
        raise ValueError(f"sentences.toml: {name}: has = {entry['has']!r}")
    lists = {k: (v,) if isinstance(v, str) else tuple(v) for k, v in entry.items() if k != "has"}
    return Condition(**lists, has=entry.get("has", "estimate"))
