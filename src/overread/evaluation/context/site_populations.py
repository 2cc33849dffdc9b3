"""Internal and external populations of a rater: internal sites are those that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overread.evaluation.evaluation_config import EvaluationConfig

INTERNAL = "internal"


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
