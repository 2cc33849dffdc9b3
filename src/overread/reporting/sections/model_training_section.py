"""How the models were trained: network, images, epochs, weights of present labels, and the course of training."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from overread.reporting.blocks import Block, Cell, Figure, Folded, Section, Table, figures, heads, table, words
from overread.reporting.figures.curve_panels import training_panels
from overread.reporting.figures.figure_pool import both_widths
from overread.reporting.number_format import MISSING, count, fixed, listed, seconds
from overread.reporting.report_data import ReportData

_SHOWN = 8  # models: as many as there are inks


def training(evidence: ReportData) -> Section:
    """The models, their training data and training curves."""
    title = "Training"
    if not evidence.models:
        return Section("training", title, absent="no record of a model was supplied")
    blocks: list[Block] = [_models_table(evidence)]
    if evidence.histories:
        runs = _by_model(evidence)
        caption = "Training curves: a colour per model, a line per training run." + (
            f" The first {_SHOWN} of {len(runs)} models are drawn." if len(runs) > _SHOWN else ""
        )
        shown = runs[:_SHOWN]
        names = [name for name, _ in shown]
        how = {"alt": f"{caption} The best epoch is in the table.", "numbers": _series(evidence, names)}
        wide, phone = both_widths(training_panels, shown, name="training", **how)
        blocks.append(Figure(wide, caption, "training", _course(evidence, names), phone=phone))
        blocks.append(Folded("Training runs", (_runs_table(evidence),)))
    weights = _weights_table(evidence)
    return Section("training", title, (*blocks, *weights))


def _series(evidence: ReportData, names: Sequence[str]) -> list[int]:
    """The series of the models on the page; models that it does not evaluate come after the others."""
    raters = evidence.cast.raters
    others = [n for n in names if n not in raters]
    return [raters.index(n) if n in raters else len(raters) + others.index(n) for n in names]


def _by_model(evidence: ReportData) -> list[tuple[str, list[pl.DataFrame]]]:
    """The histories of the training runs of every model."""
    made: dict[str, list[pl.DataFrame]] = {}
    for run, history in evidence.histories.items():
        made.setdefault(run.partition("/seed-")[0], []).append(history)
    return list(made.items())


def _course(evidence: ReportData, shown: list[str]) -> pl.DataFrame:
    """The histories of the models that are drawn, under each other."""
    runs = {run: h for run, h in evidence.histories.items() if run.partition("/seed-")[0] in shown}
    return pl.concat(
        [h.select(pl.lit(run).alias("run"), *h.columns) for run, h in runs.items()], how="diagonal_relaxed"
    )


def _models_table(evidence: ReportData) -> Table:
    rows = []
    for name, m in evidence.models.items():
        architecture = m.get("architecture") or {}
        kind = f"mean logit of {len(m.get('members') or ())} runs" if m.get("kind") == "ensemble" else "one run"
        network = architecture.get("network") or _member_network(evidence, name)
        because = m.get("not_outputs_because") or {}
        out = [evidence.heading(f) + (f" ({because[f]})" if because.get(f) else "") for f in m.get("not_outputs") or ()]
        rows.append(
            (
                *words(name, str(network), kind),
                Cell(listed([str(s) for s in m.get("training_sites") or ()])),
                Cell(count(m.get("n_train_images")), kind="num"),
                Cell(count(m.get("n_train_patients")), kind="num"),
                Cell(
                    count(len(m.get("findings") or ())), kind="num", note=f"not trained: {listed(out)}" if out else ""
                ),
            )
        )
    head = heads("Model", "Network", "Kind", "Training sites", "Images", "Patients", "Findings")
    return table(
        "Models.", (head,), tuple(rows), remark="Findings without labels in the training data are not outputs."
    )


def _member_network(evidence: ReportData, name: str) -> str:
    found = {
        str(c.get("network"))
        for run, record in evidence.trainings.items()
        if run.startswith(f"{name}/")
        and (c := (record.get("config") or {}).get("training") or record.get("config") or {})
    } - {"None"}
    return listed(sorted(found)) or MISSING


def _runs_table(evidence: ReportData) -> Table:
    rows = []
    for name, history in evidence.histories.items():
        record = evidence.trainings.get(name) or {}
        best = _best(history)
        rows.append(
            (
                Cell(name),
                *figures([count(history.height), *best]),
                Cell(str(record.get("seed") if record.get("seed") is not None else MISSING), kind="num"),
                Cell(seconds(record.get("seconds")), kind="num"),
            )
        )
    head = heads("Run", "Epochs", "Best epoch", "Tuning AUC at best epoch", "Seed", "Time")
    return table(
        "Training runs. The weights of the epoch with the best tuning AUC were kept.",
        (head,),
        tuple(rows),
        compact=True,
    )


def _best(history: pl.DataFrame) -> tuple[str, str]:
    if "tune_auc" not in history.columns:
        return MISSING, MISSING
    known = history.with_row_index("place").filter(pl.col("tune_auc").is_not_null() & pl.col("tune_auc").is_not_nan())
    if known.is_empty():
        return MISSING, MISSING
    row = known.sort("tune_auc", descending=True, maintain_order=True).row(0, named=True)
    return str(row.get("epoch", row["place"] + 1)), fixed(row["tune_auc"])


def _weights_table(evidence: ReportData) -> list[Block]:
    found = {n: w for n, m in evidence.models.items() if (w := m.get("positive_weights"))}
    if not found:
        return []
    names = [f for f in evidence.cast.findings if any(f in w for w in found.values())]
    rows = tuple(
        (Cell(evidence.heading(f)), *(Cell(fixed(w.get(f), 1), kind="num") for w in found.values())) for f in names
    )
    weights = table(
        "Weight of a positive label in the loss (a negative label has weight 1).",
        (heads("Finding", *found),),
        rows,
        compact=True,
    )
    return [Folded("Weights of positive labels", (weights,))]
