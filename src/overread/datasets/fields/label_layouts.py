"""Conversion of wide, list, long and constant layouts of labels to one row per label.

A finding that is not stated has no row: an empty cell of a wide table is not "absent". A list states its whole
vocabulary: findings that it does not name are absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ConfigDict
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from overread import tables
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.tables.records.typed_files import typed

_Values = str | bool | int | float | Sequence[str | bool | int | float]
_STATES = ("present", "absent", "uncertain")
_LISTED = 60  # maximum number of words for which a message suggests entries
_KEYS = {
    "wide": ("form", "columns", "source", "vocabulary", *_STATES),
    "list": ("form", "column", "separator", "vocabulary", "source"),
    "long": ("form", "file", "columns", "source", "vocabulary", *_STATES),
    "constant": ("form", "findings", "source", "vocabulary"),
}


class _Spec(TypedDict, total=False):
    """Types of the keys of a layout; `_KEYS` holds the keys that each form allows."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    form: str
    source: str
    columns: Mapping[str, str] | Sequence[str]
    vocabulary: str | Mapping[str, str | Sequence[str]] | Sequence[str]
    column: str
    separator: str
    file: str
    findings: Mapping[str, str]
    present: _Values
    absent: _Values
    uncertain: _Values


def labels(
    rows: pl.DataFrame,
    spec: Mapping[str, Any],
    root: Path,
    where: object,
    *,
    encoding: str = "",
    notes: list[tables.Note] | None = None,
    vocabulary: Vocabulary | None = None,
) -> pl.DataFrame:
    """Read the table of labels from `rows` or from a separate file.

    Parameters
    ----------
    rows : DataFrame
        Rows of the source as text, with case_id.
    spec : mapping
        Layout: form ("wide", "list", "long", "constant"), source, and the keys of the form as in
        `datasets.table.read`.
    root : Path
        Folder of the source.
    where : object
        Place of the rows, used in messages.
    encoding : str
        Encoding of a separate file; "" = detected.
    notes : list of Note, optional
        Receives notes on identifiers that were changed.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    DataFrame
        The table of labels, one row per case, finding and source.

    Raises
    ------
    InputError
        The form, a key, a column, a finding or a value is unknown, or rows contradict each other.
    """
    form = spec.get("form")
    if not isinstance(form, str) or form not in _KEYS:
        expected = f"a form, one of {', '.join(_KEYS)}"
        raise InputError(f"{where}, labels", expected, f"'{form}'", do=did_you_mean(str(form), _KEYS))
    unknown = [k for k in spec if k not in _KEYS[form]]
    if unknown:
        expected = f"keys {', '.join(_KEYS[form])} for the form '{form}'"
        hint = did_you_mean(unknown[0], _KEYS[form])
        raise InputError(f"{where}, labels", expected, "unknown keys", examples=unknown, do=hint)
    typed(spec, _Spec, f"{where}, labels")
    known = vocabulary or load_vocabulary()
    if form == "list":
        long = from_list(rows, spec, where, known)
    elif form == "wide":
        long = _from_wide(rows, spec, where, known)
    elif form == "constant":
        long = _constant(rows, spec, where, known)
    else:
        long = _from_long(spec, root, encoding, known)
    if "source" not in long.columns:
        long = long.with_columns(source=pl.lit(spec["source"]))
    long = tables.identify(long, "labels", where=f"{where}, labels", notes=notes)
    return tables.check(_one_each(long, where), "labels", where=f"{where}, labels", vocabulary=known)


def resolved(words: Sequence[str], source: str, where: object, known: Vocabulary) -> dict[str, str]:
    """Map every word to its finding; all unknown words are reported at once."""
    found, problems = {}, []
    for word in words:
        try:
            found[word] = known.resolve(word, source=source)
        except InputError as error:
            problems.append(InputError(where, "a known finding", error.found, do=error.do))
    if problems:
        raise InputError.all(problems)
    return found


def _constant(rows: pl.DataFrame, spec: Mapping[str, Any], where: object, known: Vocabulary) -> pl.DataFrame:
    """Labels with the same findings in the same state for every case."""
    finding_states = spec.get("findings")
    place = f"{where}, labels"
    if not isinstance(finding_states, Mapping) or not finding_states:
        raise InputError(place, 'findings and their states, { tuberculosis = "present" }', repr(finding_states))
    strange = [f"{finding} = {state!r}" for finding, state in finding_states.items() if state not in _STATES]
    if strange:
        raise InputError(place, f"states {', '.join(_STATES)}", f"{len(strange)} others", examples=strange)
    names = resolved(list(finding_states), str(spec.get("vocabulary", "")), place, known)
    states = pl.DataFrame({"finding": [names[word] for word in finding_states], "state": list(finding_states.values())})
    return rows.select("case_id").unique(maintain_order=True).join(states, how="cross")


