"""The first page of models that were trained with several seeds: the mean over seeds, and how much they differ."""

from __future__ import annotations

from overread.reporting.blocks import Cell, Figure, Table, group, heads, table
from overread.reporting.estimate_cells import known
from overread.reporting.figures.drawing_style import series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.first_page.answer_lines.group_contrasts import group_line
from overread.reporting.first_page.answer_lines.hospital_pairs import same_site, seeds_hospitals_line
from overread.reporting.first_page.first_page_parts import (
    AUC_TERM,
    AUC_WITHIN_TERM,
    MARK_TERM,
    FirstPage,
    findings_of,
    first_rows,
    hospital,
    interval_term,
    number_cell,
    place,
    spelled,
)
from overread.reporting.first_page.mean_aucs import model_means, no_mean_line
from overread.reporting.first_page.page_facts import facts
from overread.reporting.number_format import MISSING, capital, fixed, listed, number, plural
from overread.reporting.report_data import (
    MEAN,
    ReportData,
    Row,
    at_title,
    operating_point,
    population_title,
    value_at,
)
from overread.reporting.seed_rows import SeedRows, rows_of_seeds, seed_count, seed_range

_MOST_ROWS = 24  # of the figure: beyond, the seeds stand in the table only
_SPELLED = 3  # variants of which each has its number in the answer
_PLACES = 3  # other populations in the answer


def seeds_page(evidence: ReportData) -> FirstPage:
    """The page of the variants, each as mean over its training seeds."""
    rows = rows_of_seeds(evidence)
    assert rows is not None
    lead = _lead(rows)
    return FirstPage(
        "Evidence report: training seeds",
        str(evidence.study.get("question") or "").strip() or _question(rows),
        _answer(rows, lead),
        " ".join(filter(None, _lines(rows, lead))),
        _facts(rows),
        _figure(rows, lead),
        _table(rows),
        _detail(rows),
        (
            AUC_WITHIN_TERM if same_site(_first_seed(rows, lead)) else AUC_TERM,
            interval_term(rows.evidence.confidence),
            _SPREAD_TERM,
            MARK_TERM,
        ),
    )


def _lines(rows: SeedRows, lead: str) -> tuple[str, ...]:
    """The lines below the answer: other hospitals, why one finding leads, how hospitals are put together, groups."""
    return (
        _elsewhere(rows, lead),
        no_mean_line(rows.evidence, rows.finding),
        seeds_hospitals_line(rows, lead),
        _groups(rows, lead),
    )


def _first_seed(rows: SeedRows, population: str) -> Row | None:
    """The AUC of the first seed at a population, whose note says how hospitals are put together."""
    areas = model_means(rows.evidence).areas
    members = (m for own in rows.variants.values() for m in own)
    return next((row for m in members if known(row := areas.get((m, population, rows.finding)))), None)


_SPREAD_TERM = (
    "SD over seeds",
    "The standard deviation of the values of the training seeds. The interval of a mean over seeds is that of these "
    "seeds in other patients; it does not cover other seeds.",
)


def _question(rows: SeedRows) -> str:
    names = list(rows.variants)
    what = "tell radiographs with a finding from those without, and how much does it depend on the training seed?"
    if len(names) == 1:
        return f"How well does {names[0]} {what}"
    return f"How well do {listed(names) if len(names) <= _SPELLED else f'{len(names)} variants'} {what}"


def _said(rows: SeedRows, name: str, population: str, *, level: bool) -> str:
    row = rows.row(name, "auc", population)
    spread = rows.spread(name, row)
    more = f"SD over seeds {fixed(spread['estimate'])}" if known(spread) else "one seed"
    text = spelled(row, level=level)
    return f"{text[:-1]}; {more})"


def _averaged(rows: SeedRows, population: str) -> str:
    """Over what the number is a mean."""
    over = findings_of(_first(rows, population))
    seeds = seed_count(list(rows.variants.values()))
    noun = "seed" if seeds == "1" else "seeds"
    return f"{plural(over, 'finding')} and {seeds} {noun}" if over > 1 else f"{seeds} {noun}"


def _measure(rows: SeedRows) -> str:
    return "the AUC" if rows.finding == MEAN else f"the AUC for {rows.evidence.heading(rows.finding).lower()}"


def _known(rows: SeedRows, population: str) -> list[str]:
    """The variants with an AUC at a population."""
    return [n for n in rows.variants if known(rows.row(n, "auc", population))]


def _lead(rows: SeedRows) -> str:
    """The population of the answer: the first at which a variant has an AUC."""
    return next((p for p in rows.populations if _known(rows, p)), rows.populations[0])


