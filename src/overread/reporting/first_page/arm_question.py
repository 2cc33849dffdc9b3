"""The first page of readers in two or more arms: each arm, the difference, and every reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import polars as pl

from overread.reporting.blocks import Cell, Figure, Table, heads, table
from overread.reporting.estimate_cells import code_of, known
from overread.reporting.figures.drawing_style import DIFFERENCE, series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Mark, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
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
from overread.reporting.number_format import fixed, limit, listed, number, p_phrase, p_value, plural
from overread.reporting.report_data import ReportData, Row, at_values, contrast_of, pick, value_at, with_contrast
from overread.reporting.sections.reader_results.arm_pairs import MARGIN
from overread.reporting.sections.reader_results.reader_titles import (
    CUTOFF,
    READERS,
    ReadRows,
    arm_title,
    arms,
    in_sentence,
    reader_title,
)

_MEASURES = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}


@dataclass(frozen=True, slots=True)
class ArmContrast:
    """What is compared: the new arm minus the usual one, for one finding under one reference."""

    new: str
    usual: str
    finding: str
    reference: str
    rows: pl.DataFrame  # of this finding and reference, of every arm and rater

    def difference(self, metric: str, rater: str = READERS) -> Row | None:
        """New minus usual; where several tests made it, the first with an interval."""
        rows = [r for r in self._differences(metric, rater) if not value_at(r["at"], MARGIN)]
        return next((r for r in rows if bounded(r)), next((r for r in rows if known(r)), None))

    def non_inferiority(self, metric: str) -> Row | None:
        """The test against the margin, None where no margin was stated."""
        return next((r for r in self._differences(metric, READERS) if value_at(r["at"], MARGIN)), None)

    def _differences(self, metric: str, rater: str) -> list[Row]:
        name, contrast = f"{metric}_difference", f"arm:{self.usual}"
        return pick(self.rows, metric=name, rater=rater, arm=self.new, contrast=contrast).to_dicts()

    def level(self, metric: str, arm: str, rater: str = READERS) -> Row | None:
        """The number of an arm; where several methods made it, the one of the difference first."""
        found = [r for r in pick(self.rows, metric=metric, rater=rater, arm=arm, contrast="").to_dicts() if known(r)]
        test = value_at((self.difference(metric) or {}).get("at", ""), "test")
        tested = [r for r in found if rater == READERS and test and value_at(r["at"], "test") == test]
        own = [r for r in found if not set(at_values(r["at"])) - {CUTOFF}]
        return next(iter(tested or own), None)

    def readers(self) -> list[str]:
        """The readers of both arms."""
        found = [
            set(pick(self.rows, arm=a).filter(pl.col("rater") != READERS)["rater"].to_list())
            for a in (self.new, self.usual)
        ]
        return sorted(found[0] & found[1])

    def measure(self) -> str:
        """The measure of the answer: AUC where the readers gave grades, else sensitivity."""
        return next((m for m in _MEASURES if bounded(self.difference(m))), "sensitivity")


def compared_readers(evidence: ReportData) -> int:
    """How many readers the leading comparison of arms is about, 0 where its rows do not say so."""
    first = _leading_contrast(evidence)
    row = first.difference(first.measure()) or {}
    return int(row.get("n_readers") or 0)


def contrasts(evidence: ReportData) -> list[ArmContrast]:
    """The contrasts between arms: findings in the order of the page, stated references first."""
    made = []
    for reads in arms(evidence):
        frame = with_contrast(reads.frame.filter(pl.col("rater") == READERS), "arm")
        for finding in reads.findings:
            for reference in _stated_first(reads, own_references(evidence)):
                own = pick(frame, finding=finding, reference=reference)
                for usual in dict.fromkeys(contrast_of(c, "arm") for c in own["contrast"].to_list()):
                    both = _rows(evidence, finding, reference)
                    made.append(ArmContrast(reads.arm, usual, finding, reference, both))
    return made


def _rows(evidence: ReportData, finding: str, reference: str) -> pl.DataFrame:
    frames = [pick(reads.frame, finding=finding, reference=reference) for reads in arms(evidence)]
    return pl.concat(frames)


def own_references(evidence: ReportData) -> tuple[str, ...]:
    """The label sources that the evaluation names as its reference standard."""
    given = evidence.config.get("reference") or ()
    return (given,) if isinstance(given, str) else tuple(given)


def _stated_first(reads: ReadRows, own: Sequence[str]) -> list[str]:
    derived = ("majority", "majority of the others", "dawid-skene")
    return sorted(reads.references, key=lambda r: (r in derived, r in reads.made, r not in own))


def _usable(evidence: ReportData) -> list[ArmContrast]:
    """The contrasts with an interval, or all where there is none."""
    every = contrasts(evidence)
    return [c for c in every if bounded(c.difference(c.measure()))] or every


def _leading_contrast(evidence: ReportData) -> ArmContrast:
    """The contrast of the answer."""
    usable = _usable(evidence)
    chosen = leading_findings(evidence, [c.finding for c in usable])
    graded = list(_MEASURES)
    place = {c: i for i, c in enumerate(_stated_first(arms(evidence)[0], own_references(evidence)))}
    return min(
        usable, key=lambda c: (place.get(c.reference, len(place)), graded.index(c.measure()), c.finding not in chosen)
    )


def arms_page(evidence: ReportData) -> FirstPage:
    """The page of the first contrast of arms."""
    usable = _usable(evidence)
    first = _leading_contrast(evidence)
    same = [c for c in usable if c.reference == first.reference]
    level = next((number(c) for c in first.rows["confidence"] if c), 0.95)
    new, usual = first.new, first.usual
    return FirstPage(
        "Evidence report: reader study",
        str(evidence.study.get("question") or "").strip() or f"Do readers do better {_with(new)} than {_with(usual)}?",
        _answer(evidence, first),
        _more(first, same, evidence),
        _facts(evidence),
        _figure(evidence, first),
        _table(evidence, first, same),
        _detail(evidence, first),
        _terms(same, level),
    )


def _facts(evidence: ReportData) -> tuple[tuple[str, str], ...]:
    """The counts, with the readers of the comparison only."""
    n = compared_readers(evidence)
    return tuple((what, str(n) if n and what == "readers" else count) for what, count in facts(evidence))


def _terms(same: Sequence[ArmContrast], level: float) -> tuple[tuple[str, str], ...]:
    """The measures that the page shows."""
    shown = {m for c in same for m in _MEASURES if known(c.difference(m))}
    measures = [AUC_TERM] if "auc" in shown else []
    measures += [RATES_TERM] if shown - {"auc"} else []
    return (*measures, interval_term(level), _P_TERM, MARK_TERM)


_P_TERM = ("P", "The probability of a difference at least this large if there were none.")


def _with(arm: str) -> str:
    """An arm within a sentence.

    >>> _with("unaided"), _with("aided:score+map"), _with("cine"), _with("2")
    ('without the help of the model', 'with the help of the model (score, map)', 'with cine', 'in arm 2')
    """
    kind, _, help_of = arm.partition(":")
    if kind == "unaided":
        return "without the help of the model"
    if kind == "aided":
        return "with the help of the model" + (f" ({help_of.replace('+', ', ')})" if help_of else "")
    return f"in {arm_title(arm)}" if arm_title(arm) != arm else f"with {arm}"


def _answer(evidence: ReportData, contrast: ArmContrast) -> str:
    metric = contrast.measure()
    row = contrast.difference(metric)
    of = f" for {_heading(evidence, contrast.finding)}" if _several(evidence) else ""
    if not known(row):
        both = f"{arm_title(contrast.new)} and {arm_title(contrast.usual)}"
        return f"The difference between {both} could not be computed{of}."
    levels = [contrast.level(metric, a) for a in (contrast.new, contrast.usual)]
    name = _MEASURES[metric]
    if not all(map(known, levels)):
        less = f"{_minus(contrast)}: {spelled(row, signed=True)} in the {name} of the readers{of}."
        return less + _non_inferiority(contrast)
    new, usual = (fixed((r or {})["estimate"]) for r in levels)
    return (
        f"The mean {name} of the readers{of} was {new} {_with(contrast.new)} and {usual} {_with(contrast.usual)}, a "
        f"difference of {spelled(row, signed=True)}{undecided(evidence, row, 'a difference is not shown')}."
        f"{_non_inferiority(contrast)}"
    )


def _non_inferiority(contrast: ArmContrast) -> str:
    """The lower limit against minus the margin, "" where no margin was stated."""
    metric = contrast.measure()
    row, less = contrast.non_inferiority(metric), contrast.difference(metric)
    if row is None:
        return ""
    margin = number(value_at(row["at"], MARGIN))
    named = f"margin of {margin:g}"
    if not known(row) or number(row["p"]) != number(row["p"]) or not bounded(less) or less is None:
        return f" Non-inferiority with a {named} could not be tested."
    place = "above" if number(less["low"]) > -margin else "not above"
    low = limit(less["low"], signed=True)
    return (
        f" Non-inferiority with a {named}: the lower limit of the interval, {low}, is {place} "
        f"{limit(-margin, signed=True)} (one-sided P {p_phrase(row['p'])})."
    )


def _left_out(contrast: ArmContrast) -> list[str]:
    """Readers without a part in the difference: those of one arm only, and those who made the reference standard."""
    row = contrast.difference(contrast.measure())
    said = []
    if (one := code_of(row, "readers_in_one_arm")) is not None:
        names = [reader_title(str(r)) for r in _names(one["readers"])]
        verb = "is" if len(names) == 1 else "are"
        said.append(f"{_capital(listed(names))} read in one arm only and {verb} left out.")
    if (made := code_of(row, "makers_excluded")) is not None and row and row.get("n_readers"):
        judged, makers = int(row["n_readers"]), len(_names(made["readers"]))
        said.append(f"{judged} of {judged + makers} readers judged; the others made the reference standard.")
    return said


def _names(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _minus(contrast: ArmContrast) -> str:
    return f"{arm_title(contrast.new)} minus {arm_title(contrast.usual)}"


def _several(evidence: ReportData) -> bool:
    return len({f for reads in arms(evidence) for f in reads.findings}) > 1


def _heading(evidence: ReportData, finding: str) -> str:
    return evidence.heading(finding).lower()


def _more(first: ArmContrast, same: Sequence[ArmContrast], evidence: ReportData) -> str:
    said = []
    readers = [(r, d) for r in first.readers() if known(d := _reader_difference(first, r))]
    if readers:
        above = sum(number(d["estimate"]) > 0 for _, d in readers)
        name = _MEASURES[first.measure()]
        said.append(f"{above} of {plural(len(readers), 'reader')} had the higher {name} {_with(first.new)}.")
    for metric in ("sensitivity", "specificity"):
        row = first.difference(metric)
        if metric != first.measure() and bounded(row):
            said.append(f"{metric.capitalize()}: {spelled(row, signed=True)}.")
    said += _left_out(first)
    said += _over_findings(evidence, first, same)
    said.append(f"Reference standard: {in_sentence(first.reference)}.")
    return " ".join(said)


def _over_findings(evidence: ReportData, first: ArmContrast, same: Sequence[ArmContrast]) -> list[str]:
    """The range of the difference over the findings, where several are reported and none was prespecified."""
    metric = first.measure()
    chosen = leading_findings(evidence, [c.finding for c in same])
    pair = [c for c in same if (c.new, c.usual) == (first.new, first.usual) and c.finding in chosen]
    rows = [(c.finding, row) for c in pair if known(row := c.difference(metric)) and row]
    if len(rows) < 2:
        return []
    rows.sort(key=lambda each: number(each[1]["estimate"]))
    ends = [f"{fixed(r['estimate'], signed=True)} ({_heading(evidence, f)})" for f, r in (rows[0], rows[-1])]
    clear = sum(side(row) != 0 for _, row in rows)
    return [
        f"Over {len(rows)} findings the difference runs from {ends[0]} to {ends[1]}, with 0 outside the interval in "
        f"{clear or 'none'}."
    ]


def _reader_difference(contrast: ArmContrast, reader: str) -> Row | None:
    """The difference of a reader: a row where there is one, else that of the two arms, without an interval."""
    metric = contrast.measure()
    row = contrast.difference(metric, reader)
    if known(row):
        return row
    new, usual = (contrast.level(metric, a, reader) for a in (contrast.new, contrast.usual))
    if not known(new) or not known(usual):
        return None
    return {**new, "estimate": number(new["estimate"]) - number(usual["estimate"]), "low": nan, "high": nan, "p": nan}


def _figure(evidence: ReportData, contrast: ArmContrast) -> Figure | None:
    """Both arms of every reader, and the difference beside them."""
    metric = contrast.measure()
    own = [contrast.level(metric, a) for a in (contrast.usual, contrast.new)]
    row = contrast.difference(metric)
    rows = [_figure_row("Mean of the readers", own, row, strong=True)] if any(map(known, [*own, row])) else []
    for reader in contrast.readers():
        levels = [contrast.level(metric, a, reader) for a in (contrast.usual, contrast.new)]
        if any(map(known, levels)):
            rows.append(_figure_row(reader_title(reader), levels, _reader_difference(contrast, reader)))
    if not rows:
        return None
    name = _MEASURES[metric]
    sides = (f"{arm_title(contrast.usual)} higher", f"{arm_title(contrast.new)} higher")
    sides = sides if all(len(s) < 24 for s in sides) else ("lower", "higher")
    panels = (
        Panel(
            Scale("0.5 is chance, 1 complete separation" if metric == "auc" else ""),
            f"{name[:1].upper()}{name[1:]} (95% interval)",
            labels=False,
        ),
        Panel(Scale("", null=0.0, signed=True, better=sides), "Difference"),
    )
    plot = ForestPlot(tuple(rows), panels, (series_style(1), series_style(0), DIFFERENCE))
    of = f" for {_heading(evidence, contrast.finding)}" if _several(evidence) else ""
    return panel_figure(
        plot,
        (arm_title(contrast.usual), arm_title(contrast.new)),
        name="answer",
        caption="Line: 95% interval; that of the mean is for readers and cases like these, that of one "
        "reader for cases like these.",
        title=f"Each reader{of}: {name} {_with(contrast.usual)} and {_with(contrast.new)}",
        note=f"Right: {_minus(contrast)}.",
    )


def _figure_row(title: str, levels: Sequence[Row | None], difference: Row | None, *, strong: bool = False) -> ForestRow:
    marks = tuple(mark_of(row, i) for i, row in enumerate(levels) if known(row))
    last = (mark_of(difference, 2, signed=True),) if known(difference) else (Mark(2, nan, nan, nan, ""),)
    return ForestRow(title, (marks, last), strong=strong)


def _table(evidence: ReportData, first: ArmContrast, same: Sequence[ArmContrast]) -> Table:
    """Each measure in both arms, with the difference; with several findings or arms a row for each."""
    pairs = list(dict.fromkeys((c.new, c.usual) for c in same))
    several = len({c.finding for c in same}) > 1
    rows = [(c, metric, row) for c in same for metric in _MEASURES if known(row := c.difference(metric))]
    metrics = list(_MEASURES)
    rows.sort(key=lambda r: (r[0].finding != first.finding, r[0].finding, metrics.index(r[1])))
    body = []
    for c, metric, row in rows:
        name = f"{_MEASURES[metric][:1].upper()}{_MEASURES[metric][1:]}"
        title = f"{name}, {_heading(evidence, c.finding)}" if several else name
        kind = "strong" if c is first and metric == first.measure() else ""
        cells = [number_cell(c.level(metric, a)) for a in (c.usual, c.new)]
        pair = _minus(c) if len(pairs) > 1 else ""
        last = number_cell(row, signed=True), Cell(p_value(row["p"]), "num", note=_holm(row))
        body.append((Cell(title, kind=kind, note=pair), *cells, *last))
    one = len(pairs) == 1
    titles = (
        (arm_title(first.usual), arm_title(first.new), _minus(first)) if one else ("Usual", "New", "New minus usual")
    )
    made = Table(
        "The mean of the readers in each arm",
        (heads("Measure", *titles, "P"),),
        tuple(body),
        note="With 95% interval.",
        remark=_adjusted([row for _, _, row in rows]),
    )
    return first_rows(made, "rows")


def _holm(row: Row) -> str:
    adjusted = number(row["p_adjusted"])
    return f"Holm {p_value(adjusted)}" if adjusted == adjusted else ""


def _adjusted(rows: Sequence[Row]) -> str:
    """Whether the P values are adjusted for the number of tests."""
    if any(map(_holm, rows)):
        return "Holm: adjusted over findings and pairs of arms."
    return "P values are not adjusted for the number of measures." if len(rows) > 1 else ""


def _detail(evidence: ReportData, contrast: ArmContrast) -> tuple[Table, ...]:
    metric = contrast.measure()
    body = []
    for reader in contrast.readers():
        cells = [number_cell(contrast.level(metric, a, reader)) for a in (contrast.usual, contrast.new)]
        body.append(
            (Cell(reader_title(reader)), *cells, number_cell(_reader_difference(contrast, reader), signed=True))
        )
    head = heads("Reader", arm_title(contrast.usual), arm_title(contrast.new), _minus(contrast))
    name = _MEASURES[metric]
    return (table(f"{name[:1].upper()}{name[1:]} of each reader, with 95% interval.", (head,), body),) if body else ()