def word_findings(words: Mapping[str, Any], where: object, known: Vocabulary) -> pl.DataFrame:
    """Findings of a source's words, one row per word and finding.

    Parameters
    ----------
    words : mapping
        {word: finding, [findings], or "" for none}; findings may be given by any synonym.
    where : object
        Place of the words, used in messages.
    known : Vocabulary
        Findings that labels may name.

    Returns
    -------
    DataFrame
        Columns word and finding.
    """
    pairs = [(w, f) for w, given in words.items() for f in ([given] if isinstance(given, str) else given) if f]
    names = resolved(list(dict.fromkeys(f for _, f in pairs)), "", where, known)
    return pl.DataFrame(
        [(word, names[f]) for word, f in pairs], schema={"word": pl.String, "finding": pl.String}, orient="row"
    ).unique(maintain_order=True)


def _entries(words: Sequence[str], near: Iterable[str], known: Vocabulary) -> str:
    """Entries to add to a vocabulary for these words, ready to paste; "" where no finding is known."""
    entries = []
    for word in words[:_LISTED]:
        try:
            finding = known.resolve(word)
        except InputError:
            finding = ""
        entries.append(f'"{word}" = "{finding}"')
    more = ", …" if len(words) > _LISTED else ""
    hint = did_you_mean(words[0], near)
    return (
        f"{hint + ' ' if hint else ''}Add each to the vocabulary with the finding, or findings, that it means "
        f'("" = none): {{ {", ".join(entries)}{more} }}.'
    )


def from_list(rows: pl.DataFrame, spec: Mapping[str, Any], where: object, known: Vocabulary) -> pl.DataFrame:
    """Labels from a column whose cells list the findings that are present, such as "Effusion|Mass".

    Parameters
    ----------
    rows : DataFrame
        Rows of the source as text, with case_id.
    spec : mapping
        Keys column, vocabulary (words that every list states, or words and their findings) and separator ("|").
    where : object
        Place of the rows, used in messages.
    known : Vocabulary
        Findings that labels may name.

    Returns
    -------
    DataFrame
        case_id, finding and state; findings of the vocabulary that a list does not name are absent.
    """
    column = str(spec.get("column", ""))
    if column not in rows.columns:
        raise InputError(where, f"a column '{column}' for the labels", "none", do=did_you_mean(column, rows.columns))
    vocabulary = spec.get("vocabulary", ())
    words = list(vocabulary)
    if not words:
        raise InputError(f"{where}, labels", "the vocabulary that each list states in full", "none given")
    stated_words = vocabulary if isinstance(vocabulary, Mapping) else {w: w for w in words}
    meanings = word_findings(stated_words, f"{where}, vocabulary", known)
    cells = rows.select("case_id", word=pl.col(column).str.split(spec.get("separator", "|"))).explode("word")
    cells = cells.with_columns(pl.col("word").str.strip_chars()).filter(
        pl.col("word").is_not_null(), pl.col("word") != ""
    )
    strange = cells.filter(~pl.col("word").is_in(words))["word"].unique().sort().to_list()
    if strange:
        expected, found = f"findings of the vocabulary in '{column}'", f"{len(strange):,} other words"
        raise InputError(where, expected, found, examples=strange, do=_entries(strange, words, known))
    present = cells.join(meanings, on="word").select("case_id", "finding").unique()
    stated_cases = rows.filter(pl.col(column).is_not_null()).select("case_id").unique(maintain_order=True)
    all_findings = stated_cases.join(meanings.select("finding").unique(maintain_order=True), how="cross")
    present_states = present.with_columns(state=pl.lit("present"))
    all_states = all_findings.join(present_states, on=["case_id", "finding"], how="left", maintain_order="left")
    return all_states.with_columns(pl.col("state").fill_null("absent"))


