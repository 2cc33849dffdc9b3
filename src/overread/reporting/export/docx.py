"""The tables of the page as a Word document: captions, borders, merged heads and footnotes kept, ready to be pasted.

A .docx is a ZIP of XML files; the four that Word needs are written here. A table's notes are its last row, so that
they go along when it is copied.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from overread import tables
from overread.characters import visible
from overread.reporting.blocks import Cell, Section, Table, within

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_SMALL = 7  # columns from which on a table is set smaller
_TOGETHER = 30  # rows: up to so many stay on one page
_PAGE = 14600  # twentieths of a point: the width of A4 across without its margins

_CONTENT = (
    f'{_XML}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{_TYPE}.document.main+xml"/>'
    f'<Override PartName="/word/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>'
)


def _relations(kind: str, target: str) -> str:
    return (
        f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/{kind}" Target="{target}"/></Relationships>'
    )


def _style(name: str, title: str, size: float, *, paragraph: str = "", run: str = "") -> str:
    return (
        f'<w:style w:type="paragraph" w:styleId="{name}"><w:name w:val="{title}"/><w:basedOn w:val="Normal"/>'
        f'<w:qFormat/><w:pPr>{paragraph}</w:pPr><w:rPr>{run}<w:sz w:val="{round(2 * size)}"/></w:rPr></w:style>'
    )


_STYLES = (
    f'{_XML}<w:styles xmlns:w="{_W}">'
    '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/>'
    '<w:pPr><w:spacing w:before="0" w:after="0"/></w:pPr>'
    '<w:rPr><w:rFonts w:ascii="Arial" w:hAnsi="Arial" w:cs="Arial"/><w:sz w:val="18"/><w:lang w:val="en-GB"/></w:rPr>'
    "</w:style>"
    + _style(
        "Heading1",
        "heading 1",
        14,
        paragraph='<w:keepNext/><w:spacing w:before="360" w:after="60"/><w:outlineLvl w:val="0"/>',
        run="<w:b/>",
    )
    + _style("Caption", "caption", 9, paragraph='<w:keepNext/><w:spacing w:before="240" w:after="60"/>', run="<w:b/>")
    + _style("TableText", "Table text", 8.5)
    + _style("TableSmall", "Table text, small", 7.5)
    + _style("TableNote", "Table note", 7.5, run='<w:color w:val="5B646C"/>')
    + "</w:styles>"
)


def write_tables(sections: Sequence[Section], path: Path) -> Path:
    """Write every table of these sections, numbered, under the titles of their sections; always the same bytes."""
    document = f'{_XML}<w:document xmlns:w="{_W}"><w:body>{"".join(_body(sections))}</w:body></w:document>'
    parts = {
        "[Content_Types].xml": _CONTENT,
        "_rels/.rels": _relations("officeDocument", "word/document.xml"),
        "word/_rels/document.xml.rels": _relations("styles", "styles.xml"),
        "word/styles.xml": _STYLES,
        "word/document.xml": document,
    }
    with tables.replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, text in parts.items():
            entry = zipfile.ZipInfo(name)  # its date is that of the format's beginning, not today's
            entry.create_system = 3
            archive.writestr(entry, text, compress_type=zipfile.ZIP_DEFLATED)
    return path


def _body(sections: Sequence[Section]) -> Iterator[str]:
    number = 0
    for section in sections:
        found = [b for b in within(section.blocks) if isinstance(b, Table)]
        if found:
            yield _paragraph(section.title, "Heading1")
        for table in found:
            number += 1
            yield _paragraph(f"Table {number}. {table.caption}", "Caption")
            yield from _table(table)
            yield _paragraph("", "TableNote")
    yield (
        '<w:sectPr><w:pgSz w:w="16838" w:h="11906" w:orient="landscape"/><w:pgMar w:top="1000" w:right="1100" '
        'w:bottom="1000" w:left="1100" w:header="600" w:footer="600" w:gutter="0"/></w:sectPr>'
    )


def _table(table: Table) -> Iterator[str]:
    columns = max(sum(c.span for c in row) for row in (*table.head, *table.rows))
    style = "TableSmall" if table.compact or columns >= _SMALL else "TableText"
    thick, thin = 'w:val="single" w:sz="10" w:color="1C2126"', 'w:val="single" w:sz="4" w:color="D3D9DE"'
    yield (
        '<w:tbl><w:tblPr><w:tblW w:w="0" w:type="auto"/><w:tblBorders>'
        f"<w:top {thick}/><w:bottom {thick}/><w:insideH {thin}/></w:tblBorders>"
        '<w:tblCellMar><w:left w:w="70" w:type="dxa"/><w:right w:w="70" w:type="dxa"/></w:tblCellMar></w:tblPr>'
        f'<w:tblGrid>{f"""<w:gridCol w:w="{_PAGE // columns}"/>""" * columns}</w:tblGrid>'
    )
    keep = len(table.rows) <= _TOGETHER
    for i, row in enumerate(table.head):
        yield _row(row, columns, style, head=True, last=i == len(table.head) - 1)
    for i, row in enumerate(table.rows):
        yield _row(
            row, columns, style, keep=keep and (i < len(table.rows) - 1 or bool(table.footnotes or table.remark))
        )
    notes = [*(_paragraph(n, "TableNote", marks=m) for m, n in table.footnotes)]
    notes = [_paragraph(table.remark, "TableNote"), *notes] if table.remark else notes
    if notes:
        cell = f"<w:tc>{_properties(columns, border='top')}{''.join(notes)}</w:tc>"
        yield f"<w:tr><w:trPr><w:cantSplit/></w:trPr>{cell}</w:tr>"
    yield "</w:tbl>"


def _row(
    row: Sequence[Cell], columns: int, style: str, *, head: bool = False, last: bool = False, keep: bool = True
) -> str:
    bold = head or row[0].kind in ("group", "strong")
    missing = columns - sum(c.span for c in row)
    cells = [_cell(c, style, bold=bold, border="bottom" if last else "", keep=keep) for c in row]
    cells += [_cell(Cell(""), style)] * missing
    said = f"<w:trPr><w:cantSplit/>{'<w:tblHeader/>' if head else ''}</w:trPr>"
    return f"<w:tr>{said}{''.join(cells)}</w:tr>"


def _cell(cell: Cell, style: str, *, bold: bool = False, border: str = "", keep: bool = False) -> str:
    text = _paragraph(cell.text, style, bold=bold, after=cell.marks, keep=keep)
    note = _paragraph(cell.note, "TableNote") if cell.note else ""
    return f"<w:tc>{_properties(cell.span, border=border, shade=cell.shade)}{text}{note}</w:tc>"


def _properties(span: int, *, border: str = "", shade: float | None = None) -> str:
    line = f'<w:{border} w:val="single" w:sz="8" w:color="1C2126"/>' if border else ""
    said = f'<w:gridSpan w:val="{span}"/>' if span > 1 else ""
    said += f"<w:tcBorders>{line}</w:tcBorders>" if line else ""
    said += f'<w:shd w:val="clear" w:color="auto" w:fill="{_blue(shade)}"/>' if shade is not None else ""
    return f"<w:tcPr>{said}</w:tcPr>"


def _blue(shade: float) -> str:
    """The page's blue on white, as strong as the page has it.

    >>> _blue(0.0), _blue(1.0)
    ('FFFFFF', '94C4DF')
    """
    return "".join(f"{round(255 + (c - 255) * 0.42 * shade):02X}" for c in (0, 114, 178))


def _paragraph(
    text: str, style: str, *, bold: bool = False, marks: str = "", after: str = "", keep: bool = False
) -> str:
    raised = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t xml:space="preserve">{}</w:t></w:r>'
    heavy = "<w:rPr><w:b/></w:rPr>" if bold else ""
    run = f'<w:r>{heavy}<w:t xml:space="preserve">{_plain(text)}</w:t></w:r>' if text else ""
    before = raised.format(_plain(marks) + " ") if marks else ""
    behind = raised.format(_plain(after)) if after else ""
    with_next = "<w:keepNext/>" if keep else ""
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{with_next}</w:pPr>{before}{run}{behind}</w:p>'


def _plain(text: str) -> str:
    """Text for XML, which knows no control characters."""
    return escape(visible(text, keep="\n\t"))
