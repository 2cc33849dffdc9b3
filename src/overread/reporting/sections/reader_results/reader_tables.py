"""Details of the comparison with readers: each reader, agreement, pairs of raters, uncertain calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from overread.codes import Metric
from overread.reporting.blocks import Block, Cell, Paragraph, Table, appendix, group, heads, table
from overread.reporting.estimate_cells import code_of, p_cells
from overread.reporting.number_format import count
from overread.reporting.report_data import (
    ReportData,
    Row,
    at_values,
    by,
    pick,
    value_at,
    with_key,
)
from overread.reporting.sections.reader_results.reader_titles import (
    CALL_RATE,
    DAWID_SKENE,
    OTHERS,
    OTHERS_COUNT,
    READERS,
    ReadRows,
    arm_title,
    classes_of,
    in_sentence,
    is_pooled,
    output_title,
    point_title,
    reader_title,
    reads_cell,
    reference_title,
    with_calls,
)
from overread.reporting.sections.reader_results.uncertain_calls import handling_of_calls

_POLICIES = {"absent": "as absent", "present": "as present", "ignore": "excluded"}
_AMONG = (
    ("percent_agreement", "Percent agreement"),
    ("light_kappa", "Cohen κ, mean of pairs"),
    ("fleiss_kappa", "Fleiss κ"),
    ("gwet_ac1", "Gwet AC1"),
    ("krippendorff_alpha", "Krippendorff α"),
)
_GRADED = (
    ("percent_agreement", "grades=equal", "Equal grades"),
    ("light_kappa", "weights=linear", "Cohen κ, linear weights"),
    ("light_kappa", "weights=quadratic", "Cohen κ, quadratic weights"),
    ("fleiss_kappa", "weights=linear", "Fleiss κ, linear"),
    ("fleiss_kappa", "weights=quadratic", "Fleiss κ, quadratic"),
    ("gwet_ac1", "weights=quadratic", "Gwet AC2, quadratic"),
    ("krippendorff_alpha", "level=ordinal", "Krippendorff α, ordinal"),
    ("krippendorff_alpha", "level=interval", "Krippendorff α, interval"),
)
_READINGS = "readings=first,second"
_MOST_ROWS = 25  # of the table of agreement with the models
_REPEATED = (
    ("percent_agreement", _READINGS, "Percent agreement"),
    ("cohen_kappa", _READINGS, "Cohen κ"),
    ("cohen_kappa", f"{_READINGS};weights=linear", "Cohen κ, linear weights"),
    ("cohen_kappa", f"{_READINGS};weights=quadratic", "Cohen κ, quadratic weights"),
)
_WITH = (("percent_agreement", "Percent agreement"), ("cohen_kappa", "Cohen κ"), ("gwet_ac1", "Gwet AC1"))


def others_blocks(reads: ReadRows, finding: str, *, alone: bool = False) -> list[Block]:
    """The folded tables of a finding: readers below the curve, pairwise F1, uncertain calls, each reader.

    `alone`: there is no model, and each reader is shown elsewhere.
    """
    title = reads.heading(finding)
    if alone:
        tables = _uncertain_alone(reads, finding)
        return [appendix(f"{title}: handling of uncertain calls", tuple(tables))] if tables else []
    made = (
        (f"{title}: readers below the curve", _below(reads, finding)),
        (f"{title}: pairwise F1", _pairwise(reads, finding)),
        (f"{title}: handling of uncertain calls", _uncertain(reads, finding)),
        (f"{title}: each reader", _every(reads, finding)),
    )
    graded: list[Block] = [*_graded(reads, finding)]
    if reads.pooled(finding) and graded:  # else it is the only comparison with a model, and is not folded
        graded = [appendix(f"{title}: AUCs of graded reads", tuple(graded))]
    return [*graded, *(appendix(words, tuple(blocks)) for words, blocks in made if blocks)]


def _graded(reads: ReadRows, finding: str) -> list[Table]:
    """Only of graded reads: the AUC of the mean of the readers and of the model, and that of each reader."""
    test = "test=obuchowski-rockette"
    rows = by(pick(reads.frame, finding=finding), "reference", "metric", "at", "rater")
    body: list[tuple[Cell, ...]] = []
    for reference in reads.references:
        people = [("Mean of the readers", rows.get((reference, "auc", test, READERS)))]
        people += [(r, rows.get((reference, "auc", "", r))) for r in reads.readers(finding)]
        models = [(o, rows.get((reference, "auc", test, o))) for o in reads.outputs(finding)]
        shown = [(name, row) for name, row in (*models, *people) if row]
        body += [group(reference_title(reference), 4)] if shown else []
        for name, row in shown:
            less = rows.get((reference, "auc_difference", test, name))
            cells = (reads_cell(less, signed=True), p_cells(less)[0]) if less else (Cell(""), Cell(""))
            body.append((Cell(output_title(name)), reads_cell(row), *cells))
    head = heads("", "AUC", "Model − mean of the readers", "P")
    caption = f"{reads.heading(finding)}: AUCs of graded reads; readers and cases are random."
    return [table(caption, (head,), body, compact=True)] if body else []


def _below(reads: ReadRows, finding: str) -> list[Table]:
    rows = by(pick(reads.frame, finding=finding, metric="readers_below_curve"), "reference", "rater", "at")
    kinds = [k for k in ("cases=read", "cases=own") if k in {at for _, _, at in rows}]
    body = []
    for reference in reads.references:
        for o in reads.outputs(finding):
            got = [rows.get((reference, o, k)) for k in kinds]
            if any(got):
                body.append((Cell(reference_title(reference)), Cell(output_title(o)), *map(_of_readers, got)))
    titles = {"cases=read": "Curve on all cases read", "cases=own": "Curve on the reader's own cases"}
    head = heads("Reference", "Model", *(titles[k] for k in kinds))
    caption = (
        f"{reads.heading(finding)}: readers below the model's ROC curve (lower sensitivity at the same "
        "specificity), of "
        "the readers with enough reads with and without the finding. The count is descriptive."
    )
    return [table(caption, (head,), body, compact=True)] if body else []


def _of_readers(row: dict[str, Any] | None) -> Cell:
    cell = reads_cell(row, digits=0)
    return cell if row is None else Cell(f"{cell.text} of {count(row['n_readers'])}", cell.kind, notes=cell.notes)


def _pairwise(reads: ReadRows, finding: str) -> list[Table]:
    """Per operating point: each model's mean F1 against all readers, the readers' own, and the difference."""
    kinds = (Metric.PAIRWISE_F1, Metric.PAIRWISE_F1_DIFFERENCE)
    frame = pick(reads.frame, finding=finding).filter(pl.col("metric").is_in(kinds))
    body = []
    for point in (CALL_RATE, *reads.points(finding)):
        rows = by(frame, "metric", "at", "rater")
        for o in reads.outputs(finding):
            own = rows.get(("pairwise_f1", point, o))
            if own:
                people = rows.get(("pairwise_f1", _with_model(point, o), READERS))
                less = rows.get(("pairwise_f1_difference", point, o))
                cells = (reads_cell(own), reads_cell(people), reads_cell(less, signed=True))
                body.append((Cell(output_title(o)), Cell(point_title(point)), *cells))
    caption = f"{reads.heading(finding)}: pairwise F1, each rater against the calls of every other rater, averaged."
    head = heads(
        "Model",
        "Threshold",
        "Model against readers",
        "Mean of the readers against all others",
        "Model − mean of the readers",
    )
    remark = "No reference standard is used: pairwise F1 measures agreement, not accuracy."
    return [table(caption, (head,), body, remark=remark, compact=True)] if body else []


def _with_model(point: str, output: str) -> str:
    """The `at` of the readers' own numbers at a point of a model, its parts in their order."""
    return ";".join(sorted((point, f"model={output}")))


