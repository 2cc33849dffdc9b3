"""Participants: the flow of exclusions and the cohort, by site and split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from overread.datasets.source_files import source_tables
from overread.reporting.blocks import Block, Cell, Figure, Folded, Section, Table, figures, heads, table, words
from overread.reporting.figures.figure_pool import delayed
from overread.reporting.figures.flow import flow_diagram, overall, step_title
from overread.reporting.number_format import MISSING, count, fixed, listed, share
from overread.reporting.report_data import ReportData
from overread.tables import counted

_SPLITS = ("train", "tune", "test", "")
_WIDE = 6  # columns of counts that fit beside each other in print


def participants(evidence: ReportData) -> Section:
    """The flow diagram, the cohort per site and split, the state of every finding."""
    title = "Participants"
    if not evidence.cohort or evidence.images.is_empty():
        absent = "the cohort has no image" if evidence.cohort else "no cohort was supplied"
        return Section("participants", title, absent=absent)
    blocks: list[Block] = []
    if evidence.flow.height:
        alt = "Flow diagram of the selection of images: " + "; ".join(_spoken(evidence.flow))
        caption = "Flow of images, cases and patients from the sources to the splits (after STARD 2015)."
        drawn = delayed(flow_diagram, evidence.flow, evidence.images, name="flow", alt=alt)
        blocks.append(Figure(drawn, caption, "flow", overall(evidence.flow).drop("site")))
        blocks += _flow_blocks(evidence.flow)
    blocks += _sets(evidence.images)
    columns = _columns(evidence.images)
    blocks.append(_cohort_table(evidence.images, columns))
    blocks += _prevalence_tables(evidence)
    return Section("participants", title, tuple(blocks))


def _sets(images: pl.DataFrame) -> list[Block]:
    """The public sets that images are from, with their papers and the terms under which they are given."""
    counts = images.group_by("dataset").len().drop_nulls().sort("dataset").rows()
    known = [(about, n) for name, n in counts if (about := source_tables.about(str(name))) is not None]
    if not known:
        return []
    rows = tuple(
        (
            *words(a.title),
            *figures([count(n)]),
            *words(f"{a.citation}{f', doi:{a.doi}' if a.doi else ''}", a.licence, a.terms),
        )
        for a, n in known
    )
    head = heads("Data set", "Images", "Source", "Licence", "Terms")
    return [table("Public data sets and their terms of use.", (head,), rows, compact=True)]


def _spoken(flow: pl.DataFrame) -> list[str]:
    rows = overall(flow).iter_rows(named=True)
    return [f"{r['step']}, {r['reason'] or 'kept'}: {counted(r['count'], r['unit'])}" for r in rows]


def _flow_blocks(flow: pl.DataFrame) -> list[Block]:
    """The flow as a table, by site; and irregularities in images that were kept."""
    odd, steps = flow.filter(pl.col("step") == "noted"), flow.filter(pl.col("step") != "noted")
    blocks: list[Block] = [
        Folded("The same as a table, by site", (_flow_table(steps, "Steps of selection, by site."),))
    ]
    if odd.height:
        blocks.append(_flow_table(odd, "Irregularities in images that were kept."))
    return blocks


def _flow_table(flow: pl.DataFrame, caption: str) -> Table:
    rows = tuple(
        (
            *words(step_title(r["step"]), r["site"] or "all", r["reason"] or "kept"),
            *figures([count(r["count"])]),
            *words(r["unit"], r["examples"] or ""),
        )
        for r in flow.iter_rows(named=True)
    )
    return table(caption, (heads("Step", "Site", "What", "Count", "Unit", "Examples"),), rows, compact=True)


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


def _cohort_table(images: pl.DataFrame, columns: Sequence[tuple[str, str]]) -> Table:
    """A row per site and split; a column only where something is stated."""
    split = pl.col("split").cast(pl.String).fill_null("")
    parts = [(s, p, images.filter(pl.col("site") == s, split == p)) for s, p in columns]
    kinds: list[tuple[str, Callable[[pl.DataFrame], str]]] = [
        ("Images", lambda part: count(part.height)),
        ("Cases", lambda part: count(part["case_id"].n_unique())),
        ("Patients", lambda part: count(part["patient_id"].n_unique())),
        ("Age, years: median (quartiles)", _age),
        *((title, _share_of("sex", value)) for value, title in (("F", "Female"), ("M", "Male"))),
        *((title, _share_of("view", v)) for v, title in (("PA", "View PA"), ("AP", "View AP"), ("LATERAL", "Lateral"))),
        ("View unknown", _share_of("view", "UNKNOWN")),
        *((f"{title} not stated", _missing(c)) for c, title in (("age_years", "Age"), ("sex", "Sex"))),
        ("Device", _device),
    ]
    texts = {title: [of(part) for _, _, part in parts] for title, of in kinds}
    shown = [t for t, values in texts.items() if any(v not in ("", MISSING) for v in values)]
    rows = tuple(
        (Cell(site or "(one site)"), Cell(split or "all"), *(_cohort_cell(t, texts[t][i]) for t in shown))
        for i, (site, split, _) in enumerate(parts)
    )
    caption = "Cohort, by site and split. Percentages are of images; medians are over images."
    return table(caption, (heads("Site", "Split", *shown),), rows)


def _cohort_cell(title: str, text: str) -> Cell:
    return Cell(text or "0", kind="small" if title == "Device" else "num")


def _age(part: pl.DataFrame) -> str:
    ages = part["age_years"].drop_nulls()
    if not ages.len():
        return MISSING
    low, middle, high = (ages.quantile(q, interpolation="linear") for q in (0.25, 0.5, 0.75))
    return f"{fixed(middle, 0)} ({fixed(low, 0)}–{fixed(high, 0)})"


def _missing(column: str) -> Callable[[pl.DataFrame], str]:
    def of(part: pl.DataFrame) -> str:
        n = part[column].null_count()
        return f"{count(n)} ({share(n, part.height)})" if n else ""

    return of


def _share_of(column: str, value: str) -> Callable[[pl.DataFrame], str]:
    def of(part: pl.DataFrame) -> str:
        n = int((part[column].cast(pl.String) == value).sum())
        return f"{count(n)} ({share(n, part.height)})" if n else ""

    return of


def _device(part: pl.DataFrame) -> str:
    pairs = part.select("manufacturer", "device").unique().rows()
    names = sorted({" ".join(x for x in r if x) for r in pairs if any(r)})
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "") if names else MISSING


def _prevalence_tables(evidence: ReportData) -> list[Table]:
    """Present, absent, uncertain and not stated, per finding; sites side by side, so many to a table as fit."""
    images, labels = evidence.images, _reference_labels(evidence)
    cases = images.select("case_id", "site", pl.col("split").cast(pl.String).fill_null("")).unique(subset="case_id")
    counts = (
        labels.select("case_id", "finding", pl.col("state").cast(pl.String))
        .unique()
        .join(cases, on="case_id")
        .group_by("finding", "site", "split", "state")
        .len()
    )
    found = {(f, s, p, state): n for f, s, p, state, n in counts.iter_rows()}
    totals = {(s, p): n for s, p, n in cases.group_by("site", "split").len().iter_rows()}
    stated = set(labels["finding"].unique().to_list())
    names = [f for f in evidence.cast.findings if f in stated] or sorted(stated)
    chunks = _chunks(_columns(images))
    made = []
    for i, columns in enumerate(chunks):
        part = f" ({i + 1} of {len(chunks)})" if len(chunks) > 1 else ""
        caption = (
            f"Findings, by site and split{part}: cases present / absent, and the proportion with the finding among "
            "labelled cases."
        )
        rows = tuple((Cell(evidence.heading(f)), *(_state_cell(f, at, found, totals) for at in columns)) for f in names)
        remark = _state_remark(labels, images) if i + 1 == len(chunks) else ""
        made.append(table(caption, _site_heads(columns, "Finding"), rows, remark=remark))
    return made


def _reference_labels(evidence: ReportData) -> pl.DataFrame:
    """The labels of the reference standard, where the evaluation names one; else all."""
    stated = evidence.config.get("reference") or ()
    sources = [stated] if isinstance(stated, str) else list(stated)
    chosen = evidence.labels.filter(pl.col("source").is_in(sources))
    return chosen if chosen.height else evidence.labels


def _state_remark(labels: pl.DataFrame, images: pl.DataFrame) -> str:
    sources = labels["source"].unique().sort().to_list()
    whose = f"Labels of {listed([f'“{s}”' for s in sources])}. " if any(sources) else ""
    weighted = images["weight"].drop_nulls().n_unique() > 1
    drawn = (
        "The cases are a weighted sample: proportions are those of the sample, not of the population. "
        if weighted
        else ""
    )
    return f"{whose}{drawn}Second line: cases labelled uncertain, and cases without a label."


def _chunks(columns: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Whole sites together, at most so many columns to a table as a page is wide."""
    sites: dict[str, list[tuple[str, str]]] = {}
    for column in columns:
        sites.setdefault(column[0], []).append(column)
    made: list[list[tuple[str, str]]] = [[]]
    for own in sites.values():
        if made[-1] and len(made[-1]) + len(own) > _WIDE:
            made.append([])
        made[-1] += own
    return made


def _state_cell(finding: str, at: tuple[str, str], found: dict[Any, Any], totals: dict[Any, Any]) -> Cell:
    present, absent, uncertain = (found.get((finding, *at, s), 0) for s in ("present", "absent", "uncertain"))
    unstated = max(totals.get(at, 0) - present - absent - uncertain, 0)
    rest = ", ".join(f"{count(n)} {w}" for n, w in ((uncertain, "uncertain"), (unstated, "without a label")) if n)
    if present + absent == 0:
        return Cell(MISSING, kind="num", note=rest)
    return Cell(f"{count(present)} / {count(absent)} ({share(present, present + absent)})", kind="num", note=rest)
