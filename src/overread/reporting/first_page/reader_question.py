"""The first page of models against readers: the difference in sensitivity at the specificity of the readers."""

from __future__ import annotations

from collections.abc import Sequence

from overread.reporting.blocks import Cell, Figure, Table, group, heads, table
from overread.reporting.estimate_cells import known
from overread.reporting.figures.drawing_style import series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.first_page.beside_readers.decisions_beside_readers import (
    decisions_and_readers_page,
    decisions_table,
    has_decisions,
)
from overread.reporting.first_page.beside_readers.grades_beside_readers import graded_table, grades_and_readers_page
from overread.reporting.first_page.beside_readers.reader_differences import (
    OutputOfFinding,
    any_interval,
    choice_of_second,
    counted_differences,
    difference,
    lacking,
    leading_references,
    models_of,
    noun,
    of_references,
    outputs_of,
    readers_judged,
)
from overread.reporting.first_page.first_page_parts import (
    MARK_TERM,
    MOST_ROWS,
    FirstPage,
    interval_term,
    leading_findings,
    number_cell,
    pooled_term,
    side,
    spelled,
)
from overread.reporting.number_format import capital, listed, plural
from overread.reporting.report_data import ReportData, Row
from overread.reporting.sections.reader_results.given_decisions import decisions_sentence
from overread.reporting.sections.reader_results.graded_areas import graded_reference
from overread.reporting.sections.reader_results.model_sentences import AT_SPECIFICITY, people_word, without_intervals
from overread.reporting.sections.reader_results.reader_titles import (
    DAWID_SKENE,
    OTHERS,
    OTHERS_COUNT,
    READERS,
    ReadRows,
    arms,
    classes_of,
    in_sentence,
    pooling,
    reference_title,
)

_PANELS = 5  # outputs beside each other in the figure
_COLUMNS = 3  # models beside each other in the table


def readers_page(evidence: ReportData) -> FirstPage:
    """The page of models and readers, for the first arm of reads."""
    reads = arms(evidence)[0]
    lead = leading_findings(evidence, reads.findings)
    outputs = sorted(outputs_of(reads), key=lambda o: o.finding not in lead)
    if not outputs and has_decisions(reads):
        return decisions_and_readers_page(evidence, reads)
    if not outputs and graded_reference(reads):
        return grades_and_readers_page(evidence, reads)
    one = people_word(reads) == "reader"
    readers = () if one else (pooled_term(pooling([reads])),)
    matched = (
        f"At the specificity of the {people_word(reads)}",
        "The threshold of the model is set so that it leaves as many cases without the finding unmarked as the "
        f"{people_word(reads)} {'does' if one else 'do'}. Then only the sensitivity differs.",
    )
    return FirstPage(
        "Evidence report: models and readers",
        str(evidence.study.get("question") or "").strip()
        or f"At the specificity of the {people_word(reads)}, is the sensitivity of the {noun(reads, outputs)} as high?",
        answer_of_differences(reads, outputs),
        _more(reads, outputs),
        (),
        _figure(reads, outputs),
        _table(reads, outputs),
        _detail(reads, outputs),
        (*readers, matched, interval_term(reads.confidence), *_reference_terms(reads), MARK_TERM),
        beside=decisions_table(reads) or graded_table(reads),
    )


def _reference_terms(reads: ReadRows) -> list[tuple[str, str]]:
    said = {
        OTHERS: "For every reader, the majority of the others: the evaluated reader has no part in it.",
        DAWID_SKENE: "Estimated from all reads, together with the accuracy of every reader.",
    }
    return [(reference_title(r), text) for r, text in said.items() if r in reads.references]


def _sides(rows: Sequence[Row]) -> list[int]:
    """How many differences lie below 0 and above 0 with the whole interval."""
    return [sum(side(r) == s for r in rows) for s in (-1, 1)]


