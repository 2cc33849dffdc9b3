"""A hypothesis is refused where what it compares is missing."""

from __future__ import annotations

import pytest

from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.hypotheses.hypothesis_inputs import check_asked


@pytest.mark.parametrize(
    ("hypotheses", "tables", "said"),
    [
        (("H1",), ("p", "r"), "expected evaluation.roles for H1; found no roles"),
        (("H2",), (None, "r"), "expected predictions and reads for H2; found no predictions of a model"),
        (("H2",), ("p", None), "expected predictions and reads for H2; found no reads"),
    ],
)
def test_a_hypothesis_without_what_it_needs_is_refused(hypotheses, tables, said):
    with pytest.raises(InputError, match=said):
        check_asked(EvaluationConfig(hypotheses=hypotheses), *tables)


def test_hypotheses_with_what_they_need_are_accepted():
    roles = {"pooled": "a", "single": {"b": "elm"}}
    check_asked(EvaluationConfig(hypotheses=("H1", "H2"), roles=roles), "p", "r")
    check_asked(EvaluationConfig(), None, "r")
