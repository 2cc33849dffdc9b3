"""The first page of pooled against single-hospital training: the differences at hospitals that no model has seen."""

from __future__ import annotations

from overread.reporting.blocks import Cell, Facts, Figure, Table, heads
from overread.reporting.estimate_cells import known
from overread.reporting.figures.drawing_style import series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.first_page.answer_lines.hospital_pairs import hospitals_line
from overread.reporting.first_page.first_page_parts import (
    AUC_TERM,
    MARK_TERM,
    FirstPage,
    bounded,
    first_rows,
    hospital,
    interval_term,
    most_findings,
    number_cell,
    side,
    spelled,
)
from overread.reporting.first_page.mean_aucs import ModelMeans, case_sites, model_means, over_own_findings
from overread.reporting.number_format import count, fixed, listed, number, plural
from overread.reporting.report_data import MEAN, ReportData, Row, by, contrast_of, in_order, overall, pick

_CLAIM = (
    "H1: Is a model trained on several hospitals together better, at hospitals not used in training, than a model "
    "trained at one of them?"
)
_D_TERM = ("D", "The difference in mean AUC at a hospital: the pooled model minus a single-hospital model.")
_MOST = 18  # comparisons that the figure shows one by one


def pooling_page(evidence: ReportData) -> FirstPage:
    """The page of hypothesis H1."""
    rows = _rows(evidence)
    verdict = next((v for v in evidence.verdicts.to_dicts() if v["hypothesis"] == "H1"), None)
    stated = bool(verdict and verdict["protocol_hash"])
    rule = (
        ((Facts(((("Rule of the protocol" if stated else "Rule (no protocol)"), str(verdict["rule"])),))),)
        if verdict
        else ()
    )
    pooled = ("Pooled", f"Trained on {_trained(evidence)} together.") if _trained(evidence) else None
    terms = (AUC_TERM, _D_TERM, interval_term(evidence.confidence), *((pooled,) if pooled else ()), MARK_TERM)
    return FirstPage(
        "Evidence report: pooled training",
        str(evidence.study.get("question") or "").strip() or _CLAIM,
        _answer(evidence, rows),
        _more(evidence, verdict, stated=stated),
        (),
        _figure(evidence, rows),
        _table(evidence),
        rule,
        terms,
        str(verdict["verdict"]) if verdict and stated else "",
    )


def _trained(evidence: ReportData) -> str:
    model = evidence.models.get(str(evidence.cast.roles.get("pooled") or "")) or {}
    sites = [str(s) for s in model.get("training_sites") or ()] or [
        str(s) for s in evidence.cast.roles.get("single", {}).values()
    ]
    return listed(sites)


def _internal(evidence: ReportData) -> str:
    """Whose patients the internal test has, as far as it is known where the models were trained."""
    if evidence.cast.trained:
        return "Internal test: patients of the hospitals that the model was trained on."
    tested = case_sites(evidence, population="internal")
    stated = {str(site) for site in evidence.cast.roles.get("single", {}).values()}
    if not tested:
        return "Internal test: patients whose hospital is not stated."
    if set(tested) <= stated:
        return f"Internal test: patients of {listed(tested)}, where models were trained as declared."
    return (
        f"Internal test: patients of {listed(tested)}; that a model was trained there is not declared "
        f"(declared: {listed(sorted(stated))})."
    )


def _rows(evidence: ReportData) -> dict[tuple[str, ...], Row]:
    """The mean differences by population, rater and contrast."""
    frame = pick(overall(evidence, "H1", "auc_difference"), finding=MEAN, at="")
    return by(frame, "population", "rater", "contrast")


def _decisive(evidence: ReportData, rows: dict[tuple[str, ...], Row]) -> dict[tuple[str, str], Row]:
    """The comparisons of the rule, by hospital and single-hospital model."""
    pooled, single = evidence.cast.roles.get("pooled"), evidence.cast.single
    return {
        (p, contrast_of(c, "rater")): row
        for (p, r, c), row in rows.items()
        if r == pooled and contrast_of(c, "rater") in single
    }


def _answer(evidence: ReportData, rows: dict[tuple[str, ...], Row]) -> str:
    found = [r for r in _decisive(evidence, rows).values() if bounded(r)]
    pooled = str(evidence.cast.roles.get("pooled"))
    if not found:
        return f"No comparison of {pooled} at a hospital not used in training could be computed."
    low, high = (f(found, key=lambda r: number(r["estimate"])) for f in (min, max))
    if len(found) == 1:
        row = found[0]
        against = contrast_of(row["contrast"], "rater")
        return f"{pooled} minus {against} at {hospital(row['population'])}: {spelled(row, signed=True)} in mean AUC."
    ahead = sum(number(r["estimate"]) > 0 for r in found)
    clear, behind = (sum(side(r) == s for r in found) for s in (1, -1))
    worst = f"{contrast_of(low['contrast'], 'rater')} at {hospital(low['population'])}"
    best = f"{contrast_of(high['contrast'], 'rater')} at {hospital(high['population'])}"
    return (
        f"{pooled} has the higher mean AUC in {ahead} of {len(found)} comparisons at hospitals not used in training, "
        f"with the whole interval above 0 in {clear or 'none'} and below 0 in {behind or 'none'}: from "
        f"{spelled(low, signed=True)} against {worst} to {spelled(high, signed=True, level=False)} against {best}."
    )


