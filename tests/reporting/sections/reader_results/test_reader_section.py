"""The clinical comparison on the page: made-up reads of two findings, two models, four references, two arms."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from math import isnan, nan, sqrt

import numpy as np
import polars as pl
import pytest

from overread import codes, integrity, reporting
from overread.reporting.blocks import Block, Figure, Folded, Table, within
from overread.reporting.figures.reader_roc import PlottedPoint, RocPanel, axis_end
from overread.reporting.first_page import reader_question
from overread.reporting.methods.methods_section import sentences_of
from overread.reporting.number_format import fixed as number
from overread.reporting.number_format import interval
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.reader_results import reader_section, reader_tables, reference_section
from overread.reporting.sections.reader_results.reader_titles import arms, reference_title

pytestmark = pytest.mark.slow

OUTPUTS = {
    "pneumothorax": ("acme", "beta"),
    "lung_opacity": ("acme [consolidation]", "acme [largest of five]", "beta [consolidation]"),
}
SKILL = {"acme": 1.9, "beta": 1.6}
REFERENCES = ("adjudicated", "majority", "dawid-skene", "nih14", "majority of the others")
OTHERS = "majority of the others"
READERS = {f"42953676{i:02d}": n for i, n in enumerate((410, 330, 260, 200, 170, 120, 90, 60, 14, 6))}
POLICY = "uncertain=ignore;uncertain_call={}"
METHOD = codes.methods(codes.method("reader_patient_bootstrap"), codes.method("replicates", n=2000))
DELONG = codes.methods(codes.method("obuchowski"), codes.method("scale_wald"))
WILSON = codes.methods(codes.method("wilson_effective", n=81.3), codes.method("linearised"))


def _row(analysis: str, metric: str, value: float, half: float = nan, **more: object) -> dict:
    keys = dict.fromkeys(("at", "rater", "contrast"), "")
    row = {
        "analysis": analysis,
        "metric": metric,
        **keys,
        "finding": "pneumothorax",
        "population": "all",
        "arm": "model",
        "subgroup": "read",
        "level": "unaided",
        "reference": "adjudicated",
        "policy": POLICY.format("absent"),
        "estimate": value,
        "low": value - half,
        "high": value + half,
        "se": half / 1.96,
        "p": nan,
        "p_adjusted": nan,
        "family": None,
        "null": None,
        "n_present": 120,
        "n_absent": 680,
        "n_cases": 800,
        "n_patients": 300,
        "n_readers": 10,
        "confidence": 0.95,
        "method": METHOD,
        "note": None,
        **more,
    }
    return {"method_code": codes.encode(row["method"]), "note_codes": codes.encode(row["note"] or ""), **row}


def _rates(rng: np.random.Generator, finding: str, reference: str, policy: str, level: str) -> list[dict]:
    """Rates of every reader and of all together."""
    at = {"finding": finding, "reference": reference, "policy": POLICY.format(policy), "level": level, "arm": level}
    worse = {"nih14": 0.15, OTHERS: 0.05}.get(reference, 0.0) + 0.02 * (policy == "present")
    rows, sums = [], np.zeros(2)
    for reader, n in READERS.items():
        present = max(round(0.15 * n), 1)
        few = present < 10
        for k, (metric, size, centre) in enumerate(
            (("sensitivity", present, 0.74), ("specificity", n - present, 0.94))
        ):
            value = float(np.clip(rng.normal(centre - worse, 0.06 / (1 + k)), 0.3, 0.99))
            half = nan if few else 1.96 * sqrt(value * (1 - value) / size)
            note = codes.note("few_reads", present=present, absent=n - present, least=10) if few else None
            rows.append(
                _row(
                    "readers",
                    metric,
                    value,
                    half,
                    rater=reader,
                    method=WILSON,
                    note=note,
                    n_present=present,
                    n_absent=n - present,
                    n_cases=n,
                    n_patients=n // 2,
                    **at,
                )
            )
            sums[k] += value * n / sum(READERS.values())
    favoured = codes.note("reference_from_readers") if reference not in ("nih14", OTHERS) else None
    note = codes.notes(codes.note("reads_pooled", n=2110), favoured)
    for metric, value in zip(("sensitivity", "specificity"), sums, strict=True):
        rows.append(_row("readers", metric, float(value), 0.05, rater="(readers)", note=note, **at))
    return rows


def _curve(rater: str, finding: str, reference: str, level: str) -> list[dict]:
    x = np.linspace(0, 1, 61)
    skill = 3.5 * SKILL[rater.split(" ")[0]] - (3 if reference == "nih14" else 0)
    y = 1 - (1 - x) ** skill
    keys = {
        "curve": "roc",
        "at": "",
        "finding": finding,
        "rater": rater,
        "arm": "model",
        "population": "all",
        "subgroup": "read",
        "level": level,
        "reference": reference,
        "policy": POLICY.format("absent"),
    }
    return [
        {
            **keys,
            "order": i,
            "x": float(a),
            "y": float(b),
            "low": max(float(b) - 0.05, 0.0),
            "high": min(float(b) + 0.05, 1),
        }
        for i, (a, b) in enumerate(zip(x, y, strict=True))
    ]


def _model(rater: str, finding: str, reference: str, policy: str, level: str, rates: list[dict]) -> list[dict]:
    """Rows of one output beside the readers."""
    at = {"finding": finding, "reference": reference, "policy": POLICY.format(policy), "level": level, "rater": rater}
    pooled = {r["metric"]: r["estimate"] for r in rates if r["rater"] == "(readers)"}
    skill = 3.5 * SKILL[rater.split(" ")[0]]
    se = 1 - pooled["specificity"] ** skill
    sp = (1 - pooled["sensitivity"]) ** (1 / skill)
    less = {"contrast": "rater:(readers)", "null": 0.0}
    rows = [
        _row("readers", "sensitivity_at_specificity", se, 0.07, at="specificity=readers", **at),
        _row("readers", "specificity_at_sensitivity", sp, 0.04, at="sensitivity=readers", **at),
        _row(
            "readers",
            "sensitivity_difference",
            se - pooled["sensitivity"],
            0.08,
            at="specificity=readers",
            p=0.31,
            **less,
            **at,
        ),
        _row(
            "readers",
            "specificity_difference",
            sp - pooled["specificity"],
            0.05,
            at="sensitivity=readers",
            p=0.042,
            **less,
            **at,
        ),
        _row("readers", "auc", skill / (skill + 1), 0.02, method=DELONG, **at),
    ]
    for point, x in (("spec90", 0.1), ("sens90", 0.28)):
        frozen = f"operating_point={point}"
        own = {"sensitivity": 1 - (1 - x) ** skill, "specificity": 1 - x}
        for metric, value in own.items():
            rows.append(_row("readers", metric, value, 0.05, at=frozen, **at))
            rows.append(
                _row("readers", f"{metric}_difference", value - pooled[metric], 0.06, at=frozen, p=0.2, **less, **at)
            )
            u = {"at": f"{frozen};test=u-statistic", "method": codes.method("u_statistics_centred"), "p": 0.25}
            u |= {"p_adjusted": 0.5, "family": f"model against readers, {reference}: 16 tests"}
            rows.append(_row("readers", f"{metric}_difference", value - pooled[metric], 0.07, **u, **less, **at))
    if policy == "absent":
        for cases, k in (("read", 6), ("own", 5)):
            told = {
                "method": codes.method("below_empirical_curve"),
                "note": codes.note("readers_below", readers=("4295367600",)),
            }
            rows.append(_row("readers", "readers_below_curve", k, at=f"cases={cases}", n_readers=8, **told, **at))
    return rows


def _pairwise(finding: str, level: str) -> list[dict]:
    at = {"finding": finding, "level": level, "reference": "", "method": codes.method("pairwise_f1")}
    rows = []
    for rater in OUTPUTS[finding]:
        for point, value in (("call_rate=readers", 0.5), ("operating_point=spec90", 0.52)):
            people = ";".join(sorted((f"model={rater}", point)))
            less = {"at": point, "contrast": "rater:(readers)", **at}
            rows += [
                _row("readers", "pairwise_f1", value, 0.04, rater=rater, at=point, **at),
                _row("readers", "pairwise_f1", 0.55, 0.04, rater="(readers)", arm=level, at=people, **at),
                _row("readers", "pairwise_f1_difference", value - 0.55, 0.03, rater=rater, **less),
            ]
            rows += [
                _row("readers", "pairwise_f1", 0.5 + i / 100, 0.04, rater=r, arm=level, at=people, **at)
                for i, r in enumerate(READERS)
            ]
    return rows


def _agreement(finding: str, level: str) -> list[dict]:
    at = {
        "finding": finding,
        "level": level,
        "reference": "",
        "arm": level,
        "method": codes.method("patients_resampled"),
    }
    kinds = ("percent_agreement", "gwet_ac1", "krippendorff_alpha")
    rows = [
        _row("agreement", k, v, 0.04, rater="(readers)", **at) for k, v in zip(kinds, (0.91, 0.84, 0.58), strict=True)
    ]
    for output in OUTPUTS.get(finding, ()):
        for k, v in (("percent_agreement", 0.85), ("cohen_kappa", 0.49), ("gwet_ac1", 0.77)):
            even, frozen = (f"{point};with={output}" for point in ("call_rate=readers", "operating_point=spec90"))
            rows.append(_row("agreement", k, v - 0.01, 0.03, rater="(readers)", at=frozen, **at))
            rows += [_row("agreement", k, v, 0.03, rater=r, at=even, **at) for r in ("(readers)", *READERS)]
    return rows


def made_reads() -> tuple[list[dict], pl.DataFrame]:
    """The rows and curves of an evaluation with reads."""
    rng = np.random.default_rng(5)
    rows, curves = [], []
    for finding, outputs in OUTPUTS.items():
        for reference in REFERENCES:
            for policy in ("absent", "present", "ignore"):
                rates = _rates(rng, finding, reference, policy, "unaided")
                rows += rates
                for o in outputs:
                    rows += _model(o, finding, reference, policy, "unaided", rates)
            for o in outputs:
                curves += _curve(o, finding, reference, "unaided")
        for r in READERS:
            at = {
                "finding": finding,
                "rater": r,
                "arm": "unaided",
                "reference": "dawid-skene",
                "method": codes.method("dawid_skene_rates"),
            }
            few = codes.note("few_expected_cases", n=3.2, least=10)
            rows.append(_row("readers", "estimated_sensitivity", 0.8, note=few, **at))
            rows.append(_row("readers", "estimated_specificity", 0.96, **at))
            for o in outputs:
                at = {"finding": finding, "rater": o, "reference": OTHERS, "at": f"operating_point=spec90;others={r}"}
                rows += [
                    _row("readers", "sensitivity", 0.81, 0.06, **at),
                    _row("readers", "specificity", 0.9, 0.02, **at),
                ]
        rows += [*_pairwise(finding, "unaided"), *_agreement(finding, "unaided")]
    rows += _agreement("fracture", "unaided")
    return rows, pl.DataFrame(curves)


def _standards() -> list[dict]:
    """H2 under three references, two models."""
    rows = []
    for finding, outputs in OUTPUTS.items():
        for o in outputs:
            at = {"finding": finding, "rater": o, "population": "internal"}
            values = {"adjudicated": 0.91, "majority": 0.9, "nih14": 0.84}
            for r, v in values.items():
                rows.append(
                    _row("H2", "auc", v, 0.03, method=codes.method("reference_bootstrap"), **{**at, "reference": r})
                )
            for a, b in (("adjudicated", "nih14"), ("majority", "nih14"), ("adjudicated", "majority")):
                more = {"p": 0.004, "method": codes.method("reference_bootstrap"), "contrast": f"reference:{b}"}
                rows.append(_row("H2", "auc_difference", values[a] - values[b], 0.02, **more, **{**at, "reference": a}))
    return rows


def _alone() -> list[dict]:
    """What an evaluation without reads holds: AUCs of the models under the set's own label."""
    keys = {"subgroup": "", "level": "", "reference": "nih14", "policy": "uncertain=ignore", "population": "internal"}
    return [
        _row("standalone", "auc", 0.85, 0.02, rater=r, finding=f, method=DELONG, **keys)
        for r in ("acme", "beta")
        for f in ("pneumothorax", "consolidation")
    ]


