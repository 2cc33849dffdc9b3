"""H1: whether the pooled model beats every single-institution model at every unseen site, and all that bears on it."""

from __future__ import annotations

import polars as pl

from overread.report.blocks import Block, Cell, Facts, Figure, Folded, Section, Table, Text, heads, table
from overread.report.cells import classes_cell, estimate_cell, known, notes_of, p_cells
from overread.report.contrasts import difference_table
from overread.report.evidence import (
    MEAN,
    Evidence,
    by,
    finding_title,
    in_order,
    overall,
    pick,
    population_title,
)
from overread.report.forest import Line, Scale, forest, mark_of, spoken

_TITLE = "Hypothesis H1: pooling institutions helps at unseen ones"


def h1(evidence: Evidence) -> Section:
    """The verdict with its rule, D(e, s), the evaluable findings, the size-matched model, the seeds, the findings."""
    verdicts = evidence.verdicts.filter(pl.col("hypothesis").str.starts_with("H1"))
    frame = overall(evidence, "H1", "auc_difference")
    if verdicts.is_empty() and frame.is_empty():
        return Section("h1", _TITLE, absent="no pooled and single-institution models were compared")
    blocks: list[Block] = [_verdict(r) for r in verdicts.to_dicts()]
    mean = pick(frame, finding=MEAN)
    if mean.height:
        blocks += _differences(evidence, mean)
    detail = frame.filter(pl.col("finding") != MEAN)
    if detail.height:
        blocks.append(_evaluable(evidence, detail))
    blocks += _seeds(evidence)
    blocks += [_per_finding(evidence, detail)] if detail.height else []
    return Section("h1", _TITLE, tuple(blocks))


def _verdict(row: dict) -> Facts:
    return Facts(
        (
            ("Claim", row["claim"]),
            ("Verdict", str(row["verdict"])),
            ("Why", row["reason"]),
            ("Rule, set beforehand", row["rule"]),
        )
    )


def _contrast(row: dict) -> str:
    return f"“{row['rater']}” − “{row['contrast'].partition(':')[2]}”"


def _differences(evidence: Evidence, mean: pl.DataFrame) -> list[Block]:
    pooled = evidence.cast.roles.get("pooled") or evidence.cast.lead
    against = mean.select("rater", "contrast").unique(maintain_order=True).to_dicts()
    against.sort(key=lambda r: r["rater"] != pooled)
    rows = by(mean, "population", "rater", "contrast")
    populations = in_order(k[0] for k in rows)
    lines = [
        Line(
            f"{p.partition(':')[2]}: {_contrast(a)}",
            (mark_of(rows.get((p, a["rater"], a["contrast"])), int(_matched(evidence, a)), signed=True),),
        )
        for p in populations
        for a in against
        if (p, a["rater"], a["contrast"]) in rows
    ]
    gain = evidence.config.get("smallest_worthwhile_gain")
    caption = "D(e, s): difference in mean AUC over the evaluable findings at each external site e, same cases." + (
        f" The dashed line is the smallest worthwhile gain ({gain})." if gain else ""
    )
    blocks: list[Block] = []
    if any(r.marks[0].value == r.marks[0].value for r in lines):
        scale = Scale(
            "Difference in mean AUC",
            null=0.0,
            gain=gain,
            signed=True,
            better=("← other model better", "first model better →"),
        )
        names = ("decides H1", "size-matched, decides nothing") if any(r.marks[0].series for r in lines) else ("D",)
        blocks.append(Figure(forest(lines, names, scale, name="h1", alt=spoken(caption, lines)), caption))
    body = []
    for p in populations:
        for a in against:
            row = rows.get((p, a["rater"], a["contrast"]))
            if row:
                n = "—" if row["n_patients"] is None else f"{row['n_patients']:,}"
                role = _role(evidence, row)
                cells = (
                    Cell(_contrast(row), note=role),
                    Cell(n, kind="num"),
                    estimate_cell(row, signed=True),
                    *p_cells(row),
                )
                body.append((Cell(p.partition(":")[2]), *cells))
    head = heads("External site", "Contrast", "Patients", "D (interval)", "p", "p adjusted")
    return [*blocks, table("D(e, s), per external site and model.", (head,), tuple(body))]


def _matched(evidence: Evidence, row: dict) -> bool:
    matched = evidence.cast.roles.get("matched")
    return bool(matched) and matched in (row["rater"], row["contrast"].partition(":")[2])


def _role(evidence: Evidence, row: dict) -> str:
    other = row["contrast"].partition(":")[2]
    if _matched(evidence, row):
        return "size-matched: as many training images as the largest single institution; decides nothing"
    site = (evidence.cast.roles.get("single") or {}).get(other)
    return f"trained at {site} alone" if site else ""


def _evaluable(evidence: Evidence, detail: pl.DataFrame) -> Table:
    """Per finding and external site: evaluable, or why not."""
    populations = in_order(detail["population"])
    least = (evidence.config.get("minimum_present", 20), evidence.config.get("minimum_absent", 20))
    body = []
    for f in (f for f in evidence.cast.findings if f in set(detail["finding"])):
        cells = []
        for p in populations:
            rows = detail.filter(pl.col("finding") == f, pl.col("population") == p).to_dicts()
            good = [r for r in rows if known(r)]
            row = next(iter([*good, *rows]), None)
            word = "evaluable" if good and len(good) == len(rows) else "in part" if good else "no"
            why = [n for r in rows if not known(r) for n in notes_of(r)]
            n = classes_cell(row).text
            cells.append(Cell(f"{word}", notes=tuple(dict.fromkeys(why)), note=f"{n} present / absent" if n else ""))
        body.append((Cell(finding_title(f)), *cells))
    caption = (
        f"Evaluable findings: at least {least[0]} patients with it present and {least[1]} absent at the external site, "
        "scored by every model compared."
    )
    head = heads("Finding", *(population_title(evidence, p) for p in populations))
    return table(caption, (head,), tuple(body))


def _seeds(evidence: Evidence) -> list[Block]:
    frame = pick(evidence.estimates, analysis="seeds")
    if frame.is_empty():
        return [Text("Spread over seeds: not evaluated; there is one training run per model.", kind="small")]
    mean = pick(frame, finding=MEAN)
    frame = mean if mean.height else frame
    body = tuple(
        (
            Cell(r["rater"]),
            Cell(r["metric"].replace("_", " ").replace("auc", "AUC")),
            Cell(r["contrast"].partition(":")[2] or "—"),
            Cell(population_title(evidence, r["population"])),
            Cell(finding_title(r["finding"])),
            estimate_cell(r),
        )
        for r in frame.to_dicts()
    )  # fmt: skip
    head = heads("Model", "What", "Against", "Population", "Finding", "Value")
    seeds = table("Spread over seeds: the same model trained again with another seed.", (head,), body, compact=True)
    return [seeds if len(body) <= 16 else Folded("Spread over seeds", (seeds,))]


def _per_finding(evidence: Evidence, detail: pl.DataFrame) -> Folded:
    made = []
    for row in detail.select("rater", "contrast").unique(maintain_order=True).to_dicts():
        rows = by(pick(detail, **row), "population", "finding")
        caption = (
            f"Per finding, {_contrast(row)}. Holm over all sites, models and findings; these name findings and "
            "decide nothing."
        )
        made.append(difference_table(evidence, rows, caption, "Difference in AUC"))
    return Folded("H1 per finding", tuple(made))
