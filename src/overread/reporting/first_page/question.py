"""Which question the first page answers: what was asked first, or else what the data can tell most."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from overread.reporting.estimate_cells import known
from overread.reporting.first_page.agreement_question import agreement_page, unstated
from overread.reporting.first_page.arm_question import arms_page
from overread.reporting.first_page.decision_question import decisions_only, decisions_page
from overread.reporting.first_page.first_page_parts import FirstPage
from overread.reporting.first_page.model_question import models_page
from overread.reporting.first_page.performance_question import performance_page
from overread.reporting.first_page.pooling_question import pooling_page
from overread.reporting.first_page.reader_question import readers_page
from overread.reporting.first_page.seed_question import seeds_page
from overread.reporting.number_format import count
from overread.reporting.report_data import ReportData, contrast_of, once, weighted_sample
from overread.reporting.sections.reader_results.arm_pairs import pairs
from overread.reporting.sections.reader_results.reader_titles import READERS
from overread.reporting.seed_rows import seeds_are_models

MODELS, POOLING, ARMS, READER_STUDY, READERS_ALONE = "models", "pooling", "arms", "models and readers", "readers"
AGREEMENT, SEEDS, DECISIONS = "agreement", "seeds", "decisions"
_OWN_WEIGHTS = (ARMS, AGREEMENT)  # pages that say from the method of their numbers whether these are weighted


@once
def leading(evidence: ReportData) -> str:
    """The kind of the first page.

    The first hypothesis that the study states goes before; then reads in two arms whose comparison has a number;
    agreement, where the only reference standards are derived from the reads; reads and a model, pooled and single
    roles, decisions without scores, training seeds, and else the models.
    """
    possible = [kind for kind, there in _possible(evidence).items() if there]
    asked = {"H1": POOLING, "H2": READER_STUDY}
    for hypothesis in evidence.config.get("hypotheses") or ():
        if asked.get(str(hypothesis)) in possible:
            return asked[str(hypothesis)]
    return possible[0] if possible else MODELS


def _possible(evidence: ReportData) -> dict[str, bool]:
    rows = evidence.estimates.filter(pl.col("analysis") == "readers")
    differences = rows.filter(pl.col("metric").is_in(["sensitivity_difference", "auc_difference"])).to_dicts()
    beside = any(known(r) and contrast_of(r["contrast"], "rater") == READERS for r in differences)
    pooled = evidence.estimates.filter(pl.col("analysis") == "H1").height > 0
    return {
        ARMS: any(known(p.difference(p.leading_measure)) for p in pairs(evidence)),
        AGREEMENT: unstated(evidence),
        READER_STUDY: beside,
        POOLING: pooled,
        READERS_ALONE: rows.height > 0 and not evidence.cast.raters,
        DECISIONS: decisions_only(evidence),
        SEEDS: seeds_are_models(evidence),
    }


def leading_page(evidence: ReportData) -> FirstPage:
    """The first page of the leading question; of a weighted sample it says that its numbers are weighted."""
    kind = leading(evidence)
    page = _page(evidence, kind)
    sizes = weighted_sample(evidence) if kind not in _OWN_WEIGHTS else None
    if sizes is None:
        return page
    told = f"Cases are weighted by the inverse of their sampling probability ({count(sizes[0])} stand for "
    told += f"{count(sizes[1])}); counts of cases are not weighted."
    return replace(page, more=f"{page.more} {told}".strip())


def _page(evidence: ReportData, kind: str) -> FirstPage:
    if kind == AGREEMENT:
        return agreement_page(evidence)
    if kind == ARMS:
        return arms_page(evidence)
    if kind == READER_STUDY:
        return readers_page(evidence)
    if kind == READERS_ALONE:
        return performance_page(evidence)
    if kind == DECISIONS:
        return decisions_page(evidence)
    if kind == SEEDS:
        return seeds_page(evidence)
    return pooling_page(evidence) if kind == POOLING else models_page(evidence)
