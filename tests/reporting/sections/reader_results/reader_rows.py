"""Rows of readers without a model: Van Dyke's five readers in two arms, and calls of readers in one arm.

The numbers of the arms are those of `crossed_vandyke` in tests/reference (MRMCaov 0.3.0 and RJafroc 2.1.3, Obuchowski
and Rockette with jackknife covariances), rounded to six digits; intervals of the means are not: they are on the logit
scale.
"""

from __future__ import annotations

from math import nan

from overread import codes

USUAL, NEW = "spin echo", "cine"
AUCS = {
    USUAL: (0.919646, 0.858776, 0.903865, 0.973108, 0.829791),
    NEW: (0.947826, 0.905314, 0.921739, 0.999356, 0.929952),
}
MEANS = {USUAL: (0.897037, 0.800145, 0.949896), NEW: (0.940837, 0.872973, 0.973544)}
DIFFERENCE = (0.043800, -0.000359, 0.087959, 0.051666)
VARIANCES = {
    "ms_arm": 0.00479617,
    "ms_reader": 0.0038362,
    "ms_arm_reader": 0.000551031,
    "var_reader": 0.00153500,
    "var_arm_reader": 0.000200403,
    "cov1": 0.000346614,
    "cov2": 0.000344075,
    "cov3": 0.000239028,
    "var_error": 0.000802288,
    "f_statistic": 4.456319,
    "df_numerator": 1.0,
    "df_denominator": 15.25967,
}
ROCKETTE = codes.methods(
    codes.method("obuchowski_rockette", readers="random", cases="random"),
    codes.method("rater_covariance", kind="jackknife"),
)
T = codes.methods(ROCKETTE, codes.method("scale_t", df=15.3))
TEST = "test=obuchowski-rockette"


def row(metric: str, value: float, *ends: float, **more: object) -> dict:
    """A row of the analysis `readers`; low and high, and p, are given in order."""
    low, high, p = (*ends, nan, nan, nan)[:3]
    made = {
        "analysis": "readers", "metric": metric, "at": "", "finding": "nodule", "rater": "(readers)", "arm": "unaided",
        "contrast": "", "population": "all", "subgroup": "read", "reference": "surgery",
        "policy": "uncertain=ignore;uncertain_call=absent", "estimate": value, "low": low, "high": high, "se": nan,
        "p": p, "p_adjusted": nan, "family": None, "null": None, "n_present": 45, "n_absent": 69, "n_cases": 114,
        "n_patients": 114, "n_readers": 5, "confidence": 0.95, "method": ROCKETTE, "note": None} | more  # fmt: skip
    made.setdefault("level", made["arm"])
    made["method_code"] = codes.encode(made["method"] or "")
    return made | {"note_codes": codes.encode(made["note"] or "")}


def arm_rows(**more: object) -> list[dict]:
    """The rows of the two arms, of graded reads."""
    rows = []
    for arm, areas in AUCS.items():
        single = {"method": codes.method("obuchowski"), "n_readers": 1, "arm": arm} | more
        rows += [
            row("auc", a, a - 0.05, min(a + 0.03, 1.0), rater=f"Reader {i}", **single) for i, a in enumerate(areas, 1)
        ]
        rows.append(row("auc", *MEANS[arm], at=TEST, arm=arm, **more))
    less = {"at": TEST, "arm": NEW, "contrast": f"arm:{USUAL}", "method": T, "null": 0.0} | more
    rows.append(row("auc_difference", *DIFFERENCE, **less))
    own = codes.methods(codes.method("single_reader"), codes.method("scale_wald"))
    for i, (usual, new) in enumerate(zip(*AUCS.values(), strict=True), 1):
        ends = new - usual - 0.05, new - usual + 0.05, 0.3
        rows.append(row("auc_difference", new - usual, *ends, **less | {"rater": f"Reader {i}", "method": own}))
    everyone = {"at": TEST, "arm": "all"} | more
    rows += [
        row(m, v, nan, nan, DIFFERENCE[3] if m == "f_statistic" else nan, **everyone) for m, v in VARIANCES.items()
    ]
    return rows


def margin_row(p: float = 0.000195) -> dict:
    """The test of non-inferiority."""
    less = {"at": f"margin=0.05;{TEST}", "arm": NEW, "contrast": f"arm:{USUAL}", "method": T, "null": -0.05}
    return row("auc_difference", *DIFFERENCE[:3], p, **less)


def call_rows() -> list[dict]:
    """Calls of three readers in one arm, by a label and by what the reads make."""
    rows = []
    few = codes.note("few_reads", present=4, absent=60, least=10)
    for reference in ("majority", "adjudicated", "dawid-skene", "majority of the others"):
        favoured = codes.note("reference_from_readers") if reference in ("majority", "dawid-skene") else None
        skene = codes.note("dawid_skene_converged", iterations=138) if reference == "dawid-skene" else None
        for metric, value in (("sensitivity", 0.8), ("specificity", 0.9)):
            at = {"reference": reference, "finding": "pneumothorax", "method": codes.method("wilson")}
            pooled = codes.notes(codes.note("reads_pooled", n=240), favoured, skene)
            rows.append(row(metric, value, value - 0.05, value + 0.05, **at, note=pooled, n_readers=3))
            for i, n in enumerate((100, 80), 1):
                ends = value - 0.08, value + 0.08
                note = codes.notes(favoured, skene)
                rows.append(row(metric, value, *ends, **at, rater=f"R{i}", note=note, n_cases=n, n_readers=1))
            note = codes.notes(few, favoured, skene)
            rows.append(row(metric, value, **at, rater="R10", note=note, n_cases=60, n_readers=1))
    return rows
