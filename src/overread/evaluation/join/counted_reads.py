"""Which reads count: practice reads and repeated readings, and reads by those who made a reference standard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from overread import codes, tables
from overread.errors import InputError, did_you_mean
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.account import Dropped, examples_of
from overread.evaluation.join.column_names import find_any, renamed

SITTING = ("reader", "case_id", "arm", "round")
READING = ("reader", "case_id", "arm")
MADE = "made"  # column of reads: the label sources of the case and finding to which the reader contributed
PRACTICE = "practice"  # the role of sittings in which readers learn the page
_KEY = ("case_id", "finding")


def without_practice(
    reads: pl.DataFrame, sittings: pl.DataFrame, dropped: list[Dropped]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return reads and sittings without those of practice sittings (column `role`), both counted.

    >>> reads = pl.DataFrame({"reader": ["a", "a"], "case_id": ["1", "2"], "arm": ["", ""], "round": [1, 1]})
    >>> sittings = reads.with_columns(role=pl.Series(["practice", "main"]))
    >>> [left["case_id"].to_list() for left in without_practice(reads, sittings, [])]
    [['2'], ['2']]
    """
    if "role" not in sittings.columns:
        return reads, sittings
    practice = sittings.filter(pl.col("role").cast(pl.String) == PRACTICE).select(SITTING).unique()
    kept = []
    for unit, frame, reason in (
        ("reads", reads, codes.note("practice_reads")),
        ("sittings", sittings, codes.note("sittings_of_practice")),
    ):
        lost = frame.join(practice, on=list(SITTING), how="semi", maintain_order="left")
        if lost.height:
            shown = examples_of(lost, ("reader", "case_id"))
            dropped.append(Dropped(unit, reason, lost.select(SITTING).n_unique(), shown))
        kept.append(frame.join(practice, on=list(SITTING), how="anti", maintain_order="left"))
    return kept[0], kept[1]


