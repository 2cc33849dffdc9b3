"""The methods in words, written from what was run: a sentence stands only where its method left a number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe
from overread.reporting.blocks import Cell, Folded, Section, Table, Text, heads, table
from overread.reporting.export.markdown import inline
from overread.reporting.methods import reader_methods
from overread.reporting.methods.bibliography import Cited, number_citations
from overread.reporting.methods.sentences import kinds, told, untold
from overread.reporting.methods.wording import READ, SENTENCES
from overread.reporting.number_format import count, listed
from overread.reporting.report_data import ReportData


def methods(evidence: ReportData) -> tuple[Section, Cited]:
    """The methods as numbered paragraphs, with the references they cite, and a table of the method of every metric."""
    cited = number_citations((t, x) for t, x in _paragraphs(evidence) if x)
    blocks = tuple(Text(x, kind="methods", term=t) for t, x in cited.paragraphs)
    return Section(
        "methods", "Methods", (*blocks, Folded("The method of every metric", (_method_table(evidence),)))
    ), cited


def methods_text(cited: Cited) -> str:
    """The methods with their references as Markdown, to be pasted into a manuscript."""
    paragraphs = "\n\n".join(f"**{inline(term)}.** {inline(text, cited=True)}" for term, text in cited.paragraphs)
    numbered = "\n".join(
        f"{n}. {r.text}{f' doi:{r.doi}' if r.doi else ''}" for n, r in enumerate(cited.references, start=1)
    )
    return f"# Methods\n\n{paragraphs}\n\n## References\n\n{numbered}\n"


def _paragraphs(evidence: ReportData) -> Iterator[tuple[str, str]]:
    rows = kinds(evidence.estimates)
    yield "Participants", _participants(evidence)
    yield "Images", pixels_told(evidence)
    yield "Models", models_told(evidence)
    yield "Reference standard and join", _reference(evidence)
    for term, text in told(rows, SENTENCES, _values(evidence)):
        yield term, f"{text}{_within_sites(evidence) if term == 'AUC' else ''}"
    yield from reader_methods.paragraphs(evidence)
    yield "Heat maps", _heatmaps(evidence)
    yield "What could not be computed", _not_computed(evidence, untold(rows, (*SENTENCES, *READ)))


def _values(evidence: ReportData) -> dict[str, str]:
    """What the sentences take from the configuration of the evaluation."""
    c = evidence.config
    shown = set(evidence.estimates.filter(pl.col("analysis") == "subgroups")["subgroup"].drop_nulls())
    columns = listed([str(s).replace("_", " ") for s in c.get("subgroups") or () if s in shown])
    least = (
        f"; a group with fewer than {c['minimum_present']} patients present or {c['minimum_absent']} absent has no AUC"
        if "minimum_present" in c
        else ""
    )
    binned = evidence.estimates.filter(pl.col("metric") == "ece")["at"].str.extract(r"bins=(\d+)").drop_nulls()
    return {
        "replicates": f" ({count(c['replicates'])} replicates)" if c.get("replicates") else "",
        "findings": "a set fixed beforehand" if c.get("findings") else "all that every model scores",
        "bins": binned[0] if binned.len() else "the",
        "columns": f" by {columns}" if columns else "",
        "set": "set beforehand" if evidence.study.get("protocol_hash") else "evaluated, without a protocol beforehand",
        "least": least,
        "least_present": str(c.get("minimum_present", 20)),
        "least_absent": str(c.get("minimum_absent", 20)),
        "gain": str(c.get("smallest_worthwhile_gain", 0.01)),
    }


def _within_sites(evidence: ReportData) -> str:
    several = evidence.estimates.filter(pl.col("analysis") == "standalone", pl.col("subgroup") == "site")
    if several.is_empty():
        return ""
    return (
        " The AUC of a population of several sites is the unweighted mean of the AUCs within each site, except where "
        "“all pairs” is stated. Its ROC curve and its rates at a fixed specificity or sensitivity are such means too, "
        "with a threshold of its own at each site; rates at frozen thresholds, calibration and net benefit are those "
        "of the cases of all sites together."
    )


def _not_computed(evidence: ReportData, unknown: list[str]) -> str:
    more = f" Methods without a sentence here: {listed(unknown)}." if unknown else ""
    return (
        "A number that could not be computed is an em dash with its reason, never 0; every reason is listed and "
        f"counted below. Intervals are {_percent(evidence)} intervals; no interval is adjusted for multiplicity unless "
        f"it says so.{more}"
    )


def _percent(evidence: ReportData) -> str:
    levels = evidence.estimates["confidence"].drop_nulls().unique().sort().to_list()
    return listed([f"{100 * v:g}%" for v in levels]) or "95%"


def _participants(evidence: ReportData) -> str:
    if not evidence.cohort:
        return ""
    splits = set(evidence.images["split"].cast(pl.String).drop_nulls().to_list()) - {""}
    text = "Images were selected by the rules of the cohort; every exclusion is counted in the flow diagram [@stard]."
    if len(splits) > 1:
        text += f" Patients, not images, were split ({listed(sorted(splits))}), so that no patient is in two splits."
    return text


def pixels_told(evidence: ReportData) -> str:
    """How radiographs became the input of the models, "" where no recipe is known."""
    recipes = {str(m["recipe"]): m["recipe"] for m in evidence.models.values() if m.get("recipe")}
    return " ".join(f"Pixels: {_recipe(r)}; air is dark in every image." for r in recipes.values())


def _recipe(given: dict[str, Any]) -> str:
    try:
        return Recipe.from_dict(given).describe()
    except InputError:  # a model of another version: its recipe is told as it stands
        return ", ".join(f"{k} {v}" for k, v in given.items())


def models_told(evidence: ReportData) -> str:
    """Network, training and what was frozen; of scores made elsewhere only that they were."""
    if not evidence.models:
        raters = listed([f"“{r}”" for r in evidence.cast.raters])
        return (
            f"The scores of {raters} were made elsewhere; nothing is known here of how the models were trained."
            if raters
            else ""
        )
    texts = [_network(evidence), _training(evidence), _frozen(evidence)]
    return " ".join(t for t in texts if t)


def _network(evidence: ReportData) -> str:
    networks = sorted(
        {str(a.get("network")) for m in evidence.models.values() if (a := m.get("architecture")) and a.get("network")}
    )
    cite = " [@densenet]" if any("densenet" in n for n in networks) else ""
    ensembles = [n for n, m in evidence.models.items() if m.get("kind") == "ensemble"]
    text = f"Network: {listed(networks)}{cite}, one output per finding." if networks else ""
    if ensembles:
        sizes = sorted({len(evidence.models[n].get("members") or ()) for n in ensembles})
        text += (
            f" {listed([f'“{n}”' for n in ensembles])}: the mean logit of {'–'.join(map(str, sizes))} networks "
            "trained from different seeds."
        )
    return text


def _training(evidence: ReportData) -> str:
    told: dict[str, list[str]] = {}
    for name, record in evidence.trainings.items():
        c = (record.get("config") or {}).get("training") or record.get("config")
        if c and "epochs" in c:
            told.setdefault(_training_of(c, evidence), []).append(name)
    if len(told) == 1:
        return next(iter(told))
    return " ".join(f"{listed([f'“{n}”' for n in names])}: {text}" for text, names in told.items())


def _training_of(c: Mapping[str, Any], evidence: ReportData) -> str:
    """How a model was trained, from its configuration."""
    start = {None: "random weights", "imagenet": "ImageNet weights [@imagenet]"}.get(
        c.get("weights"), f"the weights in {c.get('weights')}"
    )
    text = (
        f"Training from {start}: binary cross-entropy over the findings, masked where nothing is stated; present "
        "labels weighed by "
        f"absent per present, at most {c.get('positive_weight_cap', '—')}; AdamW [@adamw] with warm-up and cosine "
        "decay [@cosine], "
        f"largest learning rate {c.get('learning_rate')}, batch {c.get('batch_size')}, at most {c.get('epochs')} epochs"
    )
    if c.get("patience"):
        text += f", stopped early after {c['patience']} epochs without a better AUC on tune (mean of within-site AUCs)"
    uncertain = c.get("uncertain")
    if isinstance(uncertain, dict):
        said = {"ignore": "left out", "absent": "taken as absent", "present": "taken as present"}
        each = [
            f"{'uncertain labels' if k == '*' else evidence.heading(k)} {said.get(v, v)}" for k, v in uncertain.items()
        ]
        text += f". In training: {listed(each)}"
    return text + "."


def _frozen(evidence: ReportData) -> str:
    fitted = [n for n, m in evidence.models.items() if m.get("recalibration")]
    if fitted:
        whose = "" if len(fitted) == len(evidence.models) else f" of {listed([f'“{n}”' for n in fitted])}"
        return (
            f"Scores{whose} are probabilities after a logistic recalibration [@cox]; it and the thresholds were fitted "
            "on the tuning split and stored with the model."
        )
    return ""


def _reference(evidence: ReportData) -> str:
    rows = evidence.estimates.filter(pl.col("analysis") == "standalone")
    sources = [x for x in rows["reference"].unique().sort().to_list() if x]
    taken = {"ignore": "were left out", "absent": "were taken as absent", "present": "were taken as present"}
    uncertain = taken.get(str(evidence.config.get("uncertain") or ""))
    parts = [f"Reference standard: {listed(sources)}." if sources else ""]
    parts.append(f"Labels that are uncertain {uncertain}." if uncertain else "")
    if evidence.config.get("case_score"):
        parts.append(f"Where a case has several images, its score is their {evidence.config['case_score']}.")
    parts.append("A case for which a finding is not stated counts neither as present nor as absent.")
    return " ".join(p for p in parts if p)


def _heatmaps(evidence: ReportData) -> str:
    if not evidence.heatmaps:
        return ""
    return (
        "Heat maps are Grad-CAM [@gradcam] at the last feature map, for a network with global average pooling and "
        "one linear layer the rectified class activation map [@cam]."
    )


def _method_table(evidence: ReportData) -> Table:
    rows: dict[tuple[str, str, str], int] = {}
    for analysis, metric, method in evidence.estimates.select("analysis", "metric", "method").rows():
        plain = re.sub(
            r"(?<=effective n) \d+(\.\d+)?", "", re.sub(r"\d+(\.\d+)?(?= df)", "its", method or "not stated")
        )
        rows[analysis, metric, plain] = rows.get((analysis, metric, plain), 0) + 1
    body = tuple((Cell(a), Cell(m), Cell(t), Cell(count(n), kind="num")) for (a, m, t), n in sorted(rows.items()))
    head = heads("Analysis", "Metric", "Method", "Estimates")
    return table("Every method that made a number of this report.", (head,), body, compact=True)
