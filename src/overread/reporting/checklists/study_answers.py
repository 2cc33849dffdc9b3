"""Answers about the study: title, question, approval, protocol, software, accesses to the test labels."""

from __future__ import annotations

from overread.reporting.checklists.guideline_items import Found
from overread.reporting.first_page.answer_limits import study_limits
from overread.reporting.number_format import plural
from overread.reporting.report_data import ReportData
from overread.reporting.sections import summary as first_page

_UNTITLED = (
    "",
    "Evidence report",
    "Evaluation of predictions",
    "Evaluation of readers",
    "Evaluation of models and readers",
)


def title(evidence: ReportData) -> Found | None:
    """The title, unless it is the one that every untitled report has."""
    stated = str(evidence.study.get("title") or "").strip()
    return Found("top", stated) if stated not in _UNTITLED else None


def summary(evidence: ReportData) -> Found | None:
    """The paragraph at the top with the headline numbers."""
    if evidence.estimates.is_empty():
        return None
    return Found("top", first_page.study_paragraph(evidence))


def objectives(evidence: ReportData) -> Found | None:
    """The study's question, and the claims that its protocol set out to test."""
    stated = str(evidence.study.get("question") or "").strip()
    claims = evidence.verdicts["claim"].to_list() if evidence.study.get("protocol_hash") else []
    return Found("top", " ".join([t for t in (stated, *claims) if t])) if stated or claims else None


def ethics(evidence: ReportData) -> Found | None:
    """The approval or its waiver, as the governance states it."""
    given = evidence.study.get("governance") or {}
    approval = given.get("approval") or " ".join(
        str(given[k]) for k in ("approval_body", "approval_number", "approval_date") if given.get(k)
    )
    waiver = given.get("waiver")
    text = str(approval or (f"Waived: {waiver}" if waiver else ""))
    return Found("governance", text) if text else None


def protocol(evidence: ReportData) -> Found | None:
    """The hash of the protocol, which is in full on the page; or that there was none."""
    hashed = evidence.study.get("protocol_hash")
    if not hashed and not evidence.study.get("protocol") and evidence.estimates.height:
        return Found(
            "provenance", "No protocol was supplied to this evaluation.", "where it can be accessed, if there is one"
        )
    if not hashed or not evidence.study.get("protocol"):
        return None
    return Found("provenance", f"The protocol in full, with its hash {str(hashed)[:12]}…")


def terms(evidence: ReportData) -> Found | None:
    """The terms under which the data were given."""
    given = evidence.study.get("governance") or {}
    stated = given.get("data_use_terms") or given.get("data_use")
    text = "; ".join(map(str, stated)) if isinstance(stated, list | tuple) else str(stated or "")
    return Found("governance", f"Terms of use: {text}") if text else None


def code(evidence: ReportData) -> Found | None:
    """The program with its version, and the command that does the study again."""
    versions, command = _versions(evidence), evidence.study.get("command")
    if "overread" not in versions or not command:
        return None
    return Found("provenance", f"overread {versions['overread']}; command: {command}")


def software(evidence: ReportData) -> Found | None:
    """Every program with its version."""
    versions = _versions(evidence)
    return Found("provenance", ", ".join(f"{k} {v}" for k, v in versions.items())) if versions else None


def openings(evidence: ReportData) -> Found | None:
    """The ledger of accesses to the test labels, and the estimates."""
    if not evidence.openings:
        return None
    n = plural(len(evidence.openings), "access", "accesses")
    return Found("governance", f"{n} to the test labels in a ledger chained by hashes; every estimate in a table.")


def limitations(evidence: ReportData) -> Found | None:
    """What limits the answer of the first page."""
    found = [f"{each.head} {each.text}".strip() for each in study_limits.limitations(evidence)]
    return Found("limits", " ".join(found)) if found else None


def _versions(evidence: ReportData) -> dict[str, str]:
    runs = [*(evidence.study.get("runs") or {}).values(), evidence.run]
    return {k: str(v) for run in runs if run for k, v in (run.get("versions") or {}).items()}