def _counted(rows: Sequence[Row]) -> str:
    lower, higher = _sides(rows)
    every = f" in {'both' if len(rows) == 2 else f'all {len(rows)}'} comparisons" if len(rows) > 1 else ""
    if lower == len(rows):
        return f"is lower{every}"
    if higher == len(rows):
        return f"is higher{every}"
    if not lower and not higher:
        of = "either" if len(rows) == 2 else "any"
        where = f" in {of} of {len(rows)} comparisons" if len(rows) > 1 else ""
        return f"is neither lower nor higher with the whole interval{where}"
    counted = [f"{word} in {n or 'none'}" for word, n in (("lower", lower), ("higher", higher))]
    return f"is {' and '.join(counted)} of {plural(len(rows), 'comparison')}"


def answer_of_differences(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> str:
    """How the models are placed beside the readers, under the leading reference standard and another one."""
    ends = leading_references(reads, outputs)
    if not ends:
        return "No difference between a model and the readers could be computed."
    if not any_interval(reads, outputs):
        return without_intervals(reads)
    main, beside = ends
    first, last = (counted_differences(reads, outputs, r) for r in ends)
    others = {(row["finding"], row["rater"]): row for row in last}
    same = [(row, others.get((row["finding"], row["rater"]), last[0])) for row in first]
    opposite = [pair for pair in same if side(pair[0]) * side(pair[1]) < 0]
    row, other = (opposite or same)[0]
    of = f"{row['rater'].partition(' [')[0]} for {reads.heading(row['finding']).lower()}"
    value, value_beside = (spelled(r, digits=2, signed=True, level=r is row, nested=True) for r in (row, other))
    example = f"{'for example, ' if len(first) > 1 else ''}{of}: {value}"
    whose = f"the sensitivity of the {noun(reads, outputs)}"
    start = f"y {in_sentence(main)} {whose} {_counted(first)} ({example}{lacking(reads, outputs, main)})"
    kinds = [{side(r) for r in rows} - {0} for rows in (first, last)]
    alike = kinds[0] == kinds[1] and not opposite
    if main == beside or (main in reads.stated and beside not in reads.stated and alike):
        return f"B{start}."
    second = f"y {in_sentence(beside)} it {_counted(last)} ({value_beside}{lacking(reads, outputs, beside)})"
    if opposite:
        return f"It depends on the reference standard: b{start}; b{second}."
    return f"B{start}. B{second}. The difference between the two reference standards was not tested."


def _more(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> str:
    usable = [r for r in reads.references if any(known(difference(reads, o, r, m)) for o in outputs
              for m in models_of(reads, o))]  # fmt: skip
    own = [in_sentence(r) for r in usable if r in reads.made - {OTHERS}]
    rest = [in_sentence(r) for r in usable if r not in reads.made | reads.named]
    who, ends = people_word(reads), leading_references(reads, outputs)
    whose = "this reader" if who == "reader" else "these readers"
    said = f"The numbers are differences in sensitivity, model minus {who}, at the specificity of the {who}"
    if any_interval(reads, outputs):
        several = ends and len(counted_differences(reads, outputs, ends[0])) > 1
        said += f" ({reads.confidence} intervals, not adjusted for the number of comparisons)" if several else ""
        said += "; lower or higher means that the whole interval lies below or above 0"
    said += "."
    if own:
        said += f" {capital(listed(own))} {_was(own)} made from reads of {whose}, which favours them"
        said += f"; {listed(rest)} {_is(rest)} not stated to be made from their reads." if rest else "."
    elif rest:
        said += f" {capital(listed(rest))} {_is(rest)} not stated to be made from reads of {whose}."
    said = " ".join([said, *of_references(reads, outputs)])
    decided = decisions_sentence(reads)
    return f"{said} {decided} Decisions have no curve and are compared as given." if decided else said


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _series(reads: ReadRows, rater: str) -> int:
    model = rater.partition(" [")[0]
    return reads.models.index(model) if model in reads.models else len(reads.models)


def _groups(reads: ReadRows) -> list[tuple[str, list[str]]]:
    """The references by who made them: the group of the reference that leads, then the other stated ones."""
    labels = reads.stated
    derived = [r for r in reads.references if r not in labels]
    named = (
        ("Labels not stated as from these reads", [r for r in labels if r not in reads.made | reads.named]),
        ("Labels of readers not judged by them", [r for r in labels if r in reads.named]),
        ("Labels made from reads of these readers", [r for r in labels if r in reads.made]),
        ("Derived from reads of these readers", [r for r in derived if r != OTHERS]),
        ("Derived, without the reader evaluated", [r for r in derived if r == OTHERS]),
    )
    first = reads.references[:1]
    ordered = sorted(named, key=lambda group: first[0] not in group[1] if first else True)
    return [(title, found) for title, found in ordered if found]


def _label(reference: str) -> str:
    return reference_title(reference).removeprefix("Label ")


def _output_words(reads: ReadRows, output: OutputOfFinding) -> str:
    return output.mapping.replace("_", " ")


def _figure(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> Figure | None:
    if not outputs:
        return None
    scale = Scale("", null=0.0, signed=True, better=("lower", "higher"))
    styles = tuple(series_style(k) for k in range(len(reads.models) + 1))
    there = _with_difference(reads, outputs)
    groups = [(title, own) for title, found in _groups(reads) if (own := [r for r in found if r in there])]

    def marks(output: OutputOfFinding, reference: str) -> tuple:  # type: ignore[type-arg]
        drawn = [r for r in models_of(reads, output) if r in reads.drawn(output.finding)]
        rows = [(r, difference(reads, output, reference, r)) for r in drawn]
        return tuple(mark_of(row, _series(reads, r), signed=True, digits=2) for r, row in rows if row)

    if len(outputs) <= _PANELS:
        rows = []
        for title, found in groups:
            rows.append(ForestRow(title))
            rows += [
                ForestRow(_label(ref), tuple(marks(o, ref) for o in outputs), note=readers_judged(reads, outputs, ref))
                for ref in found
            ]
        blank = " " if any(o.mapping for o in outputs) else ""
        panels = tuple(
            Panel(scale, reads.heading(o.finding), _output_words(reads, o) or blank, labels=False) for o in outputs
        )
    else:
        shown = [ref for _, found in groups for ref in found][:_PANELS]
        rows = [
            ForestRow(reads.heading(o.finding), tuple(marks(o, ref) for ref in shown), note=_output_words(reads, o))
            for o in outputs
        ]
        panels = tuple(Panel(scale, _label(ref), " ", labels=False) for ref in shown)
    plot = ForestPlot(tuple(rows), panels, styles)
    shown_models = [
        r
        for r in reads.models
        if any(r == o.partition(" [")[0] for f in reads.findings for o in reads.drawn(f) if o in reads.ranked(f))
    ]
    key = tuple(r if r in shown_models else "" for r in reads.models) if len(shown_models) > 1 else ()
    models = shown_models[0] if len(shown_models) == 1 else "each model"
    line = f"Line: {reads.confidence} interval for readers and patients like these."
    line = line if any_interval(reads, outputs) else "No difference has an interval."
    who = people_word(reads)
    return panel_figure(
        plot,
        key,
        name="answer",
        caption=f"{line}{_made(reads, there)}{_empty(reads, there)}",
        title=f"The models against the {'reader' if who == 'reader' else 'pooled readers'}, by reference standard",
        note=f"Difference in sensitivity, {models} minus the {who}, at the specificity of the {who}.{_left_out(reads)}",
    )


def _left_out(reads: ReadRows) -> str:
    """Which models are not drawn, where there are many."""
    if not reads.undrawn:
        return ""
    drawn = len(reads.models) - len(reads.undrawn)
    return f" Drawn: the {drawn} models of {len(reads.models)} with the highest mean AUC."


def _with_difference(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> set[str]:
    """The reference standards with a difference that is a number."""
    every = (
        (ref, difference(reads, o, ref, r)) for ref in reads.references for o in outputs for r in models_of(reads, o)
    )
    return {ref for ref, row in every if known(row)}


def _empty(reads: ReadRows, there: set[str]) -> str:
    """The reference standards without a number, which are not drawn."""
    left = [_label(r) for r in reads.references if r not in there]
    return f" Not drawn, because no difference could be computed: {listed(left)}." if left else ""


def _made(reads: ReadRows, there: set[str]) -> str:
    own = [_label(r) for r in reads.references if r in there & (reads.made - {OTHERS})]
    return f" Made from reads of the readers who are evaluated, which favours them: {listed(own)}." if own else ""


def _table(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> Table | None:
    """Specificity of the readers, and sensitivities there, under the leading reference and the one beside it."""
    ends = leading_references(reads, outputs)
    if not ends:
        return None
    first: dict[str, OutputOfFinding] = {}
    for o in outputs:
        first.setdefault(o.finding, o)
    references = list(dict.fromkeys(ends))
    each = MOST_ROWS // len(references)
    shown = list(first.values())[:each]
    every = list(dict.fromkeys(r.partition(" [")[0] for o in shown for r in models_of(reads, o)))
    models = every[:_COLUMNS]
    body: list[tuple[Cell, ...]] = []
    for reference in references:
        made = ", made from reads of these readers" if reference in reads.made - {OTHERS} else ""
        of = f": {judged}" if (judged := readers_judged(reads, shown, reference)) else ""
        body.append(group(f"By {in_sentence(reference)}{made}{of}", 4 + len(models)))
        body += [_row(reads, o, reference, models) for o in shown]
    left = len(first) - len(shown)
    who = people_word(reads)
    head = heads("Finding", "Present / absent", f"Specificity of the {who}", f"Sensitivity of the {who}", *models)
    more = [plural(n, f"more {what}") for n, what in ((left, "finding"), (len(every) - len(models), "model")) if n]
    remark = f"{capital(listed(more))} in the sections below." if more else ""
    mapped = [f"{reads.heading(o.finding).lower()} by {_output_words(reads, o)}" for o in shown if o.mapping]
    note = f"With {reads.confidence} interval." if any_interval(reads, outputs) else ""
    note += choice_of_second(reads, outputs, ends)
    note += f" {capital(listed(mapped))}." if mapped else ""
    note += f" {OTHERS_COUNT}" if OTHERS in references else ""
    title = f"Sensitivity at the specificity of the {who}"
    return Table(title, (head,), tuple(body), remark=remark, note=note.strip())


def _row(reads: ReadRows, output: OutputOfFinding, reference: str, models: Sequence[str]) -> tuple[Cell, ...]:
    rows = reads.rows(output.finding, reference)
    tail = f" [{output.mapping}]" if output.mapping else ""
    up, across = (rows.get((m, "", READERS, "")) for m in ("sensitivity", "specificity"))
    cells = [rows.get(("sensitivity_at_specificity", AT_SPECIFICITY, f"{m}{tail}", "")) for m in models]
    return (
        Cell(reads.heading(output.finding)),
        classes_of(next((c for c in cells if c), None) or up),
        *(number_cell(r, digits=2) for r in (across, up, *cells)),
    )


def _detail(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> tuple[Table, ...]:
    """Every difference of the figure."""
    body: list[tuple[Cell, ...]] = []
    models = list(dict.fromkeys(r.partition(" [")[0] for o in outputs for r in models_of(reads, o)))
    for title, found in _groups(reads):
        for reference in found:
            of = f"; {judged}" if (judged := readers_judged(reads, outputs, reference)) else ""
            body.append(group(f"{_label(reference)}: {title[:1].lower()}{title[1:]}{of}", 1 + len(models)))
            for o in outputs:
                tail = f" [{o.mapping}]" if o.mapping else ""
                cells = [
                    number_cell(difference(reads, o, reference, f"{m}{tail}"), digits=2, signed=True) for m in models
                ]
                body.append((Cell(reads.heading(o.finding), note=_output_words(reads, o)), *cells))
    who = people_word(reads)
    caption = f"Sensitivity of the model minus that of the {who}, at the specificity of the {who}."
    return (table(caption, (heads("Finding", *models),), body),) if body else ()
