"""Who was studied: the flow of exclusions and the cohort, per site and split."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from overread.report.blocks import Cell, Figure, Folded, Section, Table, heads
from overread.report.evidence import Evidence, finding_title
from overread.report.flow import flow_diagram
from overread.report.numbers import MISSING, count, fixed, plural, share

_SPLITS = ("train", "tune", "test", "")


def participants(evidence: Evidence) -> Section:
    """The flow diagram, the cohort per site and split, the state of every finding."""
    title = "Participants"
    if not evidence.cohort or evidence.images.is_empty():
        return Section(
            "participants", title, absent="no cohort was given, so there is no flow of exclusions and no cohort table"
        )
    blocks: list = []
    if evidence.flow.height:
        alt = "Flow diagram of the selection of images: " + "; ".join(_spoken(evidence.flow))
        blocks.append(Figure(flow_diagram(evidence.flow, evidence.images, name="flow", alt=alt),
                             "Flow of images, cases and patients from the sources to the splits (after STARD 2015)."))  # fmt: skip
        blocks.append(Folded("The same as a table", (_flow_table(evidence.flow),)))
    columns = _columns(evidence.images)
    blocks.append(_cohort_table(evidence.images, columns))
    blocks.append(_prevalence_table(evidence))
    return Section("participants", title, tuple(blocks))


def _spoken(flow: pl.DataFrame) -> list[str]:
    return [
        f"{r['step']}, {r['reason'] or 'kept'}: {count(r['count'])} {r['unit']}" for r in flow.iter_rows(named=True)
    ]


def _flow_table(flow: pl.DataFrame) -> Table:
    rows = tuple(
        (Cell(r["step"]), Cell(r["reason"] or "kept"), Cell(count(r["count"]), kind="num"), Cell(r["unit"]), Cell(r["examples"] or ""))
        for r in flow.iter_rows(named=True)
    )  # fmt: skip
    return Table("Steps of selection.", (heads("Step", "What", "Count", "Unit", "Examples"),), rows, compact=True)


def _columns(images: pl.DataFrame) -> list[tuple[str, str]]:
    """Site and split, the sites that were trained on first."""
    pairs = images.select("site", pl.col("split").cast(pl.String).fill_null("")).unique().rows()
    trained = {s for s, split in pairs if split == "train"}
    return sorted(pairs, key=lambda p: (p[0] not in trained, p[0], _SPLITS.index(p[1])))


def _site_heads(columns: Sequence[tuple[str, str]], first: str) -> tuple[tuple[Cell, ...], ...]:
    spans: list[tuple[str, int]] = []
    for site, _ in columns:
        if spans and spans[-1][0] == site:
            spans[-1] = (site, spans[-1][1] + 1)
        else:
            spans.append((site, 1))
    top = (Cell(first), *(Cell(site or "(one site)", kind="group", span=n) for site, n in spans))
    return top, (Cell(""), *(Cell(split or "all") for _, split in columns))


def _parts(images: pl.DataFrame, columns: Sequence[tuple[str, str]]) -> list[pl.DataFrame]:
    split = pl.col("split").cast(pl.String).fill_null("")
    return [images.filter(pl.col("site") == s, split == p) for s, p in columns]


def _cohort_table(images: pl.DataFrame, columns: Sequence[tuple[str, str]]) -> Table:
    parts = _parts(images, columns)
    rows: list[tuple[Cell, ...]] = [
        _line("Images", [count(p.height) for p in parts]),
        _line("Cases", [count(p["case_id"].n_unique()) for p in parts]),
        _line("Patients", [count(p["patient_id"].n_unique()) for p in parts]),
        _line("Age, median (quartiles), years", [_age(p) for p in parts]),
        _line("Age not stated", [_missing(p, "age_years") for p in parts]),
        *_shares(parts, "sex", {"F": "Female", "M": "Male"}, "Sex not stated"),
        *_shares(parts, "view", {"PA": "View PA", "AP": "View AP", "LATERAL": "View lateral"}, "View not stated"),
        *_devices(parts),
    ]
    caption = "Cohort, by site and split. Percentages are of images; medians are over images."
    return Table(caption, _site_heads(columns, "Characteristic"), tuple(rows))


def _line(title: str, texts: Sequence[str]) -> tuple[Cell, ...]:
    return (Cell(title), *(Cell(t, kind="num") for t in texts))


def _age(part: pl.DataFrame) -> str:
    ages = part["age_years"].drop_nulls()
    if not ages.len():
        return MISSING
    low, middle, high = (ages.quantile(q, interpolation="linear") for q in (0.25, 0.5, 0.75))
    return f"{fixed(middle, 0)} ({fixed(low, 0)}–{fixed(high, 0)})"


def _missing(part: pl.DataFrame, column: str) -> str:
    n = part[column].null_count()
    return f"{count(n)} ({share(n, part.height)})" if n else "0"


def _shares(parts: Sequence[pl.DataFrame], column: str, words: dict[str, str], unstated: str) -> list[tuple[Cell, ...]]:
    rows = []
    for value, title in words.items():
        numbers = [int((p[column].cast(pl.String) == value).sum()) for p in parts]
        if any(numbers):
            rows.append(
                _line(title, [f"{count(n)} ({share(n, p.height)})" for n, p in zip(numbers, parts, strict=True)])
            )
    known = pl.col(column).cast(pl.String).is_in(list(words))
    numbers = [p.filter(~known | pl.col(column).is_null()).height for p in parts]
    if any(numbers):
        rows.append(
            _line(unstated, [f"{count(n)} ({share(n, p.height)})" for n, p in zip(numbers, parts, strict=True)])
        )
    return rows


def _devices(parts: Sequence[pl.DataFrame]) -> list[tuple[Cell, ...]]:
    names = [
        sorted({" ".join(x for x in r if x) for r in p.select("manufacturer", "device").unique().rows() if any(r)})
        for p in parts
    ]
    if not any(names):
        return []
    texts = [", ".join(n[:2]) + (f" and {len(n) - 2} more" if len(n) > 2 else "") if n else MISSING for n in names]
    return [(Cell("Device"), *(Cell(t, kind="small") for t in texts))]


def _prevalence_table(evidence: Evidence) -> Table:
    images, labels = evidence.images, evidence.labels
    columns = _columns(images)
    cases = images.select("case_id", "site", pl.col("split").cast(pl.String).fill_null("")).unique(subset="case_id")
    counts = (
        labels.select("case_id", "finding", pl.col("state").cast(pl.String)).unique()
        .join(cases, on="case_id").group_by("finding", "site", "split", "state").len()
    )  # fmt: skip
    found = {(f, s, p, state): n for f, s, p, state, n in counts.iter_rows()}
    totals = {(s, p): n for s, p, n in cases.group_by("site", "split").len().iter_rows()}
    stated = set(labels["finding"].unique().to_list())
    names = [f for f in evidence.cast.findings if f in stated] or sorted(stated)
    rows = tuple((Cell(finding_title(f)), *(_state_cell(f, s, p, found, totals) for s, p in columns)) for f in names)
    more = labels["source"].n_unique() > 1
    caption = "Findings, by site and split: cases present / absent, and the share present of those stated."
    remark = "Second line: uncertain, and not stated by the source." + (
        f" {plural(labels['source'].n_unique(), 'label source')}: a case counts in every state that a source gives it."
        if more
        else ""
    )
    return Table(caption, _site_heads(columns, "Finding"), rows, remark=remark)


def _state_cell(finding: str, site: str, split: str, found: dict, totals: dict) -> Cell:
    present, absent, uncertain = (found.get((finding, site, split, s), 0) for s in ("present", "absent", "uncertain"))
    unstated = max(totals.get((site, split), 0) - present - absent - uncertain, 0)
    rest = [f"{count(n)} {w}" for n, w in ((uncertain, "uncertain"), (unstated, "not stated")) if n]
    if present + absent == 0:
        return Cell(MISSING, kind="num", note=", ".join(rest))
    return Cell(
        f"{count(present)} / {count(absent)} ({share(present, present + absent)})", kind="num", note=", ".join(rest)
    )
