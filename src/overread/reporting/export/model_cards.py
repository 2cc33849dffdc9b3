"""A card for every model: what it is, what it was tested on, how well it does and where not; from evidence alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from overread.reporting.export.markdown import inline
from overread.reporting.first_page.answer_limits.study_limits import limitations
from overread.reporting.methods.bibliography import REFERENCES
from overread.reporting.number_format import MISSING, count, exact, interval, listed, plural
from overread.reporting.report_data import (
    GAP_METRICS,
    MEAN,
    ReportData,
    Row,
    at_title,
    by,
    overall,
    pick,
    points_in_order,
    population_title,
    with_key,
)
from overread.reporting.sections.summary import NOT_STATED

_GAPS = 10  # of a card: the first ones in the order of the estimates


def model_card(evidence: ReportData, rater: str) -> str:
    """The card of one model as Markdown, with the headings of Mitchell et al. (2019).

    What a model.json or the study's statements do not say is "not stated"; every number is one of the estimates.
    """
    paper = REFERENCES["modelcards"]
    parts = [
        f"# Model card: {inline(rater)}",
        f"Filled by overread from an evaluation; headings after {paper.text} doi:{paper.doi}. This is evidence about a "
        "program, not a medical device.",
        "## Model details",
        _details(evidence, rater),
        "## Intended use",
        _use(evidence),
        "## Training data",
        _training(evidence, rater),
        "## Evaluation data",
        _evaluated(evidence, rater),
        "## Factors",
        _factors(evidence, rater),
        "## Metrics",
        _auc_table(evidence, rater),
        "## Thresholds",
        _thresholds(evidence, rater),
        "## Subgroup gaps",
        _gaps(evidence, rater),
        "## Caveats",
        _caveats(evidence),
        "## Not computed",
        _missing(evidence, rater),
    ]
    return "\n\n".join(parts) + "\n"


def _details(evidence: ReportData, rater: str) -> str:
    model = evidence.models.get(rater) or {}
    members = plural(len(model.get("members") or ()), "run")
    kind = {"ensemble": f"mean logit of {members}", "single": "one training run"}.get(str(model.get("kind")))
    recalibrated = "logistic, stored with the model" if model.get("recalibration") else "none"
    outputs = listed([evidence.heading(f) for f in model.get("findings") or ()])
    return _facts(
        ("Name", rater),
        ("Network", (model.get("architecture") or {}).get("network")),
        ("Kind", kind),
        ("Outputs", outputs or f"scored here: {listed([evidence.heading(f) for f in _findings(evidence, rater)])}"),
        ("Recalibration", recalibrated if model else None),
        ("Protocol hash", model.get("protocol_hash")),
        ("Licence and access", _statement(evidence, "model_access")),
    )


def _use(evidence: ReportData) -> str:
    topics = (("Intended use", "intended_use"), ("Intended users", "intended_users"), ("Workflow", "workflow"))
    return _facts(*((title, _statement(evidence, topic)) for title, topic in topics))


def _training(evidence: ReportData, rater: str) -> str:
    model = evidence.models.get(rater) or {}
    n_images, n_patients = model.get("n_train_images"), model.get("n_train_patients")
    size = f"{count(n_images)} images of {count(n_patients)} patients" if n_images is not None else None
    left = listed([evidence.heading(f) for f in model.get("not_outputs") or ()])
    return _facts(
        ("Sites", listed([str(s) for s in model.get("training_sites") or ()])),
        ("Size", size),
        ("Not trained, because no training source labels it", left or ("nothing" if model else None)),
    )


def _evaluated(evidence: ReportData, rater: str) -> str:
    rows = pick(overall(evidence, "standalone", "auc"), rater=rater)
    lines = []
    for population in evidence.cast.populations_of(rater):
        part = pick(rows, population=population)
        cases, patients = part["n_cases"].max(), part["n_patients"].max()
        people = f" of {count(patients)} patients" if patients is not None else ""
        lines.append((population_title(evidence, population), f"up to {count(cases)} cases{people} per finding"))
    sources = [r for r in rows["reference"].unique().sort().to_list() if r]
    policies = [p for p in rows["policy"].unique().sort().to_list() if p]
    return _facts(
        *lines,
        ("Reference standard", listed(sources)),
        ("Policy", listed(policies)),
        ("Representative of", _statement(evidence, "representativeness")),
    )


def _factors(evidence: ReportData, rater: str) -> str:
    mine = pl.col("rater") == rater, ~pl.col("subgroup").is_in(["", "all", "read"]), ~pl.col("level").is_in(["", "all"])
    rows = evidence.estimates.filter(*mine)
    if rows.is_empty():
        return "No subgroup was evaluated."
    levels = [
        f"- {inline(name.replace('_', ' '))}: {inline(', '.join(sorted(part['level'].unique().to_list())))}"
        for (name,), part in rows.group_by("subgroup", maintain_order=True)
    ]
    return "\n".join(levels)


def _auc_table(evidence: ReportData, rater: str) -> str:
    shown = evidence.cast.populations_of(rater)
    rows = by(pick(overall(evidence, "standalone", "auc"), rater=rater, at=""), "finding", "population")
    names = _findings(evidence, rater)
    body = [
        [evidence.heading(f), *(t for p in shown for t in (_classes(rows.get((f, p))), _number(rows.get((f, p)))))]
        for f in ((*names, MEAN) if len(names) > 1 else names)
        if any((f, p) in rows for p in shown)
    ]
    heads = ["Finding", *(t for p in shown for t in ("present / absent", f"AUC, {population_title(evidence, p)}"))]
    said = evidence.confidence if evidence.estimates["confidence"].is_not_null().any() else ""
    return f"AUC{f' ({said} CI)' if said else ''}.\n\n{_table(heads, body)}" if body else "No AUC was estimated."


def _thresholds(evidence: ReportData, rater: str) -> str:
    metrics = ("threshold", "sensitivity", "specificity")
    frame = pl.concat([pick(overall(evidence, "standalone", m), rater=rater) for m in metrics])
    frame = with_key(frame, "operating_point")
    rows = by(frame, "at", "population", "finding", "metric")
    ordered = points_in_order(at for at, *_ in rows)
    places = dict.fromkeys(k[:3] for k in rows if k[2] != MEAN)
    body = []
    for at, population, finding in sorted(places, key=lambda k: (ordered.index(k[0]), k)):
        found = {m: rows.get((at, population, finding, m)) for m in metrics}
        threshold = found["threshold"]
        body.append(
            [
                at_title(at),
                population_title(evidence, population),
                evidence.heading(finding),
                exact(threshold["estimate"]) if threshold else MISSING,
                _number(found["sensitivity"]),
                _number(found["specificity"]),
            ]
        )
    if not body:
        return "No threshold was evaluated."
    return _table(["Threshold", "Population", "Finding", "value", "sensitivity", "specificity"], body)


def _gaps(evidence: ReportData, rater: str) -> str:
    gaps = evidence.estimates.filter(
        pl.col("rater") == rater, pl.col("metric").is_in(GAP_METRICS), pl.col("estimate").is_not_nan()
    )
    if gaps.is_empty():
        return "None was computed."
    overall_gaps = gaps.filter(pl.col("finding").is_in(["", MEAN]))
    main = (overall_gaps if overall_gaps.height else gaps).head(_GAPS)
    body = [
        [
            f"{r['metric'].removeprefix('gap_').replace('auc', 'AUC')}"
            + (f" of {evidence.heading(r['finding'])}" if r["finding"] else ""),
            population_title(evidence, r["population"]),
            r["subgroup"].replace("_", " "),
            f"{r['level']} − {r['contrast'].partition(':')[2]}" if r["level"] else "largest − smallest",
            interval(r["estimate"], r["low"], r["high"]),
        ]
        for r in main.iter_rows(named=True)
    ]
    said = f"{len(body)} of {count(gaps.height)} gaps, means over findings and underdiagnosis first"
    return f"{said}.\n\n{_table(['What', 'Population', 'Groups', 'Difference', 'Gap'], body)}"


def _caveats(evidence: ReportData) -> str:
    stated = _statement(evidence, "limitations")
    points = [
        *[f"{each.head} {each.text}".strip() for each in limitations(evidence)],
        *([f"The authors: {stated}"] if stated else []),
    ]
    return "\n".join(f"- {inline(p)}" for p in points) if points else "None."


def _missing(evidence: ReportData, rater: str) -> str:
    rows = evidence.estimates.filter(pl.col("rater") == rater)
    gone = rows.filter(pl.col("estimate").is_nan())
    if gone.is_empty():
        return f"Nothing: all {count(rows.height)} estimates are numbers."
    reasons = gone.with_columns(pl.col("note").fill_null("")).group_by("note", maintain_order=True).len()
    ordered = reasons.sort("len", descending=True, maintain_order=True).head(8).rows()
    lines = [f"- {count(n)}: {inline(note) or 'no reason was given'}" for note, n in ordered]
    head = f"{count(gone.height)} of {count(rows.height)} estimates; the most frequent reasons:"
    return "\n".join([head, "", *lines])


def _findings(evidence: ReportData, rater: str) -> list[str]:
    scored = set(evidence.estimates.filter(pl.col("rater") == rater)["finding"].unique().to_list())
    return [f for f in evidence.cast.findings if f in scored]


def _statement(evidence: ReportData, topic: str) -> str | None:
    return str((evidence.study.get("statements") or {}).get(topic) or "").strip() or None


def _number(row: Row | None) -> str:
    return MISSING if row is None else interval(row["estimate"], row["low"], row["high"])


def _classes(row: Row | None) -> str:
    return "" if row is None or row["n_present"] is None else f"{count(row['n_present'])} / {count(row['n_absent'])}"


def _facts(*items: tuple[str, Any]) -> str:
    return "\n".join(f"- {inline(term)}: {inline(str(what or NOT_STATED))}" for term, what in items)


def _table(heads: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(inline(c) for c in cells) + " |"

    return "\n".join([line(heads), "|" + " --- |" * len(heads), *(line(c) for c in body)])
