"""The largest difference from other software, statistic by statistic, as the table of docs/reference/statistics.md.

    python validation/reference_differences.py

Runs the tests against reference numbers (tests/reference, and shared/reference where it lies beside the checkout) and
watches every comparison they make. A difference is relative or absolute, whichever is smaller. Left out are comparisons
that are loose by their nature (tolerance above 1 %): resampled numbers, and published ones of few digits.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LOOSE = 1e-2
TESTS = Path(__file__).resolve().parents[1] / "tests" / "stats"
R = "R 4.2.2"

# statistic, paper, software, and the tests (file::function, or file::function::path of the number) that compare with it
ROWS = [
    (
        "AUC, DeLong error, Wald and logit intervals",
        "10.2307/2531595",
        "pROC 1.18.0",
        "roc_reference::auc_as_in_proc roc_fields::z_against_one_half_as_in_proc",
    ),
    (
        "AUC difference and covariance, same cases",
        "10.2307/2531595",
        "pROC 1.18.0",
        "roc_reference::paired_comparison_as_in_proc roc_fields::pairs_in_full_as_in_proc",
    ),
    (
        "AUC difference, different cases (t)",
        "10.1186/1471-2105-12-77",
        "pROC 1.18.0",
        "roc_reference::unpaired_comparison_as_in_proc roc_fields::unpaired_comparison_in_full_as_in_proc",
    ),
    (
        "ROC curve, Youden, attainable rates, partial AUC (raw, McClish)",
        "10.1177/0272989X8900900307",
        "pROC 1.18.0",
        "roc_reference::curve_and_partial_area_as_in_proc roc_fields::coordinates_as_in_proc",
    ),
    (
        "Clustered AUC and difference",
        "10.2307/2533958",
        "doAUCcluster (FDA DIDSR)",
        "roc_reference::clustered_auc_as_in_obuchowski roc_fields::components_as_in_obuchowski",
    ),
    (
        "Threshold at a rate, attainable step",
        "10.1186/1471-2105-12-77",
        "pROC 1.18.0",
        "fixed::attainable_steps_equal_proc",
    ),
    (
        "Wilson and exact intervals",
        "10.1080/01621459.1927.10502953",
        "binom 1.1.1.1, Hmisc 4.8.0",
        "proportions::proportion_equals_r",
    ),
    ("Clustered proportion", "10.2307/2532311", R, "proportions::clustered_proportion_equals_r"),
    (
        "Difference of independent proportions (Newcombe)",
        "10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "PropCIs 0.3.0",
        "proportions::independent_difference_equals_r",
    ),
    (
        "Sensitivity, specificity, PPV, NPV, F1, likelihood ratios",
        "10.1016/0895-4356(91)90128-V",
        "epiR 2.0.57, bdpv 1.4",
        "operating::equals_r operating::predictive_values_at_a_prevalence_equal_r",
    ),
    (
        "McNemar; paired difference (Tango, Newcombe)",
        "10.1186/1471-2288-13-91",
        "exact2x2 1.7.0, PropCIs 0.3.0",
        "paired::mcnemar_and_difference_equal_r",
    ),
    (
        "Paired PPV and NPV (Leisenring, Kosinski)",
        "10.1002/sim.5587",
        "DTComPair 1.2.2",
        "paired::predictive_values_equal_r paired::weiner_1979_equals_dtcompair",
    ),
    ("Cochran's Q", "10.1093/biomet/37.3-4.256", R, "paired::cochran_q_equals_r"),
    (
        "Calibration intercept, slope, in the large",
        "10.1093/biomet/45.3-4.562",
        f"stats::glm ({R})",
        "calibration::in_the_large_equals_glm calibration::calibration_line_equals_glm",
    ),
    ("Spiegelhalter's z", "10.1002/sim.4780050506", "rms 6.5.0", "calibration::spiegelhalter_equals_rms"),
    (
        "Hosmer-Lemeshow",
        "10.1080/03610928008827941",
        "ResourceSelection 0.3.6",
        "calibration::hosmer_lemeshow_equals_resource_selection",
    ),
    (
        "ECE (four binnings), calibration curve",
        "10.1609/aaai.v29i1.9602",
        f"formulas ({R})",
        "reliability::ece_and_curve_equal_r",
    ),
    (
        "Brier score, Murphy's and CORP's parts",
        "10.1073/pnas.2016191118",
        f"formulas ({R})",
        "reliability::brier_equals_r",
    ),
    ("Loess curve, ICI, E50, E90, Emax", "10.1002/sim.8281", f"stats::loess ({R})", "smooth::loess_equals_r"),
    (
        "Recalibration: logistic, temperature, isotonic, Platt",
        "10.1093/biomet/45.3-4.562",
        f"glm, isoreg ({R})",
        "recalibration::equals_r",
    ),
    ("Decision curves", "10.1177/0272989X06295361", "dcurves 0.5.1.9000", "decision::curves_equal_dcurves"),
    ("Net benefit, standard errors", "10.1002/bimj.201800240", R, "decision::standard_errors_equal_r"),
    (
        "Holm, Benjamini-Hochberg",
        "10.1111/j.2517-6161.1995.tb02031.x",
        f"stats::p.adjust ({R})",
        "multiplicity::equals_r",
    ),
    (
        "Cohen's kappa (weighted), two readers",
        "10.1037/h0028106",
        "vcd 1.4.11, psych 2.2.9",
        "agreement_reference::two_readers_as_in_vcd_and_irrcac::'(unweighted|linear|quadratic)'",
    ),
    (
        "Percent, kappa, AC1/AC2, alpha, pi with t intervals, two readers",
        "10.1348/000711006X126600",
        "irrCAC 1.0 (p printed to four digits)",
        "agreement_reference::two_readers_as_in_vcd_and_irrcac::irrCAC_table",
    ),
    (
        "Fleiss, Gwet, Krippendorff, percent, several readers and missing reads",
        "10.1348/000711006X126600",
        "irrCAC 1.0",
        "agreement_reference::several_readers_as_in_irr_and_irrcac::irrCAC",
    ),
    (
        "Fleiss per category, Light, all-reader agreement",
        "10.1037/h0031619",
        "irr 0.84.1",
        "agreement_reference::several_readers_as_in_irr_and_irrcac::irr'|per_category",
    ),
    (
        "Krippendorff's alpha at four levels",
        "10.1080/19312450709336664",
        f"definition ({R})",
        "agreement_reference::several_readers_as_in_irr_and_irrcac::'krippendorff_alpha'",
    ),
    (
        "ICC, six forms",
        "10.1037/0033-2909.86.2.420",
        "psych 2.2.9, irr 0.84.1",
        "agreement_reference::icc_as_in_psych_and_irr",
    ),
    (
        "Bland-Altman, Lin's concordance",
        "10.1177/096228029900800204",
        "epiR 2.0.57",
        "agreement_reference::bland_altman_and_concordance_as_in_epir",
    ),
    (
        "Dawid-Skene",
        "10.2307/2346806",
        "EM in numpy, to 1e-13; crowd-kit beside it",
        "dawid_skene::crowd_as_in_another_program dawid_skene::the_paper_s_anaesthetists",
    ),
    (
        "Obuchowski-Rockette with Hillis' df (three covariances)",
        "10.1002/sim.2532",
        "MRMCaov 0.3.0, RJafroc 2.1.3",
        "mrmc_reference::obuchowski_rockette_as_in_mrmcaov_and_rjafroc",
    ),
    (
        "Dorfman-Berbaum-Metz",
        "10.1016/j.acra.2007.12.015",
        "RJafroc 2.1.3",
        "mrmc_reference::dorfman_berbaum_metz_is_the_same_analysis",
    ),
    (
        "U-statistics, also missing reads and split plot",
        "10.1016/j.acra.2005.11.030",
        "iMRMC 2.1.0",
        "mrmc_reference::u_statistics_as_in_imrmc",
    ),
    (
        "Missing and nested reads, covariances",
        "10.1080/03610919508813243",
        "MRMCaov 0.3.0",
        "mrmc_reference::covariance_of_readers_with_missing_reads_as_in_mrmcaov "
        "mrmc_reference::nested_designs_as_in_mrmcaov",
    ),
    (
        "A model against random readers",
        "10.1002/sim.2532",
        "RJafroc 2.1.3 (StCadVsRad)",
        "mrmc_reference::a_model_against_readers_as_in_rjafroc",
    ),
    (
        "Sensitivity and specificity, several readers",
        "10.1002/sim.2532",
        "MRMCaov 0.3.0",
        "mrmc_reference::sensitivity_and_specificity_as_in_mrmcaov",
    ),
    (
        "Power of a reader study, from a pilot",
        "10.1016/j.acra.2010.09.007",
        "RJafroc 2.1.3",
        "mrmc_power::power_from_a_pilot_study_as_in_rjafroc",
    ),
    (
        "Power of a reader study, without one",
        "10.1002/9780470906514",
        "MRMCsamplesize 1.0.0",
        "mrmc_power::planning_without_a_pilot_study_as_in_mrmcsamplesize",
    ),
    ("Sample size: one AUC", "10.1148/radiology.143.1.7063747", "pROC 1.18.0", "power::single_auc_equals_r"),
    (
        "Sample size: two AUCs, paired pilot",
        "10.1002/(SICI)1097-0258(19970715)16:13<1529::AID-SIM565>3.0.CO;2-H",
        "pROC 1.18.0",
        "power::paired_pilot_equals_proc",
    ),
    ("Sample size: rates, paired calls", "10.1111/j.1553-2712.1996.tb03538.x", R, "power::rates_and_pairs_equal_r"),
    (
        "Reading time: mixed model, REML and ML, Satterthwaite df",
        "10.18637/jss.v082.i13",
        "lme4 1.1.31, lmerTest 3.1.3",
        "reading_time::mixed_models_equal_lme4_and_lmertest reading_time::the_ratio_equals_lmertest_with_reader_by_arm",
    ),
    ("Reading time: geometric means, paired t over readers", "", R, "reading_time::simple_summaries_equal_r"),
    (
        "Signed rank (Wilcoxon, Pratt), sign test, shift",
        "",
        "coin 1.4.2, exactRankTests 0.8.35",
        "trust::every_number_of_coin_and_exact_rank_tests",
    ),
    (
        "Betting confidence sequence",
        "10.1093/jrsssb/qkad009",
        "confseq 0.0.11",
        "betting::limits_equal_the_authors_own",
    ),
]


@dataclass
class Watch:
    """Notes of every comparison: by test function, what was compared (the message) and by how much it differed."""

    at: str = ""
    seen: dict[str, list[tuple[str, float]]] = field(default_factory=lambda: defaultdict(list))
    skipped: set[str] = field(default_factory=set)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: Any) -> None:
        self.at = f"{item.path.stem.removeprefix('test_')}::{item.originalname.removeprefix('test_')}"

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.skipped:
            self.skipped.add(self.at)
        if report.failed:
            raise SystemExit(f"{report.nodeid} fails: no table")

    def compared(self, got: Any, want: Any, words: str, loose: bool) -> None:
        """Note a comparison, unless it is loose by its nature."""
        if loose:
            return
        got, want = np.asarray(got, dtype=float), np.asarray(want, dtype=float)
        apart = np.abs(got - want)
        with np.errstate(divide="ignore", invalid="ignore"):
            least = np.fmin(apart, apart / np.abs(want))
        known = least[np.isfinite(least)]
        self.seen[self.at].append((words, float(known.max()) if known.size else 0.0))


class Approx:
    """pytest.approx that notes what it is compared with."""

    __array_ufunc__ = None
    __array_priority__ = 1000

    def __init__(self, watch: Watch, real: Any, want: Any, rel: Any, abs_: Any, nan_ok: bool) -> None:
        self.watch, self.want = watch, want
        self.approx = real(want, rel=rel, abs=abs_, nan_ok=nan_ok)
        self.loose = (rel or 0) > LOOSE or (abs_ or 0) > 1e-5

    def __eq__(self, got: Any) -> bool:
        if not isinstance(got, dict):
            self.watch.compared(got, self.want, "", self.loose)
        return got == self.approx

    def __repr__(self) -> str:
        return repr(self.approx)


def main() -> None:
    watch, close, approx = Watch(), np.testing.assert_allclose, pytest.approx

    def allclose(actual: Any, desired: Any, rtol: float = 1e-7, atol: float = 0, **more: Any) -> None:
        watch.compared(actual, desired, str(more.get("err_msg", "")), rtol > LOOSE or atol > 1e-5)
        close(actual, desired, rtol=rtol, atol=atol, **more)

    np.testing.assert_allclose = allclose
    pytest.approx = lambda want, rel=None, abs=None, nan_ok=False: Approx(watch, approx, want, rel, abs, nan_ok)
    wanted = dict.fromkeys("::".join(t.split("::")[:2]) for *_, tests in ROWS for t in tests.split())
    nodes = [f"{TESTS}/test_{file}.py::test_{name}" for file, name in (w.split("::") for w in wanted)]
    pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", *nodes], plugins=[watch])
    print("\n| statistic | paper | software, version | numbers | largest difference |\n|---|---|---|---|---|")
    for statistic, doi, software, tests in ROWS:
        found = [d for t in tests.split() for d in of_test(watch, t)]
        link = f"[{doi}](https://doi.org/{doi.replace('<', '%3C').replace('>', '%3E')})" if doi else ""
        most = f"{max(found):.0e}" if found and max(found) else "0" if found else "not compared"
        print(f"| {statistic} | {link} | {software} | {len(found)} | {most} |")
    print("\nSkipped where shared/reference is absent:", ", ".join(sorted(watch.skipped)) or "nothing")


def of_test(watch: Watch, test: str) -> list[float]:
    """The differences that a test noted, of the numbers whose path fits where one is given."""
    file, name, *path = test.split("::")
    return [d for words, d in watch.seen[f"{file}::{name}"] if not path or re.search(path[0], words)]


if __name__ == "__main__":
    main()
