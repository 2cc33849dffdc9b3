"""The design of reads in arms: which reads there are, which were never assigned, and which are missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from overread import codes
from overread.codes import Text
from overread.evaluation.context.score_matrix import Bools

CROSSED, INCOMPLETE = "crossed", "incomplete"
READERS_IN_ARMS = "readers within arms"  # every reader reads in one arm only, by design


def design_of(read: Bools) -> str:
    """Return the design of reads (n_arms, n_readers, n_cases) of readers and cases that have a read.

    >>> design_of(np.array([[[True, False], [False, True]]] * 2))
    'within readers'
    """
    if read.all():
        return CROSSED
    if len(read) > 1 and (read.any(axis=2).sum(axis=0) == 1).all():
        return READERS_IN_ARMS
    if (read == read[:1]).all() and (read[0].sum(axis=0) == 1).all():
        return "within readers"
    if (read == read[:, :1]).all() and (read[:, 0].sum(axis=0) == 1).all():
        return "within arms"
    return INCOMPLETE


def design_note(read: Bools, design: str, *, practice: Bools | None = None, arms: Sequence[str] = ()) -> Text:
    """Report a design other than fully crossed: what was not assigned, and the number of missing reads.

    `practice` marks reads (n_arms, n_readers, n_cases) that were made in practice and excluded: they are not missing.
    With the names of several `arms` the missing reads of each arm are reported.
    """
    if design == CROSSED or not read.size:
        return codes.NONE
    if design != INCOMPLETE:
        names = {READERS_IN_ARMS: "readers_within_arms", "within readers": "cases_within_readers"}
        return codes.note(names.get(design, "cases_within_arms"))
    if not one_arm_each(read):
        return _absent(read, practice, arms)
    # A read that is not there cannot be counted by arm: nothing shows in which arm it was to be made.
    learnt = None if practice is None else np.asarray(practice.any(axis=0, keepdims=True))
    absent = _absent(np.asarray(read.any(axis=0, keepdims=True)), learnt, (), n_arms=len(read))
    return codes.notes(codes.note("reads_in_one_arm"), absent)


def one_arm_each(read: Bools) -> bool:
    """Return whether no reader read a case in two arms, although cases were read in two arms.

    >>> one_arm_each(np.array([[[True, False], [False, True]], [[False, True], [True, False]]]))
    True
    """
    return bool((read.sum(axis=0) <= 1).all() and (read.any(axis=1).sum(axis=0) > 1).any())


def _absent(read: Bools, practice: Bools | None, arms: Sequence[str], *, n_arms: int = 1) -> Text:
    """Report the reads that are not there; `n_arms` are those that an arm of `read` stands for."""
    groups = groups_of(read)
    unassigned = _unassigned(read, groups)
    if groups.max() == 0 and (~read & ~unassigned).any():
        unassigned = np.zeros_like(read)  # no assignment explains all reads that are not there
    left = ~read & ~unassigned
    excluded = left & practice if practice is not None else np.zeros_like(read)
    lost_reads = left & ~excluded
    missing, n = int(lost_reads.sum()), int(unassigned.sum())
    total = int(read.size)
    every = {"n": n * n_arms, "total": total * n_arms}
    of_groups = codes.note("reads_in_groups", groups=int(groups.max()) + 1, **every)
    by_design = of_groups if groups.max() > 0 else codes.note("reads_not_assigned", **every)
    lost = codes.note("reads_missing", n=missing, total=total - n) if missing else None
    of_arms = zip(arms, lost_reads.sum(axis=(1, 2)), (~unassigned).sum(axis=(1, 2)), strict=False)
    by_arm = tuple(f"{arm} {lacking:,} of {due:,}" for arm, lacking, due in of_arms)
    several = codes.note("reads_missing_by_arm", arms=by_arm) if missing and len(by_arm) > 1 else None
    learnt = int(excluded.sum())
    trained = codes.note("reads_of_practice", n=learnt, total=total - n) if learnt else None
    return codes.notes(by_design if n else None, lost, several, trained)


def groups_of(read: Bools) -> np.ndarray:
    """Return the group of every reader: readers of different groups read no case in common, in any arm.

    >>> groups_of(np.array([[[True, False], [False, True]]])).tolist()
    [0, 1]
    """
    cases = csr_array(read.any(axis=0).astype(np.intp))
    _, group = connected_components(cases @ cases.T, directed=False)
    return np.asarray(group)


def _unassigned(read: Bools, groups: np.ndarray) -> Bools:
    """Mark the reads that were never to be made, as far as the reads themselves show it.

    These are the cases of other groups of readers and the cases that no reader of an arm read. Where these leave some,
    they are the cases that a reader read in no arm, if that is so for every reader and for every read that is left: a
    read that is lost is lost in one arm.
    """
    n_arms = len(read)
    ever = np.asarray(read.any(axis=0))
    own = np.stack([ever[groups == g].any(axis=0) for g in range(int(groups.max()) + 1)])[groups]
    unassigned = np.asarray(np.broadcast_to(~own, read.shape) | ~read.any(axis=1, keepdims=True))
    left = ~read & ~unassigned
    never = left & ~ever
    if n_arms > 1 and never.any() and (left == never).all() and never.any(axis=(0, 2)).all():
        return unassigned | left
    return unassigned
