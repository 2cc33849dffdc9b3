"""Which test cases are internal to a rater and which external: internal are the sites that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overread.evaluation.evaluation_config import EvaluationConfig

INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Population:
    """A test set by name ("internal", "external:SITE") and the sites that it is made of."""

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
    made = {}
    for rater in raters:
        trained = trained_at(rater, config, models)
        if trained is None:
            trained = config.internal_sites or tuple(s for s in sites if s not in config.external_sites)
        inside = tuple(s for s in sites if s in trained)
        outside = [Population(f"external:{s}", (s,)) for s in sites if s not in trained]
        made[rater] = (*((Population(INTERNAL, inside),) if inside else ()), *outside)
    return made


def trained_at(rater: str, config: EvaluationConfig, models: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...] | None:
    """The sites that a rater says it was trained on (a seed: those of its ensemble); None where nothing is known."""
    record = models.get(rater) or models.get(config.member_names().get(rater, ""))
    if not record or "training_sites" not in record:
        return None
    return tuple(record["training_sites"])