def _uncertain(reads: ReadRows, finding: str) -> list[Table]:
    """The comparison under each handling of uncertain calls."""
    frame = pick(reads.every, finding=finding)
    policies = [p for p in _POLICIES if p in set(frame["call"])]
    if len(policies) < 2:
        return []
    rows = by(frame, "call", "reference", "metric", "at", "rater")
    body: list[tuple[Cell, ...]] = []
    for reference in reads.references:
        body.append(group(reference_title(reference), 7))
        for p in policies:
            up, across = (rows.get((p, reference, m, "", READERS)) for m in ("sensitivity", "specificity"))
            for i, o in enumerate(reads.outputs(finding)):
                one = rows.get((p, reference, "sensitivity_difference", "specificity=readers", o))
                two = rows.get((p, reference, "specificity_difference", "sensitivity=readers", o))
                if not any((up, across, one, two)):
                    continue
                first = (Cell(_POLICIES[p]), reads_cell(up), reads_cell(across)) if i == 0 else (Cell(""),) * 3
                area = rows.get((p, reference, "auc", "", o))
                body.append(
                    (
                        *first,
                        Cell(output_title(o)),
                        reads_cell(area),
                        *(reads_cell(r, signed=True) for r in (one, two)),
                    )
                )
    head = heads(
        "Uncertain calls",
        "Readers’ sensitivity",
        "Readers’ specificity",
        "Model",
        "AUC",
        "Sensitivity at the readers’ specificity, model − readers",
        "Specificity at the readers’ sensitivity, model − readers",
    )
    return [table(f"{reads.heading(finding)}: handling of uncertain calls.", (head,), body, compact=True)]


