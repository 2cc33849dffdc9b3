"""Facts about reads that sentences of the Methods depend on: readers, arms, and reference standards made from reads."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from overread import codes
from overread.codes.sentences import Parameters
from overread.codes.texts import Code
from overread.reporting.report_data import ReportData, pick, value_at, with_contrast, with_key
from overread.reporting.sections.reader_results.reader_titles import in_sentence, references

_CONSENSUS = {"majority": "majority", "majority of the others": "majority_others", "dawid-skene": "dawid_skene"}
_READERS = "(readers)"


def computed(data: ReportData) -> pl.DataFrame:
    """The estimates that are finite."""
    return data.estimates.filter(pl.col("estimate").is_finite())


def method_codes(rows: pl.DataFrame) -> set[Code]:
    """All codes of the methods of these rows."""
    return {code for text in rows["method_code"].drop_nulls().unique() for code in codes.decode(text)}


def note_codes(rows: pl.DataFrame) -> set[Code]:
    """All codes of the notes of these rows."""
    return {code for text in rows["note_codes"].drop_nulls().unique() for code in codes.decode(text)}


def facts_of_reads(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """The facts about reads, each with its parameters.

    Parameters
    ----------
    data : ReportData
        The tables and records of a report.

    Yields
    ------
    tuple of str and mapping
    """
    rows = computed(data).filter(pl.col("analysis").is_in(["readers", "H2"]))
    for reference, name in _CONSENSUS.items():
        if (rows["reference"] == reference).any():
            yield name, {}
    if any(c.name == "dawid_skene_not_converged" for c in note_codes(rows)):
        yield "dawid_skene_failed", {}
    if any(c.name == "dawid_skene_refused" for c in note_codes(pick(data.estimates, analysis="readers"))):
        yield "dawid_skene_refused", {}
    agreement = computed(data).filter(pl.col("analysis") == "agreement")
    weighted = {bool(value_at(at, "weights")) for at in agreement.filter(pl.col("metric") == "gwet_ac1")["at"].unique()}
    for is_weighted in sorted(weighted):
        yield ("gwet_ac2" if is_weighted else "gwet_ac1"), {}
    agreeing = agreement["at"].unique().to_list()
    if any(value_at(at, "weights") for at in agreeing):
        yield "graded_agreement", {}
    if any(value_at(at, "readings") for at in agreeing):
        yield "intra_reader", {}
    reads = rows.filter(pl.col("analysis") == "readers")
    single = reads.filter(pl.col("arm") != "model", ~pl.col("rater").is_in(["", _READERS]), pl.col("contrast") == "")
    if single.height:
        read = data.joined.filter(pl.col("arm") != "model").group_by("rater", "arm", "finding")
        most = read.agg(pl.col("case_id").n_unique())["case_id"].max() or single["n_cases"].max()
        rated = single.filter(pl.col("finding") != "")  # sittings are of no finding
        named = (("for a finding", "finding"), ("in an arm", "arm"))
        each = [f" {of}" for of, column in named if rated[column].n_unique() > 1]
        n_readers = single["rater"].n_unique()
        yield "readers_design", {"readers": n_readers, "cases": int(str(most or 0)), "each": "".join(each)}
    if reads.height:
        yield ("reads_and_model" if (reads["arm"] == "model").any() else "reads_alone"), {}
    names = {r for r in reads["reference"].unique() if r}
    if names and data.cast.reads_alone:
        yield "reference_of_reads", {"references": tuple(map(in_sentence, references(data, names)))}
    yield from _uncertain(data)
    yield from _arms(data, reads)


def _uncertain(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """How uncertain calls were taken, from the account."""
    states = {code["state"] for code in _account_codes(data, "uncertain_calls_recoded")}
    for state in sorted(map(str, states)):
        yield "reader_uncertain", {"treated": f"taken as {state}"}
    if any(True for _ in _account_codes(data, "uncertain_calls_excluded")):
        yield "reader_uncertain", {"treated": "excluded"}


def _arms(data: ReportData, reads: pl.DataFrame) -> Iterator[tuple[str, Parameters]]:
    """What was done to compare arms, and to average graded reads."""
    less = with_contrast(reads, "arm")
    if less.height:
        yield "arms_compared", {}
    if (less["reference"] == "majority of the others").any():
        yield "arms_by_others", {}
    adjusted = reads.filter(pl.col("p_adjusted").is_finite())
    for name, column in (("arms_adjusted", "arm"), ("model_tests_adjusted", "rater")):
        if with_contrast(adjusted, column).height:
            yield name, {}
    ats = with_key(reads, "rating_cutoff")["at"].unique()
    cutoffs = sorted({value_at(at, "rating_cutoff") for at in ats}, key=float)
    if cutoffs:
        yield "rating_cutoff", {"cutoff": " or ".join(cutoffs)}
    if data.curves.filter(pl.col("rater") == _READERS).height:
        yield "average_curve", {}


def _account_codes(data: ReportData, name: str) -> Iterator[Code]:
    """The codes of this name in the account."""
    for text in data.account["reason_code"].drop_nulls().unique():
        yield from (code for code in codes.decode(text) if code.name == name)
