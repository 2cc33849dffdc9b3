"""Joined reads as arrays: reads by reader, case, finding and arm, with scores and reference standards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from overread.evaluation.arms.arm_settings import ordered_arms
from overread.evaluation.context.score_matrix import Bools, Codes, Column, Floats, column
from overread.evaluation.evaluation_config import UNCERTAIN, EvaluationConfig
from overread.evaluation.join.read_matching import ReadJoin


@dataclass(frozen=True, slots=True, eq=False)
class ReadMatrix:
    """Reads, scores and reference standards as arrays; cases are ordered by `case_id`, reads by `reader`.

    `call` holds 1 present, 0 absent, NaN excluded; `graded` the scores of reads, NaN if there is none; truth is NaN if
    the reference standard has no label for the finding.
    """

    case_id: tuple[str, ...]
    patient: Codes  # (n_cases,)
    n_patients: int
    site: Column
    weight: Floats | None  # (n_cases,) inverse inclusion probabilities
    findings: tuple[str, ...]
    arms: tuple[str, ...]
    readers: tuple[str, ...]
    outputs: Mapping[str, tuple[str, ...]]  # by finding, the raters that score it; () where none does
    score: Mapping[tuple[str, str], Floats]  # by finding and rater (n_cases,)
    case: Codes  # (n_reads,)
    reader: Codes  # (n_reads,)
    arm: Codes  # (n_reads,)
    finding: Codes  # (n_reads,)
    call: Mapping[str, Floats]  # by policy (n_reads,)
    others: Mapping[str, Floats]  # by policy (n_reads,), what most of the other readers of the case say
    graded: Floats  # (n_reads,)
    references: tuple[str, ...]
    truth: Mapping[tuple[str, str, str], Floats] = field(default_factory=dict)  # finding, reference, policy
    made: Mapping[tuple[str, str], Bools] = field(default_factory=dict)  # finding, reference (n_readers, n_cases)

    def truths(self, finding: str, reference: str, policy: str) -> Floats:
        """Return the truth (n_cases,) of a finding by a reference standard, and by a policy if it depends on one."""
        found = self.truth.get((finding, reference, policy), self.truth.get((finding, reference, "")))
        return np.full(len(self.case_id), np.nan) if found is None else found

    def not_judged(self, finding: str, reference: str) -> Bools:
        """Return the reads (n_readers, n_cases) that a reference does not judge, because their reader made its
        label.
        """
        none = np.zeros((1, 1), dtype=bool)
        return np.broadcast_to(self.made.get((finding, reference), none), (len(self.readers), len(self.case_id)))

    def scored(self, finding: str) -> Bools:
        """Return whether every output for the finding has a score for the case (n_cases,)."""
        every = [~np.isnan(self.score[finding, r]) for r in self.outputs[finding]]
        return np.logical_and.reduce(every) if every else np.ones(len(self.case_id), dtype=bool)


def read_panel(joined: ReadJoin, config: EvaluationConfig, *, raters: Sequence[str]) -> ReadMatrix:
    """Return the joined reads as arrays, the baseline arm first; `raters` are the outputs in their order, without
    members of ensembles.
    """
    cases, reads = joined.cases, joined.reads
    findings = joined.vocabulary.ordered(reads["finding"].unique())
    arms = ordered_arms(reads["arm"].unique().to_list(), config)
    readers = reads["reader"].unique().sort().to_list()
    names = cases["case_id"].to_list()
    patients = cases["patient_id"].unique().sort().to_list()
    weight = cases["weight"].fill_null(1.0).to_numpy()
    score, outputs = _scores(joined.scores, names, raters)
    return ReadMatrix(
        case_id=tuple(names),
        patient=_codes(cases["patient_id"], patients),
        n_patients=len(patients),
        site=column(cases["site"]),
        weight=None if (weight == weight[0]).all() else weight,
        findings=findings,
        arms=tuple(arms),
        readers=tuple(readers),
        outputs=dict.fromkeys(findings, ()) | outputs,
        score=score,
        case=_codes(reads["case_id"], names),
        reader=_codes(reads["reader"], readers),
        arm=_codes(reads["arm"], arms),
        finding=_codes(reads["finding"], findings),
        call={p: reads[p].cast(pl.Float64).fill_null(np.nan).to_numpy() for p in UNCERTAIN},
        others={p: reads[f"others_{p}"].cast(pl.Float64).fill_null(np.nan).to_numpy() for p in UNCERTAIN},
        graded=reads["score"].fill_null(np.nan).to_numpy(),
        references=joined.truths.names,
        truth=_truths(joined.truths.frame, names),
        made=_made(joined.made, readers, names),
    )


def _scores(
    scores: pl.DataFrame, names: Sequence[str], raters: Sequence[str]
) -> tuple[dict[tuple[str, str], Floats], dict[str, tuple[str, ...]]]:
    scores_by_output: dict[tuple[str, str], Floats] = {}
    for (finding, rater), mine in scores.partition_by("finding", "rater", as_dict=True).items():
        if rater in raters:
            scores_by_output[str(finding), str(rater)] = _placed(mine, "score", names)
    found = {f for f, _ in scores_by_output}
    return scores_by_output, {f: tuple(r for r in raters if (f, r) in scores_by_output) for f in found}


def _truths(frame: pl.DataFrame, names: Sequence[str]) -> dict[tuple[str, str, str], Floats]:
    parts = frame.partition_by("finding", "reference", "uncertain_call", as_dict=True)
    return {(str(f), str(r), str(u)): _placed(mine, "truth", names) for (f, r, u), mine in parts.items()}


def _made(
    made: Mapping[str, pl.DataFrame], readers: Sequence[str], names: Sequence[str]
) -> dict[tuple[str, str], Bools]:
    masks = {}
    for reference, frame in made.items():
        for (finding,), mine in frame.partition_by("finding", as_dict=True).items():
            mask = np.zeros((len(readers), len(names)), dtype=bool)
            mask[_codes(mine["reader"], readers), _codes(mine["case_id"], names)] = True
            masks[str(finding), reference] = mask
    return masks


def _placed(frame: pl.DataFrame, value: str, names: Sequence[str]) -> Floats:
    array = np.full(len(names), np.nan)
    array[_codes(frame["case_id"], names)] = frame[value].cast(pl.Float64).to_numpy()
    return array


def _codes(values: pl.Series, levels: Sequence[str]) -> Codes:
    places = pl.Series(range(len(levels)), dtype=pl.Int64)
    return values.replace_strict(pl.Series(levels, dtype=pl.String), places).to_numpy().astype(np.intp)
