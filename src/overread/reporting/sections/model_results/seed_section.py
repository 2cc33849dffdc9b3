"""Variation over training seeds: mean, standard deviation and range of every headline, by population."""

from __future__ import annotations

from collections.abc import Sequence

from overread.reporting.blocks import Block, Cell, Section, Table, appendix, group, heads, table
from overread.reporting.estimate_cells import code_of, known
from overread.reporting.first_page.first_page_parts import number_cell, spelled
from overread.reporting.first_page.seed_question import spread_cells
from overread.reporting.number_format import fixed, listed, number, plural
from overread.reporting.report_data import MEAN, ReportData, Row, at_title, column_words, contrast_of, population_title
from overread.reporting.sections.reader_results.reader_titles import in_words
from overread.reporting.seed_rows import SeedRows, rows_of_seeds, seed_count

TITLE = "Variation over seeds"
_HEADLINES = {"auc": "AUC", "sensitivity": "Sensitivity", "specificity": "Specificity"}
_HEADLINES |= {"underdiagnosis": "Under-diagnosis"}
_REMARK = (
    "The interval of a mean covers the sampling of patients, not that of training seeds. SD: over the seeds (n − 1)."
)


def seeds(evidence: ReportData) -> Section:
    """Every headline as mean over the training seeds, with standard deviation and range."""
    rows = rows_of_seeds(evidence)
    if rows is None:
        return Section("seeds", TITLE, absent="no training seeds of one model were evaluated")
    blocks: list[Block] = []
    for i, name in enumerate(rows.variants):
        made = _tables(rows, name)
        blocks += made if i == 0 and len(rows.variants) == 1 else [appendix(f"Seeds of {name}", made)] if made else []
    summary = _summary(rows)
    return Section("seeds", TITLE, (*summary, *blocks, *_each_seed(rows), *_contrasts(rows)), answer=_answer(rows))


def _answer(rows: SeedRows) -> str:
    """The largest standard deviation of the AUC."""
    found = [
        (n, r, s)
        for n in rows.variants
        if known(r := rows.row(n, "auc", rows.populations[0])) and known(s := rows.spread(n, r))
    ]
    if not found:
        return "No standard deviation over seeds could be computed."
    name, row, spread = max(found, key=lambda each: number(each[2]["estimate"]))
    n = seed_count(list(rows.variants.values()))
    largest, each = ("the largest", " of each variant") if len(rows.variants) > 1 else ("the", "")
    return (
        f"Over {n} seeds{each}, {largest} SD of the AUC is {fixed(spread['estimate'])} ({name}: mean "
        f"{spelled(row, nested=True)})."
    )


def _summary(rows: SeedRows) -> tuple[Table, ...]:
    """The headline AUC of every variant, where there are several."""
    if len(rows.variants) < 2:
        return ()
    body: list[tuple[Cell, ...]] = []
    for population in rows.populations:
        body += [group(population_title(rows.evidence, population), 5)] if len(rows.populations) > 1 else []
        for name, members in rows.variants.items():
            row = rows.row(name, "auc", population)
            if row is not None:
                body.append((Cell(name), Cell(str(len(members)), "num"), *spread_cells(rows, name, row)))
    what = _what(rows)
    head = heads("Variant", "Seeds", "Mean over seeds", "SD", "Lowest to highest")
    return (table(f"{what}, over the training seeds.", (head,), body, remark=_REMARK),)


def _what(rows: SeedRows) -> str:
    """What the headline AUC is: of one finding, or the mean over several."""
    return "Mean AUC over findings" if rows.finding == MEAN else f"AUC, {rows.evidence.heading(rows.finding).lower()}"


