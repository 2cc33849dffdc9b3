"""The rows of the signed difference in AUC between two groups, and of its contrasts between models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from overread.reporting.estimate_cells import code_of, known
from overread.reporting.report_data import Row, contrast_of


@dataclass(frozen=True)
class GroupRows:
    """Differences of one finding, or of the mean over findings, between groups of cases."""

    rows: tuple[Row, ...]  # of the metrics auc_difference and auc_difference_contrast
    named_only: bool  # whether only pairs of groups count that the configuration names

    @cached_property
    def groups(self) -> tuple[tuple[str, str], ...]:
        """The pairs of groups, those of sex before others: column and pair. Named pairs go before all others."""
        named = [(r["subgroup"], _pair(r)) for r in self._of("auc_difference") if not code_of(r, "groups_in_order")]
        others = [(r["subgroup"], r["level"]) for r in self._of("auc_difference_contrast")]
        found = dict.fromkeys(named or ([] if self.named_only else others))
        return tuple(sorted(found, key=lambda pair: pair[0] != "sex"))

    @property
    def first(self) -> tuple[str, str] | None:
        """The groups that are compared first."""
        return next(iter(self.groups), None)

    def contrasts(self, population: str) -> list[Row]:
        """The difference of the first groups in one model minus that in another, for every pair of models."""
        rows = [r for r in self._of("auc_difference_contrast") if (r["subgroup"], r["level"]) == self.first]
        return [r for r in rows if r["population"] == population and known(r)]

    def difference(self, rater: str, population: str) -> Row | None:
        """The difference of the first groups in a model."""
        rows = [r for r in self._of("auc_difference") if (r["subgroup"], _pair(r)) == self.first]
        return next((r for r in rows if (r["rater"], r["population"]) == (rater, population)), None)

    def _of(self, metric: str) -> list[Row]:
        return [r for r in self.rows if r["metric"] == metric and r["subgroup"]]


def _pair(row: Row) -> str:
    """The pair of groups of a difference, as its contrasts name it."""
    return f"{row['level']} \u2212 {contrast_of(row['contrast'], 'level')}"
