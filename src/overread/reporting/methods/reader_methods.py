"""The methods of the comparison with readers in words: a sentence stands only where its method left a number."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from overread.reporting.number_format import count, listed
from overread.reporting.report_data import FROM_READS, ReportData
from overread.reporting.sections.reader_titles import DAWID_SKENE, FEW, MAJORITY, OTHERS, in_sentence, references

_CALLS = {"absent": "taken as absent", "present": "taken as present", "ignore": "left out"}


def paragraphs(evidence: ReportData) -> Iterator[tuple[str, str]]:
    """Headed paragraphs on readers, agreement and H2, with the keys of the papers they cite; "" where not run."""
    rows = evidence.estimates.filter(pl.col("analysis").is_in(FROM_READS))
    yield "Readers", _readers(evidence, rows.filter(pl.col("analysis") == "readers"))
    yield "Whose word is truth", _truth(evidence, rows)
    yield "Agreement", _agreement(rows.filter(pl.col("analysis") == "agreement"))


def _told(rows: pl.DataFrame) -> str:
    return " | ".join(rows["method"].drop_nulls().unique().sort().to_list())


def _readers(evidence: ReportData, rows: pl.DataFrame) -> str:
    if rows.is_empty():
        return ""
    told, metrics = _told(rows), set(rows["metric"])
    policy = _CALLS.get(str(evidence.config.get("uncertain_calls") or ""))
    parts = [
        "The average reader is all reads pooled; the model is weighted by the reads of a case. A "
        "reader's calls are one point, so the model is compared with it at the readers' specificity, at their "
        "sensitivity, and at thresholds frozen beforehand.",
        f"Uncertain calls were {policy}." if policy else "",
        f"A reader with fewer than {FEW} present or {FEW} absent reads has no interval and is left out of the count of "
        "readers below the curve and of its denominator.",
    ]
    if "product" in told:
        n = evidence.config.get("replicates")
        replicates = f" ({count(n)} replicates)" if n else ""
        parts.append(
            "Intervals of what rests on several readers come from the product bootstrap: readers and patients are "
            f"resampled independently{replicates}, and what is matched is matched again in every replicate [@owen]."
        )
    tested = rows.filter(pl.col("estimate").is_not_nan() & pl.col("estimate").is_not_null())
    if "Gallas" in told or tested["at"].str.contains("u-statistic").any():
        parts.append("Random readers and cases without a crossed design: U-statistics of binary calls [@gallas].")
    if tested["at"].str.contains("obuchowski-rockette").any():
        parts.append(
            "Graded reads of a crossed design: Obuchowski and Rockette with Hillis's degrees of freedom "
            "[@rockette,hillis]."
        )
    if tested["p_adjusted"].is_not_nan().any():
        parts.append(
            "P values of the model against the readers are adjusted by Holm's method [@holm] within the family that "
            "the table names: one arm of readers, one reference standard, one test or threshold."
        )
    if "Hajek" in told:
        parts.append("The model's AUC, weighted by the reads of a case, has a linearised error, by patient [@binder].")
    if "pairwise_f1" in metrics:
        parts.append("Pairwise F1: each rater against the calls of every other rater, averaged [@chexnet].")
    return " ".join(p for p in parts if p)


def _truth(evidence: ReportData, rows: pl.DataFrame) -> str:
    names = references(evidence, rows["reference"])
    if not names:
        return ""
    parts = [f"Read cases were judged by {listed([in_sentence(n) for n in names])}, side by side."]
    if MAJORITY in names:
        parts.append("Majority: of the reads of a case, ties left out.")
    if OTHERS in names:
        parts.append("Majority of the other readers: each reader by those who are not that reader, ties left out.")
    if DAWID_SKENE in names:
        parts.append("Dawid–Skene: present where the posterior is at least one half [@dawid].")
    if (rows["analysis"] == "H2").any():
        parts.append(
            "H2 compares the AUC of the same scores on the same cases under two references by resampling patients; "
            "DeLong's test does not apply, since the truth changes and not the score. Intervals of H2 are not adjusted "
            "for multiplicity."
        )
    return " ".join(parts)


def _agreement(rows: pl.DataFrame) -> str:
    kinds = {
        "cohen_kappa": "Cohen's kappa [@cohen]",
        "gwet_ac1": "Gwet's AC1 [@gwet]",
        "krippendorff_alpha": "Krippendorff's alpha [@krippendorff]",
    }
    named = ["percent agreement", *(words for metric, words in kinds.items() if (rows["metric"] == metric).any())]
    if rows.is_empty():
        return ""
    told = _told(rows)
    errors = ["patients resampled"] if "bootstrap" in told else []
    errors += ["Gwet's errors, by patient [@gwet]"] if "Gwet's error" in told else []
    errors += ["Fleiss, Cohen and Everitt's error of kappa, by patient [@everitt]"] if "Everitt" in told else []
    return f"Agreement: {listed(named)}. Intervals: {listed(errors) or 'none'}."
