"""Explicit mappings between vocabularies: a finding of the readers is scored by one or several outputs of a model.

A mapping names the finding, the outputs whose maximum is its score, and whether the label of the finding is derived
from the labels of its parts. It is part of the configuration and therefore fixed before access to test labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary

_KEYS = ("finding", "from", "name", "whole")
_WHERE = "evaluation.mapping"


@dataclass(frozen=True, slots=True)
class Mapped:
    """A finding and the findings whose maximum score represents it.

    whole: derive the label from the labels of the parts: present if one is present, absent if all are absent.
    """

    finding: str
    parts: tuple[str, ...]
    name: str
    whole: bool = False

    def rater(self, model: str) -> str:
        """Return the name of this output of a model.

        >>> Mapped("lung_lesion", ("nodule", "mass"), "nodule or mass").rater("acme")
        'acme [nodule or mass]'
        """
        return f"{model} [{self.name}]"


def mappings(stated: Sequence[Mapping[str, Any]], *, vocabulary: Vocabulary) -> tuple[Mapped, ...]:
    """Validate the mappings of a configuration; all problems are reported in one error.

    >>> from overread import findings
    >>> chest = findings.load("chest")
    >>> mappings([{"finding": "lung_lesion", "from": ["nodule", "mass"]}], vocabulary=chest)[0].name
    'max of nodule, mass'
    """
    problems = [p for one in stated for p in _problems(one, vocabulary)]
    if problems:
        raise InputError.all(problems)
    checked = tuple(_mapped(one) for one in stated)
    for word, keys in (
        ("a name for every mapping of a finding", [f"{m.finding} [{m.name}]" for m in checked]),
        ("one mapping of a finding that makes the whole of its parts", [m.finding for m in checked if m.whole]),
    ):
        twice = sorted({k for k in keys if keys.count(k) > 1})
        if twice:
            problems.append(InputError(_WHERE, word, "several", examples=twice))
    if problems:
        raise InputError.all(problems)
    return checked


def _mapped(one: Mapping[str, Any]) -> Mapped:
    parts = tuple(one["from"])
    name = str(one.get("name") or (parts[0] if len(parts) == 1 else "max of " + ", ".join(parts)))
    return Mapped(one["finding"], parts, name, bool(one.get("whole", False)))


def _problems(one: Mapping[str, Any], vocabulary: Vocabulary) -> list[InputError]:
    known, problems = vocabulary.names(), []
    for key in one:
        if key not in _KEYS:
            problems.append(InputError(_WHERE, "keys " + ", ".join(_KEYS), f"'{key}'", do=did_you_mean(key, _KEYS)))
    parts = one.get("from", ())
    words = [one.get("finding"), *parts] if isinstance(parts, list | tuple) and parts else [None]
    if not all(isinstance(w, str) and w for w in words):
        expected = "a finding and, as a list, the findings that it is scored from"
        problems.append(InputError(_WHERE, expected, f"{dict(one)}"))
        return problems
    for word in (one["finding"], *parts):
        if word not in known:
            hint = did_you_mean(str(word), known)
            problems.append(InputError(_WHERE, "names of the vocabulary", f"'{word}'", do=hint))
    if len(set(parts)) < len(parts):
        problems.append(InputError(_WHERE, "each part once", "a repeat", examples=parts))
    if not isinstance(one.get("name", ""), str):
        problems.append(InputError(_WHERE, "a name as text", f"{one['name']!r}"))
    if not isinstance(one.get("whole", False), bool):
        problems.append(InputError(_WHERE, "whole = true or false", f"{one['whole']!r}"))
    if any(c in str(one.get("name", "")) for c in ";=[]{}"):
        problems.append(InputError(_WHERE, "a name without ; = [ ] { }", f"'{one['name']}'"))
    return problems


def mapped_scores(scores: pl.DataFrame, mapped: Sequence[Mapped], *, missing: list[str] | None = None) -> pl.DataFrame:
    """Return case_id, finding, rater, score of every mapped output: the maximum over its parts if all are scored.

    `scores` has the columns case_id, finding, rater and score. `missing` collects "MODEL [NAME] lacks PART" for models
    that do not score every part.
    """
    available = {
        str(r): set(f) for r, f in scores.group_by("rater").agg(pl.col("finding").cast(pl.String).unique()).iter_rows()
    }
    frames = [scores.clear()]
    for one in mapped:
        able = [r for r, f in sorted(available.items()) if set(one.parts) <= f]
        if missing is not None:
            lacking = {r: sorted(set(one.parts) - f) for r, f in sorted(available.items()) if r not in able}
            missing += [f"{one.rater(r)} lacks {', '.join(f)}" for r, f in lacking.items()]
        parts = scores.filter(pl.col("rater").is_in(able) & pl.col("finding").is_in(list(one.parts)))
        top = parts.group_by("case_id", "rater", maintain_order=True).agg(pl.col("score").max(), pl.len().alias("n"))
        top = top.filter(pl.col("n") == len(one.parts))
        frames.append(
            top.select(
                "case_id",
                pl.lit(one.finding).alias("finding"),
                pl.format(f"{{}} [{one.name}]", "rater").alias("rater"),
                "score",
            ).select(scores.columns)
        )
    return pl.concat(frames, how="vertical_relaxed")


def with_wholes(labels: pl.DataFrame, mapped: Sequence[Mapped]) -> pl.DataFrame:
    """Add the labels of mapped findings that are derived from the labels of their parts.

    Present if a part is present; absent if every part is absent; uncertain if a part is uncertain and none is present;
    otherwise no label. A label of the source for the finding itself has priority.
    """
    frames = [labels]
    for one in (m for m in mapped if m.whole):
        parts = labels.filter(pl.col("finding").is_in(list(one.parts)))
        state = pl.col("state").cast(pl.String)
        sums = parts.group_by("case_id", "source", maintain_order=True).agg(
            (state == "present").any().alias("present"),
            (state == "uncertain").any().alias("uncertain"),
            (pl.len() == len(one.parts)).alias("all"),
        )
        derived_state = (
            pl.when(pl.col("present"))
            .then(pl.lit("present"))
            .when(pl.col("all") & pl.col("uncertain"))
            .then(pl.lit("uncertain"))
            .when(pl.col("all"))
            .then(pl.lit("absent"))
        )
        whole = sums.select(
            "case_id",
            pl.lit(one.finding).cast(labels.schema["finding"]).alias("finding"),
            "source",
            derived_state.cast(labels.schema["state"]).alias("state"),
        ).drop_nulls("state")
        own = labels.filter(pl.col("finding") == one.finding)
        frames.append(whole.join(own, on=["case_id", "source"], how="anti").select(labels.columns))
    return pl.concat(frames, how="diagonal_relaxed") if len(frames) > 1 else labels