def _from_wide(rows: pl.DataFrame, spec: Mapping[str, Any], where: object, known: Vocabulary) -> pl.DataFrame:
    """Labels from one column per finding; an empty cell is not stated."""
    column_spec = spec.get("columns", ())
    columns = list(column_spec)
    missing = [c for c in columns if c not in rows.columns]
    problems = [InputError(where, f"a column '{c}'", "none", do=did_you_mean(c, rows.columns)) for c in missing]
    if problems or not columns:
        raise InputError.all(problems or [InputError(f"{where}, labels", "columns that hold findings", "none given")])
    words = [column_spec[c] if isinstance(column_spec, Mapping) else c for c in columns]
    names = resolved(words, str(spec.get("vocabulary", "")), f"{where}, labels", known)
    to_finding = {c: names[w] for c, w in zip(columns, words, strict=True)}
    long = rows.select("case_id", *columns).unpivot(
        columns, index="case_id", variable_name="column", value_name="state"
    )
    long = long.with_columns(finding=pl.col("column").replace_strict(to_finding))
    return _states(long, spec, where).select("case_id", "finding", "state")


def _from_long(spec: Mapping[str, Any], root: Path, encoding: str, known: Vocabulary) -> pl.DataFrame:
    """Labels from a separate file with one row per label; `columns` maps its columns."""
    path = root / str(spec.get("file", ""))
    rows = as_text(tables.frame_of(path, encoding=encoding))
    column_names = {"case_id": "case_id", "finding": "finding", "state": "state"} | dict(spec.get("columns", {}))
    problems = [
        InputError(path, f"a column '{column}' for {name}", "none", do=did_you_mean(column, rows.columns))
        for name, column in column_names.items()
        if column not in rows.columns
    ]
    if problems:
        raise InputError.all(problems)
    long = rows.select(pl.col(column).alias(name) for name, column in column_names.items())
    words = long["finding"].drop_nulls().unique().sort().to_list()
    vocabulary = spec.get("vocabulary", "")
    if not isinstance(vocabulary, Mapping):
        names = resolved(words, str(vocabulary), path, known)
        return _states(long, spec, path).with_columns(pl.col("finding").replace_strict(names))
    if strange := [w for w in words if w not in vocabulary]:
        found = f"{len(strange):,} other words"
        do = _entries(strange, vocabulary, known)
        raise InputError(path, "findings of the vocabulary", found, examples=strange, do=do)
    meanings = word_findings(vocabulary, f"{path}, vocabulary", known)
    label_rows = _states(long, spec, path).rename({"finding": "word"}).join(meanings, on="word").drop("word")
    return label_rows.select([c for c in long.columns if c in label_rows.columns])


def _states(long: pl.DataFrame, spec: Mapping[str, Any], where: object) -> pl.DataFrame:
    """Rows with a label, their values (default 1, 0, -1, or the state in words) as states."""
    defaults = {"present": ("1", "present"), "absent": ("0", "absent"), "uncertain": ("-1", "uncertain")}
    known: dict[str, str] = {}
    for state in _STATES:
        state_values = spec.get(state, defaults[state])
        for value in [state_values] if isinstance(state_values, str | int | float) else state_values:
            known[_plain_text(str(value))] = state
    text = pl.col("state").str.strip_chars().str.replace(r"^(-?\d+)\.0+$", "$1")
    rows_with_value = long.with_columns(_text=text).filter(pl.col("_text").is_not_null() & (pl.col("_text") != ""))
    strange = rows_with_value.filter(~pl.col("_text").is_in(list(known)))
    if strange.height:
        examples = [f"{r['case_id']}, {r['finding']}: '{r['state']}'" for r in strange.head(6).iter_rows(named=True)]
        expected = f"label values {', '.join(repr(k) for k in known)} or empty"
        raise InputError(where, expected, f"{strange.height:,} others", examples=examples)
    return rows_with_value.with_columns(state=pl.col("_text").replace_strict(known)).drop("_text")


def _plain_text(value: str) -> str:
    whole, dot, rest = value.strip().partition(".")
    return whole if dot and rest.strip("0") == "" else value.strip()


def _one_each(long: pl.DataFrame, where: object) -> pl.DataFrame:
    """One row per case, finding and source: identical repeats are dropped, contradictions are an error."""
    once = long.unique(maintain_order=True)
    twice = once.filter(pl.struct("case_id", "finding", "source").is_duplicated())
    if twice.height:
        examples = [f"{r['case_id']}, {r['finding']}: {r['state']}" for r in twice.head(6).iter_rows(named=True)]
        raise InputError(
            where,
            "one state per case and finding",
            f"{twice.height:,} rows that contradict each other",
            examples=examples,
            do="Map case_id so that what differs is another case.",
        )
    return once


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Cast every column to text, so that a Parquet file and a CSV are read alike; booleans become 1 and 0."""
    flags = [c for c, t in frame.schema.items() if t == pl.Boolean]
    return frame.with_columns(pl.col(flags).cast(pl.Int8)).cast(pl.String)
