"""The methods in words, written from what was run: a sentence stands only where its method left a number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from overread.errors import InputError
from overread.images.recipe import Recipe
from overread.report.blocks import Cell, Folded, Section, Table, Text, heads, table
from overread.report.evidence import Evidence, finding_title
from overread.report.numbers import count, listed
from overread.report.references import Cited, number_citations


def methods(evidence: Evidence) -> tuple[Section, Cited]:
    """The methods as numbered paragraphs, with the references they cite, and a table of the method of every metric."""
    cited = number_citations((t, x) for t, x in _paragraphs(evidence) if x)
    blocks = tuple(Text(x, kind="methods", term=t) for t, x in cited.paragraphs)
    return Section(
        "methods", "Methods", (*blocks, Folded("The method of every metric", (_method_table(evidence),)))
    ), cited


def _paragraphs(evidence: Evidence) -> Iterator[tuple[str, str]]:
    said = _said(evidence)
    yield "Participants", _participants(evidence)
    yield "Images", pixels_told(evidence)
    yield "Models", models_told(evidence)
    yield "Reference standard and join", _reference(evidence)
    yield "AUC", _auc(said, evidence)
    yield "Means over findings", _means(said, evidence)
    yield "Operating points", _rates(said, evidence)
    yield "Calibration", _calibration(said, evidence)
    yield "Comparison of models", _comparison(evidence)
    yield "H1", _h1(evidence)
    yield "Drop", _drop(evidence)
    yield "Site alone", _site_alone(evidence)
    yield "Subgroups", _subgroups(evidence)
    yield "Heat maps", _heatmaps(evidence)
    yield (
        "What could not be computed",
        (
            "A number that could not be computed is an em dash with its reason, never 0; every reason is listed and "
            "counted below. "
            f"Intervals are {_percent(evidence)} intervals; no interval is adjusted for multiplicity unless it says so."
        ),
    )


def _said(evidence: Evidence) -> dict[str, str]:
    """Every metric with all methods that its estimates name, in one text."""
    rows = evidence.estimates.select("metric", "method").unique().drop_nulls().sort("metric", "method")
    texts: dict[str, str] = {}
    for metric, method in rows.rows():
        texts[metric] = f"{texts.get(metric, '')} | {method}"
    return texts


def _has(evidence: Evidence, analysis: str) -> bool:
    return bool((evidence.estimates["analysis"] == analysis).any())


def _percent(evidence: Evidence) -> str:
    levels = evidence.estimates["confidence"].drop_nulls().unique().sort().to_list()
    return listed([f"{100 * v:g}%" for v in levels]) or "95%"


def _participants(evidence: Evidence) -> str:
    if not evidence.cohort:
        return ""
    splits = set(evidence.images["split"].cast(pl.String).drop_nulls().to_list()) - {""}
    text = "Images were selected by rules stated beforehand; every exclusion is counted in the flow diagram [@stard]."
    if len(splits) > 1:
        text += f" Patients, not images, were split ({listed(sorted(splits))}), so that no patient is in two splits."
    return text


def pixels_told(evidence: Evidence) -> str:
    """How radiographs became the input of the models, "" where no recipe is known."""
    recipes = {str(m["recipe"]): m["recipe"] for m in evidence.models.values() if m.get("recipe")}
    return " ".join(f"Pixels: {_recipe(r)}; air is dark in every image." for r in recipes.values())


def _recipe(given: dict[str, Any]) -> str:
    try:
        return Recipe.from_dict(given).describe()
    except InputError:  # a model of another version: its recipe is told as it stands
        return ", ".join(f"{k} {v}" for k, v in given.items())


def models_told(evidence: Evidence) -> str:
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


def _network(evidence: Evidence) -> str:
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


def _training(evidence: Evidence) -> str:
    configs = [
        c
        for r in evidence.trainings.values()
        if (c := (r.get("config") or {}).get("training") or r.get("config")) and "epochs" in c
    ]
    if not configs:
        return ""
    c = configs[0]
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
            f"{'uncertain labels' if k == '*' else finding_title(k)} {said.get(v, v)}" for k, v in uncertain.items()
        ]
        text += f". In training: {listed(each)}"
    return text + "."


def _frozen(evidence: Evidence) -> str:
    if any(m.get("recalibration") for m in evidence.models.values()):
        return (
            "Scores are probabilities after a logistic recalibration [@cox]; it and the thresholds were fitted on the "
            "tuning split and "
            "frozen with the model before any test label was opened."
        )
    return ""


def _reference(evidence: Evidence) -> str:
    sources = [x for x in evidence.estimates["reference"].unique().sort().to_list() if x]
    taken = {"ignore": "were left out", "absent": "were taken as absent", "present": "were taken as present"}
    uncertain = taken.get(str(evidence.config.get("uncertain") or ""))
    parts = [f"Reference standard: {listed(sources)}." if sources else ""]
    parts.append(f"Labels that are uncertain {uncertain}." if uncertain else "")
    if evidence.config.get("case_score"):
        parts.append(f"Where a case has several images, its score is their {evidence.config['case_score']}.")
    parts.append("A case for which a finding is not stated counts neither as present nor as absent.")
    return " ".join(p for p in parts if p)


def _auc(said: dict[str, str], evidence: Evidence) -> str:
    text = said.get("auc", "")
    if not text:
        return ""
    made = (
        "The AUC is the share of pairs of a present and an absent case that the score orders rightly, ties "
        "counting half"
    )
    if "DeLong" in text:
        made += "; its variance is DeLong's [@delong]"
        if "Obuchowski" in text:
            made += ", for images clustered in patients Obuchowski's [@obuchowski]"
    made += "."
    if "logit, t" in text:
        made += (
            " Where a class is small the interval is made on the logit scale with Satterthwaite's degrees of "
            "freedom [@satterthwaite]."
        )
    if evidence.cast.trained and len(evidence.cast.populations) > 0:
        made += (
            " The internal AUC of a model trained at several sites is the unweighted mean of the AUCs within each "
            "site, "
            "never one AUC over mixed sites."
        )
    return made


def _means(said: dict[str, str], evidence: Evidence) -> str:
    rows = evidence.estimates.filter(pl.col("finding") == "(mean)")
    if rows.is_empty():
        return ""
    fixed = evidence.config.get("findings")
    among = "a set fixed beforehand" if fixed else "all that every model scores"
    text = (
        f"Means over findings are of {among}, as far as evaluable there; every mean names its findings "
        "and those left out."
    )
    if rows["method"].str.contains("bootstrap").any():
        text += (
            f" Their intervals come from resampling patients{_replicates(evidence)}, one set of draws for all [@efron]."
        )
    return text


def _replicates(evidence: Evidence) -> str:
    n = evidence.config.get("replicates")
    return f" ({count(n)} replicates)" if n else ""


def _rates(said: dict[str, str], evidence: Evidence) -> str:
    text = " ".join(said.get(m, "") for m in ("sensitivity", "specificity", "ppv", "npv"))
    parts = []
    if "Wilson" in text:
        clustered = ", at the effective sample size of clustered cases [@rao]" if "effective" in text else ""
        parts.append(f"Sensitivity, specificity and predictive values have Wilson intervals [@wilson]{clustered}.")
    if "Clopper" in text or "exact" in text:
        parts.append("Rates have exact intervals [@clopper].")
    if "delta" in said.get("f1", ""):
        parts.append("F1 has a delta-method interval [@f1].")
    if "Simel" in said.get("lr_positive", ""):
        parts.append("Likelihood ratios have log intervals [@simel].")
    if "sensitivity_at_specificity" in said or "specificity_at_sensitivity" in said:
        parts.append(
            "Sensitivity at a fixed specificity (and the reverse) takes the attainable step of the test ROC; its "
            "threshold is chosen again "
            f"in every resample of patients{_replicates(evidence)} [@rutter]."
        )
    return " ".join(parts)


def _calibration(said: dict[str, str], evidence: Evidence) -> str:
    parts = []
    if "calibration_slope" in said:
        parts.append("Calibration intercept and slope are of the logistic line of truth on logit [@cox,calibration]; "
                     "“in the large” is the intercept with the slope held at 1.")  # fmt: skip
    if "brier" in said:
        parts.append("Brier score [@brier].")
    if "ece" in said:
        ece = said["ece"] + " ".join(evidence.estimates.filter(pl.col("metric") == "ece")["at"].unique().to_list())
        bins = re.search(r"bins=(\d+)", ece)
        parts.append(f"Expected calibration error over {bins.group(1) if bins else 'the'} bins of equal size [@ece].")
    return " ".join(parts)


def _comparison(evidence: Evidence) -> str:
    if not _has(evidence, "comparison"):
        return ""
    clustered = evidence.estimates.filter(pl.col("analysis") == "comparison")["method"].str.contains("Obuchowski").any()
    cite = "[@delong,obuchowski]" if clustered else "[@delong]"
    return (
        f"Models were compared on the same cases, paired {cite}; p values are adjusted by Holm's method [@holm] "
        "within the family that the table names."
    )


def _h1(evidence: Evidence) -> str:
    if not _has(evidence, "H1"):
        return ""
    c = evidence.config
    least, absent = c.get("minimum_present", 20), c.get("minimum_absent", 20)
    return (
        f"A finding is evaluable at an external site when at least {least} patients have it present and {absent} "
        "absent there and every "
        "compared model scores it. D(e, s) is the mean over the evaluable findings of AUC(pooled) − AUC(s) on the same "
        "cases; its standard "
        "error comes from influence values summed per patient. H1 is supported when the lower limit of D(e, s) is "
        "above 0 for every external "
        "site e and single-institution model s, at two or more sites (an intersection-union test, which needs no "
        "adjustment [@berger]); not "
        "supported when an upper limit, Holm over all (e, s), is below the smallest worthwhile gain of "
        f"{c.get('smallest_worthwhile_gain', 0.01)}; "
        "otherwise it cannot be told. Contrasts per finding are adjusted by Holm [@holm] over all sites, models and "
        "findings and decide nothing."
    )


def _drop(evidence: Evidence) -> str:
    if not _has(evidence, "drop"):
        return ""
    return (
        "Drop = internal − external AUC, of different patients (checked), so that the variances add. It is a "
        "difference, not an effect: "
        "case mix and label source differ too [@zech]."
    )


def _site_alone(evidence: Evidence) -> str:
    if not _has(evidence, "site_alone"):
        return ""
    return (
        "The site alone was scored by the finding's prevalence at the case's site in the training split, on the "
        "internal test of all "
        "training sites together [@zech]."
    )


def _subgroups(evidence: Evidence) -> str:
    if not _has(evidence, "subgroups"):
        return ""
    c = evidence.config
    columns = listed([str(s).replace("_", " ") for s in c.get("subgroups") or ()])
    least = (
        f"; a group with fewer than {c['minimum_present']} patients present or {c['minimum_absent']} absent has no AUC"
        if "minimum_present" in c
        else ""
    )
    return f"Subgroups{' by ' + columns if columns else ''} were set beforehand{least}."


def _heatmaps(evidence: Evidence) -> str:
    if not evidence.heatmaps:
        return ""
    return (
        "Heat maps are Grad-CAM [@gradcam] at the last feature map, for a network with global average pooling and "
        "one linear layer the rectified class activation map [@cam]."
    )


def _method_table(evidence: Evidence) -> Table:
    rows: dict[tuple[str, str, str], int] = {}
    for analysis, metric, method in evidence.estimates.select("analysis", "metric", "method").rows():
        plain = re.sub(r"\d+(\.\d+)?(?= df)|(?<=effective n )\d+(\.\d+)?", "n", method or "not stated")
        rows[analysis, metric, plain] = rows.get((analysis, metric, plain), 0) + 1
    body = tuple((Cell(a), Cell(m), Cell(t), Cell(count(n), kind="num")) for (a, m, t), n in sorted(rows.items()))
    head = heads("Analysis", "Metric", "Method", "Estimates")
    return table("Every method that made a number of this report.", (head,), body, compact=True)
