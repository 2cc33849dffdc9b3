"""The first page of models on test sets: which is better, and how well it does."""

from __future__ import annotations

from collections.abc import Sequence

from overread.reporting.blocks import Cell, Table, heads, table
from overread.reporting.estimate_cells import classes_cell, known, p_cells
from overread.reporting.first_page.answer_figures.model_figures import BESIDE, models_figure
from overread.reporting.first_page.first_page_parts import (
    AUC_TERM,
    AUC_WITHIN_TERM,
    MARK_TERM,
    THRESHOLD_TERM,
    FirstPage,
    bounded,
    first_rows,
    interval_term,
    most_findings,
    number_cell,
    side,
    spelled,
    undecided,
)
from overread.reporting.first_page.mean_aucs import ModelMeans, mean_rates, model_means, pairs_line, same_site
from overread.reporting.number_format import fixed, listed, number, plural
from overread.reporting.report_data import MEAN, ReportData, in_order, population_title
from overread.reporting.seed_rows import seeds_apart


def models_page(evidence: ReportData) -> FirstPage:
    """The page of one or several models, at one or several hospitals."""
    means = model_means(evidence)
    populations = _populations(means)
    lead = populations[0] if populations else ""
    ranked = means.ranked(lead)
    several = len(populations) > 1
    figure = models_figure(means, ranked, populations)
    more = _more(means, ranked, populations)
    table_shown = _table(means, ranked, populations)
    level = next((number(r["confidence"]) for r in means.areas.values() if r.get("confidence")), 0.95)
    return FirstPage(
        "Evidence report",
        _question(evidence, ranked, several=several),
        _sites_answer(means, ranked, populations) if several else _answer(means, ranked, lead),
        more,
        (),
        figure,
        table_shown,
        _detail(means, ranked, lead),
        (
            _auc_term(means, ranked, lead),
            interval_term(level),
            *([THRESHOLD_TERM] if _tells_rates(table_shown, more) else []),
            MARK_TERM,
        ),
    )


def _tells_rates(shown: Table | None, more: str) -> bool:
    """Whether the page has a rate at a threshold."""
    titles = [cell.text for row in shown.head for cell in row] if shown is not None else []
    text = " ".join([*titles, more]).lower()
    return any(word in text for word in ("threshold", "sensitivity", "specificity"))


