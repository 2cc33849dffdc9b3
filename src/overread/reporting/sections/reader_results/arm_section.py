"""Comparison of arms: the mean of the readers and each reader, the analysis of variance, reading time and trust."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from overread import codes
from overread.reporting.blocks import (
    Block,
    Cell,
    Folded,
    Paragraph,
    Points,
    Section,
    Table,
    appendix,
    group,
    heads,
    table,
)
from overread.reporting.estimate_cells import classes_cell, known, p_cells
from overread.reporting.number_format import MISSING, capital, fixed, number, p_phrase, p_value, plural
from overread.reporting.report_data import ReportData, Row, by, contrast_of, pick
from overread.reporting.sections.reader_results.arm_pairs import (
    MEASURES,
    ArmPair,
    arm_words,
    minus,
    pairs,
)
from overread.reporting.sections.reader_results.arm_sentences import answer, for_paper, margin_sentence
from overread.reporting.sections.reader_results.reader_forests import curves_figure, pair_forest
from overread.reporting.sections.reader_results.reader_titles import (
    ALL_ARMS,
    OTHERS_COUNT,
    READERS,
    arm_order,
    arm_title,
    in_sentence,
    reader_title,
    reads_cell,
    reference_title,
)

_TITLE = "Comparison of arms"
_OBUCHOWSKI_ROCKETTE = "test=obuchowski-rockette"
_SQUARES = (("ms_arm", "Arm"), ("ms_reader", "Reader"), ("ms_arm_reader", "Arm × reader"))
_COMPONENTS = (
    ("var_reader", "Reader"),
    ("var_arm_reader", "Arm × reader"),
    ("cov1", "Covariance 1: same reader, different arms"),
    ("cov2", "Covariance 2: different readers, same arm"),
    ("cov3", "Covariance 3: different readers, different arms"),
    ("var_error", "Error"),
)


def comparison_of_arms(evidence: ReportData) -> Section:
    """Every pair of arms that was compared; absent with reads in one arm."""
    found = pairs(evidence)
    times = [*_times(evidence), *_trust(evidence)]
    if not found and not times:
        return Section("arms", _TITLE, absent="reads of one arm only")
    shown = [p for p in found if p.measures]
    several = len({p.finding for p in shown}) > 1
    blocks: list[Block] = []
    for finding in dict.fromkeys(p.finding for p in found):
        blocks += [Paragraph(evidence.heading(finding), kind="heading")] if several else []
        own = [p for p in shown if p.finding == finding]
        for i, pair in enumerate(own):
            once = all(p.reference != pair.reference for p in own[:i])  # the analysis of variance is of all arms
            made = _pair_blocks(evidence, pair, heading=len(own) > 1, variance=once)
            blocks += made if i == 0 or pair.new != own[0].new else [appendix(_folded_title(pair), tuple(made[1:]))]
    blocks += _not_compared(found)
    blocks += times
    return Section("arms", _TITLE, tuple(blocks), answer=answer(shown[0], several=several) if shown else "")


def _folded_title(pair: ArmPair) -> str:
    title = reference_title(pair.reference)
    where = f"{title[:1].lower()}{title[1:]}"
    return f"{pair.title}, {minus(pair)}; reference standard: {where}"


def _pair_blocks(evidence: ReportData, pair: ArmPair, *, heading: bool, variance: bool) -> list[Block]:
    """One pair: the sentence for a paper, the means, the curves, each reader, the analysis of variance."""
    title = f"{capital(minus(pair))}; reference standard: {in_sentence(pair.reference)}"
    blocks: list[Block] = [Paragraph(title, kind="heading")] if heading else []
    if pair.leave_one_out:
        blocks.append(Paragraph(_LEFT_OUT))
    blocks += [_means_table(pair), *_margins(pair)]
    said = [for_paper(pair, m, patients=not evidence.cases_are_patients) for m in pair.measures]
    if any(said):
        blocks += [Paragraph("For a manuscript:", kind="small"), *(Paragraph(text) for text in said if text)]
    if "auc" in pair.measures:
        arms = [(a, pair.level("auc", a)) for a in (pair.usual, pair.new)]
        curves = curves_figure(evidence, arms, (pair.finding, pair.reference))
        blocks += [curves] if curves else []
    for metric in pair.measures:
        figure = pair_forest(
            pair, metric, name=f"arms-{pair.new}-{pair.usual}-{metric}-{pair.finding}-{pair.reference}"
        )
        blocks += [figure] if figure else []
    blocks.append(_readers_table(pair))
    analysis = [made for m in pair.measures for made in _variance_tables(pair, m)] if variance else []
    return [*blocks, *([Folded("Analysis of variance and variance components", tuple(analysis))] if analysis else [])]


_LEFT_OUT = (
    "In both arms each reader is judged by the majority of the other readers in the usual arm, so that no reader is "
    "judged by his or her own reads."
)


def _means_table(pair: ArmPair) -> Table:
    """A row per measure: both arms, the difference, its P value."""
    rows = [(m, pair.difference(m)) for m in pair.measures]
    adjusted = any(number((row or {}).get("p_adjusted")) == number((row or {}).get("p_adjusted")) for _, row in rows)
    body = []
    for metric, row in rows:
        name = capital(MEASURES[metric])
        levels = [_level_cell(pair, metric, a) for a in (pair.usual, pair.new)]
        p, holm = p_cells(row)
        holm = holm if number((row or {}).get("p_adjusted")) == number((row or {}).get("p_adjusted")) else Cell("")
        body.append((Cell(name), *levels, reads_cell(row, signed=True), p, *((holm,) if adjusted else ())))
    head = heads(
        "Measure", arm_title(pair.usual), arm_title(pair.new), minus(pair), "P", *(["Holm P"] if adjusted else [])
    )
    first = next((row for _, row in rows if row), {})
    counts = classes_cell(first).text
    number_read = plural(int(first["n_readers"]), "reader") if first.get("n_readers") else ""
    cases = f"cases with / without the finding: {counts}" if counts else ""
    cut = f"a rating of {pair.cutoff} or more counts as present" if pair.cutoff else ""
    family = "Holm P is adjusted over the tests of this family: sensitivity and specificity together, AUC apart, over "
    family = f"{family}findings and pairs of arms" if adjusted else ""
    remark = "; ".join(t for t in (number_read, cases, cut, family) if t)
    uncounted = f" {OTHERS_COUNT}" if pair.leave_one_out else ""
    who = " and ".join(dict.fromkeys(pair.together(m).lower() for m in pair.measures))
    caption = f"{pair.title}: {who} {arm_words(pair.usual)} and {arm_words(pair.new)}, with CIs."
    return table(caption, (head,), body, remark=f"{capital(remark)}.{uncounted}" if remark else "")


def _level_cell(pair: ArmPair, metric: str, arm: str) -> Cell:
    """The mean of the readers in one arm, with their number where the difference is over others."""
    cell = reads_cell(pair.level(metric, arm))
    return replace(cell, note="; ".join(t for t in (pair.other_readers(metric, arm), cell.note) if t))


def _margins(pair: ArmPair) -> list[Block]:
    said = [s for m in pair.measures if (s := margin_sentence(pair, m))]
    return [Points(tuple(said))] if said else []


def _readers_table(pair: ArmPair) -> Table:
    """Each reader by every measure in both arms, with the difference."""
    body: list[tuple[Cell, ...]] = []
    for metric in pair.measures:
        if len(pair.measures) > 1:
            body.append(group(capital(MEASURES[metric]), 5))
        for rater in (*pair.readers(), *(() if pair.one_reader(metric) else (READERS,))):
            levels = [pair.level(metric, a, rater) for a in (pair.usual, pair.new)]
            less = pair.difference(metric, rater)
            if any(map(known, (*levels, less))):
                name = Cell(pair.together(metric), "strong") if rater == READERS else Cell(reader_title(rater))
                cells = [reads_cell(r) if r else Cell(MISSING, "num") for r in levels]
                if rater == READERS:
                    cells = [_level_cell(pair, metric, a) if r else c for a, r, c in
                             zip((pair.usual, pair.new), levels, cells, strict=True)]  # fmt: skip
                beside = reads_cell(less, signed=True) if less else Cell(MISSING, "num")
                body.append((name, *cells, beside, p_cells(less)[0]))
    head = heads("Reader", arm_title(pair.usual), arm_title(pair.new), minus(pair), "P")
    caption = f"{pair.title}: each reader in both arms, with CIs. P values of single readers are not adjusted."
    if any(map(pair.own_readers, pair.measures)):
        caption = f"{pair.title}: each reader in the arm in which he or she read, with CIs."
    return table(caption, (head,), body, compact=True)


def _variance_tables(pair: ArmPair, metric: str) -> list[Table]:
    """Mean squares with the F test, and variance components (Obuchowski and Rockette), of all arms together."""
    row = pair.difference(metric)
    if row is None:
        return []
    mine = pick(pair.rows, arm=ALL_ARMS, rater=READERS, at=row["at"])
    found = by(mine, "metric")
    test = found.get(("f_statistic",))
    if test is None:
        return []
    df = [fixed((found.get((m,)) or {}).get("estimate"), d) for m, d in (("df_numerator", 0), ("df_denominator", 1))]
    body = []
    for name, title in _SQUARES:
        first = name == "ms_arm"
        cells = (fixed(test["estimate"], 2), ", ".join(df), p_value(test["p"])) if first else ("", "", "")
        body.append((Cell(title), Cell(_small(found.get((name,))), "num"), *(Cell(c, "num") for c in cells)))
    what = MEASURES[metric]
    squares = table(
        f"{pair.title}: analysis of variance of the {what} of readers in arms (Obuchowski and Rockette; denominator "
        "degrees of freedom of Hillis).",
        (heads("Source", "Mean square", "F", "Degrees of freedom", "P"),),
        body,
        compact=True,
    )
    parts = [(Cell(t), Cell(_small(found.get((n,))), "num")) for n, t in _COMPONENTS if (n,) in found]
    return [
        squares,
        table(f"{pair.title}: variance components.", (heads("Component", "Estimate"),), parts, compact=True),
    ]


def _small(row: Row | None) -> str:
    """A variance with four significant digits.

    >>> _small({"estimate": 0.0001999766}), _small(None)
    ('0.0002000', '—')
    """
    value = number((row or {}).get("estimate"))
    if value != value:
        return MISSING
    if value == 0 or not abs(value) < 0.001:
        return fixed(value, 4 if abs(value) >= 0.1 else 6)
    return fixed(value, 7)


def _not_compared(found: list[ArmPair]) -> list[Block]:
    """The pairs without any number, with the reason."""
    lost: dict[str, list[str]] = {}
    for pair in found:
        if pair.measures:
            continue
        rows = [pair.difference(m) for m in MEASURES]
        why = next((r["note"] for r in rows if r is not None and r["note"]), "no reason was recorded")
        lost.setdefault(why, []).append(f"{pair.title} by {in_sentence(pair.reference)}")
    said = tuple(f"{'; '.join(dict.fromkeys(names))}: {why}." for why, names in lost.items())
    return [Paragraph("Not compared", kind="heading"), Points(said)] if said else []


def _times(evidence: ReportData) -> list[Block]:
    """Reading time: the median of each arm, and the ratio of arms."""
    rows = evidence.estimates.filter(pl.col("metric").is_in(["median_seconds", "reading_time_ratio"]))
    if rows.is_empty():
        return []
    body = []
    mean = pick(rows, metric="median_seconds", rater=READERS)
    for arm in arm_order(evidence, mean["arm"].to_list()):
        for row in pick(mean, arm=arm).to_dicts():
            body.append((Cell(f"Median, seconds: {arm_title(arm)}"), reads_cell(row, digits=1), Cell("")))
    ratios = pick(rows, metric="reading_time_ratio").to_dicts()
    for row in ratios:
        title = f"Ratio of geometric means: {arm_title(row['arm'])} / {arm_title(contrast_of(row['contrast'], 'arm'))}"
        body.append((Cell(title), reads_cell(row), p_cells(row)[0]))
    remark = "The ratio is of a mixed model with readers and cases as random: it need not be the ratio of the medians."
    made = table("Reading time of a case; CIs of ratios.", (heads("", "Estimate", "P"),), body, remark=remark)
    said = [_time_sentence(r) for r in ratios if known(r)]
    people = _by_reader(rows, "median_seconds", "Median reading time of each reader, seconds.", digits=1)
    return [Paragraph("Reading time", kind="heading"), *map(Paragraph, said), made, *people]


def _time_sentence(row: Row) -> str:
    """How much longer or shorter reading took; only the difference where its interval includes none."""
    change = 100 * (number(row["estimate"]) - 1)
    ends = sorted(100 * (number(row[k]) - 1) for k in ("low", "high"))
    span = f" ({100 * row['confidence']:g}% CI {fixed(ends[0], 0, signed=True)}% to {fixed(ends[1], 0, signed=True)}%)"
    span = span if ends[0] == ends[0] else " (no CI)"
    p = f", P {p_phrase(row['p'])}" if number(row["p"]) == number(row["p"]) else ""
    arm, usual = arm_words(row["arm"]), arm_words(contrast_of(row["contrast"], "arm"))
    if ends[0] > 0 or ends[1] < 0:
        less = "more time" if change > 0 else "less time"
        return f"Reading took {fixed(abs(change), 0)}% {less} {arm} than {usual}{span}{p}."
    undecided = "; the interval includes 0" if ends[0] == ends[0] else ""
    return f"Difference in reading time {arm} from that {usual}: {fixed(change, 0, signed=True)}%{span}{p}{undecided}."


_WITHIN_CASES = (
    "A mean is over all cases of an arm, a difference within the cases that a reader read in both arms: it need not be "
    "the difference of the means."
)


def _trust(evidence: ReportData) -> list[Block]:
    """Trust: the mean over readers in each arm, and the difference of arms."""
    rows = evidence.estimates.filter(pl.col("metric").is_in(["mean_trust", "trust_difference"]))
    if rows.is_empty():
        return []
    body = []
    mean = pick(rows, metric="mean_trust", rater=READERS)
    for arm in arm_order(evidence, mean["arm"].to_list()):
        body += [
            (Cell(f"Mean: {arm_title(arm)}"), reads_cell(row, digits=2), Cell(""))
            for row in pick(mean, arm=arm).to_dicts()
        ]
    differences = pick(rows, metric="trust_difference").to_dicts()
    for row in differences:
        title = f"Difference: {arm_title(row['arm'])} minus {arm_title(contrast_of(row['contrast'], 'arm'))}"
        body.append((Cell(title), reads_cell(row, digits=2, signed=True), p_cells(row)[0]))
    people = _by_reader(rows, "mean_trust", "Mean trust of each reader.", digits=2)
    paired = any(c.name == "cases_in_both_arms" for r in differences for c in codes.decode(r["method_code"] or ""))
    made = table(
        "Trust, on the scale of the study; mean over readers, with CIs.",
        (heads("", "Estimate", "P"),),
        body,
        remark=_WITHIN_CASES if paired else "",
    )
    return [Paragraph("Trust", kind="heading"), made, *people]


def _by_reader(rows: pl.DataFrame, metric: str, caption: str, *, digits: int) -> list[Block]:
    """One measure of each reader in every arm, folded."""
    own = pick(rows, metric=metric).filter(pl.col("rater") != READERS)
    found = by(own, "rater", "arm")
    arms = list(dict.fromkeys(own["arm"].to_list()))
    body = [
        (
            Cell(r),
            *(
                replace(reads_cell(row, digits=digits), notes=None) if (row := found.get((r, a))) else Cell("")
                for a in arms
            ),
        )
        for r in dict.fromkeys(own["rater"].to_list())
    ]
    return (
        [Folded(caption.rstrip("."), (table(caption, (heads("Reader", *arms),), body, compact=True),))] if body else []
    )