def _every(reads: ReadRows, finding: str) -> list[Table]:
    return [made for r in reads.references if (made := reader_table(reads, finding, r)) is not None]


def reader_table(reads: ReadRows, finding: str, reference: str) -> Table | None:
    """Each reader and the readers together under one reference standard; only columns with a number."""
    rows = by(pick(reads.frame, finding=finding, reference=reference), "metric", "at", "rater")
    cutoff = reads.cutoff(finding)
    own = [(m, cutoff if m != "auc" else "") for m in ("sensitivity", "specificity", "auc")]
    people = reads.readers(finding)
    people = (*people, READERS) if len(people) > 1 else people  # all reads of one reader are the reader's own
    shown = [(m, at) for m, at in own if any((m, at, r) in rows for r in people if r != READERS)]
    extra = _extra(reads, finding, reference, rows)
    body = []
    for reader in people:
        got = [rows.get((m, at, reader)) or _mean(rows, m, reader) for m, at in shown]
        if any(got):
            more = (
                [reads_cell(rows.get((m, at.format(reader), who or reader))) for _, m, at, who in extra]
                if reader != READERS
                else [Cell("")] * len(extra)
            )
            name = Cell(together_title(got), "strong") if reader == READERS else Cell(reader_title(reader))
            counted = classes_of(next(row for row in got if row))
            body.append((name, counted, *(reads_cell(row) if row else Cell("") for row in got), *more))
    titles = {"sensitivity": "Sensitivity", "specificity": "Specificity", "auc": "AUC"}
    head = heads("Reader", "Present / absent", *(titles[m] for m, _ in shown), *(t for t, *_ in extra))
    caption = f"{reads.heading(finding)}: each reader; reference standard: {in_sentence(reference)}."
    remark = OTHERS_COUNT if reference == OTHERS else ""
    return table(caption, (head,), body, remark=remark, compact=True) if len(body) > 0 else None


def together_title(rows: Sequence[Row | None]) -> str:
    """What the numbers of all readers are: of their pooled reads, or their mean."""
    tested = any(row and value_at(row["at"], "test") for row in rows)
    return "Mean of the readers" if tested and not any(map(is_pooled, rows)) else "Pooled readers"


