"""The readers without a model: performance of all together and of each, by reference standard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from overread import codes
from overread.reporting.blocks import (
    Block,
    Cell,
    Figure,
    Folded,
    Paragraph,
    Points,
    Table,
    appendix,
    group,
    heads,
    table,
)
from overread.reporting.estimate_cells import codes_of, known
from overread.reporting.number_format import count, fixed, interval, listed, number
from overread.reporting.report_data import ReportData, Row, plain_words, value_at
from overread.reporting.sections.reader_results.arm_pairs import arm_words
from overread.reporting.sections.reader_results.reader_forests import curves_figure, performance_forest
from overread.reporting.sections.reader_results.reader_tables import others_blocks, reader_table, together_title
from overread.reporting.sections.reader_results.reader_titles import (
    CUTOFF,
    DAWID_SKENE,
    OTHERS,
    OTHERS_COUNT,
    READERS,
    REFERENCE_NOTES,
    ReadRows,
    arm_title,
    classes_of,
    few_reads,
    in_sentence,
    in_words,
    is_pooled,
    most_reads,
    own_reference,
    pooling,
    reads_cell,
    reads_of,
    reference_title,
)

_MEASURES = ("sensitivity", "specificity", "auc")
_TITLES = {"sensitivity": "Sensitivity", "specificity": "Specificity", "auc": "AUC"}
_POLICIES = {"absent": "taken as absent", "present": "taken as present", "ignore": "excluded"}


Shown = frozenset[tuple[str, str]]  # findings and reference standards that the comparison of arms shows


def performance_blocks(evidence: ReportData, found: Sequence[ReadRows], shown: Shown) -> list[Block]:
    """What was read, the readers together, and each reader by finding and reference standard.

    Graded reads without a reference standard have none of these: there is no call of which to take a majority.

    Parameters
    ----------
    evidence : ReportData
        The tables of an evaluation without a model.
    found : sequence of ReadRows
        The reads of every arm.
    shown : frozenset of (finding, reference standard)
        What the comparison of arms shows and is not repeated.

    Returns
    -------
    list of Block
    """
    if not found:
        return []
    found = judged_fairly(found)
    made = _together_table(found, shown)
    blocks: list[Block] = [made] if made is not None else []
    findings = dict.fromkeys(f for reads in found for f in reads.findings)
    for finding in findings:
        parts = [block for reads in found for block in _finding(evidence, reads, finding, shown)]
        heading = [Paragraph(evidence.heading(finding), kind="heading")] if len(findings) > 1 else []
        blocks += [*heading, *parts] if parts else []
    notes = _reference_notes(found)
    return [Points(tuple(_remarks(evidence, found))), *blocks, *notes] if blocks else []


def judged_fairly(found: Sequence[ReadRows]) -> list[ReadRows]:
    """The reads, of which those of further arms are not judged by what the same readers made.

    Such a reference standard contains the reads of one arm and favours that arm: side by side they would be compared.
    """
    own = [tuple(r for r in reads.references if r not in reads.made - {OTHERS}) for reads in found]
    return [*found[:1], *(replace(reads, references=left) for reads, left in zip(found[1:], own[1:], strict=True))]


def answer(found: Sequence[ReadRows], shown: Shown) -> str:
    """The performance of the readers together under the first reference standard, in one sentence for every arm."""
    fair = judged_fairly(found)
    if all((f, r) in shown for reads in fair for f in reads.findings for r in reads.references):
        return ""
    for reference in dict.fromkeys(r for reads in fair for r in reads.references):
        said = []
        for reads in fair:
            rows = {m: _known_rows(reads, reference, m) for m in _MEASURES if reference in reads.references}
            measured = [f"{_name(m, own)} {_range(reads, own)}" for m, own in rows.items() if own]
            where = "" if reads.only else f" {arm_words(reads.arm)}"
            said += [f"a {listed(measured)}{where}"] if measured else []
        if said:
            return f"By {in_sentence(reference)}, the readers together have {'; and '.join(said)}."
    return ""


def _name(metric: str, rows: Sequence[Row]) -> str:
    """A measure of the readers together, within a sentence."""
    if metric != "auc":
        return metric
    return "pooled AUC" if any(map(is_pooled, rows)) else "mean AUC"


def _known_rows(reads: ReadRows, reference: str, metric: str) -> list[Row]:
    """The rows of the readers together by one measure, a finding each, from the lowest number."""
    found = [row for f in reads.findings if known(row := together(reads, f, reference, metric))]
    return sorted(found, key=lambda row: number(row["estimate"]))


def _range(reads: ReadRows, rows: Sequence[Row]) -> str:
    """The number of one finding with its interval, or the ends of several."""
    if len(rows) == 1:
        row = rows[0]
        one = f" for {in_words(reads.heading(row['finding']))}" if len(reads.findings) > 1 else ""
        return f"of {interval(row['estimate'], row['low'], row['high'])}{one}"
    low, high = (f"{fixed(r['estimate'])} ({in_words(reads.heading(r['finding']))})" for r in (rows[0], rows[-1]))
    return f"from {low} to {high}"


def together(reads: ReadRows, finding: str, reference: str, metric: str) -> Row | None:
    """The readers together: their pooled reads, or the mean of the readers where reads were not pooled."""
    rows = reads.rows(finding, reference)
    pooled = rows.get((metric, "", READERS, ""))
    if pooled is not None:
        return pooled
    mean = [
        r for (m, at, rater, c), r in rows.items() if (m, rater, c) == (metric, READERS, "") and value_at(at, "test")
    ]
    return next((r for r in mean if r["arm"] == reads.arm), None)


def _remarks(evidence: ReportData, found: Sequence[ReadRows]) -> list[str]:
    """What must be known to read the numbers."""
    said = [_who(reads) for reads in found]
    graded = {f for reads in found for f in reads.findings if reads.graded(f)}
    cutoffs = {(f, value_at(c, CUTOFF)) for reads in found for f in reads.findings if (c := reads.cutoff(f))}
    values = sorted({value for _, value in cutoffs})
    if values:
        where = "" if len(values) == 1 else " (by finding)"
        said.append(
            "Sensitivity and specificity of graded reads: a rating of "
            f"{' or '.join(values)}{where} or more counts as present."
        )
    elif graded:
        said.append(
            "The reads are grades, for which no cut-off was stated: AUCs are given, and no sensitivity or specificity."
        )
    first = found[0]
    own = [in_sentence(r) for r in first.references if r in first.made - {OTHERS}]
    said += [own_reference(own)] if own else []
    if own and len(found) > 1:
        one = "it" if len(own) == 1 else "them"
        said.append(
            f"Only the reads “{first.arm}” are judged by {one}: such a reference standard favours the arm whose reads "
            "it contains."
        )
    if OTHERS in first.references:
        said.append(
            "The majority of the other readers differs between readers: the evaluated reader's own reads are not part "
            "of it, and a case can count as present for one reader and as absent for another."
            f"{_tied(evidence)}"
        )
    if first.policy and any(reads.every["call"].n_unique() > 1 for reads in found):
        said.append(
            f"Uncertain calls are {_POLICIES.get(first.policy, first.policy)}; the alternatives are folded below each "
            "finding."
        )
    if any(known(row) for reads in found for row in reads.frame.to_dicts() if row["metric"] in _MEASURES):
        said.append("Predictive values are not given: whether the cases are a sample of practice is not recorded.")
    least = next((n for reads in found if (n := few_reads(reads.frame))), None)
    said += [f"A rate of a reader with fewer than {least} reads of its class has no CI."] if least else []
    return [*said, *_weights(found), *_refused(evidence)]


def _refused(evidence: ReportData) -> list[str]:
    """Findings without a Dawid-Skene reference standard, in the words of the account."""
    rows = evidence.account.to_dicts()
    return [
        f"{plain_words(row['reason'], evidence.vocabulary)}."
        for row in rows
        if any(code.name == "dawid_skene_refused" for code in codes.decode(row["reason_code"] or ""))
    ]


def _who(reads: ReadRows) -> str:
    where = "" if reads.only else f"Reads “{reads.arm}”: "
    return f"{where}{most_reads(reads.frame)}."


def _tied(evidence: ReportData) -> str:
    """What the majority of the other readers leaves out, from the account; "" where nothing was left out."""
    lines = [
        (str(code["finding"]), int(row["count"]))
        for row in evidence.account.to_dicts()
        for code in codes.decode(row["reason_code"] or "")
        if code.name == "others_vote_tied"
    ]
    if not lines:
        return ""
    told = listed([f"{in_words(evidence.heading(f))} {count(n)}" for f, n in lines])
    return (
        f" Reads on whose case the other readers' votes are tied are excluded ({told} reads); with two other readers, "
        "the cases that remain are those on which both agree."
    )


def _reference_notes(found: Sequence[ReadRows]) -> list[Block]:
    """How the Dawid-Skene reference standard came about, by finding and arm."""
    body = []
    for reads in found:
        for finding in reads.findings:
            judged = DAWID_SKENE in reads.references
            row = together(reads, finding, DAWID_SKENE, "sensitivity") if judged else None
            said = (
                [codes.render("notes", code) for code in codes_of(row) if code.name in REFERENCE_NOTES] if row else []
            )
            arm = () if reads.only else (Cell(arm_title(reads.arm)),)
            body += [(Cell(reads.heading(finding)), *arm, Cell("; ".join(said)))] if said else []
    head = heads("Finding", *([] if found[0].only else ["Arm"]), "Estimation")
    title = "Dawid–Skene reference standard, by finding"
    return [Folded(title, (table(f"{title}.", (head,), body, compact=True),))] if body else []


def _weights(found: Sequence[ReadRows]) -> list[str]:
    """How reads were pooled."""
    words = {
        "equal": "“Pooled readers”: each read has the same weight; a reader with more reads counts more.",
        "weighted": "“Pooled readers”: reads are weighted by the sampling weights of their cases.",
    }
    return [words[how]] if (how := pooling(found)) else []


def measures_of(reads: ReadRows, finding: str) -> list[str]:
    """The measures of which some row is a number."""
    rows = [r for reference in reads.references for r in reads.rows(finding, reference).values()]
    return [m for m in _MEASURES if any(r["metric"] == m and r["contrast"] == "" and known(r) for r in rows)]


def _together_table(found: Sequence[ReadRows], compared: Shown) -> Table | None:
    """The readers together: a row per finding, reference standard and arm; None where the arms' own tables have all."""
    shown = [m for m in _MEASURES if any(m in measures_of(reads, f) for reads in found for f in reads.findings)]
    several = len(found) > 1
    body: list[tuple[Cell, ...]] = []
    for finding in dict.fromkeys(f for reads in found for f in reads.findings):
        rows = []
        references = dict.fromkeys(r for reads in found for r in reads.references)
        for reference in references if any((finding, r) not in compared for r in references) else ():
            for reads in (reads for reads in found if reference in reads.references):
                got = [together(reads, finding, reference, m) for m in shown]
                if any(map(known, got)):
                    first = next(row for row in got if row is not None)
                    counted = replace(classes_of(first), note=reads_of(first))
                    arm = (Cell(arm_title(reads.arm)),) if several else ()
                    cells = [reads_cell(row) if row else Cell("") for row in got]
                    rows.append((Cell(reference_title(reference)), *arm, counted, *cells))
        head = found[0].heading(finding)
        body += [group(head, 2 + several + len(shown)), *rows] if rows else []
    if not body:
        return None
    titles = heads(
        "Reference standard", *(["Arm"] if several else []), "Present / absent", *(_TITLES[m] for m in shown)
    )
    others = any(OTHERS in reads.references for reads in found)
    pooled = (
        "Pooled reads, with bootstrap CIs; the comparison of arms treats readers and cases as random, with t intervals."
    )
    graded = all(reads.graded(f) for reads in found for f in reads.findings)
    remark = " ".join(t for t in (OTHERS_COUNT if others else "", pooled if compared and not graded else "") if t)
    return table("Readers together, by reference standard, with CIs.", (titles,), body, remark=remark)


