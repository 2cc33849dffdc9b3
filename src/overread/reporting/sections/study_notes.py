"""Estimates that could not be computed, the account of exclusions, and the provenance of the report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from overread import codes
from overread.codes import Metric
from overread.reporting.blocks import Cell, Facts, Folded, Paragraph, Points, Section, Table, appendix, heads, table
from overread.reporting.number_format import MISSING, count, listed, plural, seconds
from overread.reporting.report_data import ReportData, column_words, population_title
from overread.reporting.sections.reader_results.reader_titles import REFERENCE_NOTES

_SHOWN = 6  # rows of a table of reasons that are not folded


def not_computed(evidence: ReportData) -> Section:
    """All notes of estimates, grouped and counted: first those of missing estimates, then the others."""
    frame = evidence.estimates.with_columns(pl.col("note").fill_null(""), pl.col("note_codes").fill_null(""))
    missing, finite = frame.filter(pl.col("estimate").is_nan()), frame.filter(pl.col("estimate").is_not_nan())
    kinds = [metric for metrics in _KINDS.values() for metric in metrics]
    without = finite["metric"].is_in([Metric.THRESHOLD, *kinds])  # the note of a threshold is its origin
    lacking = finite["low"].is_nan() | finite["high"].is_nan()
    half = finite.filter(lacking & ~without)
    rest = finite.filter(~(lacking & ~without), pl.col("note") != "")
    reasons = "; the reasons follow" if missing.height or half.height else ""
    plain = _by_nature(finite.filter(lacking, pl.col("metric").is_in(kinds)))
    blocks: list[Any] = [
        Paragraph(
            f"{plural(frame.height, 'estimate')} in all; {count(missing.height)} could not be computed "
            f"and {count(half.height)} {'has' if half.height == 1 else 'have'} no CI{reasons}. {plain}"
            f"{_others(rest.height)}"
        )
    ]
    if missing.height:
        blocks += _first(_notes_table(evidence, missing, "Not computed, by reason.", first=True), "reasons")
        blocks.append(appendix("All notes", (_notes_table(evidence, missing, "Not computed, all notes."),)))
    for part, title in ((half, "No CI, by reason"), (rest, "Notes on estimates")):
        if part.height:
            made = _notes_table(evidence, part, f"{title}.")
            blocks.append(appendix(f"{title} ({plural(part.height, 'estimate')})", (made,)))
    blocks += _reference_notes(frame)
    return Section("not-computed", "What could not be computed", tuple(blocks))


def _reference_notes(frame: pl.DataFrame) -> list[Folded]:
    """The notes that all rows of a reference standard have, each once with the references and its number of rows."""
    found: dict[str, tuple[list[codes.Code], dict[str, int]]] = {}
    for reference, text, rows in frame.group_by("reference", "note_codes", maintain_order=True).len().rows():
        for code in codes.decode(text):
            if code.name in _OF_REFERENCE:
                same, counts = found.setdefault(code.name, ([], {}))
                same.append(code)
                counts[reference] = counts.get(reference, 0) + rows
    body = [
        (Cell(codes.pattern("notes", same)), Cell(count(sum(counts.values())), "num"), Cell(", ".join(counts)))
        for same, counts in found.values()
    ]
    title = "Notes on the reference standards"
    made = table(f"{title}.", (heads("Note", "Estimates", "Reference standard"),), body, compact=True)
    return [appendix(title, (made,))] if body else []


# Numbers for which no interval is made, so that the lack of one needs no reason, and what they are.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "rates estimated by the Dawid–Skene model": (Metric.ESTIMATED_SENSITIVITY, Metric.ESTIMATED_SPECIFICITY),
    "parts of an analysis of variance": (
        *(Metric.MS_ARM, Metric.MS_READER, Metric.MS_ARM_READER, Metric.VAR_READER, Metric.VAR_ARM_READER),
        *(Metric.VAR_ERROR, Metric.COV1, Metric.COV2, Metric.COV3),
        *(Metric.F_STATISTIC, Metric.DF_NUMERATOR, Metric.DF_DENOMINATOR),
    ),
    "reading time and trust in one arm": (Metric.MEDIAN_SECONDS, Metric.MEAN_TRUST),
}


def _by_nature(rows: pl.DataFrame) -> str:
    """How many numbers are of a kind that has no interval, and of which kinds."""
    found = set(rows["metric"])
    kinds = [kind for kind, metrics in _KINDS.items() if found.intersection(metrics)]
    if not kinds:
        return ""
    return f"{count(rows.height)} {'is' if rows.height == 1 else 'are'} of a kind without a CI ({listed(kinds)}). "


def _first(made: Table, what: str) -> list[Table | Folded]:
    """The first rows of a table, and all of them folded where there are more."""
    if len(made.rows) <= _SHOWN:
        return [made]
    short = replace(
        made, rows=made.rows[:_SHOWN], remark=f"The first {_SHOWN} of {len(made.rows)} {what}. {made.remark}".strip()
    )
    return [short, appendix(f"All {len(made.rows)} {what}", (made,))]


def _others(n: int) -> str:
    return f"{count(n)} {'other has' if n == 1 else 'others have'} a note."


def _notes_table(evidence: ReportData, frame: pl.DataFrame, caption: str, *, first: bool = False) -> Table:
    """The notes of these rows, grouped by their codes; with `first` by the first code, which is the reason.

    Notes on the reference standard, which are equal for all its rows, are left out where a row has others.
    """
    columns = ("analysis", "metric", "finding", "rater", "population")
    groups: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for text in frame["note_codes"].fill_null("").unique(maintain_order=True):
        found = _own_codes(text, first=first)
        names[text] = " ".join(code.name for code in found)
        groups.setdefault(names[text], []).append(text)
    frame = frame.with_columns(pl.Series("_group", [names[text] for text in frame["note_codes"].fill_null("")]))
    grouped = frame.group_by("_group", maintain_order=True).agg(
        pl.len(), *(pl.col(c).unique(maintain_order=True) for c in columns)
    )
    rows = [
        (
            Cell(_shown(groups[r["_group"]], first=first) or "no reason was given"),
            Cell(count(r["len"]), kind="num"),
            *(Cell(_few([_word(evidence, c, v) for v in r[c] if v])) for c in columns),
        )
        for r in grouped.sort("len", descending=True, maintain_order=True).to_dicts()
    ]
    who = "Model or reader" if evidence.cast.readers and evidence.cast.raters else "Model"
    who = "Reader" if evidence.cast.reads_alone else who
    head = heads("Reason", "Estimates", "Analysis", "Metric", "Finding", who, "Population")
    return table(caption, (head,), rows, compact=True)


def _own_codes(text: str, *, first: bool) -> tuple[codes.Code, ...]:
    """The codes of a row without those of its reference standard; with `first` only the first."""
    found = codes.decode(text)
    own = tuple(code for code in found if code.name not in _OF_REFERENCE) or found
    return own[:1] if first else own


_OF_REFERENCE = (*REFERENCE_NOTES, "reference_from_readers", "reader_not_in_reference")


def _shown(encoded: Sequence[str], *, first: bool) -> str:
    """The notes of a group; parameters that differ between its rows are shown as "…"."""
    decoded = [_own_codes(text, first=first) for text in encoded]
    texts = (codes.pattern("notes", same) for same in zip(*decoded, strict=True))
    return "; ".join(text for text in texts)


def _word(evidence: ReportData, column: str, value: str) -> str:
    if column == "finding":
        return evidence.heading(value)
    if column == "population":
        return "All cases" if value == "all" else population_title(evidence, value)
    return value if column == "rater" else column_words(value)


def _few(words: list[str], most: int = 4) -> str:
    return (
        ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "") if words else MISSING
    )


def account(evidence: ReportData) -> Section:
    """What was excluded or changed between the tables and the estimates."""
    title = "Exclusions and changes"
    told = (Paragraph("Notes of the evaluation:"), Points(evidence.notes)) if evidence.notes else ()
    if evidence.account.is_empty():
        return Section("account", title, (Paragraph("Nothing was excluded: every labelled score was used."), *told))
    rows = tuple(
        (
            Cell(r["reason"]),
            Cell(count(r["count"]), kind="num"),
            Cell(r["unit"]),
            Cell(r["stage"]),
            Cell(r["examples"] or "", kind="small"),
        )
        for r in evidence.account.to_dicts()
    )
    head = heads("Reason", "Count", "Unit", "Stage", "Examples")
    return Section(
        "account",
        title,
        (
            *_first(table("Exclusions and changes, with up to five examples.", (head,), rows, compact=True), "lines"),
            *told,
        ),
    )


def provenance(evidence: ReportData) -> Section:
    """Versions, machine, durations, hashes, and the command that reproduces the report."""
    runs = {stage: run for stage, run in dict(evidence.study.get("runs") or {}).items() if run}
    if evidence.run and evidence.run.get("fingerprint") not in [run.get("fingerprint") for run in runs.values()]:
        runs = {**runs, "evaluate": evidence.run}
    items: list[tuple[str, str]] = []
    versions = {k: v for run in runs.values() for k, v in (run.get("versions") or {}).items()}
    if versions:
        items.append(("Software", ", ".join(f"{k} {v}" for k, v in versions.items())))
    machines = list(dict.fromkeys(_machine(run.get("machine") or {}) for run in runs.values()))
    items += [("Machine", m) for m in machines if m]
    seeds = sorted({str(run["seed"]) for run in runs.values() if run.get("seed") is not None})
    items += [("Seeds", ", ".join(seeds))] if seeds else []
    blocks: list[Any] = [Facts(tuple(items))] if items else []
    if runs:
        blocks.append(_runs_table(runs))
    command = evidence.study.get("command") or (runs.get("run") or {}).get("command_line")
    if command:
        blocks += [Paragraph("Command that reproduces this report:"), Paragraph(str(command), kind="code")]
    if evidence.study.get("protocol"):
        blocks.append(
            appendix(
                "The protocol in full" if evidence.study.get("protocol_hash") else "The configuration in full",
                (Paragraph(_protocol(evidence.study["protocol"]), kind="code"),),
            )
        )
    if not blocks:
        return Section("provenance", "Software and reproduction", absent="no run.json was given")
    return Section("provenance", "Software and reproduction", tuple(blocks))


def _machine(machine: Mapping[str, Any]) -> str:
    cpu = re.sub(r"\(R\)|\(TM\)", "", str(machine.get("cpu") or "")).strip()
    parts = [
        cpu,
        f"{machine['cores']} cores" if machine.get("cores") else "",
        f"{machine['memory_gb']} GB" if machine.get("memory_gb") else "",
    ]
    return ", ".join(p for p in (*parts, str(machine.get("device") or ""), str(machine.get("system") or "")) if p)


def _runs_table(runs: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = tuple(
        (
            Cell(stage),
            Cell(str(run.get("status") or MISSING)),
            Cell(str(run.get("started") or MISSING)[:16].replace("T", " ")),
            Cell(seconds(run.get("seconds")), kind="num"),
            Cell(str(run.get("fingerprint") or MISSING)[:16], kind="code"),
        )
        for stage, run in runs.items()
    )
    return table(
        "Runs behind this report.",
        (heads("Stage", "Status", "Started (UTC)", "Time", "Fingerprint"),),
        rows,
        compact=True,
    )


def _protocol(protocol: Any, depth: int = 0) -> str:
    """A resolved protocol as indented text."""
    if not isinstance(protocol, Mapping):
        return str(protocol)
    lines = []
    for key, value in protocol.items():
        if isinstance(value, Mapping) and value:
            lines += ["  " * depth + f"{key}:", _protocol(value, depth + 1)]
        elif isinstance(value, list | tuple):
            lines.append("  " * depth + f"{key}: {', '.join(str(v) for v in value) or '(none)'}")
        else:
            lines.append("  " * depth + f"{key}: {'(not given)' if value in (None, '') else value}")
    return "\n".join(lines)


# Sections about models, which are not asked for where only reads were evaluated.
_OF_MODELS = frozenset(
    (
        "discrimination",
        "operating",
        "calibration",
        "decision",
        "comparison",
        "h1",
        "h2",
        "policies",
        "drop",
        "site-alone",
        "matrix",
        "subgroups",
        "heatmaps",
        "training",
    )
)


def left_out(evidence: ReportData, sections: list[Section]) -> str:
    """The sections that are not shown, each with its reason, in one line; without a model those on models together."""
    spared = _OF_MODELS if evidence.cast.reads_alone else frozenset()
    told = [s for s in sections if s.absent and s.name not in spared]
    words = [f"{s.title[:1].lower()}{s.title[1:]} ({s.absent})" for s in told]
    words += ["sections on models (no model was evaluated)"] if spared else []
    return f"Not asked or without data: {'; '.join(words)}." if words else ""
