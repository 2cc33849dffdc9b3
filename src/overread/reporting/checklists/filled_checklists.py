"""The checklists filled from what the study holds: every item with where it is answered, or that it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from overread.errors import InputError, did_you_mean
from overread.reporting.blocks import Block, Cell, Paragraph, Section, appendix, group, heads, table
from overread.reporting.checklists.answer_rules import RULES
from overread.reporting.checklists.guideline_items import Found, Guideline, Item, guidelines, topics
from overread.reporting.checklists.reader_answers import ABOUT_MODEL, NO_MODEL, without_model
from overread.reporting.first_page.answer_limits.study_limits import limitations
from overread.reporting.report_data import ReportData

YES, PART, NO, NONE = "answered", "in part", "not answered", "not applicable"
STATED = "stated by the authors"
_TITLE = "Reporting checklists"
_LEAD = (
    "Completed by rule from the data of this study: an item counts as answered only if its answer is in the "
    "report. The "
    "texts of the items are short paraphrases; for a submission complete the form of the guideline with these answers. "
    "The same rows are in checklists.csv."
)
_COLUMNS = ("guideline", "item", "section", "words", "answered", "where", "text", "left")


@dataclass(frozen=True, slots=True)
class Filled:
    """An item with its answer."""

    guideline: Guideline
    item: Item
    answered: str  # "answered", "in part", "not answered", "not applicable"
    where: str = ""  # the name of a section of the page, or "stated by the authors"
    text: str = ""
    left: str = ""


def places(evidence: ReportData, sections: Iterable[Section]) -> dict[str, str]:
    """Where an answer can stand: the parts of the page that are there, name: title."""
    first = {"top": "First page"} | ({"limits": "What limits this"} if limitations(evidence) else {})
    return first | {s.name: s.title for s in sections if not s.absent}


def filled(evidence: ReportData, sections: Mapping[str, str]) -> tuple[Filled, ...]:
    """Every item of every guideline; `sections` (name: title) are those on the page: elsewhere is no answer.

    Raises InputError for a statement about something that no item asks for.
    """
    statements = _statements(evidence)
    answers = {topic: _answer(evidence, topic, statements, sections) for topic in topics()}
    spared = ABOUT_MODEL - statements.keys() if without_model(evidence) else frozenset()
    return tuple(
        Filled(g, i, NONE, text=f"{NO_MODEL}.") if i.topic in spared else _filled(g, i, answers[i.topic])
        for g in guidelines()
        for i in g.items
    )


def check_statements(given: Mapping[str, str], where: str) -> None:
    """Refuse statements about what no item asks for, all at once."""
    wrong = [k for k in given if k not in topics()]
    if wrong:
        known = "Topics: " + ", ".join(topics()) + "."
        raise InputError.all(
            [
                InputError(where, "topics that a checklist asks for", f"'{k}'", do=did_you_mean(k, topics()) or known)
                for k in wrong
            ]
        )


def _statements(evidence: ReportData) -> Mapping[str, str]:
    given = {k: str(v).strip() for k, v in (evidence.study.get("statements") or {}).items()}
    check_statements(given, "statements")
    return {k: v for k, v in given.items() if v}


def _answer(
    evidence: ReportData, topic: str, statements: Mapping[str, str], sections: Mapping[str, str]
) -> Found | None:
    if topic in statements:
        return Found(STATED, statements[topic])
    found = RULES[topic](evidence) if topic in RULES else None
    return found if found and found.where in sections else None


def _filled(guideline: Guideline, item: Item, found: Found | None) -> Filled:
    if found is None:
        return Filled(guideline, item, NO)
    left = "" if found.where == STATED else "; ".join(t for t in (found.leaves, item.leaves) if t)
    return Filled(guideline, item, PART if left else YES, found.where, found.text, left)


def frame(rows: tuple[Filled, ...], sections: Mapping[str, str]) -> pl.DataFrame:
    """The rows as a table for a spreadsheet: one line is one item."""
    values = [
        (
            r.guideline.name,
            r.item.number,
            r.item.section,
            r.item.words,
            r.answered,
            sections.get(r.where, r.where),
            r.text,
            r.left,
        )
        for r in rows
    ]
    return pl.DataFrame(values, schema=dict.fromkeys(_COLUMNS, pl.String), orient="row")


def section(rows: tuple[Filled, ...], sections: Mapping[str, str]) -> Section:
    """The counts of every guideline at the top, and the items folded below."""
    parts = [(g, [r for r in rows if r.guideline is g]) for g in guidelines()]
    blocks: list[Block] = [Paragraph(_LEAD), _counts(parts)]
    for guideline, own in parts:
        blocks.append(appendix(f"{guideline.name} {guideline.year}, item by item", _items(guideline, own, sections)))
    return Section("checklists", _TITLE, tuple(blocks))


def _counts(parts: list[tuple[Guideline, list[Filled]]]) -> Block:
    spared = any(r.answered == NONE for _, own in parts for r in own)
    kinds = (YES, PART, NO, *((NONE,) if spared else ()))
    head = heads("Guideline", "Items", *(word.capitalize() for word in kinds), "Scope")
    body = []
    for guideline, own in parts:
        counts = [sum(r.answered == word for r in own) for word in kinds]
        numbers = (Cell(str(n), kind="num") for n in (len(own), *counts))
        body.append((Cell(f"{guideline.name} {guideline.year}"), *numbers, Cell(guideline.scope, kind="small")))
    return table("Items of the reporting guidelines, sub-items counted one by one.", (head,), body)


def _items(guideline: Guideline, rows: list[Filled], sections: Mapping[str, str]) -> tuple[Block, ...]:
    head = heads("Item", "Content", "Answered", "Where", "Answer in this report")
    body: list[tuple[Cell, ...]] = []
    last = ""
    for r in rows:
        part = r.item.section
        if part != last:
            body.append(group(part, len(head)))
            last = part
        left = f"Not answered: {r.left}." if r.left else ""
        where = Cell(sections.get(r.where, r.where), link=r.where if r.where in sections else "")
        words = (
            Cell(r.item.number, kind="item"),
            Cell(r.item.words, kind="asked"),
            Cell(r.answered, kind=r.answered.replace(" ", "-")),
        )
        body.append((*words, where, Cell(r.text, kind="small", note=left)))
    caption = f"{guideline.name} {guideline.year}: {len(rows)} items."
    source = Paragraph(f"{guideline.text} doi:{guideline.doi}. {guideline.scope}", kind="small")
    return source, table(caption, (head,), body, compact=True)