def _finding(evidence: ReportData, reads: ReadRows, finding: str, shown: Shown) -> list[Block]:
    """Each reader of a finding: a forest under the first reference standard; the rest is folded."""
    references = [r for r in reads.references if (finding, r) not in shown]
    forests = [(r, f) for r in references if (f := _forest(reads, finding, r)) is not None]
    blocks: list[Block] = []
    if forests:
        blocks.append(forests[0][1])
        rows = [(reads.arm, together(reads, finding, forests[0][0], "auc"))]
        curves = curves_figure(evidence, rows, (finding, forests[0][0])) if reads.graded(finding) else None
        blocks += [curves] if curves else []
    tables = [t for r, _ in forests if (t := reader_table(reads, finding, r)) is not None]
    title = f"{reads.heading(finding)}{'' if reads.only else f' ({reads.arm})'}"
    rest = tuple(figure for _, figure in forests[1:])
    blocks += [appendix(f"{title}: each reader, as a table", tuple(tables))] if tables else []
    blocks += [appendix(f"{title}: each reader, by the other reference standards", rest)] if rest else []
    return [*blocks, *others_blocks(reads, finding, alone=True)]


def _forest(reads: ReadRows, finding: str, reference: str) -> Figure | None:
    """The forest of the readers under one reference standard."""
    rows = reads.rows(finding, reference)
    shown = measures_of(reads, finding)
    at = {m: "" if m == "auc" else reads.cutoff(finding) for m in shown}
    people = [(r, [rows.get((m, at[m], r, "")) for m in shown]) for r in reads.readers(finding)]
    all_of_them = [together(reads, finding, reference, m) for m in shown]
    where = "" if reads.only else f", {reads.arm}"
    caption = (
        f"{reads.heading(finding)}{where}: each reader, with CIs, those with most reads first; reference standard: "
    )
    caption = f"{caption}{in_sentence(reference)}."
    name = f"readers-{reads.arm}-{finding}-{reference}"
    first = (together_title(all_of_them), all_of_them)
    return performance_forest(
        people, first, [_TITLES[m] for m in shown], name=name, caption=caption, confidence=reads.confidence
    )
