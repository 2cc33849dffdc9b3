"""Which topics the evidence itself can answer: a rule per topic. What has no rule only the authors can state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from overread.report.checklists import data, model, results, study
from overread.report.checklists.items import Found
from overread.report.evidence import Evidence

Rule = Callable[[Evidence], Found | None]

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "title": study.title,
        "summary": study.summary,
        "objectives": study.objectives,
        "ethics": study.ethics,
        "protocol": study.protocol,
        "data_availability": study.terms,
        "code_availability": study.code,
        "software": study.software,
        "outputs_kept": study.openings,
        "limitations": study.limitations,
        "sources": data.sources,
        "dates": data.dates,
        "setting": data.sites,
        "eligibility": data.eligibility,
        "flow": data.flow,
        "partitions": data.partitions,
        "disjoint": data.disjoint,
        "subsets_selected": data.weights,
        "characteristics": data.characteristics,
        "development_compared": data.development_compared,
        "devices": data.devices,
        "devices_software": data.devices_software,
        "reference_standard": data.reference_standard,
        "uncertain_labels": data.uncertain_labels,
        "missing_data": data.missing,
        "alternative_diagnoses": data.other_findings,
        "counts": data.counts,
        "input": model.pixels,
        "preparation": model.preparation,
        "model_kind": model.kind,
        "model_building": model.building,
        "initial_weights": model.initial_weights,
        "model_choice": model.choice,
        "ensembling": model.ensembling,
        "class_imbalance": model.class_imbalance,
        "output": model.output,
        "recalibration": model.recalibration,
        "predictions": model.predictions,
        "model_access": model.folders,
        "explanation": model.heatmaps,
        "measures": results.measures,
        "uncertainty": results.uncertainty,
        "performance": results.performance,
        "performance_by_population": results.by_population,
        "sites_compared": results.sites_compared,
        "internal": results.internal,
        "external": results.external,
        "fairness": results.fairness,
        "subgroups": results.subgroups,
        "variability": results.variability,
        "robustness": results.robustness,
        "agreement": results.agreement,
        "cross_table": results.cross_table,
        "failures": results.failures,
    }
)