def _mean(rows: dict[Any, Any], metric: str, reader: str) -> Row | None:
    """The mean of the readers, where their reads were not pooled."""
    if reader != READERS:
        return None
    return next((r for (m, at, who), r in rows.items() if (m, who) == (metric, READERS) and value_at(at, "test")), None)


def _uncertain_alone(reads: ReadRows, finding: str) -> list[Table]:
    """The readers together under each handling of uncertain calls."""
    frame = pick(reads.every, finding=finding, rater=READERS, at="")
    policies = [p for p in _POLICIES if p in set(frame["call"])]
    if len(policies) < 2:
        return []
    rows = by(frame, "call", "reference", "metric")
    body: list[tuple[Cell, ...]] = []
    for reference in reads.references:
        found = [
            (p, rows.get((p, reference, "sensitivity")), rows.get((p, reference, "specificity"))) for p in policies
        ]
        if sum(bool(up or across) for _, up, across in found) > 1:
            body.append(group(reference_title(reference), 4))
            body += [
                (Cell(_POLICIES[p]), classes_of(up or across), reads_cell(up), reads_cell(across))
                for p, up, across in found
                if up or across
            ]
    head = heads("Uncertain calls", "Present / absent", "Sensitivity", "Specificity")
    return [
        table(f"{reads.heading(finding)}: handling of uncertain calls, readers together.", (head,), body, compact=True)
    ]


def _extra(reads: ReadRows, finding: str, reference: str, rows: dict[Any, Any]) -> list[tuple[str, str, str, str]]:
    """Columns that one reference only has: title, metric, at (a place for the reader in it), rater ("" the reader)."""
    if reference == DAWID_SKENE and any(k[0] == "estimated_sensitivity" for k in rows):
        return [
            (f"{m.capitalize()}, estimated jointly", f"estimated_{m}", "", "") for m in ("sensitivity", "specificity")
        ]
    if reference == OTHERS:
        found = []
        for o in reads.outputs(finding)[:1]:
            at = next((a for _, a, r in rows if r == o and value_at(a, "others")), "")
            pattern = ";".join(f"{k}={'{}' if k == 'others' else v}" for k, v in at_values(at).items())
            if at:
                found = [
                    (f"{m.capitalize()} of {output_title(o)} on the same cases", m, pattern, o)
                    for m in ("sensitivity", "specificity")
                ]
        return found
    return []


def agreement_blocks(evidence: ReportData, found: list[ReadRows]) -> list[Block]:
    """Agreement among readers, and of readers with each model."""
    frame = evidence.estimates.filter(pl.col("analysis") == "agreement")
    if frame.is_empty():
        return []
    policy = found[0].policy if found else ""
    frame = with_calls(frame)
    frame = frame.filter(pl.col("call").is_in([policy, ""])) if policy in set(frame["call"]) else frame
    blocks: list[Block] = [Paragraph("Agreement", kind="heading")]
    unsure = handling_of_calls(evidence)
    blocks += [Paragraph(unsure)] if unsure else []
    levels = sorted(frame["level"].unique().to_list(), key=lambda a: (a != "unaided", a))
    for level in levels:
        part = pick(frame, level=level)
        where = f" ({arm_title(level)})" if len(levels) > 1 else ""
        blocks += _among(evidence, part, where) + _graded_agreement(evidence, part, where)
        blocks += _in_blocks(evidence, part, where) + _repeated(evidence, part, where)
        blocks += _in_pairs(evidence, part, where) + _with_models(evidence, part, where)
    return blocks


def _filled(
    evidence: ReportData, rows: dict[Any, Any], keys: list[tuple[str, str]], kinds: tuple[tuple[str, str, str], ...]
) -> tuple[list[str], list[tuple[Cell, ...]]]:
    """Titles and rows of a table by finding and a second key, of the kinds (metric, at, title) that have a row."""
    used = [(m, at, title) for m, at, title in kinds if any((f, k, m, at) in rows for f, k in keys)]
    body = []
    for f, k in keys:
        found = [rows.get((f, k, m, at)) for m, at, _ in used]
        n = next((r["n_cases"] for r in found if r), None)
        cells = (Cell(evidence.heading(f)), Cell(k), Cell(count(n), "num"), *map(reads_cell, found))
        body += [cells] if any(found) else []
    return [title for _, _, title in used], body


