"""The tables of the first page of models: the models as a whole, by hospital, and the numbers of every finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from overread.reporting.blocks import Cell, Table, heads, table
from overread.reporting.estimate_cells import classes_cell, known, p_cells
from overread.reporting.first_page.answer_figures.model_figures import BESIDE
from overread.reporting.first_page.first_page_parts import first_rows, most_findings, number_cell
from overread.reporting.first_page.mean_aucs import ModelMeans, mean_rates
from overread.reporting.number_format import capital, plural
from overread.reporting.report_data import MEAN, Row, population_title


def models_table(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> Table | None:
    """The AUC of every model and its rates at thresholds, or its AUC at every hospital."""
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
    level = f"with {means.evidence.confidence} interval."
    over = f"AUC over {plural(most_findings(areas), 'finding')}."
    mean = f"Mean over findings, {level} {over}" if most > 1 else capital(level)
    mean = f"{means.title}, {level}" if means.title else mean
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
        made = Table(
            means.name(capital=True),
            (heads("Hospital", *ranked),),
            rows,
            note=f"With {means.evidence.confidence} interval.",
        )
        return first_rows(made, "hospitals")
    shown = populations[:4]
    rows = tuple(
        (Cell(r), *(number_cell(means.whole(r, p), _most(means, ranked, populations)) for p in shown)) for r in ranked
    )
    titles = [population_title(evidence, p).removeprefix("External: ") for p in shown]
    note = f"With {means.evidence.confidence} interval." + (
        f" {len(populations) - 4} more hospitals are in the sections below." if len(populations) > 4 else ""
    )
    return first_rows(Table(means.name(capital=True), (heads("Model", *titles),), rows, note=note), "models")


def _most(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> int:
    return most_findings(means.whole(r, p) for r in ranked for p in populations)


def findings_table(means: ModelMeans, ranked: Sequence[str], population: str) -> tuple[Table, ...]:
    """The numbers of every finding at the first population, for the fold below the figure."""
    if not ranked:
        return ()
    evidence, shown = means.evidence, list(ranked[:BESIDE])
    body = []
    for finding in means.rows(ranked[0], population):
        own = [means.areas.get((r, population, finding)) for r in shown]
        if not any(own):
            continue
        row = means.difference(shown[0], shown[1], population, finding) if len(shown) > 1 else None
        counted = classes_cell(next((o for o in own if o), None))
        cells = [_with_cases(number_cell(o), o, counted) for o in own]
        cells += [_with_cases(number_cell(row, signed=True), row, counted), p_cells(row)[1]] if len(shown) > 1 else []
        body.append((Cell(evidence.heading(finding), kind="strong" if finding == MEAN else ""), counted, *cells))
    titles = [f"{shown[0]} minus {shown[1]}", "P (Holm)"] if len(shown) > 1 else []
    where = population_title(evidence, population)
    head = heads("Finding", "Present / absent", *shown, *titles)
    return (table(f"AUC of each finding, with {means.evidence.confidence} interval: {where}.", (head,), body),)


def _with_cases(cell: Cell, row: Row | None, counted: Cell) -> Cell:
    """A number with its cases below it, where they are not those of the row: a model left some unscored."""
    own = classes_cell(row)
    if not known(row) or own.text in ("", counted.text):
        return cell
    return replace(cell, note="; ".join(filter(None, (cell.note, f"of {own.text}"))))
