"""Whether votes identify the latent class model of Dawid and Skene, and the reasons if they do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overread import codes
from overread.codes import Text
from overread.stats.agreement.expectation_maximisation import Search, Solution, VotePatterns, winners
from overread.stats.agreement.reader_blocks import blocks_of
from overread.stats.arrays import Bools, Codes, Floats

FEWEST_COMMON = 10  # cases with two other readers below which the rates of a reader are not estimated
TOLERATED = 0.05  # share of all votes that may come from readers whose rates cannot be estimated
ODDS = 2.0  # ratio of the odds of a class in two blocks from which they cannot have one prevalence
CLEAR = 4.0  # standard errors by which two blocks must differ
SWITCHED = 2.0  # standard errors by which sensitivity + specificity must be below 1
OVERRULED = 0.01  # share of unanimous cases in another class than that of all votes
UNANIMOUS = 3  # votes of a unanimous case


@dataclass(frozen=True, slots=True, eq=False)
class _Votes:
    """Votes of readers (n_patterns, n_readers, q) with the number of cases of each pattern, and labels of readers."""

    tally: Floats
    size: Floats
    readers: NDArray[Any]

    @property
    def by_reader(self) -> Floats:
        """Votes of each reader for each class, (n_readers, q)."""
        return np.asarray(np.einsum("p,prv->rv", self.size, self.tally))

    @property
    def informative(self) -> Bools:
        """Readers with votes for two classes or more, (n_readers,)."""
        return np.asarray((self.by_reader > 0).sum(axis=1) > 1)

    @property
    def usable(self) -> Floats:
        """Votes of informative readers of each case, (n_patterns,)."""
        return np.asarray(self.tally[:, self.informative].sum(axis=(1, 2)))

    def names(self, readers: Bools) -> tuple[str, ...]:
        """Labels of readers."""
        return tuple(str(r) for r in self.readers[readers])


def find_reasons(votes: VotePatterns, search: Search, readers: NDArray[Any]) -> Text:
    """Reasons why the solution is not identified; empty if it is.

    With a prior, readers with one answer and few common cases are no reason, because the prior determines their rates.
    """
    about = _Votes(votes.tally, votes.size, readers)
    if not about.informative.any():
        return codes.notes(*_of_readers(about))
    found: list[Text | None] = [*_of_blocks(about), *_of_labels(about, search.best), _overruled(about, search.best)]
    found.append(_several_maxima(search, votes.size))
    if votes.prior is None:
        found = [*_of_readers(about), *found]
    return codes.notes(*found)


def _of_readers(votes: _Votes) -> list[Text | None]:
    """Readers with a single answer, too few readers of a case, and readers with too few common cases."""
    by_reader, size = votes.by_reader, votes.size
    own, informative = by_reader.sum(axis=1), votes.informative
    total = own.sum()
    single = (own > 0) & ~informative
    linked = votes.usable >= 3
    common = np.einsum("p,pr->r", size * linked, votes.tally.sum(axis=2) > 0)
    few = informative & (common < FEWEST_COMMON)
    share = float(size[linked].sum() / size.sum())
    return [
        codes.note("single_answer_readers", readers=votes.names(single), share=float(own[single].sum() / total))
        if own[single].sum() > TOLERATED * total
        else None,
        codes.note("too_few_informative_readers", share=share) if share < 0.5 else None,
        codes.note("few_common_cases", readers=votes.names(few), least=FEWEST_COMMON)
        if own[few].sum() > TOLERATED * total
        else None,
    ]


def _of_blocks(votes: _Votes) -> list[Text | None]:
    """Blocks of readers with nearly disjoint cases in which the shares of a class differ grossly."""
    read = (votes.tally.sum(axis=2) > 0).astype(np.float64)
    blocks = blocks_of(read.T @ (votes.size[:, None] * read))
    n = int(blocks.max()) + 1
    if n < 2:
        return []
    shares, cases = _shares(votes, blocks, n)
    for k in reversed(range(shares.shape[1])):
        low, high = int(shares[:, k].argmin()), int(shares[:, k].argmax())
        if _apart(shares[low, k], shares[high, k], cases[low], cases[high]):
            apart = codes.note(
                "blocks_apart",
                n=n,
                low=float(shares[low, k]),
                high=float(shares[high, k]),
                low_readers=votes.names(blocks == low),
                high_readers=votes.names(blocks == high),
            )
            return [apart]
    return []


def _shares(votes: _Votes, blocks: Codes, n: int) -> tuple[Floats, Floats]:
    """Share of the votes for each class in each block (n_blocks, q), and the cases that the block read (n_blocks,)."""
    counts = np.stack([votes.by_reader[blocks == b].sum(axis=0) for b in range(n)])
    read = np.stack([votes.tally[:, blocks == b].any(axis=(1, 2)) for b in range(n)])
    return counts / counts.sum(axis=1, keepdims=True), np.asarray(read @ votes.size)


def _apart(low: float, high: float, n_low: float, n_high: float) -> bool:
    """Whether two shares differ by more than chance and by more than the odds ratio of blocks of one population."""
    pooled = (low * n_low + high * n_high) / (n_low + n_high)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n_low + 1 / n_high))
    return bool(high - low > CLEAR * error and high * (1 - low) >= ODDS * low * (1 - high))


def _of_labels(votes: _Votes, solution: Solution) -> list[Text | None]:
    """Readers whose sensitivity and specificity sum to less than 1, for two classes."""
    if solution.prevalence.size != 2:
        return []
    expected = np.einsum("p,pk,prv->rk", votes.size, solution.posterior, votes.tally)
    right = np.stack([solution.confusion[:, k, k] for k in (0, 1)], axis=1)
    read = (expected > 0).all(axis=1) & votes.informative
    variance = (right * (1 - right) / np.where(expected > 0, expected, 1)).sum(axis=1)
    worse = read & (right.sum(axis=1) < 1)
    clearly = read & (1 - right.sum(axis=1) > SWITCHED * np.sqrt(variance) + 1e-9) & (expected >= 1).all(axis=1)
    most = int(worse.sum()) * 2 > int(read.sum())
    shown = worse if most else clearly
    return [codes.note("switched_readers", readers=votes.names(shown))] if shown.any() else []


def _overruled(votes: _Votes, solution: Solution) -> Text | None:
    """Cases with equal votes of three readers or more that the solution places in another class."""
    counts = votes.tally.sum(axis=1)
    unanimous = (counts.max(axis=1) == counts.sum(axis=1)) & (counts.sum(axis=1) >= UNANIMOUS)
    other = unanimous & (solution.posterior.argmax(axis=1) != counts.argmax(axis=1))
    n, of = int(votes.size[other].sum()), int(votes.size[unanimous].sum())
    return codes.note("unanimous_overruled", n=n, of=of) if n and n >= OVERRULED * of else None


def _several_maxima(search: Search, size: Floats) -> Text | None:
    """Another solution that is nearly as likely and classifies cases differently."""
    if not search.rivals:
        return None
    rival = max(search.rivals, key=lambda solution: solution.objective)
    different = float(size @ (winners(rival) != winners(search.best)) / size.sum())
    return codes.note(
        "several_maxima", likelihood=search.best.log_likelihood, other=rival.log_likelihood, share=different
    )
