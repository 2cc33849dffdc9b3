"""The first page of readers in two or more arms: each arm, the difference, and every reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from overread import codes
from overread.reporting.blocks import Cell, Table, heads
from overread.reporting.estimate_cells import code_of, known
from overread.reporting.first_page.agreement_question import agreement_of_arms
from overread.reporting.first_page.answer_figures.arm_figure import (
    arms_figure,
    reader_difference,
    readers_table,
    several_findings,
)
from overread.reporting.first_page.beside_readers.reader_differences import outputs_of
from overread.reporting.first_page.first_page_parts import (
    AUC_TERM,
    MARK_TERM,
    RATES_TERM,
    FirstPage,
    bounded,
    first_rows,
    interval_term,
    leading_findings,
    number_cell,
    side,
    spelled,
    undecided,
)
from overread.reporting.first_page.page_facts import facts
from overread.reporting.first_page.reader_question import answer_of_differences
from overread.reporting.number_format import capital, count, fixed, limit, listed, number, p_phrase, p_value, plural
from overread.reporting.report_data import ReportData, Row, error_rate, value_at
from overread.reporting.sections.reader_results.arm_pairs import (
    MARGIN,
    MEASURES,
    POOLED_TERM,
    ArmPair,
    arm_words,
    compared_readers,
    leading_pair,
    minus,
    usable_pairs,
)
from overread.reporting.sections.reader_results.model_sentences import AGAINST
from overread.reporting.sections.reader_results.reader_titles import (
    arm_title,
    arms,
    classes_of,
    in_sentence,
    in_words,
    reader_title,
)


def arms_page(evidence: ReportData) -> FirstPage:
    """The page of the first pair of arms."""
    first = leading_pair(evidence)
    assert first is not None
    same = [p for p in usable_pairs(evidence) if p.reference == first.reference]
    others = _against_usual(first, same)
    better = "in another arm" if len(others) > 1 else arm_words(first.new)
    return FirstPage(
        "Evidence report: reader study",
        str(evidence.study.get("question") or "").strip()
        or f"Do readers do better {better} than {arm_words(first.usual)}?",
        _answer_of_arms(evidence, first, others) if len(others) > 1 else _answer(evidence, first),
        _more(first, same, evidence),
        _facts(evidence),
        arms_figure(evidence, first),
        _table(evidence, first, same),
        readers_table(first),
        _terms(same, evidence.confidence),
    )


def _facts(evidence: ReportData) -> tuple[tuple[str, str], ...]:
    """The counts, with the readers of the comparison only."""
    n = compared_readers(evidence)
    return tuple((what, str(n) if n and what == "readers" else count) for what, count in facts(evidence))


def _terms(same: Sequence[ArmPair], level: str) -> tuple[tuple[str, str], ...]:
    """The measures that the page shows."""
    shown = {m for c in same for m in MEASURES if known(c.difference(m))}
    measures = [AUC_TERM] if "auc" in shown else []
    measures += [RATES_TERM] if shown - {"auc"} else []
    pooled = any(c.pooled(m) for c in same for m in MEASURES)
    measures += [("Pooled readers", POOLED_TERM)] if pooled else []
    return (*measures, interval_term(level), _P_TERM, MARK_TERM)


_P_TERM = ("P", "The probability of a difference at least this large if there were none.")


def _against_usual(first: ArmPair, same: Sequence[ArmPair]) -> list[ArmPair]:
    """The pairs of the finding in which the usual arm is subtracted from another one, with a difference."""
    metric = first.leading_measure
    return [p for p in same if (p.usual, p.finding) == (first.usual, first.finding) and known(p.difference(metric))]


def _answer_of_arms(evidence: ReportData, first: ArmPair, others: Sequence[ArmPair]) -> str:
    """The range of the differences from the usual arm, and the test of all arms together."""
    metric = first.leading_measure
    rows = [(p, row) for p in others if (row := p.difference(metric)) is not None]
    rows.sort(key=lambda each: number(each[1]["estimate"]))
    of = f" for {in_words(first.title)}" if several_findings(evidence) else ""
    usual = first.level(metric, first.usual)
    level = f" ({fixed(usual['estimate'])})" if known(usual) else ""
    ends = [
        f"{spelled(row, signed=True, level=i == 0)} {arm_words(pair.new)}"
        for i, (pair, row) in enumerate(rows[:: len(rows) - 1])
    ]
    text = (
        f"The difference in the {first.measure_of_readers(metric)}{of} from that {arm_words(first.usual)}{level} "
        f"runs from {' to '.join(ends)}, with {_clear([row for _, row in rows])}."
    )
    margins = [(p, said) for p in others if (said := _non_inferiority(p).strip())]
    return " ".join([text, *_all_arms(first), *(f"{capital(minus(p))}: {s[:1].lower()}{s[1:]}" for p, s in margins)])


def _all_arms(pair: ArmPair) -> list[str]:
    """The F test of equal means in all arms, where there is one."""
    row = pair.all_arms(pair.leading_measure)
    if not known(row) or row is None or number(row["p"]) != number(row["p"]):
        return []
    return [f"Equal means in all arms: P {p_phrase(row['p'])} (F test)."]


def _answer(evidence: ReportData, pair: ArmPair) -> str:
    metric = pair.leading_measure
    row = pair.difference(metric)
    of = f" for {in_words(pair.title)}" if several_findings(evidence) else ""
    if not known(row):
        both = f"{arm_title(pair.new)} and {arm_title(pair.usual)}"
        return f"The difference between {both} could not be computed{of}."
    levels = pair.compared_levels(metric)
    name = pair.measure_of_readers(metric)
    if levels is None:
        less = f"{capital(minus(pair))}: {spelled(row, signed=True)} in the {name}{of}"
        return f"{less}{_verdict(evidence, row)}.{_non_inferiority(pair)}"
    new, usual = (fixed(r["estimate"]) for r in levels)
    return (
        f"The {name}{of} was {new} {arm_words(pair.new)} and {usual} {arm_words(pair.usual)}, a "
        f"difference of {spelled(row, signed=True)}{_verdict(evidence, row)}."
        f"{_non_inferiority(pair)}"
    )


def _verdict(evidence: ReportData, row: Row | None) -> str:
    """Where the interval of the difference lies, in words."""
    where = {-1: "; the whole interval is below 0", 1: "; the whole interval is above 0"}
    return where.get(side(row)) or undecided(evidence, row, "a difference is not shown")


def _non_inferiority(pair: ArmPair) -> str:
    """The lower limit against minus the margin, "" where no margin was stated."""
    row = pair.non_inferiority(pair.leading_measure)
    if row is None:
        return ""
    named = f"margin of {number(value_at(row['at'], MARGIN)):g}"
    found = _against_margin(pair, pair.leading_measure)
    if not found:
        return f" Non-inferiority with a {named} could not be tested."
    low, place, p = found
    tested = f"one-sided P {p}, tested at {_level(row)}"
    return f" Non-inferiority with a {named}: the lower limit of the interval, {low}, is {place} ({tested})."


def _against_margin(pair: ArmPair, metric: str) -> tuple[str, str, str] | None:
    """The lower limit, on which side of minus the margin it lies, and the P value; None without a test."""
    row, less = pair.non_inferiority(metric), pair.difference(metric)
    if row is None or not known(row) or number(row["p"]) != number(row["p"]) or less is None or not bounded(less):
        return None
    margin = number(value_at(row["at"], MARGIN))
    place = "above" if number(less["low"]) > -margin else "not above"
    return limit(less["low"], signed=True), f"{place} {limit(-margin, signed=True)}", p_phrase(row["p"])


def _level(row: Row) -> str:
    """The level of a one-sided test that agrees with the two-sided interval.

    >>> _level({"confidence": 0.95}), _level({"confidence": 0.9})
    ('2.5%', '5%')
    """
    return f"{50 * (1 - number(row.get('confidence') or 0.95)):.3g}%"


def _other_margins(pairs: Sequence[ArmPair], others: Sequence[ArmPair], *, several: bool) -> list[str]:
    """The lower limits of the other measures against the same margin, for each pair of arms, then those of `others`.

    The others are the same pairs of arms for further findings; where there are `several` findings each is named.
    """
    sentences, tests = [], 0
    for pair in (p for p in pairs if p.non_inferiority(p.leading_measure) is not None):
        said, untested = [], []
        which = f", {minus(pair)}," if len(pairs) > 1 else ""
        of = f" for {in_words(pair.title)}" if several else ""
        for metric in (m for m in pair.measures if m != pair.leading_measure):
            found = _against_margin(pair, metric)
            if found is None:
                untested.append(MEASURES[metric])
                continue
            low, place, p = found
            said.append(f"the lower limit for {MEASURES[metric]}{of}, {low}, is {place} (P {p})")
        tests += len(said) + (_against_margin(pair, pair.leading_measure) is not None)
        start = f"{capital(minus(pair))}: " if len(pairs) > 1 else ""
        words = "; ".join(said)
        sentences += [f"{start}{words if start else capital(words)}."] if said else []
        sentences += [f"Non-inferiority in {listed(untested)}{of}{which} could not be tested."] if untested else []
    more, of_others = _margins_of_findings(others, named=len(pairs) > 1)
    tests += of_others
    return [*sentences, *more, *(["One-sided P values are not adjusted."] if tests > 1 else [])]


def _margins_of_findings(pairs: Sequence[ArmPair], *, named: bool) -> tuple[list[str], int]:
    """The tests for further findings: how many lower limits are above, and those that are not; and their number."""
    above, failed, untested = 0, [], []
    for pair in pairs:
        arms_of = f", {minus(pair)}" if named else ""
        for metric in (m for m in pair.measures if pair.non_inferiority(m) is not None):
            what, found = f"{MEASURES[metric]} for {in_words(pair.title)}{arms_of}", _against_margin(pair, metric)
            if found is None:
                untested.append(what)
            elif found[1].startswith("not"):
                failed.append(f"{what} ({found[0]}, P {found[2]})")
            else:
                above += 1
    said, n = [], above + len(failed)
    if n:
        said.append(f"In {plural(n, 'test')} for other findings the lower limit is above minus the margin in {above}")
        said[0] += f" and not above it in {len(failed)}: {'; '.join(failed)}." if failed else "."
    said += [f"For other findings non-inferiority could not be tested: {'; '.join(untested)}."] if untested else []
    return said, n


def _left_out(pair: ArmPair) -> list[str]:
    """Weights, and readers without a part in the difference: of one arm, without a class, makers of the reference."""
    row = pair.difference(pair.leading_measure)
    said = []
    if any(code.name == "weighted" for code in codes.decode((row or {}).get("method_code") or "")):
        said.append("Cases are weighted by the inverse of their sampling probability.")
    if (one := code_of(row, "readers_in_one_arm")) is not None:
        names = [reader_title(str(r)) for r in _names(one["readers"])]
        verb = "is" if len(names) == 1 else "are"
        said.append(f"{capital(listed(names))} read in one arm only and {verb} left out.")
    if (lacking := code_of(row, "readers_without_class")) is not None:
        names = [reader_title(str(r)) for r in _names(lacking["readers"])]
        has, left = ("has", "is") if len(names) == 1 else ("have", "are")
        read = f"{has} no read of cases {lacking['classes']} in one of the arms and {left} left out"
        said.append(f"{capital(listed(names))} {read}.")
    if (made := code_of(row, "makers_excluded")) is not None and row and row.get("n_readers"):
        judged, makers = int(row["n_readers"]), len(_names(made["readers"]))
        said.append(f"{judged} of {judged + makers} readers judged; the others made the reference standard.")
    return said


def _names(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def _more(first: ArmPair, same: Sequence[ArmPair], evidence: ReportData) -> str:
    said = []
    if (own := first.own_readers(first.leading_measure)) is not None:
        who = f"{plural(own[0], 'reader')} {arm_words(first.new)}, {count(own[1])} others {arm_words(first.usual)}"
        said.append(f"Every reader read in one arm only ({who}): the difference is also one between readers.")
    if code_of(first.difference(first.leading_measure), "reads_in_one_arm") is not None:
        said.append("Each reader read a case in one arm only: the two arms of a reader are of different cases.")
    readers = [(r, d) for r in first.readers_of_both() if known(d := reader_difference(first, r))]
    if len(readers) > 1:
        above = sum(number(d["estimate"]) > 0 for _, d in readers)
        name = MEASURES[first.leading_measure]
        said.append(f"{above} of {plural(len(readers), 'reader')} had the higher {name} {arm_words(first.new)}.")
    for metric in ("sensitivity", "specificity"):
        row = first.difference(metric)
        if metric != first.leading_measure and bounded(row):
            pair = f", {minus(first)}" if len({p.new for p in same}) > 1 else ""
            said.append(f"{metric.capitalize()}{pair}: {spelled(row, signed=True)}.")
    against = _against_usual(first, same)
    margins = against if len(against) > 1 else [first]
    compared = {(p.new, p.usual) for p in margins}
    further = [p for p in same if p.finding != first.finding and (p.new, p.usual) in compared]
    said += _other_margins(margins, further, several=several_findings(evidence))
    said += _left_out(first)
    said += _over_findings(evidence, first, same)
    said.append(f"Reference standard: {in_sentence(first.reference)}.")
    return " ".join([*said, *_models_beside(evidence, first), *agreement_of_arms(evidence)])


def _models_beside(evidence: ReportData, first: ArmPair) -> list[str]:
    """The models beside the readers in the usual arm, or that they are in the sections below."""
    models = evidence.cast.raters
    reads = next((r for r in arms(evidence) if r.arm == first.usual), None)
    if not models or reads is None:
        return []
    where = arm_words(reads.arm)
    if outputs := outputs_of(reads):
        answer = answer_of_differences(reads, outputs)
        return [f"Models and readers {where}, at the specificity of the readers: {answer}"]
    rows = reads.rows(first.finding, first.reference).items()
    less = [r for (m, _, _, against), r in rows if (m, against) == ("auc_difference", AGAINST) and known(r)]
    if less:
        of = f" for {in_words(first.title)}" if several_findings(evidence) else ""
        start = f"AUC{of}, model minus the mean of the readers {where}"
        told = [f"{r['rater']} {spelled(r, signed=True, level=k == 0)}" for k, r in enumerate(less[:_NAMED])]
        more = f"; {plural(len(less) - _NAMED, 'more model')} in the sections below" if len(less) > _NAMED else ""
        return [f"{start}: {listed(told)}{more}."]
    names = listed(models) if len(models) <= _NAMED else f"The {len(models)} models"
    return [f"{names} {'is' if len(models) == 1 else 'are'} evaluated in the sections below."]


_NAMED = 3  # models that are named


def _over_findings(evidence: ReportData, first: ArmPair, same: Sequence[ArmPair]) -> list[str]:
    """The range of the difference over the findings, where several are reported and none was prespecified."""
    metric = first.leading_measure
    chosen = leading_findings(evidence, [c.finding for c in same])
    pair = [c for c in same if (c.new, c.usual) == (first.new, first.usual) and c.finding in chosen]
    rows = [(c.title, row) for c in pair if known(row := c.difference(metric)) and row]
    if len(rows) < 2:
        return []
    rows.sort(key=lambda each: number(each[1]["estimate"]))
    ends = [f"{fixed(r['estimate'], signed=True)} ({in_words(title)})" for title, r in (rows[0], rows[-1])]
    clear = _clear([row for _, row in rows])
    what = f"the difference in {MEASURES[metric]}, {minus(first)},"
    return [f"Over {len(rows)} findings {what} runs from {ends[0]} to {ends[1]}, with {clear}."]


def _clear(rows: Sequence[Row]) -> str:
    """In how many of several differences 0 is outside the interval, and how many remain after adjustment of P."""
    clear = sum(side(row) != 0 for row in rows)
    text = f"0 outside the unadjusted interval in {clear or 'none'} of {len(rows)}"
    adjusted = [number(row["p_adjusted"]) for row in rows]
    if all(p != p for p in adjusted):
        return text
    alpha = error_rate(rows)
    return f"{text} and a Holm-adjusted P below {alpha:g} in {sum(p < alpha for p in adjusted) or 'none'}"


def _table(evidence: ReportData, first: ArmPair, same: Sequence[ArmPair]) -> Table:
    """Each measure in both arms, with the difference; with several findings or arms a row for each.

    Of three or more arms each is compared with the usual one; the other pairs are in the section.
    """
    pairs = list(dict.fromkeys((c.new, c.usual) for c in same))
    several = len({c.finding for c in same}) > 1
    shown = [c for c in same if c.usual == first.usual]
    rows = [(c, metric, row) for c in shown for metric in MEASURES if known(row := c.difference(metric))]
    metrics = list(MEASURES)
    rows.sort(key=lambda r: (r[0].finding != first.finding, r[0].finding, metrics.index(r[1])))
    body, counts = [], list(dict.fromkeys(classes_of(row).text for _, _, row in rows))
    for c, metric, row in rows:
        name = capital(MEASURES[metric])
        title = f"{name}, {in_words(c.title)}" if several else name
        kind = "strong" if c is first and metric == first.leading_measure else ""
        cells = [_level_cell(c, metric, a) for a in (c.usual, c.new)]
        own = _with_and_without(classes_of(row).text) if len(counts) > 1 else ""
        pair = "; ".join(filter(None, (minus(c) if len(pairs) > 1 else "", own)))
        last = number_cell(row, signed=True), Cell(p_value(row["p"]), "num", note=_holm(row))
        body.append((Cell(title, kind=kind, note=pair), *cells, *last))
    one = len(pairs) == 1
    usual = arm_title(first.usual)
    new, less = (arm_title(first.new), minus(first)) if one else ("Other arm", f"Other arm minus {usual}")
    left = len(pairs) - len({c.new for c in shown})
    more = f"{plural(left, 'other pair')} of arms {'is' if left == 1 else 'are'} in the sections below." if left else ""
    made = Table(
        f"The {_together(c.together(m) for c, m, _ in rows)} in each arm",
        (heads("Measure", usual, new, less, "P"),),
        tuple(body),
        note=" ".join(
            [
                f"With {evidence.confidence} interval.",
                *(f"{_with_and_without(n)}." for n in counts if n and len(counts) == 1),
            ]
        ),
        remark=f"{more} {_adjusted(same)}".strip(),
    )
    return first_rows(made, "rows")


def _together(names: Iterable[str]) -> str:
    """What the rows of a table are about, all of them or each in turn."""
    return " and the ".join(n.lower() for n in dict.fromkeys(names)) or "readers"


def _level_cell(pair: ArmPair, metric: str, arm: str) -> Cell:
    cell = number_cell(pair.level(metric, arm))
    return replace(cell, note="; ".join(t for t in (pair.other_readers(metric, arm), cell.note) if t))


def _holm(row: Row) -> str:
    adjusted = number(row["p_adjusted"])
    return f"Holm {p_value(adjusted)}" if adjusted == adjusted else ""


def _adjusted(same: Sequence[ArmPair]) -> str:
    """Whether the P values are adjusted for the number of tests, and over what."""
    rows = [(m, row) for c in same for m in MEASURES if known(row := c.difference(m)) and row]
    holm = {m for m, row in rows if _holm(row)}
    if not holm:
        return "P values are not adjusted for the number of measures." if len(rows) > 1 else ""
    rates = holm - {"auc"}
    over = ["sensitivity and specificity together" + ", AUC apart" * ("auc" in holm)] if rates else []
    over += ["findings"] if len({c.finding for c in same}) > 1 else []
    over += ["pairs of arms"] if len({(c.new, c.usual) for c in same}) > 1 else []
    return f"Holm: adjusted over {'; '.join(over or ['findings and pairs of arms'])}."


def _with_and_without(counts: str) -> str:
    """The cases of a row with and without the finding; "" where they differ between readers."""
    return f"Cases with / without the finding: {counts}" if counts else ""
