"""What limits the answer of the first page, worst first, each with its count and the section that has more.

Everything is found by codes and counts: of notes, of reasons of the account, of the record of the evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from overread.reporting.first_page.answer_limits import (
    call_limits,
    case_limits,
    model_limits,
    rare_cases,
    reader_limits,
)
from overread.reporting.first_page.answer_limits.limit_codes import account_codes
from overread.reporting.first_page.first_page_parts import Limitation
from overread.reporting.first_page.question import AGREEMENT, ARMS, READERS_ALONE, leading
from overread.reporting.report_data import ReportData, once
from overread.reporting.sections.reader_results.reader_titles import DERIVED, arms

MOST_LIMITS = 6
_SHORT = 60  # characters of a warning that is given in full in the line below the answer


@once
def limitations(evidence: ReportData) -> tuple[Limitation, ...]:
    """Every limitation, the worst first."""
    found = [each for rule in _RULES for each in rule(evidence)]
    if leading(evidence) in (
        AGREEMENT,
        ARMS,
        READERS_ALONE,
    ):  # what limits the models limits no answer about the readers
        about_models = {(each.head, each.link) for rule in _ABOUT_MODELS for each in rule(evidence)}
        found = [
            replace(each, rank=each.rank + 10) if (each.head, each.link) in about_models else each for each in found
        ]
    told: dict[tuple[str, str], Limitation] = {}  # of the cases that models and readers share one limit is enough
    for each in sorted(found, key=lambda each: each.rank):
        told.setdefault((each.head, each.text), each)
    return tuple(told.values())


def _simulated(evidence: ReportData) -> list[Limitation]:
    sources = (evidence.study.get("protocol") or {}).get("sources") or {}
    readers = [s.get("reader") for s in sources.values() if isinstance(s, Mapping)]
    if "simulate" not in readers:
        return []
    which = "The images are" if set(readers) == {"simulate"} else "Some of the images are"
    text = f"{which} simulated: the results are about the methods, not about patients."
    return [Limitation(0, "simulated images", text)]


def _ledger(evidence: ReportData) -> list[Limitation]:
    return [Limitation(1, "ledger incomplete", str(fault), link="governance") for fault in evidence.ledger_faults]


def _not_prespecified(evidence: ReportData) -> list[Limitation]:
    if evidence.study.get("protocol_hash") or evidence.estimates.is_empty():
        return []
    text = "No protocol was supplied: no main measure and no relevant difference were stated before the test."
    return [Limitation(6, "no protocol", "Not prespecified.", text, "governance")]


def _reference(evidence: ReportData) -> list[Limitation]:
    statements = evidence.study.get("statements") or {}
    labels = {r for joined in evidence.estimates["reference"].unique() for r in (joined or "").split(", ")}
    if (
        evidence.estimates.is_empty()
        or leading(evidence) == AGREEMENT
        or evidence.config.get("reader_made")
        or account_codes(evidence, "makers_not_judged")
        or (arms(evidence) and not labels - {"", *DERIVED})
        or statements.get("reference_standard")
        or statements.get("labels")
        or evidence.study.get("protocol_hash")
    ):
        return []
    return [
        Limitation(
            8,
            "reference labels not described",
            "Reference standard not described.",
            "How the labels were made, and by whom, is not stated.",
            "checklists",
        )
    ]


def _stated(evidence: ReportData) -> list[Limitation]:
    return [Limitation(7, _short(str(w)), str(w), link="governance") for w in evidence.study.get("warnings") or ()]


def _short(warning: str) -> str:
    """A warning within a line, if it is short enough for one."""
    text = warning.strip().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}" if 0 < len(text) <= _SHORT else "a warning of the protocol"


_ABOUT_MODELS = (
    model_limits.external,
    model_limits.training_runs,
    model_limits.half,
    model_limits.few_present,
    model_limits.below_chance,
)
_RULES: Sequence[Callable[[ReportData], list[Limitation]]] = (
    _simulated,
    _ledger,
    model_limits.below_chance,
    reader_limits.reader_made,
    reader_limits.dawid_skene,
    model_limits.external,
    model_limits.roles,
    model_limits.training_runs,
    model_limits.seeds,
    _not_prespecified,
    _stated,
    model_limits.selected,
    reader_limits.missing_reads,
    call_limits.uncertain_calls,
    reader_limits.few_readers,
    _reference,
    case_limits.other_sources,
    reader_limits.subset,
    reader_limits.unscored,
    reader_limits.without_label,
    rare_cases.few_read,
    case_limits.own_patients,
    model_limits.half,
    model_limits.sites,
    case_limits.without_pair,
    case_limits.lost,
    case_limits.finding_unscored,
    case_limits.not_evaluated,
    model_limits.few_present,
    case_limits.one_class,
    case_limits.uncomputed,
    case_limits.uncertain,
    case_limits.identifiers,
)