VERDICT = pl.DataFrame(
    {
        "hypothesis": ["H2"],
        "claim": ["What a model is worth hangs on whose word is taken for the truth."],
        "rule": ["The interval of the difference leaves out 0 for one finding at least, Holm over all."],
        "verdict": ["supported"],
        "reason": ["2 of 5 differences are clear of 0."],
        "protocol_hash": ["ab12" * 16],
    }
)


@pytest.fixture(scope="module")
def given() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Estimates and curves."""
    rows, curves = made_reads()
    return pl.DataFrame([*_alone(), *rows, *_standards()], infer_schema_length=None), curves


@pytest.fixture(scope="module")
def out(given, tmp_path_factory, write_folder):
    """The report of the made-up reads."""
    estimates, curves = given
    folder = tmp_path_factory.mktemp("reads")
    evidence = write_folder(folder / "evaluation", estimates.to_dicts(), curves=curves, verdicts=VERDICT)
    run = json.loads((evidence / "run.json").read_text(encoding="utf-8"))
    run["config"] |= {"uncertain_calls": "absent", "reader_made": ["adjudicated"], "roles": {}}
    integrity.write_sealed(evidence / "run.json", run)
    reporting.write(evidence, folder / "out", study={"title": "Reads"})
    return folder / "out"


@pytest.fixture(scope="module")
def seen(out, read_page):
    """The page, read."""
    return read_page((out / "report.html").read_text(encoding="utf-8"))


def _drawn(out, finding: str) -> pl.DataFrame:
    return pl.read_csv(
        out / "figures" / f"readers-unaided-{finding}.csv",
        schema_overrides={"rater": pl.String},
        infer_schema_length=None,
    )


def _only(frame: pl.DataFrame, **equals: str) -> dict:
    return frame.filter(*(pl.col(k) == v for k, v in equals.items())).row(0, named=True)


def _default(given) -> pl.DataFrame:
    return given[0].filter(pl.col("policy").str.contains("uncertain_call=absent"))


def test_points_of_readers_are_the_estimates(given, out):
    drawn, rows = _drawn(out, "pneumothorax"), _default(given).filter(analysis="readers", finding="pneumothorax", at="")
    titles = {r: reference_title(r) for r in REFERENCES}
    for reference, title in titles.items():
        for rater in (*READERS, "(readers)"):
            what = "pooled readers" if rater == "(readers)" else "reader"
            point = _only(drawn, reference=title, what=what, rater=rater)
            up = _only(rows, metric="sensitivity", rater=rater, reference=reference)
            across = _only(rows, metric="specificity", rater=rater, reference=reference)
            assert point["sensitivity"] == up["estimate"]
            assert point["1 - specificity"] == 1 - across["estimate"]
            if isnan(up["low"]):
                assert isnan(point["low"])
                assert isnan(point["x_low"])
            else:
                assert (point["low"], point["high"]) == (up["low"], up["high"])
                assert (point["x_low"], point["x_high"]) == (1 - across["high"], 1 - across["low"])
            assert point["reads"] == up["n_cases"]
    assert drawn.filter(what="reader").height == len(REFERENCES) * len(READERS)


def test_curves_and_frozen_points_are_those_of_the_evaluation(given, out):
    drawn, (rows, curves) = _drawn(out, "lung_opacity"), given
    want = curves.filter(finding="lung_opacity", rater="acme [largest of five]", reference="majority")
    line = drawn.filter(what="curve", rater="acme [largest of five]", reference=reference_title("majority"))
    assert line["sensitivity"].to_list() == want["y"].to_list()
    frozen = _only(
        drawn, what="threshold", reference="Dawid–Skene (derived)", rater="beta [consolidation] operating_point=spec90"
    )
    mine = _default((rows,)).filter(
        finding="lung_opacity",
        rater="beta [consolidation]",
        reference="dawid-skene",
        at="operating_point=spec90",
        metric="sensitivity",
    )
    assert frozen["sensitivity"] == mine["estimate"].item()


def test_the_model_beside_the_average_reader_is_the_estimates(given, seen):
    table = seen.table("Pneumothorax: each model against the pooled readers")
    rows = _default(given).filter(analysis="readers", finding="pneumothorax")
    for i, reference in enumerate(("adjudicated", "nih14", "majority", OTHERS, "dawid-skene")):
        block = table[2 + 4 * i : 6 + 4 * i]
        assert block[0][0].startswith(reference_title(reference))
        mine = rows.filter(reference=reference)
        up = _only(mine, metric="sensitivity", at="", rater="(readers)")
        assert block[1][0] == "Pooled readers"
        counts = "" if reference == OTHERS else "120 / 680"  # under OTHERS a case may be present and absent
        assert block[1][1:4] == [counts, "", interval(up["estimate"], up["low"], up["high"])]
        for cells, model in zip(block[2:], ("acme", "beta"), strict=True):
            found = (
                (2, {"metric": "auc"}),
                (3, {"metric": "sensitivity_at_specificity"}),
                (4, {"metric": "sensitivity_difference", "at": "specificity=readers"}),
                (5, {"metric": "specificity_at_sensitivity"}),
                (6, {"metric": "specificity_difference", "at": "sensitivity=readers"}),
            )
            assert cells[0] == model
            for column, key in found:
                row = _only(mine, rater=model, **key)
                signed = "difference" in key["metric"]
                assert cells[column] == interval(row["estimate"], row["low"], row["high"], signed=signed)


def test_the_difference_at_a_glance_is_the_estimates(given, out):
    with (out / "figures" / "readers-unaided-difference.csv").open(encoding="utf-8") as file:
        drawn = {(r["row"], r["series"]): r for r in csv.DictReader(file)}
    rows = _default(given).filter(metric="sensitivity_difference", at="specificity=readers")
    assert len(drawn) == rows.height
    for row in rows.to_dicts():
        finding = {"pneumothorax": "Pneumothorax", "lung_opacity": "Lung opacity"}[row["finding"]]
        own = " †" if row["reference"] in ("adjudicated", "majority", "dawid-skene") else ""
        mark = drawn[f"{finding}: {row['rater']}", reference_title(row["reference"]) + own]
        assert [float(mark[k]) for k in ("estimate", "low", "high")] == [row[k] for k in ("estimate", "low", "high")]


def test_what_uncertain_calls_are_taken_for_stands_side_by_side(given, seen):
    table = seen.table("Pneumothorax: handling of uncertain calls.")
    assert [r[0] for r in table[2:8]] == ["as absent", "", "as present", "", "excluded", ""]
    every = given[0].filter(
        analysis="readers", finding="pneumothorax", reference="adjudicated", rater="(readers)", at=""
    )
    row = _only(every, metric="sensitivity", policy=POLICY.format("ignore"))
    assert table[6][1] == interval(row["estimate"], row["low"], row["high"])


def test_every_reader_stands_in_a_table_and_few_reads_say_so(given, seen):
    table = seen.table("Pneumothorax: each reader; reference standard: the label adjudicated")
    assert [r[0] for r in table[1:]] == [*(f"reader {r}" for r in READERS), "Pooled readers"]
    assert "no CI: fewer than 10 reads of the class" in seen.text
    jointly = seen.table("each reader; reference standard: Dawid–Skene")
    assert jointly[0][4:] == ["Sensitivity, estimated jointly", "Specificity, estimated jointly"]
    assert jointly[1][4:] == ["0.800", "0.960"]
    others = seen.table("each reader; reference standard: the majority of the other readers")
    model = "of acme [consolidation] on the same cases"
    assert others[0][4:] == [f"Sensitivity {model}", f"Specificity {model}"]
    assert others[1][4] == "0.810 (0.750–0.870)"


def test_readers_below_the_curve_are_counted_of_those_that_can_be(seen):
    rows = seen.table("Pneumothorax: readers below the model's ROC curve")
    assert rows[1] == ["Label adjudicated", "acme", "6 of 8", "5 of 8"]
    assert "below the curve: 4295367600" in seen.text


def test_pairs_of_raters_and_agreement(seen):
    rows = seen.table("Pneumothorax: pairwise F1")
    even, frozen = "the call rate of the readers", "threshold for specificity 0.90"
    assert rows[1] == ["acme", even, "0.500 (0.460–0.540)", "0.550 (0.510–0.590)", "−0.050 (−0.080 to −0.020)"]
    assert rows[3] == ["acme", frozen, "0.520 (0.480–0.560)", "0.550 (0.510–0.590)", "−0.030 (−0.060 to 0.000)"]
    among = seen.table("Agreement among readers.")
    assert [r[0] for r in among[1:]] == ["Lung opacity", "Pneumothorax", "Fracture"]  # no model scores fractures
    assert among[1][2:] == ["0.910 (0.870–0.950)", "0.840 (0.800–0.880)", "0.580 (0.540–0.620)"]
    numbers = ["0.850 (0.820–0.880)", "0.490 (0.460–0.520)", "0.770 (0.740–0.800)"]
    pooled, fixed = (t["rows"] for t in seen.tables if "Agreement of the pooled reads" in t["caption"])
    assert pooled[0] == ["Finding", "Model", "Threshold", "Percent agreement", "Cohen κ", "Gwet AC1"]
    assert ["Pneumothorax", "beta", even, *numbers] in pooled
    assert [
        "Pneumothorax",
        "beta",
        frozen,
        "0.840 (0.810–0.870)",
        "0.480 (0.450–0.510)",
        "0.760 (0.730–0.790)",
    ] in fixed
    each = seen.table("Agreement of each reader")
    assert len(each) == 1 + 5 * len(READERS)
    assert each[1][3] == "4295367600"


def test_at_a_frozen_threshold_the_test_stands_below_the_difference(given, seen):
    table = seen.table("Pneumothorax, threshold for specificity 0.90")
    mine = _default(given).filter(finding="pneumothorax", reference="adjudicated", rater="acme")
    less = _only(mine, metric="sensitivity_difference", at="operating_point=spec90")
    assert table[3][2] == interval(less["estimate"], less["low"], less["high"], signed=True)
    tested = _only(mine, metric="sensitivity_difference", at="operating_point=spec90;test=u-statistic")
    sides = f"U: {number(tested['low'], signed=True)} to {number(tested['high'], signed=True)}, P = 0.25, Holm = 0.50"
    assert sides in seen.text
    assert "Holm: over the" in seen.text


def test_graded_reads_have_areas(given, write_folder, tmp_path, read_page):
    method = codes.method("obuchowski_rockette", readers="random", cases="random")
    test, at = "test=obuchowski-rockette", {"finding": "pneumothorax", "method": method}
    graded = [
        _row("readers", "auc", 0.91, 0.03, rater="acme", at=test, **at),
        _row("readers", "auc", 0.88, 0.04, rater="(readers)", arm="unaided", at=test, **at),
        _row("readers", "auc_difference", 0.03, 0.04, rater="acme", at=test, contrast="rater:(readers)", p=0.14, **at),
        *(_row("readers", "auc", 0.87, 0.05, rater=r, arm="unaided", **at) for r in READERS),
    ]
    folder = write_folder(tmp_path / "evaluation", [*given[0].to_dicts(), *graded], curves=given[1])
    text = reporting.write(folder, tmp_path / "out", study={}).read_text(encoding="utf-8")
    rows = read_page(text).table("Pneumothorax: AUCs of graded reads")
    assert rows[2:4] == [
        ["acme", "0.910 (0.880–0.940)", "+0.030 (−0.010 to +0.070)", "0.14"],
        ["Mean of the readers", "0.880 (0.840–0.920)", "", ""],
    ]
    assert len(rows) == 4 + len(READERS)
    assert "Obuchowski NA, Rockette HE" in read_page(text).text


def test_the_figure_says_whose_word_the_reference_is(out, seen):
    svg = (out / "figures" / "readers-unaided-pneumothorax.svg").read_text(encoding="utf-8")
    assert svg.count("made from these readers: favours them") == 3  # adjudicated, majority, Dawid-Skene
    assert svg.count("differs between readers: no single curve") == 1
    assert "The axis of 1 − specificity ends at" in seen.text
    made = "1 of 5 reference standards is made from reads of these readers. Results under the label adjudicated favour"
    assert made in seen.text
    own = "the majority of the readers (derived) and Dawid–Skene (derived)"
    derived = f"3 of 5 reference standards are derived from reads of these readers. Results under {own} favour the"
    assert derived in seen.text
    assert "The majority of the other readers (derived) leaves out the reader who is evaluated." in seen.text
    assert "predictive values cannot be estimated from them" not in seen.text  # every test case was read


def test_whose_word_is_truth_changes_the_auc_in_the_open(given, out, seen):
    rows = {(r[0], r[1]): r[2:] for r in seen.table("AUC under every reference standard")[1:]}
    assert rows["Lung opacity", "acme [largest of five]"] == [
        "0.910 (0.880–0.940)",
        "0.840 (0.810–0.870)",
        "0.900 (0.870–0.930)",
    ]
    less = seen.table("Differences in AUC between reference standards")
    assert less[0][2:] == ["Label adjudicated − Label nih14", "Majority of the readers (derived) − Label nih14"]
    assert less[1] == [
        "Lung opacity",
        "acme [consolidation]",
        "+0.070 (+0.050 to +0.090)",
        "+0.060 (+0.040 to +0.080)",
    ]
    assert "P = 0.004" in seen.text
    other = [t for t in seen.tables if "Differences in AUC between" in t["caption"]][1]["rows"]
    assert other[0][2:] == ["Label adjudicated − Majority of the readers (derived)"]
    assert "Verdictsupported" in seen.text
    with (out / "figures" / "h2-internal.csv").open(encoding="utf-8") as file:
        drawn = {(r["row"], r["series"]): float(r["estimate"]) for r in csv.DictReader(file)}
    assert drawn["Pneumothorax: beta", "Label nih14"] == 0.84


def test_readers_leak_into_no_other_section(out, seen, given):
    assert seen.table("AUC per finding")[0][1:] == ["acme", "beta"]
    for section in ("discrimination", "operating", "comparison"):
        page = (out / "report.html").read_text(encoding="utf-8")
        begin = page.find(f'<section id="{section}">')
        part = page[begin : page.find("</section>", begin)] if begin >= 0 else ""
        for word in ("(readers)", "4295367600", "Fracture", "largest of five", "Dawid"):
            assert word not in part, (section, word)
    assert "the label source “nih14”" in seen.text


def test_what_an_estimated_rate_rests_on_stands_below_it(seen):
    assert "3.2 expected cases" in seen.text
    assert "fewer than 10 expected cases: unreliable" in seen.text


def test_every_note_reaches_the_page(given, seen):
    found: dict[str, list] = {}
    for text in given[0]["note_codes"].unique().to_list():
        for code in codes.decode(text):
            found.setdefault(code.name, []).append(code)
    assert len(found) >= 4
    for same in found.values():  # notes that differ in their numbers are counted together
        assert codes.pattern("notes", same) in seen.text


def test_methods_name_what_was_done_with_reads_and_its_papers(seen):
    for words in (
        "resampled readers and patients independently",
        "by U-statistics of first reads",
        "was averaged; it measures agreement",
        "posterior probability was at least 0.5",
        "Gwet's AC1",
        "Owen AB. The pigeonhole bootstrap",
        "bootstrap samples of patients, the same for all reference standards",
    ):
        assert words in seen.text, words
    assert "Obuchowski NA, Rockette HE" not in seen.text  # no graded reads


def test_without_reads_the_sections_are_left_out_and_named(made, page, read_page):
    text = read_page(page).text
    assert "comparison with readers (no reads were evaluated)" in text
    assert "no second reference standard was compared" in text
    assert not {"Readers", "Agreement"} & {s.section for s in sentences_of(read_evidence(made.evidence, {}))}
    assert "Owen AB" not in text


def test_each_arm_has_its_own_figure(given, write_folder, tmp_path, read_page):
    rows, curves = given
    aided = rows.filter(pl.col("level") == "unaided").with_columns(
        level=pl.lit("aided:score"), arm=pl.col("arm").str.replace("unaided", "aided:score")
    )
    both = write_folder(
        tmp_path / "evaluation",
        [*rows.to_dicts(), *aided.to_dicts(), *_arms()],
        curves=pl.concat([curves, curves.with_columns(level=pl.lit("aided:score"))]),
    )
    reporting.write(both, tmp_path / "out", study={})
    reader = read_page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    names = {p.stem for p in (tmp_path / "out" / "figures").glob("readers-*.svg")}
    assert names == {f"readers-{a}-{f}" for a in ("unaided", "aided-score") for f in (*OUTPUTS, "difference")}
    table = reader.table("Pneumothorax: mean of the readers in unaided reading and in aided reading (score)")
    assert table[1][0] == "Sensitivity"
    assert table[1][3:] == ["+0.040 (+0.010 to +0.070)", "0.010"]


def _arms() -> list[dict]:
    at = {"rater": "(readers)", "contrast": "arm:unaided", "level": "aided:score", "arm": "aided:score"}
    return [
        _row("readers", "sensitivity_difference", 0.04, 0.03, at="test=u-statistic", p=0.01, **at),
        _row("readers", "specificity_difference", 0.01, 0.02, at="test=u-statistic", p=0.4, **at),
    ]


def test_the_axis_ends_where_readers_fit():
    near, far = PlottedPoint("a", 0.1, 0.8, (0.05, 0.2)), PlottedPoint("b", 0.9, 0.9, few=True)
    panel = RocPanel("", "", (), (near, far), None, ())
    assert axis_end([panel]) == 0.25  # a reader with few reads does not stretch it
    assert axis_end([RocPanel("", "", (), (far,), None, ())]) == 1.0
    assert axis_end([RocPanel("", "", (), (), PlottedPoint("m", 0.5, 0.8, (0.4, 0.62)), ())]) == 0.8


def test_the_section_counts_where_a_model_is_lower_and_higher(given, out, read_page):
    rows = _default(given).filter(
        metric="sensitivity_difference", at="specificity=readers", contrast="rater:(readers)", level="unaided"
    )
    reader = read_page((out / "report.html").read_text(encoding="utf-8"))
    mine = rows.filter(reference="adjudicated")
    lower, higher = int((mine["high"] < 0).sum()), int((mine["low"] > 0).sum())
    assert mine.height == 5
    told = f"by the label adjudicated lower in {lower} and higher in {higher} of 5"
    assert told in reader.text
    assert reader.text.index(told) > reader.text.index("What limits this")


def _printed(blocks: tuple[Block, ...]) -> list[Block]:
    """What is printed without the appendix."""
    return list(within([b for b in blocks if not (isinstance(b, Folded) and b.appendix)]))


def _numbers(blocks: tuple[Block, ...]) -> set[str]:
    """Every number of the tables and figures, those of the appendix among them."""
    found = {c.text for b in within(blocks) if isinstance(b, Table) for row in b.rows for c in row}
    frames = [b.numbers for b in within(blocks) if isinstance(b, Figure) and b.numbers is not None]
    values = {str(v) for frame in frames for c in frame.select(pl.col(pl.Float64)).iter_columns() for v in c}
    return found | values


@pytest.fixture
def evidence(out):
    """The evaluation of the made-up reads."""
    return read_evidence(out.parent / "evaluation", {"title": "Reads"})


def test_of_many_rows_the_other_reference_standards_are_an_appendix(evidence, monkeypatch):
    short = reader_section.readers(evidence).blocks
    monkeypatch.setattr(reader_section, "_MOST_ROWS", 20)
    made = reader_section.readers(evidence).blocks
    printed = _printed(made)
    (only,) = (b for b in printed if isinstance(b, Table) and "each model against" in b.caption.lower())
    assert (
        only.caption == "Each model against the pooled readers, by finding; reference standard: the label adjudicated."
    )
    assert [row[0].text for row in only.rows if row[0].kind == "group"] == ["Lung opacity", "Pneumothorax"]
    (figure,) = (b for b in printed if isinstance(b, Figure) and b.name == "readers-unaided")
    assert figure.numbers is not None
    assert figure.numbers["finding"].unique(maintain_order=True).to_list() == ["Lung opacity", "Pneumothorax"]
    folded = [b.summary for b in made if isinstance(b, Folded)]
    assert "Pneumothorax: all reference standards and details" in folded
    assert _numbers(short) <= _numbers(made)


def test_what_does_not_fit_on_a_sheet_is_for_the_leading_model(evidence, monkeypatch):
    sections = (reader_section.readers, reference_section.h2)
    short = [make(evidence).blocks for make in sections]
    for module in (reader_section, reference_section):
        monkeypatch.setattr(module, "MOST_MARKS", 3)
    monkeypatch.setattr(reader_tables, "_MOST_ROWS", 1)
    long = [make(evidence).blocks for make in sections]
    for before, after in zip(short, long, strict=True):
        assert _numbers(before) <= _numbers(after)
    readers, standards = map(_printed, long)
    (difference,) = (b for b in readers if isinstance(b, Figure) and "difference" in b.name)
    assert difference.name == "readers-unaided-difference-acme"
    assert difference.caption.startswith("acme and pooled readers")
    (agreement,) = (b for b in readers if isinstance(b, Table) and "with the calls of" in b.caption)
    assert agreement.caption == "Agreement of the pooled reads with the calls of acme."
    assert {row[1].text.partition(" [")[0] for row in agreement.rows} == {"acme"}
    (areas,) = (b for b in standards if isinstance(b, Table) and b.caption.startswith("AUC under every"))
    assert {row[1].text.partition(" [")[0] for row in areas.rows} == {"acme"}
    folded = [b.summary for b in (*long[0], *long[1]) if isinstance(b, Folded)]
    assert "Difference in sensitivity of the other models" in folded
    assert "Agreement of the pooled reads with every model" in folded
    assert sum(text.startswith("The same for the other models (") for text in folded) == 1


def test_models_that_figures_leave_out_are_counted_and_stay_in_the_tables(evidence):
    (reads, *_) = arms(evidence)
    some = replace(reads, undrawn=frozenset({"beta"}))
    assert some.outputs("pneumothorax") == ("acme", "beta")
    assert some.drawn("pneumothorax") == ("acme",)
    outputs = [reader_question.OutputOfFinding("pneumothorax", "")]
    figure = reader_question._figure(some, outputs)
    assert figure is not None
    assert figure.note.endswith("Drawn: the 1 models of 2 with the highest mean AUC.")
    every = reader_question._figure(reads, outputs)
    assert every is not None
    assert not every.note.endswith("mean AUC.")
    assert 2 * figure.numbers.height == every.numbers.height
    (drawn,) = reader_section._figure(evidence, some, ("pneumothorax",), reads.references)
    assert drawn.caption.startswith("Pneumothorax: ROC curve of each of the 1 models with the highest mean AUC")
    assert "The other models are in the tables." in drawn.caption
    assert "beta" not in set(drawn.numbers["rater"])
