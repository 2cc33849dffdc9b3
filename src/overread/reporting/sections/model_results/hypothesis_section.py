"""H1: pooled against single-institution training at unseen sites, with what the verdict rests on."""

from __future__ import annotations

import polars as pl

from overread.reporting.blocks import Block, Cell, Facts, Folded, Paragraph, Section, Table, appendix, heads, table
from overread.reporting.estimate_cells import classes_cell, estimate_cell, known, notes_but, p_cells
from overread.reporting.figures.forest_drawing import Scale
from overread.reporting.figures.forest_plots import Line, forest_figure, mark_of
from overread.reporting.number_format import count, fixed
from overread.reporting.report_data import (
    MEAN,
    ReportData,
    Row,
    by,
    in_order,
    overall,
    pick,
    population_title,
    with_key,
)
from overread.reporting.sections.model_results.contrasts import difference_table
from overread.reporting.seed_rows import rows_of_seeds

_TITLE = "H1: pooled against single-hospital training"


def h1(evidence: ReportData) -> Section:
    """The verdict with its rule, D(e, s), the evaluable findings, the size-matched model, the seeds, the findings."""
    verdicts = evidence.verdicts.filter(pl.col("hypothesis") == "H1")
    frame = overall(evidence, "H1", "auc_difference")
    if verdicts.is_empty() and frame.is_empty():
        return Section("h1", _TITLE, absent="no pooled and single-institution models were compared")
    blocks: list[Block] = [verdict_facts(r) for r in verdicts.to_dicts()]
    mean, detail = pick(frame, finding=MEAN), frame.filter(pl.col("finding") != MEAN)
    if mean.height:
        blocks += _differences(evidence, mean)
    if detail.height:
        blocks.append(_evaluable(evidence, detail))
    blocks += _seeds(evidence)
    blocks += [_per_finding(evidence, detail)] if detail.height else []
    return Section("h1", _TITLE, tuple(blocks))


def verdict_facts(row: Row) -> Facts:
    """A verdict with its claim, its reason and its rule."""
    set_when = "Rule (in the protocol)" if row["protocol_hash"] else "Rule (no protocol was supplied)"
    items = (
        ("Claim", row["claim"]),
        ("Verdict" if row["protocol_hash"] else "Outcome of the rule, not prespecified", str(row["verdict"])),
        ("Reason", row["reason"]),
    )
    return Facts((*items, (set_when, row["rule"])))


def _contrast(row: Row) -> str:
    return f"{row['rater']} − {row['contrast'].partition(':')[2]}"


def _differences(evidence: ReportData, mean: pl.DataFrame) -> list[Block]:
    pooled = evidence.cast.roles.get("pooled") or evidence.cast.lead
    plain = pick(mean, at="")
    against = plain.select("rater", "contrast").unique(maintain_order=True).to_dicts()
    against.sort(key=lambda r: (r["rater"] != pooled, _matched(evidence, r)))
    rows = by(plain, "population", "rater", "contrast")
    margin = by(with_key(mean, "margin"), "population", "rater", "contrast")
    keys = [(p, a["rater"], a["contrast"]) for p in in_order(k[0] for k in rows) for a in against]
    shown = [rows[k] for k in keys if k in rows]
    return [*_differences_forest(evidence, shown), _differences_table(evidence, shown, margin)]


def _differences_forest(evidence: ReportData, shown: list[Row]) -> list[Block]:
    lines = [
        Line(
            f"{row['population'].partition(':')[2]}: {_contrast(row)}",
            (mark_of(row, int(_matched(evidence, row)), signed=True),),
        )
        for row in shown
    ]
    if not any(known(row) for row in shown):
        return []
    gain = evidence.config.get("smallest_worthwhile_gain")
    dashed = f" The dashed line is the smallest worthwhile gain ({gain})." if gain else ""
    caption = (
        "D(e, s): difference in mean AUC over the evaluable findings at each external site e, on the same cases."
        f"{dashed}"
    )
    better = ("← second model higher", "first model higher →")
    scale = Scale("Difference in mean AUC", null=0.0, gain=gain, signed=True, better=better)
    matched = any(r.marks[0].series for r in lines)
    names = (
        ("contrasts of the decision rule", "size-matched model, not part of the decision rule") if matched else ("D",)
    )
    return [forest_figure(lines, names, scale, name="h1", caption=caption)]


