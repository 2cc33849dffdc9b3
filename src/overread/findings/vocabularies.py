"""A vocabulary: the findings in their order, each with its title, code, parents and synonyms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from overread.errors import InputError, did_you_mean


@dataclass(frozen=True, slots=True)
class Finding:
    """A pathology or observation.

    Parameters
    ----------
    name : str
        Its name in tables: lower case letters, digits and underscores.
    title : str
        Its name in print.
    code : str
        Its SNOMED CT code; "" where no source was found for exactly this concept.
    parents : tuple of str
        The findings that are present wherever this one is.
    synonyms : mapping of str to tuple of str
        What sources call it, by source; "" = any source.
    """

    name: str
    title: str
    code: str = ""
    parents: tuple[str, ...] = ()
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def words(self) -> tuple[str, ...]:
        """The name, the title and the synonyms of all sources."""
        return (self.name, self.title, *(word for words in self.synonyms.values() for word in words))

    def spellings(self, source: str = "") -> tuple[str, ...]:
        """The words that mean the finding in a source, those of any source included; "" = in all sources."""
        if not source:
            return self.words
        return (self.name, self.title, *self.synonyms.get(source, ()), *self.synonyms.get("", ()))


@dataclass(frozen=True)
class Vocabulary:
    """The findings that tables may name, in the order in which results name them.

    Parameters
    ----------
    name : str
        What the vocabulary is called.
    findings : tuple of Finding
        The findings, whose names, words and parents `vocabulary_files` has checked.

    Examples
    --------
    >>> from overread import findings
    >>> chest = findings.load("chest")
    >>> chest.finding("edema").title
    'Pulmonary edema'
    """

    name: str
    findings: tuple[Finding, ...]

    @cached_property
    def _by_name(self) -> dict[str, Finding]:
        return {f.name: f for f in self.findings}

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of everything that the vocabulary states, in its order."""
        stated = [asdict(f) for f in self.findings]
        return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()

    def names(self) -> tuple[str, ...]:
        """Every finding's name, in the vocabulary's order."""
        return tuple(self._by_name)

    def finding(self, name: str) -> Finding:
        """The finding of that name.

        Raises
        ------
        InputError
            No finding has the name; the message names the nearest one.
        """
        if name not in self._by_name:
            do = did_you_mean(name, self._by_name)
            raise InputError("finding", "a name of the vocabulary", f"'{name}'", do=do)
        return self._by_name[name]

    def title(self, name: str) -> str:
        """How a finding is printed; a word outside the vocabulary is printed as it stands.

        >>> from overread import findings
        >>> chest = findings.load("chest")
        >>> chest.title("pleural_effusion"), chest.title("(mean)")
        ('Pleural effusion', '(mean)')
        """
        return self._by_name[name].title if name in self._by_name else name

    def names_of(self, words: Iterable[str]) -> tuple[str, ...]:
        """The findings that words mean; a word that no finding has stays as it is, to be refused where it is used.

        Examples
        --------
        >>> from overread import findings
        >>> findings.load("chest").names_of(["Pulmonary edema", "goitre"])
        ('edema', 'goitre')
        """
        found = []
        for word in words:
            try:
                found.append(self.resolve(word))
            except InputError:
                found.append(word)
        return tuple(found)

    def resolve(self, word: str, *, source: str = "") -> str:
        """The name of the finding that a source calls `word`: whole synonyms only, never substrings.

        Parameters
        ----------
        word : str
            A name, title or synonym in any letter case.
        source : str
            The source whose synonyms count ("nih14", "chexpert"); "" = those of all sources.

        Raises
        ------
        InputError
            No finding has the word.

        Examples
        --------
        >>> from overread import findings
        >>> findings.load("chest").resolve("Effusion", source="nih14")
        'pleural_effusion'
        """
        key = word.strip().casefold()
        matches = [f.name for f in self.findings if key in {w.casefold() for w in f.spellings(source)}]
        if len(matches) != 1:
            known = sorted({w for f in self.findings for w in (f.name, *f.words[2:])})
            what = f"'{word}'" + (f", which means {' or '.join(matches)}" if matches else "")
            where = f"finding of source '{source}'" if source else "finding"
            raise InputError(where, "a known finding", what, do=did_you_mean(word, known))
        return matches[0]

    def implied(self, present: Iterable[str]) -> tuple[str, ...]:
        """The given findings and all their ancestors, in the vocabulary's order.

        >>> from overread import findings
        >>> findings.load("chest").implied(["covid_19"])
        ('lung_opacity', 'pneumonia', 'viral_pneumonia', 'covid_19')
        """
        found: set[str] = set()
        left = list(present)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self.finding(name).parents
        return tuple(n for n in self._by_name if n in found)

    def ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names in the order of the vocabulary, others behind them.

        >>> from overread import findings
        >>> findings.load("chest").ordered(["mass", "other", "cardiomegaly"])
        ('cardiomegaly', 'mass', 'other')
        """
        order = {name: i for i, name in enumerate(self._by_name)}
        return tuple(sorted(names, key=lambda f: (order.get(f, len(order)), f)))

    def differences(self, other: Vocabulary, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the names that another vocabulary lacks, or defines by another title, code or parents."""

        def definition(vocabulary: Vocabulary, name: str) -> Any:
            found = vocabulary._by_name.get(name)
            return found and (found.title, found.code, found.parents)

        return tuple(n for n in names if definition(self, n) != definition(other, n))
