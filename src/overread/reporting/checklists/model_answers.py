"""Answers about the model: input, network, training, output, recalibration; none without its record."""

from __future__ import annotations

from typing import Any

import polars as pl

from overread.reporting.checklists.guideline_items import Found
from overread.reporting.methods.methods_section import fact_sentences
from overread.reporting.number_format import capital, count, fixed, listed, plural
from overread.reporting.report_data import ReportData, at_title, value_at, with_key


def pixels(evidence: ReportData) -> Found | None:
    """That the input is the image alone, where the network is known."""
    if not networks(evidence):
        return None
    return Found("methods", f"One radiograph and nothing else. {_preprocessing(evidence)}".strip())


def preparation(evidence: ReportData) -> Found | None:
    """How a radiograph becomes the network's input."""
    told = _preprocessing(evidence)
    return Found("methods", told) if told else None


def kind(evidence: ReportData) -> Found | None:
    """The network, and how many findings it scores."""
    names = networks(evidence)
    if not names:
        return None
    outputs = sorted({len(m.get("findings") or ()) for m in evidence.models.values()})
    trained = [
        f"“{n}” on {listed([str(s) for s in m.get('training_sites') or ()]) or 'sites not stated'}"
        for n, m in evidence.models.items()
    ]
    return Found("training", f"{listed(names)}, {count(outputs)} outputs, one per finding; {'; '.join(trained)}.")


def building(evidence: ReportData) -> Found | None:
    """The whole of training, as the methods tell it."""
    if not networks(evidence) or not configs(evidence):
        return None
    return Found("methods", fact_sentences(evidence, "Models"))


def initial_weights(evidence: ReportData) -> Found | None:
    """Where training started from."""
    stated = [c for c in configs(evidence) if "weights" in c]
    if not stated:
        return None
    names = {"None": "random weights", "imagenet": "ImageNet weights"}
    return Found("methods", listed(sorted({names.get(str(c["weights"]), str(c["weights"])) for c in stated})) + ".")


def choice(evidence: ReportData) -> Found | None:
    """How the epoch that was kept was chosen."""
    known = configs(evidence)
    if not known:
        return None
    patience = [c["patience"] for c in known if c.get("patience") and not c.get("steps")]
    early = f"; stopped after {patience[0]} epochs without a better one" if patience else ""
    text = f"The epoch with the best AUC on the tuning split{early}."
    return Found("methods", text)


def ensembling(evidence: ReportData) -> Found | None:
    """Which models are the mean of several runs, or that none is."""
    kinds = {n: m for n, m in evidence.models.items() if m.get("kind")}
    if not kinds:
        return None
    made = [
        f"“{n}”: mean logit of {plural(len(m.get('members') or ()), 'run')}"
        for n, m in kinds.items()
        if m["kind"] == "ensemble"
    ]
    return Found("training", "; ".join(made) + "." if made else "None.")


def class_imbalance(evidence: ReportData) -> Found | None:
    """How positive labels were weighted in training."""
    caps = [c["positive_weight_cap"] for c in configs(evidence) if c.get("positive_weight_cap") is not None]
    if not caps:
        return None
    after = " Scores were recalibrated afterwards." if _recalibrated(evidence) else ""
    text = f"Positive labels were weighted by the ratio of negative to positive labels (at most {caps[0]:g}).{after}"
    return Found("methods", text, "" if after else "recalibration after it")


def output(evidence: ReportData) -> Found | None:
    """The score, and the thresholds."""
    rows = with_key(evidence.estimates.filter(pl.col("metric") == "threshold"), "operating_point")
    points = [at_title(a) for a in rows["at"].unique().sort().to_list()]
    if not points:
        return None
    note = rows["note"].drop_nulls().unique().sort().to_list()
    chosen = f" {capital(note[0])}." if note else ""
    return Found("operating", f"A score per finding; {listed(points)}.{chosen}")


def recalibration(evidence: ReportData) -> Found | None:
    """A recalibration that the evaluation itself fitted, judged on other cases; or that there was none."""
    rows = evidence.estimates.filter(
        pl.col("metric") == "calibration_slope", pl.col("rater") == evidence.cast.lead, pl.col("estimate").is_not_nan()
    )
    if rows.is_empty():
        return None
    after = [at for at in rows["at"].unique() if value_at(at, "recalibration") == "logistic"]
    fitted = rows.filter(pl.col("at").is_in(after))["estimate"]
    if fitted.is_empty():
        stored = (evidence.models.get(evidence.cast.lead) or {}).get("recalibration")
        told = "Logistic, stored with the model." if stored else "None: the scores were evaluated as supplied."
        return Found("calibration", told)
    text = f"Logistic recalibration, evaluated on other cases; slope afterwards from {fixed(fitted.min(), 2)}"
    return Found("calibration", f"{text} to {fixed(fitted.max(), 2)}.")


def predictions(evidence: ReportData) -> Found | None:
    """How the scores came about, and how several images became one case."""
    if not evidence.run or not evidence.cast.raters:
        return None
    here = [r for r in evidence.cast.raters if r in evidence.models]
    made = f"Scores of {listed([f'“{r}”' for r in here])} from the model folders of these names" if here else ""
    several = fact_sentences(evidence, "Participants and data", "case_score")
    text = " ".join(t for t in (f"{made}." if made else "", several) if t)
    left = "" if len(here) == len(evidence.cast.raters) else "how the supplied scores were computed"
    return Found("methods", text, left) if text else None


def folders(evidence: ReportData) -> Found | None:
    """That the model is a folder which holds all it needs."""
    known = [n for n in evidence.cast.raters if n in evidence.models]
    if not known:
        return None
    held = [word for key, word in _HELD.items() if all(evidence.models[n].get(key) for n in known)]
    text = f"{listed([f'“{n}”' for n in known])}: a folder each, with {listed(['weights', *held])}."
    return Found("training", text)


_HELD = {"recipe": "pixel recipe", "operating_points": "thresholds", "recalibration": "recalibration"}


def heatmaps(evidence: ReportData) -> Found | None:
    """Heat maps over images that were called present."""
    return Found("heatmaps", "Grad-CAM over test images that were called present.") if evidence.heatmaps else None


def networks(evidence: ReportData) -> list[str]:
    """The networks that the models name."""
    named = ((m.get("architecture") or {}).get("network") for m in evidence.models.values())
    return sorted({str(n) for n in named if n})


def configs(evidence: ReportData) -> list[dict[str, Any]]:
    """The training configuration of every run that is known."""
    found = ((r.get("config") or {}).get("training") or r.get("config") or {} for r in evidence.trainings.values())
    return [c for c in found if "epochs" in c]


def _recalibrated(evidence: ReportData) -> bool:
    return any(m.get("recalibration") for m in evidence.models.values())


def _preprocessing(evidence: ReportData) -> str:
    return fact_sentences(evidence, "Participants and data", "preprocessing")
