"""The first page of decisions without scores: sensitivity and specificity of each, and the paired difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from overread.reporting.blocks import Cell, Figure, Table, group, heads, table
from overread.reporting.estimate_cells import classes_cell, known, mean_of
from overread.reporting.figures.drawing_style import series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.first_page.first_page_parts import (
    MARK_TERM,
    FirstPage,
    bounded,
    findings_of,
    first_rows,
    headline_finding,
    interval_term,
    leading_findings,
    most_findings,
    negated,
    number_cell,
    place,
    side,
    spelled,
)
from overread.reporting.number_format import capital, fixed, listed, number, p_value, plural
from overread.reporting.report_data import (
    DECISION,
    MEAN,
    ReportData,
    Row,
    by,
    in_order,
    overall,
    pick,
    population_title,
)

_RATES = ("sensitivity", "specificity")
_SPELLED = 3  # models of which each has its numbers in the answer


@dataclass(frozen=True, slots=True)
class DecisionRows:
    """The rates of decisions, and the paired differences between them."""

    evidence: ReportData
    rates: dict[tuple[str, ...], Row]  # by metric, rater, population, finding
    differences: dict[tuple[str, ...], Row]  # by metric, rater, contrast, population, finding
    finding: str  # what the answer is about: the mean over findings, or one finding where there is one, or no mean

    @property
    def raters(self) -> list[str]:
        """The models with decisions, in the order of the page."""
        return [r for r in self.evidence.cast.raters if any(key[1] == r for key in self.rates)]

    @property
    def populations(self) -> tuple[str, ...]:
        """The populations with a rate."""
        return in_order(key[2] for key in self.rates)

    @property
    def lead(self) -> str:
        """The population of the answer: the first at which a model has a rate."""
        there = (p for p in self.populations if any(known(r) for key, r in self.rates.items() if key[2] == p))
        return next(there, self.populations[0])

    def findings(self, population: str) -> list[str]:
        """The findings with a rate at a population, those of the answer first."""
        there = {key[3] for key in self.rates if key[2] == population} - {MEAN}
        ordered = self.evidence.vocabulary.ordered(there)
        lead = leading_findings(self.evidence, ordered)
        return [*lead, *(f for f in ordered if f not in lead)]

    def whole(self, metric: str, rater: str, population: str) -> Row | None:
        """The mean over findings of a rate, or that of the finding that the answer is about."""
        rows = [self.rates.get((metric, rater, population, f)) for f in (MEAN, self.finding)]
        return next((row for row in rows if known(row)), rows[-1] or rows[0])

    def named(self, metric: str, row: Row | None) -> str:
        """A rate with what it is of: several findings, or one, which may be the only one of a mean."""
        if (over := findings_of(row)) > 1:
            return f"mean {metric} over {over} findings"
        mean = mean_of(row or {}) if self.finding == MEAN else None
        alone = [mean.findings[0]] if mean and mean.findings else []
        alone += [self.evidence.heading(self.finding).lower()] if self.finding != MEAN else []
        return f"{metric} for {alone[0]}" if alone else f"mean {metric}"

    def difference(self, metric: str, pair: tuple[str, str], population: str, finding: str) -> Row | None:
        """A rate of the first minus that of the second, on the same cases."""
        first, second = pair
        name = f"{metric}_difference"
        row = self.differences.get((name, first, f"rater:{second}", population, finding))
        if row:
            return row
        row = self.differences.get((name, second, f"rater:{first}", population, finding))
        return negated(row) if row else None


def decision_rows(evidence: ReportData) -> DecisionRows:
    """The rates of decisions without scores."""
    rates = pl.concat([pick(overall(evidence, "standalone", m), at=DECISION) for m in _RATES])
    differences = pl.concat([pick(overall(evidence, "comparison", f"{m}_difference"), at=DECISION) for m in _RATES])
    found = by(rates, "metric", "rater", "population", "finding")
    return DecisionRows(
        evidence,
        found,
        by(differences, "metric", "rater", "contrast", "population", "finding"),
        headline_finding(evidence, found.values()),
    )


def decisions_only(evidence: ReportData) -> bool:
    """Whether there are decisions and no model has an AUC."""
    scored = any(known(row) for row in overall(evidence, "standalone", "auc").iter_rows(named=True))
    return not scored and any(known(row) for row in decision_rows(evidence).rates.values())


def decisions_page(evidence: ReportData) -> FirstPage:
    """The page of models that give decisions without scores."""
    rows = decision_rows(evidence)
    lead = rows.lead
    return FirstPage(
        "Evidence report",
        str(evidence.study.get("question") or "").strip() or _question(rows),
        _answer(rows, lead),
        paired_rates(rows, lead),
        (),
        _figure(rows, lead),
        decisions_table(rows),
        _detail(rows, lead),
        (_RATES_TERM, interval_term(rows.evidence.confidence), MARK_TERM),
    )


_RATES_TERM = (
    "Sensitivity and specificity",
    "The proportion called present of the cases with the finding, and called absent of those without it. The decisions "
    "were given without scores, so that there is no ROC curve and no AUC.",
)


def _question(rows: DecisionRows) -> str:
    raters = rows.raters
    who = listed(raters) if len(raters) < _SPELLED else f"{len(raters)} models"
    verb = "is the decision" if len(raters) == 1 else "are the decisions"
    return f"How often {verb} of {who} right in cases with a finding, and in cases without it?"


def _answer(rows: DecisionRows, population: str) -> str:
    raters = [r for r in rows.raters if all(known(rows.whole(m, r, population)) for m in _RATES)]
    if not raters:
        return "No sensitivity and specificity could be computed."
    said = []
    for i, metric in enumerate(_RATES):
        found = [(r, rows.whole(metric, r, population)) for r in raters]
        over = most_findings(row for _, row in found)
        what = f"mean {metric} over {plural(over, 'finding')}" if over > 1 else rows.named(metric, found[0][1])
        name = what if i == 0 else f"{'mean ' if over > 1 else ''}{metric}"
        if len(raters) > _SPELLED:
            ends = sorted(found, key=lambda pair: number((pair[1] or {})["estimate"]))
            ends = [ends[0], ends[-1]]
        else:
            ends = found
        joint = " to " if len(raters) > _SPELLED else ""
        texts = [f"{spelled(row, level=i == k == 0)}{_fewer(row, over)} for {r}" for k, (r, row) in enumerate(ends)]
        said.append(f"the {name} {'runs from' if joint else 'is'} {joint.join(texts) if joint else listed(texts)}")
    start = f"{capital(place(population))}, {said[0]}" if len(rows.populations) > 1 else capital(said[0])
    return f"{start}; {said[1]}."


def _fewer(row: Row | None, most: int) -> str:
    """That a mean is over fewer findings than that of another model."""
    return f" over {plural(own, 'finding')}" if 0 < (own := findings_of(row)) < most else ""


def paired_rates(rows: DecisionRows, population: str) -> str:
    """The paired differences of the first model from each other one; of more than three models, how many there are."""
    raters = rows.raters
    said = [text for other in raters[1:_SPELLED] if (text := _paired(rows, (raters[0], other), population))]
    pairs = len(raters) * (len(raters) - 1) // 2
    left = pairs - len(said) if said else 0
    rest = f"{plural(left, 'more pair')} of models: see the sections below." if left else ""
    return " ".join(filter(None, (*said, rest)))


def _paired(rows: DecisionRows, pair: tuple[str, str], population: str) -> str:
    """The paired differences between two models."""
    findings = leading_findings(rows.evidence, rows.findings(population))
    said = []
    for metric in _RATES:
        every = {f: row for f in findings if bounded(row := rows.difference(metric, pair, population, f)) and row}
        if len(every) == 1:
            ((finding, row),) = every.items()
            name = f" for {rows.evidence.heading(finding).lower()}" if len(rows.findings(population)) > 1 else ""
            said.append(f"{metric}{name} {spelled(row, signed=True)}{_with_zero(row)}")
        elif every:
            low, high = (f(every, key=lambda k: number(every[k]["estimate"])) for f in (min, max))
            ends = (
                f"{fixed(every[f]['estimate'], signed=True)} ({rows.evidence.heading(f).lower()})" for f in (low, high)
            )
            clear = sum(side(row) != 0 for row in every.values())
            said.append(f"{metric} from {' to '.join(ends)}, with 0 outside the interval in {clear} of {len(every)}")
    return f"{pair[0]} minus {pair[1]}, on the same cases: {'; '.join(said)}." if said else ""


def _with_zero(row: Row) -> str:
    return "" if side(row) else "; the interval includes 0"


def _figure(rows: DecisionRows, population: str) -> Figure | None:
    raters = rows.raters[: _SPELLED + 1]
    shown = []
    for finding in (MEAN, *rows.findings(population)):
        marks = tuple(
            tuple(mark_of(rows.rates.get((m, r, population, finding)), i) for i, r in enumerate(raters)) for m in _RATES
        )
        if any(mark.value == mark.value for panel in marks for mark in panel):
            shown.append(ForestRow(rows.evidence.heading(finding), marks, strong=finding == MEAN))
    if not shown:
        return None
    panels = tuple(
        Panel(Scale(""), f"{m.capitalize()} ({rows.evidence.confidence} interval)", labels=False) for m in _RATES
    )
    styles = tuple(series_style(rows.evidence.cast.series(r)) for r in raters)
    return panel_figure(
        ForestPlot(tuple(shown), panels, styles),
        raters if len(raters) > 1 else (),
        name="answer",
        caption=f"Line: {rows.evidence.confidence} interval; cases of one patient are kept together.",
        title=f"Each finding: sensitivity and specificity of {listed(raters)}",
        note="Decisions as given, without scores.",
    )


def decisions_table(rows: DecisionRows) -> Table:
    """Both rates of every model, by population."""
    most = most_findings(rows.whole(m, r, p) for m in _RATES for r in rows.raters for p in rows.populations)
    body: list[tuple[Cell, ...]] = []
    for population in rows.populations:
        title = population_title(rows.evidence, population)
        body += [group(title, 3)] if len(rows.populations) > 1 else []
        for r in rows.raters:
            found = [rows.whole(m, r, population) for m in _RATES]
            body += [(Cell(r), *(number_cell(row, most) for row in found))] if any(found) else []
    note = (
        f"Mean over {plural(most, 'finding')}, with {rows.evidence.confidence} interval."
        if most > 1
        else f"With {rows.evidence.confidence} interval."
    )
    head = heads("Model", "Sensitivity", "Specificity")
    title = "The models as a whole" if len(rows.raters) > 1 else "The model as a whole"
    return first_rows(Table(title, (head,), tuple(body), note=note), "models")


def _detail(rows: DecisionRows, population: str) -> tuple[Table, ...]:
    """Both rates of every finding, and their paired differences."""
    raters: Sequence[str] = rows.raters[:2]
    body = []
    for finding in rows.findings(population):
        for metric in _RATES:
            found = [rows.rates.get((metric, r, population, finding)) for r in raters]
            cells = [classes_cell(next((r for r in found if r), None)), *map(number_cell, found)]
            if len(raters) > 1:
                row = rows.difference(metric, (raters[0], raters[1]), population, finding)
                cells += [number_cell(row, signed=True), Cell(p_value((row or {}).get("p")), "num")]
            body.append((Cell(rows.evidence.heading(finding)), Cell(metric.capitalize()), *cells))
    more = (f"{raters[0]} minus {raters[1]}", "P") if len(raters) > 1 else ()
    head = heads("Finding", "Rate", "Present / absent", *raters, *more)
    where = population_title(rows.evidence, population)
    return (table(f"Rates of the decisions, with {rows.evidence.confidence} interval: {where}.", (head,), body),)