def _more(evidence: ReportData, verdict: Row | None, *, stated: bool) -> str:
    """The reason of the verdict, and how far the pooled model falls from home."""
    said = [str(verdict["reason"])] if verdict and stated else []
    pooled = str(evidence.cast.roles.get("pooled"))
    means = model_means(evidence)
    inside = means.whole(pooled, "internal")
    outside = [
        p for p in evidence.cast.populations_of(pooled) if p.startswith("external:") and known(means.whole(pooled, p))
    ]
    if known(inside) and outside:
        away = [f"{fixed((means.whole(pooled, p) or {})['estimate'])} at {_where(means, p)}" for p in outside[:4]]
        own = over_own_findings([inside, *(means.whole(pooled, p) for p in outside)])
        at_home = f"{fixed(inside['estimate'])} in {_where(means, 'internal')}"
        said.append(f"The mean AUC of {pooled}{own} is {at_home}, and {listed(away)}.")
        said.append(hospitals_line(means, [pooled], "internal"))
    return " ".join(filter(None, said))


def _where(means: ModelMeans, population: str) -> str:
    """A population, with the number of its cases where the mean AUC of the pooled model has no interval."""
    pooled = str(means.evidence.cast.roles.get("pooled"))
    return hospital(population) if bounded(means.whole(pooled, population)) else means.counted(population, pooled)


def _figure(evidence: ReportData, rows: dict[tuple[str, ...], Row]) -> Figure | None:
    """The differences by hospital: all images, and as many as one hospital has."""
    decisive = _decisive(evidence, rows)
    if not any(known(r) for r in decisive.values()):
        return None
    pooled, matched = str(evidence.cast.roles.get("pooled")), str(evidence.cast.roles.get("matched") or "")
    series = (
        [evidence.cast.series(pooled), evidence.cast.series(matched)] if matched else [evidence.cast.series(pooled)]
    )
    few = len(decisive) <= _MOST
    made = []
    for p in in_order(k[0] for k in decisive):
        own = {s: r for (q, s), r in decisive.items() if q == p}
        if not few:
            closest = min(own, key=lambda s: number(own[s]["estimate"]) if known(own[s]) else 9.0)
            own = {closest: own[closest]}
        else:
            made.append(ForestRow(f"At {hospital(p)}", strong=True))
        for single, row in own.items():
            beside = rows.get((p, matched, f"rater:{single}")) if matched else None
            marks = (mark_of(row, 0, signed=True), *((mark_of(beside, 1, signed=True),) if beside else ()))
            n = (evidence.models.get(single) or {}).get("n_train_images")
            note = f"trained on {count(n)} images" if n else ""
            title = f"against {single}" if few else f"{hospital(p)}: against {single}"
            made.append(ForestRow(title, (marks,), note=note))
    scale = Scale(
        "",
        null=0.0,
        gain=evidence.config.get("smallest_worthwhile_gain"),
        signed=True,
        better=("single hospital higher", "pooled higher"),
    )
    plot = ForestPlot(tuple(made), (Panel(scale),), tuple(map(series_style, series)))
    n = most_findings(decisive.values())
    drawn_beside = any(len(row.marks[0]) > 1 for row in made if row.marks)
    key = (_size(evidence, pooled), _size(evidence, matched)) if drawn_beside else ()
    closest = "" if few else " Of every hospital, the single-hospital model that comes closest."
    gain = evidence.config.get("smallest_worthwhile_gain")
    return panel_figure(
        plot,
        key,
        name="answer",
        caption=f"Line: {evidence.confidence} interval, on the same cases."
        + (f" Dashed: the smallest relevant gain ({gain:g})." if gain else "")
        + (
            f" {matched} was trained on as many images as one hospital has and is not part of the rule."
            if drawn_beside
            else ""
        ),
        title=f"At hospitals not used in training: {pooled} minus each single-hospital model",
        note=f"Difference in mean AUC over {plural(n, 'finding')}.{closest}"
        if n
        else f"Difference in mean AUC.{closest}",
    )


def _size(evidence: ReportData, model: str) -> str:
    n = (evidence.models.get(model) or {}).get("n_train_images")
    return f"{model}, {count(n)} training images" if n else model


def _table(evidence: ReportData) -> Table | None:
    """Mean AUC of every model in the internal test and at the hospitals not used in training."""
    means = model_means(evidence)
    raters = [r for r in evidence.cast.raters if any(k[0] == r for k in means.areas)]
    outside = in_order({p for r in raters for p in evidence.cast.populations if p.startswith("external:")})
    shown = ["internal", *outside[:4]]
    if not raters:
        return None
    most = most_findings(means.whole(r, p) for r in raters for p in shown)
    sizes = {r: (evidence.models.get(r) or {}).get("n_train_images") for r in raters}
    sized = any(sizes.values())
    body = tuple(
        (
            Cell(r, kind="strong" if r == evidence.cast.roles.get("pooled") else ""),
            *((Cell(count(sizes[r]), "num"),) if sized else ()),
            *(number_cell(means.whole(r, p), most) for p in shown),
        )
        for r in raters
    )
    titles = ["Training images"] if sized else []
    head = heads("Model", *titles, "Internal test", *(f"{hospital(p)}" for p in shown[1:]))
    rest = f" {len(outside) - 4} more hospitals are in the sections below." if len(outside) > 4 else ""
    note = f"With {evidence.confidence} interval. {_internal(evidence)}{rest}"
    return first_rows(
        Table("Mean AUC of each model, internal and at hospitals not used in training", (head,), body, note=note),
        "models",
    )