def _values(rows: SeedRows, population: str, *, level: bool) -> str:
    """The AUC of every variant at a population; of many, the lowest and the highest."""
    names = _known(rows, population)
    if len(names) <= _SPELLED:
        said = [f"{_said(rows, n, population, level=level and i == 0)} for {n}" for i, n in enumerate(names)]
        return f"is {listed(said)}"
    ranked = sorted(names, key=lambda n: number((rows.row(n, "auc", population) or {})["estimate"]))
    low, high = ranked[0], ranked[-1]
    return (
        f"of {len(names)} variants runs from {_said(rows, low, population, level=level)} for {low} to "
        f"{_said(rows, high, population, level=False)} for {high}"
    )


def _answer(rows: SeedRows, population: str) -> str:
    if not _known(rows, population):
        return "No AUC could be computed as mean over seeds."
    what = f"averaged over {_averaged(rows, population)}, {_measure(rows)} {_values(rows, population, level=True)}."
    return f"{_place(rows, population)}, {what}" if len(rows.populations) > 1 else capital(what)


def _place(rows: SeedRows, population: str) -> str:
    """Where a mean over seeds is from, with the number of cases: `At elm (32 cases)`."""
    seeds = [m for own in rows.variants.values() for m in own]
    counted = model_means(rows.evidence).counted(population, *seeds)
    return f"{'At' if population.startswith('external:') else 'In'} {counted}"


def _elsewhere(rows: SeedRows, lead: str) -> str:
    """The same at the other populations; those without an AUC, and those that stand in the table only, are named."""
    others = [p for p in rows.populations if p != lead]
    found, lost = [p for p in others if _known(rows, p)], [p for p in others if not _known(rows, p)]
    said = [f"{_place(rows, p)}, it {_values(rows, p, level=False)}." for p in found[:_PLACES]]
    if left := found[_PLACES:]:
        named = listed([hospital(p) for p in left])
        said.append(f"{plural(len(left), 'more hospital')}, {named}: see the sections below.")
    if lost:
        said.append(f"No mean over seeds could be computed for {listed([hospital(p) for p in lost])}.")
    return " ".join(said)


def _groups(rows: SeedRows, population: str) -> str:
    """The difference between two groups in every variant, and its contrasts between variants."""
    where = f" {place(population)}" if len(rows.populations) > 1 else ""
    most = findings_of(_first(rows, population))
    return group_line(rows.groups, list(rows.variants), population, where=where, most=most, tabled=True)


def _facts(rows: SeedRows) -> tuple[tuple[str, str], ...]:
    seeds = seed_count(list(rows.variants.values()))
    several = len(rows.variants) > 1
    head = [("variants", str(len(rows.variants))), ("seeds of each", seeds)] if several else [("seeds", seeds)]
    return (*head, *facts(rows.evidence))


def _below(rows: SeedRows, name: str, row: Row | None) -> str:
    """What stands below the mean: the number of seeds and their standard deviation."""
    if not known(row):
        return ""
    spread = rows.spread(name, row)
    mean = f"mean of {plural(len(rows.variants[name]), 'seed')}"
    return f"{mean}, SD {fixed(spread['estimate'])}" if known(spread) else mean


def _figure(rows: SeedRows, population: str) -> Figure | None:
    every = sum(len(m) + 2 for m in rows.variants.values()) <= _MOST_ROWS
    shown: list[ForestRow] = []
    for name, members in rows.variants.items():
        row = rows.row(name, "auc", population)
        if not known(row):
            continue
        shown.append(ForestRow(name, ((mark_of(row, 0),),), strong=True, note=_below(rows, name, row)))
        own = rows.ensemble(name, population)
        shown += [ForestRow("Ensemble", ((mark_of(own, 0),),))] if known(own) else []
        seeds = [(m, rows.row(m, "auc", population)) for m in members] if every else []
        shown += [ForestRow(m, ((mark_of(r, 1),),)) for m, r in seeds if known(r)]
    if not shown:
        return None
    plot = ForestPlot(
        tuple(shown),
        (Panel(Scale("0.5 is chance, 1 complete separation"), f"AUC ({rows.evidence.confidence} interval)"),),
        (series_style(0), series_style(1)),
    )
    where = f": {population_title(rows.evidence, population)}" if len(rows.populations) > 1 else ""
    measure = _measure(rows)
    over = f", mean over {plural(n, 'finding')}" if (n := findings_of(_first(rows, population))) > 1 else ""
    return panel_figure(
        plot,
        ("Mean over seeds", "One seed") if every else (),
        name="answer",
        caption=f"Line: {rows.evidence.confidence} interval, which covers the patients and not the training seeds.",
        title=f"{capital(measure.removeprefix('the '))} of each variant{where}"
        if len(rows.variants) > 1
        else f"{measure.removeprefix('the ')} of each seed{where}",
        note=f"SD: standard deviation over the seeds{over}.",
    )


