"""The flow diagram: what was kept on the left, what was left out on the right, the splits at the foot."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from overread.reporting.figures.drawing_style import COLOURS, GREY, INK, PALE, RULE, canvas, drawing, svg
from overread.reporting.number_format import capital, count
from overread.tables import counted

_LINE, _PAD, _SPACE = 0.165, 0.12, 0.24  # inches
_REASONS = 10  # in a box
_DOWN = 2.25  # where the arrows from step to step stand
_KEPT = ("", "kept", "remaining", "found", "included", "selected", "total")


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the selection: what was kept, and what was left out for which reason."""

    title: str
    kept: tuple[str, ...]
    left: tuple[str, ...]


def overall(flow: pl.DataFrame) -> pl.DataFrame:
    """The rows that count all sites together, without what was noted and kept."""
    return flow.filter(pl.col("site") == "", pl.col("step") != "noted")


def step_title(step: str) -> str:
    """How a step is headed."""
    return "Read from the sources" if step == "read" else capital(step)


def stages(flow: pl.DataFrame) -> list[Stage]:
    """The steps in the order of the table; a row with a reason is what was left out."""
    made = []
    flow = overall(flow)
    for step in flow["step"].unique(maintain_order=True).to_list():
        rows = flow.filter(pl.col("step") == step).to_dicts()
        kept = [r for r in rows if str(r["reason"]).lower() in _KEPT]
        left = [r for r in rows if r not in kept and r["count"]]
        reasons: dict[str, list[str]] = {}
        shown = _most(left)
        for r in sorted((r for r in left if r["reason"] in shown), key=lambda r: shown.index(r["reason"])):
            reasons.setdefault(r["reason"], []).append(counted(r["count"], r["unit"]))
        made.append(
            Stage(
                step_title(step),
                (", ".join(counted(r["count"], r["unit"]) for r in kept),) if kept else (),
                (*(f"{', '.join(v)}: {k}" for k, v in reasons.items()), *_others(left)),
            )
        )
    return made


def _most(left: Sequence[Mapping[str, Any]]) -> list[str]:
    """The reasons that a box shows: all, or the commonest where a list of exclusions gives a great many."""
    names = list(dict.fromkeys(r["reason"] for r in left))
    if len(names) <= _REASONS:
        return names
    total = {name: sum(r["count"] for r in left if r["reason"] == name) for name in names}
    return sorted(names, key=lambda name: -total[name])[: _REASONS - 1]


def _others(left: Sequence[Mapping[str, Any]]) -> list[str]:
    """What stands for the reasons that a box has no room for."""
    rest = [r for r in left if r["reason"] not in _most(left)]
    units: dict[str, int] = {}
    for r in rest:
        units[r["unit"]] = units.get(r["unit"], 0) + r["count"]
    total = ", ".join(counted(n, unit) for unit, n in units.items())
    return [f"{total}: {len({r['reason'] for r in rest})} other reasons, see the flow table"] if rest else []


def flow_diagram(flow: pl.DataFrame, images: pl.DataFrame, *, name: str, alt: str) -> str:
    """SVG of the flow of exclusions, and at its foot the splits of every site."""
    steps = stages(flow)
    boxes = [(_wrap((s.title, *s.kept), 44), _wrap(s.left, 58)) for s in steps]
    tall = [max(len(a), len(b), 1) * _LINE + 2 * _PAD for a, b in boxes]
    foot = _feet(images)
    foot_tall = max((len(t) for t in foot), default=0) * _LINE + 2 * _PAD
    height = sum(tall) + _SPACE * len(tall) + foot_tall + 0.15
    with drawing():
        figure = canvas(height)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, 9.8)
        axes.set_ylim(height, 0)
        axes.axis("off")
        y = 0.05
        for (kept, left), h in zip(boxes, tall, strict=True):
            _box(axes, (0.1, y, 4.3, h), kept, COLOURS[0])
            if left:
                _box(axes, (4.95, y, 4.75, h), left, GREY, strong=False)
                _arrow(axes, (4.4, y + h / 2), (4.95, y + h / 2))
            _arrow(axes, (_DOWN, y + h), (_DOWN, y + h + _SPACE))
            y += h + _SPACE
        wide = 9.6 / max(len(foot), 1)
        if len(foot) > 1:
            axes.plot([min(0.1 + wide / 2, _DOWN), 9.7 - wide / 2], [y, y], color=GREY, lw=0.8)  # from the arrow on
        for i, texts in enumerate(foot):
            top = y + (0.12 if len(foot) > 1 else 0)
            if len(foot) > 1:
                axes.plot([0.1 + wide * (i + 0.5)] * 2, [y, top], color=GREY, lw=0.8)
            _box(axes, (0.1 + wide * i + 0.05, top, wide - 0.1, foot_tall - 0.15), texts, INK)
        return svg(figure, name, alt)


def _feet(images: pl.DataFrame) -> list[list[str]]:
    split = pl.col("split").cast(pl.String).fill_null("")
    counts = images.group_by("site", split.alias("split")).agg(
        pl.len(), pl.col("patient_id").n_unique().alias("patients")
    )
    order = ("train", "tune", "test", "")
    made = []
    sites = sorted(
        counts["site"].unique().to_list(), key=lambda s: ("train" not in counts.filter(pl.col("site") == s)["split"], s)
    )
    for site in sites:
        rows = sorted(counts.filter(pl.col("site") == site).to_dicts(), key=lambda r: order.index(r["split"]))
        lines = [f"{r['split'] or 'all'}: {count(r['len'])} images" for r in rows]
        patients = sum(r["patients"] for r in rows)
        made.append([*textwrap.wrap(site or "(one site)", 22), *lines, f"{count(patients)} patients"])
    return made if len(made) <= 7 else []


def _wrap(texts: Sequence[str], width: int) -> list[str]:
    return [line for text in texts for line in textwrap.wrap(text, width)]


def _box(
    axes: Axes, at: tuple[float, float, float, float], texts: Sequence[str], colour: str, *, strong: bool = True
) -> None:
    x, y, width, height = at
    style = "round,pad=0,rounding_size=0.05"
    face, edge = (PALE, colour) if strong else ("white", RULE)
    patch = FancyBboxPatch((x, y), width, height, boxstyle=style, fc=face, ec=edge, lw=0.9)
    axes.add_patch(patch)
    top = y + (height - len(texts) * _LINE) / 2 + _LINE / 2
    for i, text in enumerate(texts):
        weight = "bold" if strong and i == 0 else "normal"
        axes.text(x + 0.14, top + i * _LINE, text, va="center", ha="left", fontweight=weight)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": GREY, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    )
