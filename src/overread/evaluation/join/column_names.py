"""Recognition of column names of input files.

Names are compared without regard to letter case, spaces and punctuation. A column with the exact name of the reference
tables has priority; otherwise two columns of one meaning are refused with both names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary

# The meaning of a column -> the names that files give it, in tiers: a later tier counts only where an earlier one
# names no column (a file's name is an image's identifier only where nothing else is).
MEANINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "image_id": (
        ("image id", "image index", "image", "image name", "image uid", "dicom id", "sop instance uid"),
        ("filename", "file name", "file", "path", "image path"),
    ),
    "case_id": (
        (
            "case id",
            "case",
            "study id",
            "study",
            "study uid",
            "study instance uid",
            "accession number",
            "accession no",
            "accession",
            "exam id",
            "examination id",
        ),
    ),
    "patient_id": (("patient id", "patient", "patient number", "subject id", "subject"),),
    "site": (("site", "institution", "institution name", "hospital", "center", "centre"),),
    "age_years": (("age years", "age in years", "patient age", "age"),),
    "sex": (("sex", "patient sex", "patient gender", "gender"),),
    "view": (("view", "view position", "projection", "ap/pa"),),
    "reader": (
        ("reader", "reader id", "radiologist", "radiologist id", "rad", "rad id", "rater", "rater id", "observer"),
    ),
    "arm": (("arm",),),  # and what `read_layouts` finds
    "round": (("round",),),
    "finding": (("finding", "finding name", "pathology", "observation", "class name"),),
    "findings": (("finding labels", "findings", "labels"),),
    "state": (("state",), ("truth",)),
    "call": (("call",), ("decision",)),
    "score": (("score", "probability", "prob"), ("rating", "grade")),
    "model": (("model", "model name", "algorithm"),),
    "source": (("source", "label source"),),
    "shift": (("shift",),),
    "threshold": (("threshold", "cut-off", "cutoff", "cut point"),),
    "name": (("operating point", "name"),),
}
_NO_FINDING = (
    "Or give a long table, or state the study's own findings: --extra-findings TITLE. The finding of a table that "
    "names none is stated by --finding FINDING."
)
_VALUES = {"labels": ("state",), "predictions": ("score", "call"), "reads": ("score", "call")}  # of one finding
# What may stand before or after a finding in a column's name, by table.
_AFFIXES = {
    "predictions": {
        "prob",
        "probs",
        "probability",
        "p",
        "pred",
        "prediction",
        "predicted",
        "score",
        "logit",
        "sigmoid",
        "call",
        "decision",
    },
    "thresholds": {"threshold", "cutoff"},
    "labels": {"label", "gt", "truth", "true", "target", "y", "state"},
    "reads": {"call", "read", "answer", "rating", "score"},
}


def plain(name: str) -> str:
    """Return the letters and digits of a name in lower case.

    >>> plain("Accession Number"), plain("AP/PA")
    ('accessionnumber', 'appa')
    """
    return "".join(c for c in name.casefold() if c.isalnum())


_PLAIN = {meaning: [{plain(n) for n in tier} for tier in tiers] for meaning, tiers in MEANINGS.items()}
_KNOWN = {n for tiers in _PLAIN.values() for tier in tiers for n in tier}


def find(columns: Sequence[str], meaning: str, path: object) -> str:
    """Return the column with a meaning; "" if there is none.

    Raises
    ------
    InputError
        Two columns have the meaning and neither has its exact name.
    """
    if meaning in columns:
        return meaning
    for names in _PLAIN[meaning]:
        found = [c for c in columns if plain(c) in names]
        if len(found) > 1:
            raise InputError(
                path,
                f"one column with the meaning '{meaning}'",
                f"{len(found)}",
                examples=[f"'{c}'" for c in found],
                do=f"Rename the column to be used to '{meaning}'.",
            )
        if found:
            return found[0]
    return ""


def find_any(columns: Sequence[str], meanings: Sequence[str], path: object, expected: str) -> str:
    """Return the column of the first meaning that is present.

    Raises
    ------
    InputError
        No column has any of the meanings; the message suggests a similar name.
    """
    for meaning in meanings:
        if found := find(columns, meaning, path):
            return found
    known = [n for meaning in meanings for tier in MEANINGS[meaning] for n in tier]
    hint = next((h for c in columns if (h := did_you_mean(c, known))), "")
    raise InputError(path, f"a column that names {expected}", f"columns {', '.join(columns)}", do=hint)


def renamed(columns: Sequence[str], meanings: Sequence[str], path: object) -> dict[str, str]:
    """Return the columns of the file that have one of the meanings, each with its meaning."""
    return {found: meaning for meaning in meanings if (found := find(columns, meaning, path))}


@dataclass(frozen=True, slots=True)
class FindingWords:
    """Words for findings: the finding of each normalised word, and the words as written in the vocabulary."""

    names: Mapping[str, str]
    written: tuple[str, ...]


def finding_words(vocabulary: Vocabulary, spellings: Mapping[str, str] | None = None) -> FindingWords:
    """Return all words for findings; `spellings` are local words of the user."""
    names = {plain(w): f.name for f in vocabulary.findings for w in f.words}
    own = {plain(word): name for word, name in (spellings or {}).items()}
    return FindingWords(names | own, tuple(w for f in vocabulary.findings for w in f.words))


def finding_of(column: str, table: str, words: FindingWords) -> str:
    """Return the finding that a column of a table names; "" if it names none.

    >>> from overread import findings
    >>> finding_of("prob_Effusion", "predictions", finding_words(findings.load("chest")))
    'pleural_effusion'
    """
    if plain(column) in words.names:
        return words.names[plain(column)]
    return words.names.get("".join(_without_affixes(column, table)), "")


def _without_affixes(column: str, table: str) -> list[str]:
    """Split a column name into its parts and remove prefixes and suffixes around the finding."""
    parts = [p for p in re.split(r"[\W_]+", column.casefold()) if p]
    while len(parts) > 1 and parts[0] in _AFFIXES.get(table, ()):
        parts = parts[1:]
    while len(parts) > 1 and parts[-1] in _AFFIXES.get(table, ()):
        parts = parts[:-1]
    return parts


def renamed_for_one(columns: Sequence[str], table: str, path: object, words: FindingWords, only: str) -> dict[str, str]:
    """Return the column that holds the values of a study's only finding, with that finding as its name.

    A table of one finding needs no column of its name: "truth" of labels, "score" of predictions, "rating" of reads.
    Nothing is renamed if the table names a finding, or if no finding is stated (`only` = "").
    """
    if not only or find(columns, "finding", path) or any(finding_of(c, table, words) for c in columns):
        return {}
    found = next((c for meaning in _VALUES[table] if (c := find(columns, meaning, path))), "")
    return {found: only} if found else {}


def names_a_finding(column: str, words: FindingWords) -> bool:
    """Return whether a column names a finding in any table."""
    return any(finding_of(column, table, words) for table in _AFFIXES)


def has_meaning(column: str) -> bool:
    """Return whether a column is one that tables name, other than a finding."""
    return plain(column) in _KNOWN


def finding_columns(
    columns: Sequence[str], table: str, path: object, *, keys: Collection[str], words: FindingWords
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the columns that name findings, each with the finding, and the unused columns.

    Raises
    ------
    InputError
        All problems at once: a column with a name similar to that of a finding, two columns for one finding, no column
        for a finding.
    """
    taken: dict[str, str] = {}
    unused, problems = [], []
    for column in (c for c in columns if c not in keys):
        if finding := finding_of(column, table, words):
            taken[column] = finding
        elif has_meaning(column) or names_a_finding(column, words):
            unused.append(column)  # of a known meaning that this table has no place for
        elif hint := did_you_mean(" ".join(_without_affixes(column, table)), words.written):
            do = f'{hint} A finding of its own: --extra-findings "{column}".'
            problems.append(InputError(path, "columns that name findings", f"'{column}'", do=do))
        else:
            unused.append(column)
    for finding in sorted({f for f in taken.values() if list(taken.values()).count(f) > 1}):
        both = [f"'{c}'" for c, f in taken.items() if f == finding]
        problems.append(
            InputError(
                path,
                f"one column for {finding}",
                f"{len(both)}",
                examples=both,
                do="Remove the columns that are not to be used.",
            )
        )
    if not taken and not problems:
        found = f"columns {', '.join(columns)}"
        problems.append(InputError(path, "columns that name findings", found, do=_NO_FINDING))
    if problems:
        raise InputError.all(problems)
    return taken, tuple(unused)