def _tables(rows: SeedRows, name: str) -> list[Block]:
    """The headlines of a variant: AUC, then rates at each operating point, then differences between groups."""
    frame = [r for r in rows.frame.iter_rows(named=True) if r["rater"] == name and rows.spread(name, r) is not None]
    alone = {_place(r) for r in frame if (r["finding"],) == rows.evidence.cast.findings}
    frame = [r for r in frame if r["finding"] != MEAN or _place(r) not in alone]  # a mean over the only finding
    plain = [r for r in frame if not r["subgroup"]]
    made: list[Block] = []
    groups = [("AUC", [r for r in plain if r["metric"] == "auc"])]
    for at in dict.fromkeys(r["at"] for r in plain if r["metric"] != "auc"):
        groups.append((f"Rates, {at_title(at)}", [r for r in plain if r["metric"] != "auc" and r["at"] == at]))
    groups.append(("Differences between groups", [r for r in frame if r["subgroup"]]))
    for title, own in groups:
        if own:
            caption = (
                f"{name}, {plural(len(rows.variants[name]), 'seed')}: {title[:1].lower() if title != 'AUC' else 'A'}"
            )
            one = _table(rows, name, own, f"{caption}{title[1:]}.")
            made.append(one if title == "AUC" else appendix(f"{name}: {title[:1].lower()}{title[1:]}", (one,)))
    return made


def _place(row: Row) -> tuple[str, ...]:
    """What a row is about, but for its finding."""
    return tuple(row[c] for c in ("metric", "at", "population", "subgroup", "level", "contrast"))


def _table(rows: SeedRows, name: str, own: Sequence[Row], caption: str) -> Table:
    body: list[tuple[Cell, ...]] = []
    signed = bool(own[0]["subgroup"])
    for population in rows.populations:
        mine = [r for r in own if r["population"] == population]
        body += [group(population_title(rows.evidence, population), 5)] if mine and len(rows.populations) > 1 else []
        for row in mine:
            cells = spread_cells(rows, name, row, signed=signed)
            finding = rows.evidence.heading(row["finding"]) if row["finding"] else _called(rows.evidence, row)
            strong = "strong" if row["finding"] == MEAN else ""
            body.append((Cell(finding, strong), Cell(_headline(row)), *cells))
    head = heads("Finding", "Measure", "Mean over seeds", "SD", "Lowest to highest")
    return table(caption, (head,), body, remark=_REMARK, compact=signed)


def _called(evidence: ReportData, row: Row) -> str:
    """The findings of whose calls under-diagnosis is: all, unless some have no threshold at this point."""
    code = code_of(row, "called_findings")
    names = code["findings"] if code else ()
    if not isinstance(names, tuple) or not names:
        return "All findings"
    first, *others = (evidence.heading(str(f).replace(" ", "_")) for f in names)  # codes of a report have plain words
    return listed([first, *map(in_words, others)])


def _headline(row: Row) -> str:
    metric = row["metric"].removesuffix("_difference")
    name = _HEADLINES.get(metric, column_words(metric))
    if not row["subgroup"]:
        return name
    at = f", {at_title(row['at'])}" if row["at"] else ""
    return f"{name}{at}: {row['subgroup'].replace('_', ' ')}, {row['level']} − {contrast_of(row['contrast'], 'level')}"


def _each_seed(rows: SeedRows) -> tuple[Block, ...]:
    """The headline AUC of every seed."""
    body: list[tuple[Cell, ...]] = []
    for population in rows.populations:
        found = [(n, m, r) for n, own in rows.variants.items() for m in own if (r := rows.row(m, "auc", population))]
        body += [group(population_title(rows.evidence, population), 3)] if found and len(rows.populations) > 1 else []
        body += [(Cell(m), Cell(n), number_cell(r)) for n, m, r in found]
    what = _what(rows)
    remark = "CIs are normal; those of a mean over findings in other sections are bootstrap percentile intervals."
    head = heads("Seed", "Variant", "AUC")
    made = table(f"{what}, of each seed, with CIs.", (head,), body, remark=remark, compact=True)
    return (appendix("AUC of each seed", (made,)),) if body else ()


def _contrasts(rows: SeedRows) -> tuple[Block, ...]:
    """The difference between groups in one variant minus that in another, of the AUC."""
    body = []
    for row in rows.frame.iter_rows(named=True):
        if row["metric"] == "auc_difference_contrast" and row["finding"] == rows.finding:
            pair = f"{row['rater']} minus {contrast_of(row['contrast'], 'rater')}"
            where = population_title(rows.evidence, row["population"])
            groups = f"{row['subgroup'].replace('_', ' ')}, {row['level']}"
            body.append((Cell(pair), Cell(groups), Cell(where), Cell(spelled(row, signed=True, level=False), "num")))
    head = heads("Variants", "Groups", "Population", "Difference of the differences")
    caption = "Difference in AUC between groups in one variant minus that in another, means over seeds."
    return (table(caption, (head,), body),) if body else ()
