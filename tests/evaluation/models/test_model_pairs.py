"""Pairs of models: a difference that does not vary is not tested."""

import numpy as np
import polars as pl

from overread.evaluation import EvaluationConfig, evaluate

CONFIG = EvaluationConfig(replicates=100, minimum_present=5, minimum_absent=5, subgroups=())


def test_identical_scores_have_no_p_value_and_do_not_count_as_a_test():
    rng = np.random.default_rng(3)
    cases, truth = [f"c{i}" for i in range(40)], np.arange(40) % 2
    states = ["present" if t else "absent" for t in truth]
    labels = pl.concat(
        pl.DataFrame({"case_id": cases, "finding": f, "source": "ct", "state": states}) for f in ("edema", "mass")
    )
    edema, mass, other = (truth + rng.normal(size=40) for _ in range(3))
    scores = [("acme", "edema", edema), ("acme", "mass", mass), ("copy", "edema", edema), ("copy", "mass", other)]
    scores += [("twin", "edema", edema), ("twin", "mass", mass)]
    predictions = pl.concat(
        pl.DataFrame({"case_id": cases, "finding": f, "model": m, "score": s}) for m, f, s in scores
    )
    found = evaluate(None, labels, predictions, CONFIG, rng=0).estimates.filter(analysis="comparison")
    mean = found.filter(finding="(mean)", rater="acme", contrast="rater:twin").row(0, named=True)
    assert mean["estimate"] == 0.0
    assert np.isnan(mean["p"])
    assert "p_from_influence_values" not in mean["note_codes"]
    found = found.filter(rater="acme", contrast="rater:copy")
    same, tested = (found.filter(finding=f).row(0, named=True) for f in ("edema", "mass"))
    assert (same["estimate"], same["note_codes"]) == (0.0, "zero_variance_no_ci")
    assert np.isnan([same["p"], same["p_adjusted"]]).all()
    assert tested["p_adjusted"] == tested["p"] > 0
    assert tested["family"] == "acme against copy, internal: 1 finding"