def _graded_agreement(evidence: ReportData, frame: pl.DataFrame, where: str) -> list[Block]:
    """Agreement among readers on grades."""
    part = pick(frame, rater=READERS)
    rows = {(r["finding"], "", r["metric"], r["at"]): r for r in part.iter_rows(named=True)}
    keys = [(f, "") for f in evidence.vocabulary.ordered(part["finding"].unique().to_list())]
    titles, body = _filled(evidence, rows, keys, _GRADED)
    head = heads("Finding", "Cases", *titles)
    shown = [(cells[0], *cells[2:]) for cells in body]
    return [table(f"Agreement among readers on grades{where}.", (head,), shown, compact=True)] if shown else []


def _in_blocks(evidence: ReportData, frame: pl.DataFrame, where: str) -> list[Block]:
    """Agreement within blocks of readers who read nearly disjoint cases."""
    part = with_key(pick(frame, rater=READERS), "block")
    rows: dict[Any, Any] = {}
    readers: dict[str, str] = {}
    for r in part.iter_rows(named=True):
        block = f"Block {value_at(r['at'], 'block')}"
        at = ";".join(f"{k}={v}" for k, v in at_values(r["at"]).items() if k != "block")
        rows[r["finding"], block, r["metric"], at] = r
        code = code_of(r, "block_of_readers")
        readers[block] = ", ".join(map(str, code["readers"])) if code and isinstance(code["readers"], tuple) else ""
    keys = sorted({(f, b) for f, b, _, _ in rows})
    keys = [(f, b) for f in evidence.vocabulary.ordered({f for f, _ in keys}) for g, b in keys if g == f]
    titles, body = _filled(evidence, rows, keys, (*((m, "", t) for m, t in _AMONG), *_GRADED))
    head = heads("Finding", "Readers", "Cases", *titles)
    names = "; ".join(f"{b}: {who}" for b, who in sorted(readers.items()))
    remark = f"Readers of different blocks read hardly any case in common. {names}."
    caption = f"Agreement within blocks of readers{where}."
    return [table(caption, (head,), body, remark=remark, compact=True)] if body else []


def _repeated(evidence: ReportData, frame: pl.DataFrame, where: str) -> list[Block]:
    """Intra-reader agreement, pooled and of each reader."""
    part = with_key(frame, "readings")
    rows = {(r["finding"], _reader(r["rater"]), r["metric"], r["at"]): r for r in part.iter_rows(named=True)}
    found = {f: sorted({k for g, k, _, _ in rows if g == f}, key=lambda k: (k != "Pooled", k)) for f, _, _, _ in rows}
    keys = [(f, k) for f in evidence.vocabulary.ordered(list(found)) for k in found[f]]
    titles, body = _filled(evidence, rows, keys, _REPEATED)
    head = heads("Finding", "Reader", "Pairs of readings", *titles)
    remark = "First and second reading of a case by the same reader. Further readings enter no other estimate."
    caption = f"Intra-reader agreement{where}."
    return [table(caption, (head,), body, remark=remark, compact=True)] if body else []


def _reader(rater: str) -> str:
    return "Pooled" if rater == READERS else rater


