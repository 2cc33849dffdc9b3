"""The Methods of a report: the sentences of codes/text/sentences.toml whose cause is in the results."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from overread import codes
from overread.codes import Code
from overread.codes.sentences import Printed, printed
from overread.reporting.blocks import Cell, Paragraph, Section, Table, appendix, heads, table
from overread.reporting.export.markdown import inline
from overread.reporting.methods.bibliography import Cited, number_citations
from overread.reporting.methods.facts import study_facts
from overread.reporting.methods.reader_facts import computed
from overread.reporting.number_format import count
from overread.reporting.report_data import ReportData, column_words

_COLUMNS = ("analysis", "metric", "finding", "subgroup", "method_code", "note_codes")
_NUMBERS = ("estimate", "low", "high", "p", "p_adjusted")


def compose_methods(evidence: ReportData) -> tuple[Section, Cited]:
    """The methods as headed paragraphs, with the references they cite, and a table of the method of every metric."""
    cited = number_citations(paragraphs(sentences_of(evidence)))
    blocks = tuple(Paragraph(x, kind="methods", term=t) for t, x in cited.paragraphs)
    each = appendix("Method of each metric", (_method_table(evidence),))
    return Section("methods", "Methods", (*blocks, each)), cited


def methods_text(cited: Cited) -> str:
    """The methods with their references as Markdown, to be pasted into a manuscript."""
    text = "\n\n".join(f"**{inline(term)}.** {inline(words, cited=True)}" for term, words in cited.paragraphs)
    numbered = "\n".join(
        f"{n}. {r.text}{f' doi:{r.doi}' if r.doi else ''}" for n, r in enumerate(cited.references, start=1)
    )
    return f"# Methods\n\n{text}\n\n## References\n\n{numbered}\n"


def sentences_of(evidence: ReportData) -> list[Printed]:
    """The sentences of this report, in their order."""
    numbers = [pl.when(pl.col(n).is_finite()).then(1.0).alias(n) for n in _NUMBERS]
    rows = evidence.estimates.select(*_COLUMNS, *numbers).unique(maintain_order=True)
    return printed(rows.iter_rows(named=True), study_facts(evidence))


def paragraphs(sentences: Sequence[Printed]) -> list[tuple[str, str]]:
    """Headed paragraphs, each sentence followed by its references."""
    found: dict[str, list[str]] = {}
    for sentence in sentences:
        found.setdefault(sentence.section, []).append(_with_references(sentence))
    return [(section, " ".join(texts)) for section, texts in found.items()]


def fact_sentences(evidence: ReportData, section: str, *names: str) -> str:
    """The sentences of a section that rest on facts alone, without references; with names only these."""
    found = printed((), study_facts(evidence))
    return " ".join(s.text for s in found if s.section == section and (not names or s.name in names))


def _with_references(sentence: Printed) -> str:
    if not sentence.references:
        return sentence.text
    return f"{sentence.text[:-1]} [@{','.join(sentence.references)}]."


def _method_table(evidence: ReportData) -> Table:
    """Each method with the number of estimates that it gave; parameters that differ from row to row are left out."""
    rows: dict[tuple[str, str, str], list[tuple[Code, ...]]] = {}
    for analysis, metric, code in computed(evidence).select("analysis", "metric", "method_code").rows():
        found = tuple(codes.decode(code or ""))
        names = " ".join(f"{c.name}({','.join(key for key, _ in c.parameters)})" for c in found)
        rows.setdefault((analysis, metric, names), []).append(found)
    body = tuple(
        (Cell(column_words(a)), Cell(column_words(m)), Cell(_in_common(found)), Cell(count(len(found)), kind="num"))
        for (a, m, _), found in sorted(rows.items(), key=lambda each: each[0])
    )
    head = heads("Analysis", "Metric", "Method", "Estimates")
    return table("Methods of the estimates in this report.", (head,), body, compact=True)


def _in_common(rows: Sequence[Sequence[Code]]) -> str:
    """The methods of rows that used the same ones; parameters that differ between the rows are shown as "…".

    >>> _in_common([codes.decode("obuchowski scale_logit_t(df=22.5)"), codes.decode("obuchowski scale_logit_t(df=9)")])
    'Obuchowski, clustered by patient, logit scale, t with … df'
    """
    return ", ".join(codes.pattern("methods", each) for each in zip(*rows, strict=True)) or "not recorded"
