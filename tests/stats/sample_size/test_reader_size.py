"""Power and sample size of reader studies: RJafroc's and MRMCsamplesize's numbers, and studies that were simulated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from overread.errors import InputError
from overread.stats.quantiles import upper
from overread.stats.reader_studies import mrmc
from overread.stats.reader_studies.obuchowski_rockette import Components, components_of, difference_spread
from overread.stats.sample_size.reader_size import ReaderGuess, expected_range, mrmc_plan, mrmc_power, mrmc_sample_size

HERE = Path(__file__).resolve().parents[2] / "reference" / "sample_size"
CASES = {case["id"]: case for case in json.loads((HERE / "expected.json").read_text())["cases"]}
ANALYSES = {"RRRC": ("random", "random"), "FRRC": ("fixed", "random"), "RRFC": ("random", "fixed")}
VANDYKE = Components(
    reader_by_arm=0.000200402523581458,
    error=0.000802288265572067,
    cov1=0.000346613709440732,
    cov2=0.000344074828860889,
    cov3=0.000239028370892154,
    n_cases=114,
)


def test_power_from_a_pilot_study_as_in_rjafroc(shared):
    case = CASES["mrmc_from_pilot"]
    want, tol = case["expected"], case["tolerance"]["rel"]
    assert set(want) == {
        "OR_variance_components",
        "power_given_JK",
        "K_given_J_for_power_0.8",
        "power_RRRC_own_formula",
    }
    rows = pl.read_csv(shared("reference/03_mrmc/vandyke.csv")).sort("modality", "reader", "case")
    scores = rows["score"].to_numpy().reshape(2, 5, 114)
    parts = mrmc.compare_arms(rows["truth"].to_numpy()[:114], scores).components
    names = {"VarR": "reader", "VarTR": "reader_by_arm", "Var": "error", "Cov1": "cov1", "Cov2": "cov2", "Cov3": "cov3"}
    assert set(names) == set(want["OR_variance_components"])
    for key, name in names.items():
        assert getattr(parts, name) == pytest.approx(want["OR_variance_components"][key], rel=tol)
    for row in want["power_given_JK"]:
        name = row["analysis"]
        answered = {f"power{name}", f"ncp{name}", f"df2{name}", "chsqFRRC" if name == "FRRC" else f"f{name}"}
        assert set(row) == {"J", "K", "effect_size", "analysis"} | answered
        close_power(row, parts, tol)
    for row in want["K_given_J_for_power_0.8"]:
        got = mrmc_sample_size(0.05, n_readers=row["J"], components=parts)
        assert got.n_cases == row["KRRRC"]
        assert got.power == pytest.approx(row["powerRRRC"], rel=tol)
    for row in want["power_RRRC_own_formula"]:
        got = mrmc_power(0.05, n_readers=row["J"], n_cases=row["K"], components=parts)
        assert got.power == pytest.approx(row["power_RRRC"], rel=tol)


def close_power(row, parts, tol):
    name = row["analysis"]
    readers, cases = ANALYSES[name]
    got = mrmc_power(
        row["effect_size"], n_readers=row["J"], n_cases=row["K"], components=parts, readers=readers, cases=cases
    )
    assert [got.power, got.noncentrality] == pytest.approx([row[f"power{name}"], row[f"ncp{name}"]], rel=tol)
    assert got.critical == pytest.approx(row["chsqFRRC"] if name == "FRRC" else row[f"f{name}"], rel=tol)
    assert got.df == (np.inf if row[f"df2{name}"] is None else pytest.approx(row[f"df2{name}"], rel=tol))


def test_planning_without_a_pilot_study_as_in_mrmcsamplesize():
    want = CASES["mrmc_planning_no_pilot"]["expected"]
    tol = CASES["mrmc_planning_no_pilot"]["tolerance"]
    guess = ReaderGuess(between=0.1, within=0.05, same_reader=0.47)
    got = mrmc_plan(0.75, 0.1, n_readers=10, guess=guess)
    parts, components = got.components, want["varComponents"]
    numbers = {
        "varTR": parts.reader_by_arm,
        "varE": parts.error,
        "varR": parts.reader,
        "varW": got.within,
        "Cov1": parts.cov1,
        "Cov2": parts.cov2,
        "Cov3": parts.cov3,
        "r1": guess.same_reader,
        "r2": guess.same_arm,
        "r3": guess.different,
    }
    assert set(numbers) == set(components)
    for key, number in numbers.items():
        assert number == pytest.approx(components[key], rel=tol["rel"], abs=tol["abs"])
    sizes = want["ORSampleSizeResults"]
    of_images = {"ICC": "Not applicable", "nCases_c": None, "DE": None, "s": None}  # one image of each patient
    assert {key: sizes[key] for key in of_images} == of_images
    assert set(sizes) == {"nUnits_i", "nControls", "nTotal", "J", "power", "alpha", *of_images}
    assert [got.n_present, got.n_absent, got.n_cases] == [sizes[k] for k in ("nUnits_i", "nControls", "nTotal")]
    assert (sizes["J"], sizes["power"], sizes["alpha"]) == (10, 0.8, 0.05)  # the defaults here
    # Hillis's df need fewer cases than readers - 1, which the plan is made with.
    assert mrmc_power(0.1, n_readers=10, n_cases=50, components=parts).power > 0.8


def test_power_by_hand_with_readers_fixed():
    # Denominator k (0.004 - 0.001 + 3 (0.002 - 0.001)) with k = 50/100: 0.003; noncentrality 4 0.05^2 / 0.006 = 5/3.
    parts = Components(0.0, 0.004, 0.001, 0.002, 0.001, n_cases=50)
    got = mrmc_power(0.05, n_readers=4, n_cases=100, components=parts, readers="fixed")
    assert got.noncentrality == pytest.approx(5 / 3)
    z = np.sqrt(5 / 3)  # chi-square with one df: two normal tails
    assert got.power == pytest.approx(ndtr(z - 1.959964) + ndtr(-z - 1.959964), abs=1e-6)
    one_sided = mrmc_power(0.0, n_readers=4, n_cases=100, components=parts, readers="fixed", margin=0.05)
    assert one_sided.power == pytest.approx(ndtr(z - 1.959964), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 20), st.integers(30, 400), st.floats(0.01, 0.1))
def test_power_grows_with_readers_cases_and_effect_and_does_not_know_the_sign(n_readers, n_cases, effect):
    def power(effect=effect, n_readers=n_readers, n_cases=n_cases, **kwargs):
        return mrmc_power(effect, n_readers=n_readers, n_cases=n_cases, components=VANDYKE, **kwargs).power

    base = power()
    assert power(n_readers=n_readers + 1) >= base - 1e-9
    assert power(n_cases=n_cases + 50) >= base - 1e-9
    assert power(effect=effect * 1.2) >= base - 1e-9
    assert power(effect=-effect) == pytest.approx(base)
    assert power(effect=0.0) == pytest.approx(0.05)
    assert power(readers="fixed") >= base - 1e-9
    assert power(effect=-0.05, margin=0.05) == pytest.approx(0.025, abs=1e-6)


def test_the_least_number_of_cases_is_the_least():
    for target in (0.5, 0.8, 0.9):
        got = mrmc_sample_size(0.04, n_readers=8, components=VANDYKE, power=target)
        assert got.power >= target
        assert mrmc_power(0.04, n_readers=8, n_cases=got.n_cases - 1, components=VANDYKE).power < target


def test_too_few_readers_are_said():
    got = mrmc_sample_size(0.02, n_readers=3, components=VANDYKE)
    assert np.isnan(got.n_cases)
    assert "3 readers reach a power of 0." in got.note
    plan = mrmc_plan(0.8, 0.02, n_readers=4, guess=ReaderGuess(0.2, 0.1, 0.4))
    assert np.isnan(plan.n_cases)
    assert "do not reach the power" in plan.note
    unknown = mrmc_power(0.05, n_readers=4, n_cases=50, components=replace(VANDYKE, cov2=np.nan))
    assert np.isnan(unknown.power)
    assert unknown.note


def test_expected_range_of_normal_samples():
    assert expected_range(2) == pytest.approx(2 / np.sqrt(np.pi), rel=1e-12)
    assert expected_range(3) == pytest.approx(3 / np.sqrt(np.pi), rel=1e-12)  # Tippett (1925): 1.6926


def test_wrong_input_is_said():
    with pytest.raises(InputError, match="at least 2 readers"):
        mrmc_power(0.05, n_readers=1, n_cases=50, components=VANDYKE)
    with pytest.raises(InputError, match="number of cases that they are of"):
        mrmc_power(0.05, n_readers=4, n_cases=50, components=replace(VANDYKE, n_cases=0))
    with pytest.raises(InputError, match="both fixed"):
        mrmc_power(0.05, n_readers=4, n_cases=50, components=VANDYKE, readers="fixed", cases="fixed")
    with pytest.raises(InputError, match="power"):
        mrmc_sample_size(0.05, n_readers=4, components=VANDYKE, power=80)
    with pytest.raises(InputError, match="margin above 0"):
        mrmc_power(0.05, n_readers=4, n_cases=50, components=VANDYKE, margin=-0.1)
    with pytest.raises(InputError, match="between 5"):
        mrmc_plan(0.8, 0.05, n_readers=5, guess=ReaderGuess(5, 0.1, 0.4))


@pytest.mark.slow
def test_the_power_promised_is_the_power_found():
    """Values of readers drawn from the model itself, analysed with the true covariances: the share of p < 0.05."""
    rng, n_readers, effect, found = np.random.default_rng(4), 6, 0.05, 0
    parts = replace(VANDYKE, reader_by_arm=0.0004)
    promised = mrmc_power(effect, n_readers=n_readers, n_cases=114, components=parts)
    cov1, cov2, cov3, error = parts.cov1, parts.cov2, parts.cov3, parts.error
    shape = np.full((2, n_readers, 2, n_readers), cov3)
    for i in range(2):
        shape[i, :, i, :] = cov2
    for j in range(n_readers):
        shape[:, j, :, j] = cov1
        shape[range(2), j, range(2), j] = error
    root = np.linalg.cholesky(shape.reshape(2 * n_readers, -1))
    for _ in range(4000):
        values = (root @ rng.normal(size=2 * n_readers)).reshape(2, n_readers)
        values += np.sqrt(parts.reader_by_arm) * rng.normal(size=values.shape) + np.array([[effect], [0.0]])
        spread = difference_spread(
            components_of(values, shape.reshape(12, 12), 114), 2, n_readers, readers="random", cases="random"
        )
        t = np.diff(values.mean(axis=1))[0] / np.sqrt(spread.variance)
        found += 2 * upper(abs(t), spread.df) < 0.05
    assert found / 4000 == pytest.approx(promised.power, abs=0.03)