def _in_pairs(evidence: ReportData, frame: pl.DataFrame, where: str) -> list[Block]:
    """Cohen's kappa of every pair of readers, folded."""
    part = with_key(frame, "reader")
    kinds = tuple(dict.fromkeys(value_at(at, "weights") for at in part["at"]))
    rows = {}
    for r in part.iter_rows(named=True):
        pair = f"{r['rater']} and {value_at(r['at'], 'reader')}"
        rows[r["finding"], pair, r["metric"], value_at(r["at"], "weights")] = r
    keys = list(dict.fromkeys((f, p) for f, p, _, _ in rows))
    keys = [k for f in evidence.vocabulary.ordered({f for f, _ in keys}) for k in keys if k[0] == f]
    named = tuple(("cohen_kappa", w, f"Cohen κ, {w} weights" if w else "Cohen κ") for w in kinds)
    titles, body = _filled(evidence, rows, keys, named)
    head = heads("Finding", "Readers", "Common cases", *titles)
    what = f"Cohen κ of every pair of readers{where}"
    return [appendix(what, (table(f"{what}.", (head,), body, compact=True),))] if body else []


def _among(evidence: ReportData, frame: pl.DataFrame, where: str) -> list[Block]:
    part = pick(frame, rater=READERS, at="")
    rows = by(part, "finding", "metric")
    kinds = [(m, t) for m, t in _AMONG if any(k[1] == m for k in rows)]
    body = [
        (
            Cell(evidence.heading(f)),
            Cell(count(next((r["n_cases"] for k, r in rows.items() if k[0] == f), None)), "num"),
            *(reads_cell(rows.get((f, m))) for m, _ in kinds),
        )
        for f in evidence.vocabulary.ordered(part["finding"].unique().to_list())
    ]
    head = heads("Finding", "Cases", *(t for _, t in kinds))
    return [table(f"Agreement among readers{where}.", (head,), body)] if body else []


def _with_models(evidence: ReportData, frame: pl.DataFrame, where: str) -> list[Block]:
    """Pooled reads with each model's calls at the call rate of the readers; other points and each reader are folded."""
    part = with_key(frame, "with")
    rows = by(part, "finding", "at", "rater", "metric")
    keys = [
        (f, at)
        for f in evidence.vocabulary.ordered(part["finding"].unique().to_list())
        for at in pick(part, finding=f)["at"].unique(maintain_order=True)
    ]
    even = [k for k in keys if value_at(k[1], "call_rate")]
    frozen = [k for k in keys if k not in even]
    people = part.filter(pl.col("rater") != READERS)["rater"].unique().sort().to_list()
    kinds = tuple(t for _, t in _WITH)

    def made(shown: list[tuple[str, str]], raters: list[str], what: str) -> list[Table]:
        body = [
            (Cell(evidence.heading(f)), Cell(_model_of(at)), Cell(point_title(at)), Cell(r), *map(reads_cell, got))
            for f, at in shown
            for r in raters
            if any(got := [rows.get((f, at, r, m)) for m, _ in _WITH])
        ]
        alone = raters == [READERS]
        names = ("Finding", "Model", "Threshold", *(() if alone else ("Reader",)))
        body = [(*r[:3], *r[4:]) for r in body] if alone else body
        return [table(f"{what}{where}.", (heads(*names, *kinds),), body, compact=True)] if body else []

    pooled = "Agreement of the pooled reads with each model's calls"
    main, more = (even, frozen) if even else (frozen, [])
    second = made(more, [READERS], pooled)
    each = made([*even, *frozen], people, "Agreement of each reader with each model's calls")
    blocks: list[Block] = []
    if len(main) > _MOST_ROWS:  # the leading model's rows stand for the others, which are in the appendix
        lead = evidence.cast.lead
        own = [k for k in main if _model_of(k[1]).partition(" [")[0] == lead]
        blocks += made(own, [READERS], f"Agreement of the pooled reads with the calls of {lead}")
        blocks.append(appendix("Agreement of the pooled reads with every model", made(main, [READERS], pooled)))
    else:
        blocks += made(main, [READERS], pooled)
    blocks += (
        [appendix("Agreement of the pooled reads with the models at the thresholds of the models", tuple(second))]
        if second
        else []
    )
    blocks += [appendix("Agreement of each reader with the models", tuple(each))] if each else []
    return blocks


def _model_of(at: str) -> str:
    return output_title(value_at(at, "with"))
