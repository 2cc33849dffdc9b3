"""Limits of an answer about readers: the reference standard, how many read, and which cases."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from overread import codes
from overread.codes import Code
from overread.reporting.estimate_cells import code_of
from overread.reporting.first_page.answer_limits.limit_codes import account_codes
from overread.reporting.first_page.first_page_parts import Limitation
from overread.reporting.first_page.question import ARMS, leading
from overread.reporting.number_format import capital, count, listed, plural
from overread.reporting.report_data import ReportData, pick
from overread.reporting.sections.reader_results.arm_pairs import compared_readers, leading_pair
from overread.reporting.sections.reader_results.arm_sentences import missing_by_arm
from overread.reporting.sections.reader_results.reader_titles import (
    DERIVED,
    OTHERS,
    REFERENCE_NOTES,
    arms,
    in_sentence,
)
from overread.reporting.sections.reader_results.reads_account import not_compared, why_not_compared

_UNIDENTIFIED = "dawid_skene_refused"
_LAST = 40  # after every other limit


def reader_made(evidence: ReportData) -> list[Limitation]:
    """Reference standards made from reads of the readers who are judged by them.

    Those that were derived without being asked for limit nothing else: they come last, unless the answer is by one.
    """
    found = arms(evidence)
    if not found:
        return []
    there = pl.col("estimate").is_not_nan()
    numbers = {r for x in found for r in x.frame.filter(there, pl.col("finding").is_in(list(x.shown)))["reference"]}
    shown = [r for r in dict.fromkeys(r for reads in found for r in reads.references) if r in numbers]
    own = [r for r in shown if any(r in reads.made for reads in found)]
    asked = evidence.config.get("references") or ()
    unasked = [r for r in own if r in DERIVED and r not in asked]
    said = []
    for made, verb, short in (
        ([r for r in own if r not in unasked], "made", "made by these readers"),
        (unasked, "derived", "derived from these reads"),
    ):
        favour = [in_sentence(r) for r in made if r != OTHERS]
        if not favour:
            continue
        text = f"Results under {listed(favour)} favour the readers."
        if OTHERS in made:
            text += f" {capital(in_sentence(OTHERS))} leaves out the reader who is evaluated."
        head = (
            f"{count(len(made))} of {plural(len(shown), 'reference standard')} {'is' if len(made) == 1 else 'are'} "
            f"{verb} from reads of these readers."
        )
        rank = _LAST if made is unasked and not _answered_by(evidence, unasked) else 3
        said.append(Limitation(rank, f"{plural(len(made), 'reference standard')} {short}", head, text, "readers"))
    return said


def _answered_by(evidence: ReportData, references: Sequence[str]) -> bool:
    """Whether the answer of the first page is about one of these references."""
    first = leading_pair(evidence) if leading(evidence) == ARMS else None
    return first is not None and first.reference in references


def dawid_skene(evidence: ReportData) -> list[Limitation]:
    """Dawid-Skene was asked for and is not identified, with the reasons."""
    if "dawid-skene" not in (evidence.config.get("references") or ()):
        return []
    noted = evidence.estimates["note_codes"].unique().drop_nulls().to_list()
    texts = [*noted, *evidence.account["reason_code"].drop_nulls().to_list()]
    lost: dict[str, list[str]] = {}  # the reasons by finding
    for found in map(codes.decode, texts):
        for code in found:
            if code.name == _UNIDENTIFIED:
                reasons = [_reason(c) for c in found if c.name in REFERENCE_NOTES]
                own = lost.setdefault(str(code["finding"]), [])
                own += [r for r in reasons if r not in own]
    if not lost:
        return []
    named = evidence.vocabulary.ordered(set(lost))
    read = {f for reads in arms(evidence) for f in reads.findings}
    of = "" if set(named) >= read else f" for {listed([evidence.heading(f).lower() for f in named])}"
    why = {f: "; ".join(lost[f]) for f in named if lost[f]}
    same = len(set(why.values())) == 1
    reasons = [w if same else f"{evidence.heading(f).lower()}: {w}" for f, w in why.items()][: 1 if same else None]
    why_not = f": {'. '.join(reasons)}" if reasons else ""
    text = f"It was asked for and is not used, because the reads do not determine it{why_not}."
    return [Limitation(3, f"Dawid–Skene not identified{of}", f"Dawid–Skene is not identified{of}.", text, "account")]


def _reason(code: Code) -> str:
    """A reason in words, without the list of readers."""
    text = codes.render("notes", code)
    return text.partition(":")[0] if any(name.endswith("readers") for name, _ in code.parameters) else text


def few_readers(evidence: ReportData) -> list[Limitation]:
    """Few readers."""
    rows = pick(evidence.estimates, analysis="readers")
    read = sorted({r for r in rows.filter(pl.col("arm") != "model")["rater"].to_list() if r and not r.startswith("(")})
    n = (compared_readers(evidence) if leading(evidence) == ARMS else 0) or len(read)
    if not 0 < n < 10:
        return []
    text = "The interval for readers in general may be too narrow."
    if leading(evidence) == ARMS:  # t intervals, which can be wide as well
        text = "The interval for readers in general rests on few readers: its width is itself uncertain."
    if n == 1:
        text = "The results are those of this reader: there is no interval for readers in general."
    return [Limitation(7, plural(n, "reader"), f"{plural(n, 'reader')}.", text, "readers")]


_MANY_MISSING = 0.05  # of the reads


def missing_reads(evidence: ReportData) -> list[Limitation]:
    """Reads that are not there, in the comparison of arms or beside models: the result assumes why they are missing."""
    if leading(evidence) != ARMS:
        return _not_read(evidence)
    first = leading_pair(evidence)
    row = first.difference(first.leading_measure) if first is not None else None
    lost = code_of(row, "reads_missing")
    if lost is None:
        return []
    n, total = int(str(lost["n"])), int(str(lost["total"]))
    by_arm, practice = missing_by_arm(row or {}), code_of(row, "reads_of_practice")
    said = [f"By arm: {by_arm}."] if by_arm else []
    said += [f"{count(practice['n'])} others were practice and are excluded."] if practice is not None else []
    said.append("The comparison assumes that they are missing at random, and not because a case was hard or easy.")
    head = f"{count(n)} of {count(total)} reads {'is' if n == 1 else 'are'} missing."
    rank = 3 if n >= _MANY_MISSING * total else 9
    return [Limitation(rank, f"{count(n)} of {count(total)} reads missing", head, " ".join(said), "arms")]


def _not_read(evidence: ReportData) -> list[Limitation]:
    """Cases that some of the readers read and others did not, unless every case has the same number of reads."""
    lost: dict[str, tuple[int, int]] = {}  # reads that are not there, and those of every reader on every case
    answered = evidence.joined.filter(pl.col("call").is_not_null() | pl.col("score").is_not_null())
    for reads in arms(evidence):
        for finding in reads.shown:
            made = pick(answered, arm=reads.arm, finding=finding).select("rater", "case_id").unique()
            total = made["rater"].n_unique() * made["case_id"].n_unique()
            if (
                made.group_by("case_id").len()["len"].n_unique() > 1
                and total - made.height > lost.get(finding, (0,))[0]
            ):
                lost[finding] = total - made.height, total
    if not lost:
        return []
    of = [(finding, f"{count(n)} of {count(total)}") for finding, (n, total) in lost.items()]
    of.sort(key=lambda each: -lost[each[0]][0])
    several = len({f for reads in arms(evidence) for f in reads.shown}) > 1
    said = listed([f"{text}{f' for {evidence.heading(f).lower()}' if several else ''}" for f, text in of[:_NAMED]])
    more = f" (and fewer for {plural(len(of) - _NAMED, 'other finding')})" if len(of) > _NAMED else ""
    text = (
        f"Pairs of reader and case without a read: {said}{more}. Whether by design is not recorded. Results of the "
        "readers assume that they are missing at random, and not because a case was hard or easy."
    )
    many = any(_MANY_MISSING * total <= n <= _ASSIGNED * total for n, total in lost.values())
    rank = 3 if many else 9
    return [Limitation(rank, "not every reader read every case", "Not every reader read every case.", text, "readers")]


_NAMED = 3  # findings that are named
_ASSIGNED = 0.5  # of the pairs without a read: with more, readers were given cases, which limits little


def subset(evidence: ReportData) -> list[Limitation]:
    """Reads of a part of the test cases."""
    cases = evidence.joined.filter(pl.col("truth").is_not_null() | (pl.col("arm") != "model"))
    of_model = pl.col("arm") == "model"
    tested, reads = (set(cases.filter(mine)["case_id"].unique()) for mine in (of_model, ~of_model))
    read = len(tested & reads)  # readers may also have read cases that no model scored
    if not reads or read >= len(tested):
        return []
    text = "Unless these were sampled at random, predictive values cannot be estimated from them."
    head = f"{count(read)} of {count(len(tested))} test cases were read."
    return [Limitation(8, "a selected sample was read", head, text, "readers")]


def unscored(evidence: ReportData) -> list[Limitation]:
    """Cases read that not every model scored: the readers and the other models lose them in the comparison too."""
    head = not_compared(evidence)
    if not head:
        return []
    others = " and for every model" if len(evidence.cast.raters) > 1 else " too"
    text = f"{why_not_compared(evidence)} The comparison leaves them out for the readers{others}."
    return [Limitation(8, "cases read that are not compared", head, text, "readers")]


def without_label(evidence: ReportData) -> list[Limitation]:
    """Cases that were read and have no label of a stated reference standard."""
    found = arms(evidence)
    most: dict[str, tuple[int, str]] = {}
    for code, row in account_codes(evidence, "read_not_labelled"):
        finding, reference = str(code["finding"]), str(code["reference"])
        labelled = any(r.rows(finding, reference) for r in found if reference in r.stated and finding in r.shown)
        if labelled and row["count"] > most.get(reference, (0, ""))[0]:
            most[reference] = row["count"], finding
    several = len({f for reads in found for f in reads.shown}) > 1
    told = [
        f"{plural(n, 'case')} by {in_sentence(r)}{f' (for {evidence.heading(f).lower()})' if several else ''}"
        for r, (n, f) in most.items()
    ]
    if not told:
        return []
    text = f"{listed(told)}. Not in any result by that reference standard."
    return [Limitation(10, "cases read without a label", "Read, but without a label:", text, "account")]