def _more(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> str:
    """The lines below the answer: the pairs of the AUC, differences at other hospitals, rates at thresholds."""
    lead = populations[0] if populations else ""
    pairs = pairs_line(means, ranked[0], lead) if ranked else ""
    seeds = seeds_apart(means.evidence)
    lines = (pairs, _beside(means, ranked, populations), _at_threshold(means.evidence, ranked, lead), seeds)
    return " ".join(line for line in lines if line)


def _auc_term(means: ModelMeans, ranked: Sequence[str], population: str) -> tuple[str, str]:
    within = bool(ranked) and same_site(means.whole(ranked[0], population))
    return AUC_WITHIN_TERM if within else AUC_TERM


def _populations(means: ModelMeans) -> list[str]:
    """The populations at which a model has an AUC."""
    found = {p for r in means.evidence.cast.raters for p in means.evidence.cast.populations_of(r)}
    return [p for p in in_order(found) if means.ranked(p)]


def _question(evidence: ReportData, ranked: Sequence[str], *, several: bool) -> str:
    stated = str(evidence.study.get("question") or "").strip()
    if stated:
        return stated
    which = ranked[0] if len(ranked) == 1 else listed(list(ranked)) if len(ranked) == 2 else f"{len(ranked)} models"
    verb = "does" if len(ranked) == 1 else "do"
    what = "tell radiographs with a finding from those without"
    if several:
        return f"How well {verb} {which} {what}, and does it hold at hospitals that were not used in training?"
    return f"How well {verb} {which} {what}{', and is one better' if len(ranked) > 1 else ''}?"


def _answer(means: ModelMeans, ranked: Sequence[str], population: str) -> str:
    if not ranked:
        return "No AUC could be computed."
    first = means.whole(ranked[0], population)
    name = means.name()
    if len(ranked) == 1:
        return f"{ranked[0]} has a {name} of {spelled(first)}."
    second = means.whole(ranked[1], population)
    row = means.difference(ranked[0], ranked[1], population)
    if len(ranked) == 2:
        values = [fixed((row or {})["estimate"]) for row in (first, second)]
        numbers = f"{values[0]} for {ranked[0]} and {values[1]} for {ranked[1]}"
        told = f"a difference of {spelled(row, signed=True)}" if known(row) else "on cases that are not all the same"
        start = f"{ranked[0]} has the higher {name}" if side(row) else f"The {name} is"
        joint = ": " if side(row) else " "
        return f"{start}{joint}{numbers}, {told}{undecided(means.evidence, row, 'which is higher is not shown')}."
    others = _others(means, ranked, population)
    return f"Of {len(ranked)} models, {ranked[0]} has the highest {name}, {spelled(first)}{others}."


def _others(means: ModelMeans, ranked: Sequence[str], population: str) -> str:
    """How far the best of many lies above the others."""
    rows = [r for other in ranked[1:] if (r := means.difference(ranked[0], other, population)) and bounded(r)]
    if not rows:
        return ""
    low, high = (f(number(r["estimate"]) for r in rows) for f in (min, max))
    above = sum(side(r) > 0 for r in rows)
    return (
        f"; it lies {fixed(low, signed=True)} to {fixed(high, signed=True)} above the others, with the whole interval "
        f"above 0 for {above} of {len(rows)}"
    )


def _sites_answer(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> str:
    """The leading model inside and at the hospitals that it has not seen."""
    if not ranked:
        return "No AUC could be computed."
    lead, name = ranked[0], means.name()
    outside = [p for p in populations if p.startswith("external:") and known(means.whole(lead, p))]
    if not outside:
        return _answer(means, ranked, populations[0])
    inside = means.whole(lead, "internal")
    of = f"the {name} of {lead}"
    compared = f", against {spelled(inside, level=False)} in the internal test" if known(inside) else ""
    if len(outside) == 1:
        return f"At {hospital(outside[0])}, {of} is {spelled(means.whole(lead, outside[0]))}{compared}."
    by_height = sorted(outside, key=lambda p: number((means.whole(lead, p) or {})["estimate"]))
    low, high = by_height[0], by_height[-1]
    return (
        f"At {len(outside)} hospitals outside the internal test, {of} runs from {spelled(means.whole(lead, low))} at "
        f"{hospital(low)} to {spelled(means.whole(lead, high), level=False)} at {hospital(high)}{compared}."
    )


def hospital(population: str) -> str:
    """A population within a sentence.

    >>> hospital("external:elm"), hospital("internal")
    ('elm', 'the internal test')
    """
    return population.partition(":")[2] if population.startswith("external:") else f"the {population} test"


def _beside(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> str:
    """Where there are several hospitals: the difference between the first two models at each."""
    if len(populations) < 2 or len(ranked) < 2:
        return ""
    rows = {p: r for p in populations if (r := means.difference(ranked[0], ranked[1], p)) and bounded(r)}
    if not rows:
        return ""
    above, below = (sum(side(r) == s for r in rows.values()) for s in (1, -1))
    low, high = (f(rows.values(), key=lambda r: number(r["estimate"])) for f in (min, max))
    if len(rows) == 1:
        place, row = next(iter(rows.items()))
        return f"{ranked[0]} minus {ranked[1]}: {spelled(row, signed=True)} at {hospital(place)}."
    return (
        f"{ranked[0]} minus {ranked[1]} runs from {fixed(low['estimate'], signed=True)} to "
        f"{fixed(high['estimate'], signed=True)}; the whole interval lies above 0 in {above or 'none'} and below 0 in "
        f"{below or 'none'} of {len(rows)}."
    )


def _at_threshold(evidence: ReportData, ranked: Sequence[str], population: str) -> str:
    rates = mean_rates(evidence)
    if not rates or not ranked:
        return ""
    shown = [r for r in rates if r.threshold == rates[0].threshold]
    shown = shown[:1] if "meant for" in shown[0].threshold else shown  # a given threshold fixes neither rate
    mean = "mean " if len(evidence.cast.findings) > 1 else ""
    said: list[str] = []
    for rate in shown:
        found = [(r, row) for r in ranked[:2] if known(row := rate.rows.get((r, population)))]
        texts = [f"{spelled(row, level=i == 0 and not said)} for {r}" for i, (r, row) in enumerate(found)]
        said += [f"the {mean}{rate.metric} is {listed(texts)}"] if texts else []
    return f"At {shown[0].where}, {listed(said)}." if said else ""


def _table(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> Table | None:
    if not ranked:
        return None
    if len(populations) > 1:
        return _table_by_hospital(means, ranked, populations)
    population, rates = populations[0], mean_rates(means.evidence)
    areas = [means.whole(r, population) for r in ranked]
    columns = [areas, *([rate.rows.get((r, population)) for r in ranked] for rate in rates)]
    most = max(map(most_findings, columns))
    body = tuple((Cell(r), *(number_cell(column[i], most) for column in columns)) for i, r in enumerate(ranked))
    titles = [rate.title for rate in rates]
    mean = (
        f"Mean over findings, with 95% interval. AUC over {plural(most_findings(areas), 'finding')}."
        if most > 1
        else "With 95% interval."
    )
    made = Table(
        "The models as a whole" if len(ranked) > 1 else "The model as a whole",
        (heads("Model", "AUC", *titles),),
        body,
        note=mean,
    )
    return first_rows(made, "models")


def _table_by_hospital(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> Table:
    evidence = means.evidence
    if len(ranked) <= 2 and len(populations) > 4:
        rows = tuple(
            (
                Cell(population_title(evidence, p).removeprefix("External: ")),
                *(number_cell(means.whole(r, p), _most(means, ranked, populations)) for r in ranked),
            )
            for p in populations
        )
        made = Table(means.name(capital=True), (heads("Hospital", *ranked),), rows, note="With 95% interval.")
        return first_rows(made, "hospitals")
    shown = populations[:4]
    rows = tuple(
        (Cell(r), *(number_cell(means.whole(r, p), _most(means, ranked, populations)) for p in shown)) for r in ranked
    )
    titles = [population_title(evidence, p).removeprefix("External: ") for p in shown]
    note = "With 95% interval." + (
        f" {len(populations) - 4} more hospitals are in the sections below." if len(populations) > 4 else ""
    )
    return first_rows(Table(means.name(capital=True), (heads("Model", *titles),), rows, note=note), "models")


def _most(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> int:
    return most_findings(means.whole(r, p) for r in ranked for p in populations)


def _detail(means: ModelMeans, ranked: Sequence[str], population: str) -> tuple[Table, ...]:
    """The numbers of every finding at the first population, for the fold below the figure."""
    if not ranked:
        return ()
    evidence, shown = means.evidence, list(ranked[:BESIDE])
    body = []
    for finding in (MEAN, *means.sorted_findings(ranked[0], population)):
        own = [means.areas.get((r, population, finding)) for r in shown]
        if not any(own):
            continue
        row = means.difference(shown[0], shown[1], population, finding) if len(shown) > 1 else None
        cells = [number_cell(o) for o in own]
        cells += [number_cell(row, signed=True), p_cells(row)[1]] if len(shown) > 1 else []
        counted = classes_cell(next((o for o in own if o), None))
        body.append((Cell(evidence.heading(finding), kind="strong" if finding == MEAN else ""), counted, *cells))
    titles = [f"{shown[0]} minus {shown[1]}", "P (Holm)"] if len(shown) > 1 else []
    where = population_title(evidence, population)
    head = heads("Finding", "Present / absent", *shown, *titles)
    return (table(f"AUC of each finding, with 95% interval: {where}.", (head,), body),)