def first_readings(reads: pl.DataFrame, dropped: list[Dropped]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the first reading of each reader, case and arm, and all readings of those that were read again.

    Further readings give intra-reader agreement; they would count a reader who repeats twice in pooled rates.
    """
    first = pl.col("round") == pl.col("round").min().over(READING)
    further = reads.filter(~first)
    if further.is_empty():
        return reads, further
    reason = codes.note("repeated_reading")
    shown = further.select(SITTING).unique(maintain_order=True)
    dropped.append(Dropped("reads", reason, shown.height, examples_of(shown, ("reader", "case_id"))))
    again = reads.join(further.select(READING).unique(), on=list(READING), how="semi", maintain_order="left")
    return reads.filter(first), again


def with_makers(
    reads: tables.Checked,
    labels: pl.DataFrame,
    config: EvaluationConfig,
    made_by: pl.DataFrame | None,
    dropped: list[Dropped],
) -> tables.Checked:
    """Add to each read the label sources to which its reader contributed, as the column `made`.

    The readers of a source stand in the configuration (`reader_made`, all its cases), or in the table `made_by` with
    source, case_id, reader and optionally finding.

    Raises
    ------
    InputError
        A source that labels nothing or has its readers in both places; a reader who is spelt otherwise in the reads; a
        source none of whose readers has reads.
    """
    if made_by is None and not config.makers:
        return reads
    sources = labels["source"].cast(pl.String).unique().sort().to_list()
    table = _maker_table(config, made_by, sources)
    _check_readers(table, reads, dropped)
    plain = reads.with_columns(pl.col("finding").cast(pl.String))
    key, parts = [*SITTING, "finding"], []
    for on in (["reader"], ["reader", "case_id"], ["reader", "finding"], ["reader", *_KEY]):
        general = [pl.col(c) == "" for c in _KEY if c not in on]
        mine = table.filter(*general, *(pl.col(c) != "" for c in _KEY if c in on)).select(*on, "source")
        parts.append(plain.join(mine, on=on).select(*key, "source"))
    made = pl.concat(parts).group_by(key).agg(pl.col("source").unique().sort())
    empty = pl.lit([], dtype=pl.List(pl.String))
    joined = plain.join(made, on=key, how="left", maintain_order="left")
    return tables.Checked(joined.with_columns(pl.col("source").fill_null(empty).alias(MADE)).drop("source"))


def _maker_table(config: EvaluationConfig, made_by: pl.DataFrame | None, sources: list[str]) -> pl.DataFrame:
    """Return source, case_id, reader, finding of all makers; "" = every case, every finding."""
    types = {"source": pl.String, "case_id": pl.String, "reader": pl.String, "finding": pl.String}
    rows = [(s, "", r, "") for s, readers in config.makers.items() for r in readers]
    table = pl.DataFrame(rows, schema=types, orient="row")
    if made_by is not None:
        names = {f: config.vocabulary.resolve(f) for f in made_by["finding"].unique() if f}
        given = made_by.with_columns(pl.col("finding").replace(names))
        table = pl.concat([table, given.select(pl.col(n).cast(t) for n, t in types.items())])
    problems = []
    for name in table["source"].unique().sort():
        if name not in sources:
            found = f"'{name}'; sources: {', '.join(sources)}"
            problems.append(InputError("reader_made", "a label source", found, do=did_you_mean(name, sources)))
        elif made_by is not None and name in config.makers and name in made_by["source"].to_list():
            do = "State them in evaluation.reader_made or in the table, not in both."
            problems.append(InputError("made_by", "the readers of a source once", f"'{name}' twice", do=do))
    if problems:
        raise InputError.all(problems)
    return table


def _check_readers(table: pl.DataFrame, reads: pl.DataFrame, dropped: list[Dropped]) -> None:
    """Refuse a maker who is in the reads under another spelling, and a source without any maker in the reads.

    A reader of the panel need not have read the cases of the comparison; such readers are counted.
    """
    known = reads["reader"].unique().sort().to_list()
    plain = {_plain(r): r for r in known}
    problems, lacking = [], []
    for (source,), mine in sorted(table.partition_by("source", as_dict=True).items()):
        named = mine["reader"].unique().sort().to_list()
        absent = [r for r in named if r not in known]
        for reader in (r for r in absent if _plain(r) in plain):
            do = f"Did you mean '{plain[_plain(reader)]}'?"
            problems.append(InputError(f"reader_made {source}", "readers of the reads table", f"'{reader}'", do=do))
        if len(absent) == len(named):
            hints = [h for r in absent if (h := did_you_mean(r, known))]
            do = f"{' '.join(hints[:1])} Leave '{source}' out of reader_made if none of its readers has reads.".strip()
            found, shown = "none of its readers in the reads", named[:5]
            where = f"reader_made {source}"
            problems.append(InputError(where, "at least one reader with reads", found, examples=shown, do=do))
        lacking += [f"{source}: {r}" for r in absent]
    if problems:
        raise InputError.all(problems)
    if lacking:
        dropped.append(Dropped("readers", codes.note("maker_without_read"), len(lacking), "; ".join(lacking[:5])))


def _plain(name: str) -> str:
    """A name without case, spaces, underscores and hyphens."""
    return "".join(c for c in name.casefold() if c not in " _-")


def read_makers(given: Any, *, notes: list[tables.Note]) -> pl.DataFrame:
    """Read the table of the readers who made a label: source, case_id (or image_id), reader, optionally finding."""
    frame = tables.load(given).frame
    keys = {find_any(frame.columns, ("case_id", "image_id"), given, "a case or an image per row"): "case_id"}
    for name, expected in (("source", "the label source"), ("reader", "the reader who made the label")):
        keys[find_any(frame.columns, (name,), given, expected)] = name
    keys |= renamed(frame.columns, ("finding",), given)
    named = frame.select(pl.col(column).alias(name) for column, name in keys.items())
    return tables.check(named, "made_by", where=given, notes=notes)


def made_sources(reads: pl.DataFrame) -> tuple[str, ...]:
    """Return the label sources to which a reader of these reads contributed.

    >>> made_sources(pl.DataFrame({"made": [["panel"], []]})), made_sources(pl.DataFrame({"reader": ["a"]}))
    (('panel',), ())
    """
    return tuple(reads[MADE].explode().drop_nulls().unique().sort()) if MADE in reads.columns else ()


def not_judged(reads: pl.DataFrame, truth: pl.DataFrame, dropped: list[Dropped]) -> Mapping[str, pl.DataFrame]:
    """Count the reads that a label source does not judge because their reader made the label, by source.

    `truth` has case_id, finding and reference of all labelled cases.

    Raises
    ------
    InputError
        A source that then judges no read.
    """
    found, problems = {}, []
    for source in made_sources(reads):
        mine = reads.join(truth.filter(reference=source).select(_KEY).unique(), on=list(_KEY), how="semi")
        own = mine.filter(pl.col(MADE).list.contains(source))
        if own.height == mine.height and own.height:
            makers = own["reader"].unique().sort().to_list()
            do = f"Compare these readers under another reference standard, or leave '{source}' out of the references."
            what = f"the {own.height:,} answers on its cases, all by readers who made it"
            where = f"reader_made {source}"
            problems.append(InputError(where, "reads by others to judge", what, examples=makers[:5], do=do))
        if own.height:
            words = codes.note("makers_not_judged", reference=source)
            dropped.append(Dropped("reads", words, own.select(SITTING).n_unique(), _names(own["reader"])))
        found[source] = own.select("reader", *_KEY).unique()
    if problems:
        raise InputError.all(problems)
    return found


def _names(readers: Iterable[str]) -> str:
    return "; ".join(sorted(set(readers))[:5])
