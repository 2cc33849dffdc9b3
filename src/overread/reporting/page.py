"""The page: every section in its order, drawn by the template into one self-contained file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
from markupsafe import Markup, escape

from overread import integrity, runs, tables
from overread.characters import visible
from overread.ledger import read as read_ledger
from overread.reporting import checklists
from overread.reporting.blocks import Section, drawn, waiting
from overread.reporting.export import files_beside, text_exports
from overread.reporting.figures.figure_pool import Drawings
from overread.reporting.first_page import question
from overread.reporting.first_page.answer_limits.study_limits import MOST_LIMITS, limitations
from overread.reporting.first_page.contents import in_page_order, parts
from overread.reporting.first_page.first_page_parts import FirstPage
from overread.reporting.first_page.page_facts import facts, made_line
from overread.reporting.methods.bibliography import Cited, Reference
from overread.reporting.methods.methods_section import compose_methods
from overread.reporting.report_data import ReportData, read_evidence
from overread.reporting.report_folder import PAGE, replacing_report
from overread.reporting.sections import (
    duplicate_images,
    heatmaps,
    model_training_section,
    study_notes,
    study_participants,
    summary,
)
from overread.reporting.sections.model_results import (
    calibration_section,
    contrasts,
    decision_section,
    discrimination_section,
    hypothesis_section,
    label_policies,
    operating_section,
    seed_section,
    subgroup_section,
)
from overread.reporting.sections.reader_results import arm_section, reader_section, reference_section
from overread.reporting.sections.section_answers import with_answers


def write(
    evidence_folder: Path | str,
    out: Path | str,
    *,
    study: Mapping[str, Any],
    cohort_folder: Path | str | None = None,
    heatmap_folders: Mapping[str, Path | str] | None = None,
    ledger: Path | str | None = None,
    models: Mapping[str, Path | str] | None = None,
    pool: Executor | None = None,
) -> Path:
    """Write `out`/report.html with the estimates, tables for Word and the figures beside it; return the page's path.

    Parameters
    ----------
    evidence_folder: what `overread evaluate` wrote: estimates, verdicts, curves, joined, account, run.json.
    study: "title", "question", "protocol" (resolved), "protocol_hash", "warnings", "governance", "models" (name:
        model.json), "runs" (stage: run.json), "command", "statements" (topic: what only the authors can tell the
        checklists); each may be missing, and the page then says so.
    cohort_folder: for participants, regions and pixels; heatmap_folders: folders of predictions by model; ledger: the
        ledger of openings; models: model folders by name, for the course of training.
    pool: processes that draw figures beside this one, see `drawing_pool`.

    Returns the path of report.html, which needs no network and no other file; estimates.parquet, .json and .csv,
    tables.docx, figures/ (each as SVG, its numbers as CSV), methods.md, checklists.csv and model-cards/ are for those
    who go on from there. A section for which there is no data is left out and named in one line. Raises InputError when
    the folder holds no estimates, a file of it, of the cohort, of the predictions or of a model was altered, the ledger
    is broken, a statement is about something that no checklist asks for, or `out` holds files that no report wrote and
    this one would replace. The hashes of all that is written are in run.json, with the number and hash of the last
    entry of the ledger.
    """
    out = Path(out)
    for folder in (evidence_folder, cohort_folder, *(heatmap_folders or {}).values(), *(models or {}).values()):
        if folder is not None:
            runs.check_if_run(folder)
    evidence = read_evidence(evidence_folder, study, cohort_folder=cohort_folder, ledger_path=ledger, models=models)
    entries = [] if ledger is None else read_ledger(ledger)
    config = {key: study.get(key) for key in ("title", "protocol_hash", "statements")}
    runs.claim(out, "report", [])
    _refuse_edited(out)
    with runs.start(out, "report", config=config) as run:
        looked = heatmaps.looked_at(evidence, cohort_folder, heatmap_folders or {})
        evidence = replace(evidence, heatmaps=not looked.absent)
        drawings = Drawings(pool)
        composed = compose(evidence, duplicate_images.duplicates(evidence, cohort_folder), looked, drawings)
        for path in _write_files(evidence, composed, drawings, out):
            run.output(path)
        if ledger is not None and entries:
            run.note("ledger", {**entries[-1].head, "file": os.path.relpath(ledger, out)})
    return out / "report.html"


def _refuse_edited(out: Path) -> None:
    """Refuse to replace files of an earlier report that a person changed, or put a link in the place of."""
    if not (out / "run.json").is_file():
        return
    found = integrity.differences(out, runs.read(out).get("outputs", {}), thorough=True)
    do = "Move what you changed elsewhere, or remove these files, and run the command again."
    integrity.refuse(out, [each for each in found if each.kind != integrity.MISSING], do=do)


@dataclass(frozen=True, slots=True)
class Composed:
    """The sections of the page, what the methods cite, and the filled checklists as a table."""

    sections: list[Section]
    cited: Cited
    checklists: pl.DataFrame


def _write_files(evidence: ReportData, composed: Composed, drawings: Drawings, out: Path) -> list[Path]:
    """Write what stands beside the page, then, as soon as its figures are drawn, the page; their paths."""
    first = question.leading_page(evidence)
    sections = in_page_order(composed.sections, question.leading(evidence))
    shown = (*((first.figure,) if first.figure else ()), *(t for t in (first.table, first.beside) if t), *first.detail)
    top = Section("summary", "First page", shown)
    with replacing_report(out, [*files_beside.names([top, *sections]), *text_exports.names(evidence), PAGE]):
        written = files_beside.write_tables_beside(evidence, [top, *sections], out)
        written += text_exports.write_pasted(evidence, composed.checklists, composed.cited, out)
        sections = drawn(sections, drawings.finish())
        text = render(evidence, sections, first, composed.cited.references)
        written += files_beside.write_figures([top, *sections], out)
        return [*written, tables.write_text(out / PAGE, text)]


def compose(evidence: ReportData, copies: Section, looked: Section, drawings: Drawings) -> Composed:
    """Every section in the order of the page, those without content among them.

    Figures are begun with the section that shows them.
    """
    sections = []
    for section in (
        summary.governance,
        study_participants.participants,
        copies,
        discrimination_section.discrimination,
        operating_section.operating,
        seed_section.seeds,
        arm_section.comparison_of_arms,
        reader_section.readers,
        calibration_section.calibration,
        decision_section.decision,
        contrasts.comparison,
        hypothesis_section.h1,
        reference_section.h2,
        label_policies.policies,
        contrasts.drop,
        contrasts.site_alone,
        contrasts.matrix,
        subgroup_section.subgroups,
        looked,
        model_training_section.training,
    ):
        made = section if isinstance(section, Section) else section(evidence)
        drawings.begin(waiting(made))
        sections.append(made)
    told, cited = compose_methods(evidence)
    notes = study_notes.not_computed(evidence), study_notes.account(evidence), study_notes.provenance(evidence)
    sections = with_answers(evidence, [*sections, told, *notes])
    places = checklists.places(evidence, sections)
    filled = checklists.filled(evidence, places)
    sections.append(checklists.section(filled, places))
    return Composed(sections, cited, checklists.frame(filled, places))


def render(evidence: ReportData, sections: Sequence[Section], first: FirstPage, references: Sequence[Reference]) -> str:
    """The page as text."""
    drawings = [first.figure] if first.figure else []
    files = tables.file_names(figure.name for figure in (*drawings, *files_beside.figures_of(sections)))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("overread.reporting"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    environment.filters |= {"cite": linked_citations, "number": number_markup, "unbroken": unbroken}
    environment.filters["file"] = lambda name: files[name]
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    return environment.get_template("report.html.j2").render(
        style=Markup(resources.files("overread.reporting").joinpath("style.css").read_text(encoding="utf-8")),
        title=str(evidence.study.get("title") or "Evidence report"),
        paragraph=summary.study_paragraph(evidence),
        made=made_line(evidence),
        first=replace(first, facts=first.facts or facts(evidence)),
        limits=limitations(evidence),
        most=MOST_LIMITS,
        titles={s.name: s.title for s in sections if not s.absent},
        parts=parts(sections, question.leading(evidence)),
        left_out=study_notes.left_out(evidence, list(sections)),
        references=references,
    )


def _shown(value: Any) -> Any:
    """What the template may write: text of others without characters that are hidden or turn letters round."""
    return visible(value, keep="\n\t") if type(value) is str else value


def number_markup(text: str) -> Markup:
    """A number with its interval, which is set smaller.

    >>> number_markup("0.838 (0.832–0.844)")
    Markup('<span class="nb">0.838</span> <span class="ci">(0.832–0.844)</span>')
    """
    value, bracket, rest = visible(text, keep="\n\t").partition(" (")
    first = Markup('<span class="nb">{}</span>').format(value) if value else Markup("")
    return first + (Markup(' <span class="ci">({}</span>').format(rest) if bracket else Markup(""))


def unbroken(text: str) -> Markup:
    """A sentence in which no line breaks within an interval.

    >>> unbroken("0.8 (95% interval 0.7 to 0.9).")
    Markup('0.8 (95% interval <span class="nb">0.7 to 0.9).</span>')
    """
    text = str(escape(visible(text, keep="\n\t")))
    return Markup(re.sub(r"([+\u2212]?\d[\d.]* to [+\u2212]?\d[\d.]*\)?[.,;:]?)", r'<span class="nb">\1</span>', text))


def linked_citations(text: str) -> Markup:
    """Escaped text whose bracketed numbers lead to the list of references.

    >>> linked_citations("See <it> [1,2].")
    Markup('See &lt;it&gt; [<a href="#ref-1">1</a>,<a href="#ref-2">2</a>].')
    """

    def linked(match: re.Match[str]) -> str:
        return "[" + ",".join(f'<a href="#ref-{n}">{n}</a>' for n in match.group(1).split(",")) + "]"

    text = visible(text, keep="\n\t")
    return Markup(re.sub(r"\[(\d+(?:,\d+)*)\]", linked, str(escape(text))))