def _differences_table(evidence: ReportData, shown: list[Row], margin: dict[tuple[str, ...], Row]) -> Table:
    body = []
    for row in shown:
        other = margin.get((row["population"], row["rater"], row["contrast"]))
        body.append(
            (
                Cell(row["population"].partition(":")[2]),
                Cell(_contrast(row), note=_role(evidence, row)),
                Cell(count(row["n_patients"]) if row["n_patients"] is not None else "", "num"),
                estimate_cell(row, signed=True),
                p_cells(row)[0],
                p_cells(other)[1] if other else Cell("", "num"),
            )
        )
    gain = evidence.config.get("smallest_worthwhile_gain")
    head = heads(
        "External site",
        "Contrast",
        "Patients",
        "D (interval)",
        "P (D = 0)",
        f"One-sided P for D ≥ {gain}, Holm" if gain else "One-sided P, Holm",
    )
    return table("D(e, s), per external site and model.", (head,), body)


def _matched(evidence: ReportData, row: Row) -> bool:
    matched = evidence.cast.roles.get("matched")
    return bool(matched) and matched in (row["rater"], row["contrast"].partition(":")[2])


def _role(evidence: ReportData, row: Row) -> str:
    other = row["contrast"].partition(":")[2]
    if _matched(evidence, row):
        return "size-matched: as many training images as the largest single institution; not part of the decision rule"
    site = (evidence.cast.roles.get("single") or {}).get(other)
    return f"trained at {site} alone" if site else ""


def _evaluable(evidence: ReportData, detail: pl.DataFrame) -> Table:
    """Per finding and external site: evaluable, or why not."""
    populations = in_order(detail["population"])
    body = []
    for f in (f for f in evidence.cast.findings if f in set(detail["finding"])):
        cells = [_evaluable_cell(pick(detail, finding=f, population=p).to_dicts()) for p in populations]
        body.append((Cell(evidence.heading(f)), *cells))
    caption = f"Evaluable findings{_minimum(evidence)} at the external site, scored by all compared models."
    head = heads("Finding", *(population_title(evidence, p) for p in populations))
    return table(caption, (head,), body)


def _minimum(evidence: ReportData) -> str:
    """How many patients a finding needs, from the record of the evaluation."""
    config = evidence.config
    if "minimum_present" not in config or "minimum_absent" not in config:
        return ""
    return f": at least {config['minimum_present']} patients with and {config['minimum_absent']} without the finding"


def _evaluable_cell(rows: list[Row]) -> Cell:
    good = [r for r in rows if known(r)]
    if not good:
        why = "; ".join(dict.fromkeys(note for r in rows for note in notes_but(r, "not_evaluable")))
        return Cell("no", note=why or "not compared")
    n = classes_cell(good[0]).text
    return Cell("evaluable" if len(good) == len(rows) else "in part", note=f"cases {n}" if n else "")


def _seeds(evidence: ReportData) -> list[Block]:
    """How far the standard deviation over training seeds reaches; the numbers are in the section on seeds."""
    frame = pick(evidence.estimates, analysis="seeds", finding=MEAN, contrast="")
    if frame.is_empty():
        return [
            Paragraph("Variation between training runs was not evaluated: there is one run per model.", kind="small")
        ]
    spread = [row for row in pick(frame, metric="auc_sd").to_dicts() if known(row)]
    ends = [fixed(f(row["estimate"] for row in spread)) for f in (min, max)] if spread else []
    told = f"The SD of the mean AUC over training seeds is {' to '.join(dict.fromkeys(ends))}." if ends else ""
    told = told or "No SD over training seeds could be computed."
    listed_there = rows_of_seeds(evidence) is not None
    where = "Each model and each seed:" if listed_there else "The numbers of each seed are in estimates.csv."
    return [Paragraph(f"{told} {where}", link="seeds" if listed_there else "")]


def _per_finding(evidence: ReportData, detail: pl.DataFrame) -> Folded:
    made = []
    for row in detail.select("rater", "contrast").unique(maintain_order=True).to_dicts():
        rows = by(pick(detail, **row), "population", "finding")
        caption = (
            f"By finding, {_contrast(row)}. P values are Holm-adjusted over sites, models and findings; these "
            "contrasts "
            "are not part of the decision rule."
        )
        made.append(difference_table(evidence, rows, caption, "Difference in AUC"))
    return appendix("H1 by finding", tuple(made))
