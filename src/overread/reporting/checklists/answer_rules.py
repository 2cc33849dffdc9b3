"""Which topics the evidence itself can answer: a rule per topic. What has no rule only the authors can state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from overread.reporting.checklists import data_answers, model_answers, result_answers, study_answers
from overread.reporting.checklists.guideline_items import Found
from overread.reporting.report_data import ReportData

Rule = Callable[[ReportData], Found | None]

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "title": study_answers.title,
        "summary": study_answers.summary,
        "objectives": study_answers.objectives,
        "ethics": study_answers.ethics,
        "protocol": study_answers.protocol,
        "data_availability": study_answers.terms,
        "code_availability": study_answers.code,
        "software": study_answers.software,
        "outputs_kept": study_answers.openings,
        "limitations": study_answers.limitations,
        "sources": data_answers.sources,
        "dates": data_answers.dates,
        "setting": data_answers.sites,
        "eligibility": data_answers.eligibility,
        "flow": data_answers.flow,
        "partitions": data_answers.partitions,
        "disjoint": data_answers.disjoint,
        "subsets_selected": data_answers.weights,
        "characteristics": data_answers.characteristics,
        "development_compared": data_answers.development_compared,
        "devices": data_answers.devices,
        "devices_software": data_answers.devices_software,
        "reference_standard": data_answers.reference_standard,
        "uncertain_labels": data_answers.uncertain_labels,
        "missing_data": data_answers.missing,
        "alternative_diagnoses": data_answers.other_findings,
        "counts": data_answers.counts,
        "input": model_answers.pixels,
        "preparation": model_answers.preparation,
        "model_kind": model_answers.kind,
        "model_building": model_answers.building,
        "initial_weights": model_answers.initial_weights,
        "model_choice": model_answers.choice,
        "ensembling": model_answers.ensembling,
        "class_imbalance": model_answers.class_imbalance,
        "output": model_answers.output,
        "recalibration": model_answers.recalibration,
        "predictions": model_answers.predictions,
        "model_access": model_answers.folders,
        "explanation": model_answers.heatmaps,
        "measures": result_answers.measures,
        "uncertainty": result_answers.uncertainty,
        "performance": result_answers.performance,
        "performance_by_population": result_answers.by_population,
        "sites_compared": result_answers.sites_compared,
        "internal": result_answers.internal,
        "external": result_answers.external,
        "fairness": result_answers.fairness,
        "subgroups": result_answers.subgroups,
        "variability": result_answers.variability,
        "robustness": result_answers.robustness,
        "agreement": result_answers.agreement,
        "cross_table": result_answers.cross_table,
        "failures": result_answers.failures,
    }
)
