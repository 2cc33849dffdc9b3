"""Uncertain calls of readers as a limit: how many, what they were taken for, and whether that moves the result."""

from __future__ import annotations

import polars as pl

from overread.reporting.estimate_cells import known
from overread.reporting.first_page.first_page_parts import Limitation, bounded, side, spelled
from overread.reporting.first_page.question import AGREEMENT, ARMS, leading
from overread.reporting.number_format import capital, count, fixed, number, plural
from overread.reporting.report_data import DECISION, ReportData, Row, pick
from overread.reporting.sections.reader_results.arm_pairs import MEASURES, leading_pair, minus
from overread.reporting.sections.reader_results.model_sentences import AGAINST, AT_SPECIFICITY
from overread.reporting.sections.reader_results.reader_titles import READERS, ReadRows, arms, in_words, output_title
from overread.reporting.sections.reader_results.reads_account import HANDLED, counted_calls

_MOVES, _UNTESTED, _STAYS = 4, 9, 12  # ranks


def uncertain_calls(evidence: ReportData) -> list[Limitation]:
    """Uncertain calls, and what another handling does to the result; of agreement the answer says so itself."""
    shown = {f for reads in arms(evidence) for f in reads.shown}
    mine = {f: found for f, found in counted_calls(evidence).items() if f in shown}
    if not mine or leading(evidence) == AGREEMENT:
        return []
    n, how = sum(k for k, _ in mine.values()), next(iter(mine.values()))[1]
    calls = evidence.joined.filter(
        pl.col("arm") != "model", pl.col("finding").is_in(list(mine)), pl.col("call").is_not_null()
    ).height
    of = f"{count(n)} of {plural(calls, 'call')}" if calls >= n else plural(n, "call")
    rank, text = (_of_arms if leading(evidence) == ARMS else _beside_models)(evidence)
    head = f"{of} of readers {'is' if n == 1 else 'are'} uncertain and {how}."
    return [Limitation(rank, "uncertain calls of readers", head, text, "readers")]


_ELSEWHERE = "Results with other ways of handling them:"


def _beside_models(evidence: ReportData) -> tuple[int, str]:
    """In how many differences from the readers another handling turns the sign, or moves 0 into or out of the CI."""
    every = [(row, others) for reads in arms(evidence)[:1] for row, others in _differences(reads)]
    if not every:
        return _STAYS, _ELSEWHERE
    turned = [(row, o) for row, others in every for o in others if _turned(row, o)][:1]
    signs = sum(any(_turned(row, o) for o in others) for row, others in every)
    moved = [(row, o) for row, others in every for o in others if bounded(row) and bounded(o) and side(row) != side(o)]
    zeros = len({id(row) for row, _ in moved})
    of = plural(len(every), "difference") + " between a model and the readers"
    if not signs and not zeros:
        return _STAYS, f"Another handling changes neither the sign nor whether the interval includes 0 ({of})."
    row, other = (turned or moved)[0]
    reads = arms(evidence)[0]
    measure = str(row["metric"]).removesuffix("_difference")
    example = (
        f"{output_title(row['rater'])} for {in_words(reads.heading(row['finding']))}, difference in {measure}: "
        f"{spelled(row, digits=2, signed=True)}; if {HANDLED[other['call']]}, "
        f"{spelled(other, digits=2, signed=True, level=False)}"
    )
    return _MOVES, (
        f"Another handling changes the sign in {signs or 'none'}, and whether the interval includes 0 in "
        f"{zeros or 'none'}, of {of}. {example}."
    )


def _differences(reads: ReadRows) -> list[tuple[Row, list[Row]]]:
    """The differences from the readers by stated references, each with those of other handlings."""
    rows = pick(reads.every, contrast=AGAINST).filter(
        pl.col("reference").is_in(list(reads.stated or reads.references)),
        pl.col("finding").is_in(list(reads.shown)),
        ((pl.col("metric") == "sensitivity_difference") & (pl.col("at") == AT_SPECIFICITY))
        | ((pl.col("at") == DECISION) & pl.col("metric").is_in(["sensitivity_difference", "specificity_difference"])),
    )
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows.to_dicts():
        key = (row["finding"], row["reference"], row["rater"], row["metric"])
        groups.setdefault(key, []).extend([row] if known(row) else [])
    found = []
    for own in groups.values():
        main, others = ([r for r in own if (r["call"] == reads.policy) is same] for same in (True, False))
        found += [(main[0], others)] if main and others else []
    return found


def _turned(row: Row, other: Row) -> bool:
    return number(row["estimate"]) * number(other["estimate"]) < 0


def _of_arms(evidence: ReportData) -> tuple[int, str]:
    """The leading difference of arms under other handlings, of the pooled reads: it was not tested under them."""
    pair = leading_pair(evidence)
    metric = pair.leading_measure if pair else ""
    by_arm = {reads.arm: reads for reads in arms(evidence)}
    if pair is None or metric == "auc" or not {pair.new, pair.usual} <= set(by_arm):
        return _STAYS, _ELSEWHERE
    less: dict[str, float] = {}
    for how in HANDLED:
        rates = [
            next(iter(pick(by_arm[a].every, finding=pair.finding, reference=pair.reference, metric=metric,
                           rater=READERS, at="", call=how).to_dicts()), None)
            for a in (pair.new, pair.usual)
        ]  # fmt: skip
        if all(map(known, rates)):
            new, usual = (number((r or {})["estimate"]) for r in rates)
            less[how] = new - usual
    own = by_arm[pair.new].policy
    others = {how: value for how, value in less.items() if how != own}
    if own not in less or not others:
        return _UNTESTED, "The comparison of arms was not repeated with another handling."
    turned = [how for how, value in others.items() if value * less[own] < 0]
    values = " and ".join(
        f"{fixed(value, signed=True)} if {HANDLED[how]}{', with the other sign' if how in turned else ''}"
        for how, value in others.items()
    )
    start = f"{capital(MEASURES[metric])} for {in_words(pair.title)}, {minus(pair)}"
    return _MOVES if turned else _UNTESTED, (
        f"{start}: {fixed(less[own], signed=True)} of the pooled reads, {values}. The difference was not tested "
        "with another handling."
    )