def _first(rows: SeedRows, population: str) -> Row | None:
    return next((r for n in rows.variants if known(r := rows.row(n, "auc", population))), None)


def _mean_cell(rows: SeedRows, name: str, row: Row | None, most: int) -> Cell:
    """A mean over seeds; below it the seeds, and the findings where fewer than `most` are in the mean."""
    cell, own = number_cell(row), findings_of(row)
    fewer = f"over {own} of {most} findings" if own and own < most else ""
    return Cell(cell.text, "num", note="; ".join(filter(None, (fewer, cell.note, _below(rows, name, row)))))


def _table(rows: SeedRows) -> Table:
    """A row per variant: means over seeds beside the ensemble's own AUC, and the difference between groups."""
    own = any(known(rows.ensemble(n, p)) for n in rows.variants for p in rows.populations)
    groups, points = rows.groups.first, rows.points[:1]
    titles = ["AUC", *(["AUC of the ensemble"] if own else [])]
    titles += [t for at in points for t in (f"Sensitivity, {_named(rows, at)}", "Specificity there")]
    titles += [f"AUC, {groups[1]}"] if groups else []
    body: list[tuple[Cell, ...]] = []
    over = rows.most_findings
    for population in rows.populations:
        if len(rows.populations) > 1:
            body.append(group(population_title(rows.evidence, population), 1 + len(titles)))
        for name in rows.variants:
            cells = [_mean_cell(rows, name, rows.row(name, "auc", population), over)]
            cells += [number_cell(rows.ensemble(name, population))] if own else []
            for at in points:
                rates = [rows.row(name, m, population, at=at) for m in ("sensitivity", "specificity")]
                cells += [_mean_cell(rows, name, r, over) for r in rates]
            cells += [number_cell(rows.groups.difference(name, population), signed=True)] if groups else []
            body.append((Cell(name), *cells))
    note = f"Means over seeds{f' and {over} findings' if over > 1 else ''}, with {rows.evidence.confidence} interval"
    note += " for other patients."
    head = heads("Variant" if len(rows.variants) > 1 else "Model", *titles)
    return first_rows(Table("Means over training seeds", (head,), tuple(body), note=note), "rows")


def _point(at: str, *, given: bool = False) -> str:
    """The words for an operating point.

    >>> _point("operating_point=spec90"), _point("operating_point=published", given=True)
    ('threshold meant for 90% specificity', 'given threshold “published”')
    """
    name = value_at(at, "operating_point")
    rate, target = operating_point(name)
    if rate:
        return f"threshold meant for {100 * target:g}% {rate}"
    return f"{'given ' if given else ''}threshold “{name}”" if name else at_title(at)


def _named(rows: SeedRows, at: str) -> str:
    """The words for an operating point, with whether its threshold was given."""
    return _point(at, given=rows.given(at))


def _detail(rows: SeedRows) -> tuple[Table, ...]:
    """The AUC of every finding: mean, standard deviation, and range over the seeds."""
    population = _lead(rows)
    findings = rows.evidence.cast.mean_and_findings
    body = []
    for name in rows.variants:
        for finding in findings:
            row = rows.row(name, "auc", population, finding=finding)
            if row is not None:
                body.append((Cell(name), Cell(rows.evidence.heading(finding)), *spread_cells(rows, name, row)))
    head = heads("Variant", "Finding", "Mean over seeds", "SD", "Lowest to highest")
    where = population_title(rows.evidence, population)
    return (table(f"AUC over the seeds: {where}.", (head,), body),)


def spread_cells(rows: SeedRows, name: str, row: Row, *, signed: bool = False) -> tuple[Cell, Cell, Cell]:
    """The mean over seeds, its standard deviation, and the range."""
    spread, ends = rows.spread(name, row), seed_range(row)
    between = " to ".join(fixed(x, signed=signed) for x in ends) if ends else MISSING
    sd = fixed(spread["estimate"]) if known(spread) else MISSING
    most = 0 if signed else rows.most_findings
    return number_cell(row, most, signed=signed), Cell(sd, "num"), Cell(between, "num")
