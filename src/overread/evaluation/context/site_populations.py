"""Internal and external populations of a rater, and how an AUC over several sites is aggregated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overread.evaluation.evaluation_config import AGGREGATIONS, EvaluationConfig

INTERNAL = "internal"
WITHIN_SITE_MEAN, STRATIFIED, POOLED = AGGREGATIONS


@dataclass(frozen=True, slots=True)
class Population:
    """A test population by name ("internal", "external:SITE") and its sites."""

    name: str
    sites: tuple[str, ...]

    @property
    def internal(self) -> bool:
        """Whether the rater was trained on these sites."""
        return self.name == INTERNAL


def populations(
    raters: Sequence[str], sites: Sequence[str], config: EvaluationConfig, models: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[Population, ...]]:
    """The populations of every rater, the internal one first; those without a case in `sites` are left out.

    A rater whose model.json is known is internal where it was trained. Of any other all sites are internal that are not
    declared external (or, where internal ones are declared, those).

    >>> populations(["acme"], ["a", "b"], EvaluationConfig(external_sites=("b",)), {})["acme"]
    (Population(name='internal', sites=('a',)), Population(name='external:b', sites=('b',)))
    """
    by_rater = {}
    for rater in raters:
        trained = trained_at(rater, config, models)
        if trained is None:
            trained = config.internal_sites or tuple(s for s in sites if s not in config.external_sites)
        inside = tuple(s for s in sites if s in trained)
        outside = [Population(f"external:{s}", (s,)) for s in sites if s not in trained]
        by_rater[rater] = (*((Population(INTERNAL, inside),) if inside else ()), *outside)
    return by_rater


def trained_at(rater: str, config: EvaluationConfig, models: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...] | None:
    """Return the training sites of a rater (for a member, those of its ensemble); None if unknown."""
    record = models.get(rater) or models.get(config.member_names().get(rater, ""))
    if not record or "training_sites" not in record:
        return None
    return tuple(record["training_sites"])


def aggregation_over_sites(
    raters: Sequence[str], config: EvaluationConfig, models: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return how AUCs over several sites are aggregated: the configured way, or by design.

    Where training sites are known (from a model.json) or stated (roles, internal or external sites), the sites of a
    population are hospitals chosen by the study, and the AUC is the unweighted mean over them. Otherwise the sites are
    a property of a test set from elsewhere, often many and small, and the AUC is over pairs of cases of the same site.
    One way holds for all raters, so that their AUCs have the same estimand.

    >>> aggregation_over_sites(["acme"], EvaluationConfig(), {})
    'stratified'
    >>> aggregation_over_sites(["acme"], EvaluationConfig(external_sites=("b",)), {})
    'within-site mean'
    """
    if config.aggregation:
        return config.aggregation
    stated = config.roles or config.internal_sites or config.external_sites
    known = stated or any(trained_at(rater, config, models) is not None for rater in raters)
    return WITHIN_SITE_MEAN if known else STRATIFIED
