"""EM algorithm of the latent class model, and the search for other maxima of its likelihood from several starts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from overread.stats.arrays import Codes, Floats

IMPOSSIBLE = -1e9  # replaces log 0; finite, so that its product with a count of 0 is 0
INNER = 0.02  # shrinkage of the vote proportions towards equality in the second start
RANDOM_STARTS = 8
COARSE, COARSE_ITERATIONS = 1e-6, 300  # of the search; the best solution is then iterated to the asked tolerance
FINE, FINE_ITERATIONS = 1e-9, 5_000  # of solutions that compete with the best one
DIFFERENT = 0.01  # share of cases in another class from which two solutions differ
LIKELY = 3.0  # log likelihood below the best within which another solution competes: likelihood ratio 20
REPEATED = 2_000  # cases from which equal patterns of votes are computed once


@dataclass(frozen=True, slots=True, eq=False)
class PseudoCounts:
    """Counts of a conjugate prior, added in each M step: of true classes (q,), and of votes by true class (q, q)."""

    prevalence: Floats
    votes: Floats


@dataclass(frozen=True, slots=True, eq=False)
class VotePatterns:
    """Different patterns of votes (n_patterns, n_readers, q), the cases with each, and the pattern of each case."""

    tally: Floats
    weight: Floats | None  # None: every pattern is one case
    case: Codes
    prior: PseudoCounts | None = None

    @property
    def size(self) -> Floats:
        """Number of cases with each pattern, (n_patterns,)."""
        return np.ones(len(self.tally)) if self.weight is None else self.weight

    @property
    def shares(self) -> Floats:
        """Vote proportions, (n_patterns, q)."""
        return np.asarray(self.tally.sum(axis=1) / self.tally.sum(axis=(1, 2))[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Solution of the EM algorithm; `objective` is the log likelihood, plus the log of the prior if there is one."""

    posterior: Floats  # (n_patterns, q)
    prevalence: Floats  # (q,)
    confusion: Floats  # (n_readers, q, q), 0 where no case speaks for the row
    log_likelihood: float
    iterations: int
    converged: bool
    objective: float


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Solution from vote proportions, the best one, and other maxima that are nearly as likely."""

    first: Solution
    best: Solution
    rivals: tuple[Solution, ...] = ()


def patterns_of(tally: Floats, prior: PseudoCounts | None, *, always: bool = False) -> VotePatterns:
    """Patterns of votes of the cases; small studies keep each case, unless `always`."""
    if len(tally) < REPEATED and not always:
        return VotePatterns(tally, None, np.arange(len(tally)), prior)
    flat = np.ascontiguousarray(tally.reshape(len(tally), -1))
    _, first, case, count = np.unique(flat, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return VotePatterns(tally[first], count.astype(np.float64), case.reshape(-1), prior)


def iterate(votes: VotePatterns, shares: Floats, tolerance: float, max_iterations: int) -> Solution:
    """EM algorithm from an initial posterior (n_patterns, q)."""
    n, n_readers, q = votes.tally.shape
    flat = votes.tally.reshape(n, n_readers * q)
    transposed = np.ascontiguousarray(flat.T)  # classes on the first axis make sums over classes fast
    posterior = np.ascontiguousarray(shares.T)
    converged, iterations = False, 0
    while True:
        weighted = posterior if votes.weight is None else posterior * votes.weight
        prevalence, confusion = _maximised(weighted, flat, votes)
        likelihood = log(confusion.reshape(q, n_readers * q)) @ transposed + log(prevalence)[:, None]
        top = likelihood.max(axis=0)
        np.exp(likelihood - top, out=likelihood)
        total = likelihood.sum(axis=0)
        if converged or iterations == max_iterations:
            break
        previous, posterior = posterior, likelihood / total
        iterations += 1
        converged = bool(np.abs(posterior - previous).max() < tolerance)
    by_pattern = np.log(total) + top
    value = float(by_pattern.sum() if votes.weight is None else by_pattern @ votes.weight)
    objective = value
    if votes.prior is not None:
        objective += float(votes.prior.prevalence @ log(prevalence))
        objective += float(np.einsum("kv,krv->", votes.prior.votes, log(confusion)))
    return Solution(posterior.T, prevalence, confusion.transpose(1, 0, 2), value, iterations, converged, objective)


def _maximised(weighted: Floats, flat: Floats, votes: VotePatterns) -> tuple[Floats, Floats]:
    """M step: prevalence (q,) and confusion (q, n_readers, q), equations 2.3 and 2.4 of Dawid and Skene."""
    q, prior = len(weighted), votes.prior
    prevalence = weighted.mean(axis=1) if votes.weight is None else weighted.sum(axis=1) / votes.weight.sum()
    counts = (weighted @ flat).reshape(q, -1, q)  # true class, reader, voted class
    if prior is not None:
        prevalence = weighted.sum(axis=1) + prior.prevalence
        prevalence = prevalence / prevalence.sum()
        counts = counts + prior.votes[:, None, :]
    rows = counts.sum(axis=2, keepdims=True)
    return prevalence, np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)


def log(probability: Floats) -> Floats:
    """Logarithm, with `IMPOSSIBLE` for 0."""
    return np.log(probability, out=np.full_like(probability, IMPOSSIBLE), where=probability > 0)


def shrunk(shares: Floats) -> Floats:
    """Vote proportions shrunk slightly towards equality, so that no rate starts at 0 or 1."""
    return np.asarray((1 - INNER) * shares + INNER / shares.shape[1])


def search(votes: VotePatterns, start: str, tolerance: float, max_iterations: int) -> Search:
    """Solve from vote proportions (`start` "shares") or the better of these and shrunk ones, then look elsewhere.

    A solution from another start that is clearly better is iterated to the same tolerance and is the best one.
    """
    shares = votes.shares
    first = iterate(votes, shares, tolerance, max_iterations)
    best = first
    if start == "best":
        inner = iterate(votes, shrunk(shares), tolerance, max_iterations)
        best = inner if better(inner, first) else first
    every = patterns_of(votes.tally, votes.prior, always=True) if votes.weight is None else votes
    place = every.case if votes.weight is None else np.arange(len(votes.tally))
    others = [_placed(other, place) for other in _others(every)]
    for other in others:
        if better(other, best):
            solution = iterate(votes, other.posterior, tolerance, max_iterations)
            best = solution if better(solution, best) else best
    rivals = []
    for other in (first, *others):
        if competes(other, best, votes.size):  # further iterations: a flat likelihood is no second maximum
            further = iterate(votes, other.posterior, FINE, FINE_ITERATIONS)
            rivals += [further] if competes(further, best, votes.size) else []
    return Search(first, best, tuple(rivals))


def competes(one: Solution, best: Solution, size: Floats) -> bool:
    """Whether a solution is nearly as likely as the best one, and places one case in a hundred in another class."""
    different = float(size @ (winners(one) != winners(best)) / size.sum())
    return best.objective - one.objective < LIKELY and different >= DIFFERENT


def winners(solution: Solution) -> Codes:
    """Most probable class of each pattern; two classes are switched back if most readers are then right."""
    winner = solution.posterior.argmax(axis=1)
    if solution.prevalence.size == 2 and (solution.confusion[:, [0, 1], [0, 1]].sum(axis=1) - 1).mean() < 0:
        winner = 1 - winner
    return np.asarray(winner, dtype=np.intp)


def better(one: Solution, other: Solution) -> bool:
    """Whether a solution is more likely than another, beyond rounding."""
    return one.objective - other.objective >= 1e-6 * max(1.0, abs(other.objective))


def _others(every: VotePatterns) -> list[Solution]:
    """Coarse solutions from shrunk proportions, from unanimous cases alone, and from random rates of the readers.

    The random rates come from a fixed seed, so that a result does not depend on the state of a generator.
    """
    shares, q = every.shares, every.tally.shape[2]
    starts = [shrunk(shares), shrunk(np.where(shares.max(axis=1, keepdims=True) == 1, shares, 1 / q))]
    rng = np.random.default_rng(0)
    for number in range(RANDOM_STARTS):
        # Half of the starts allow switched labels: of two classes they can be switched back and compared.
        towards = np.zeros((q, q)) if q == 2 and number % 2 else np.eye(q)
        confusion = rng.dirichlet(np.ones(q), (every.tally.shape[1], q)) + towards
        confusion /= confusion.sum(axis=2, keepdims=True)
        likelihood = np.einsum("prv,rkv->pk", every.tally, np.log(confusion)) + np.log(rng.dirichlet(np.ones(q)))
        starts.append(np.exp(likelihood - np.logaddexp.reduce(likelihood, axis=1, keepdims=True)))
    return [iterate(every, start, COARSE, COARSE_ITERATIONS) for start in starts]


def _placed(solution: Solution, place: Codes) -> Solution:
    """The solution with the posterior of each of these patterns."""
    return replace(solution, posterior=solution.posterior[place])
