"""A small study made up for the report: five sites, five findings, five models, numbers that cannot be computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from overread import codes, integrity, ledger, runs, tables
from overread.stats import roc

# fmt: off
FINDINGS = ("cardiomegaly", "pleural_effusion", "consolidation", "pneumothorax", "mass")
INTERNAL = ("north", "lake", "harbour")
EXTERNAL = ("hill", "valley")
RATERS = {"pooled": 1.35, "north-only": 0.95, "lake-only": 1.0, "harbour-only": 0.9, "pooled-matched": 1.15}
PREVALENCE = {"cardiomegaly": 0.22, "pleural_effusion": 0.3, "consolidation": 0.16, "pneumothorax": 0.08, "mass": 0.05}
NONE = {"low": float("nan"), "high": float("nan")}
OBUCHOWSKI = codes.methods(codes.method("obuchowski"), codes.method("scale_wald"))
WILSON = codes.methods(*(codes.method(m) for m in ("linearised", "clustered_by_patient")))
WILSON = codes.methods(codes.method("wilson_effective", n=81.3), WILSON)
BOOTSTRAP = codes.method("bootstrap_percentile", replicates=2000)


def few(present: int, absent: int = 90) -> codes.Text:
    """The note of a finding that is not evaluable."""
    return codes.note("few_patients_evaluable", present=present, absent=absent, least_present=20, least_absent=20)


def over(*findings: str) -> codes.Text:
    """The note of a mean over findings."""
    return codes.note("mean_over_findings", n=len(findings), findings=findings)


def with_codes(row: dict) -> dict:
    """The row with the codes of its method and its note."""
    return {"method_code": codes.encode(row["method"] or ""), "note_codes": codes.encode(row["note"] or ""), **row}


@dataclass(frozen=True)
class Made:
    """Where a made-up study lies, and what `write` is told of it."""

    evidence: Path
    cohort: Path | None
    heatmaps: dict[str, Path]
    ledger: Path | None
    models: dict[str, Path]
    study: dict

    def arguments(self) -> dict:
        """The keyword arguments of `report.write`."""
        return {
            "study": self.study, "cohort_folder": self.cohort, "heatmap_folders": self.heatmaps,
            "ledger": self.ledger, "models": self.models}


def estimate(analysis: str, metric: str, value: float, **more: object) -> dict:
    """A row of estimates; without low and high, an interval of 0.03 either way."""
    keys = dict.fromkeys(("at", "finding", "rater", "contrast", "population", "reference", "policy"), "")
    row = {
        "analysis": analysis, "metric": metric, **keys, "arm": "model", "subgroup": "", "level": "",
        "estimate": value, "low": value - 0.03, "high": value + 0.03, "se": 0.015, "p": float("nan"),
        "p_adjusted": float("nan"), "family": None, "null": None, "n_present": None, "n_absent": None,
        "n_cases": None, "n_patients": None, "n_readers": None, "confidence": 0.95, "note": None,
        "method": OBUCHOWSKI}
    return with_codes({**row, **more})


def _images(rng: np.random.Generator, n: int) -> pl.DataFrame:
    frames = []
    for k, site in enumerate((*INTERNAL, *EXTERNAL)):
        size = n if site in INTERNAL else int(n * 0.75)
        splits = np.array(["train", "tune", "test"])[np.searchsorted([0.6, 0.75], rng.random(size))]
        frames.append(
            pl.DataFrame(
                {
                    "image_id": [f"{site}-{i:05d}" for i in range(size)],
                    "case_id": [f"{site}-{i:05d}" for i in range(size)],
                    "patient_id": [f"{site}-p{i // 2:05d}" for i in range(size)], "site": site,
                    "split": splits if site in INTERNAL else np.full(size, "test"),
                    "view": rng.choice(["PA", "AP"], size, p=[0.7 - 0.1 * k, 0.3 + 0.1 * k]),
                    "sex": rng.choice(["F", "M"], size),
                    "age_years": rng.normal(52 + 4 * k, 15, size).clip(18, 95).round(),
                    "manufacturer": ["Alpha", "Beta", "Alpha", "Gamma", "Delta"][k],
                    "device": ["DX-1", "Ray 200", "DX-2", "CR-9", "Pro"][k], "acquired": date(2024, 3, 1 + k)}
            )
        )
    return pl.concat(frames)


def _labels(rng: np.random.Generator, images: pl.DataFrame) -> pl.DataFrame:
    frames = []
    for f in FINDINGS:
        shift = images["site"].replace_strict(dict(zip((*INTERNAL, *EXTERNAL), (1.0, 1.5, 0.7, 1.3, 0.6), strict=True)))
        present = rng.random(images.height) < PREVALENCE[f] * shift.cast(pl.Float64).to_numpy()
        state = np.where(rng.random(images.height) < 0.03, "uncertain", np.where(present, "present", "absent"))
        part = pl.DataFrame({"case_id": images["case_id"], "finding": f, "source": "radiologist", "state": state})
        keep = rng.random(images.height) > (0.1 if f == "mass" else 0.0)
        # one finding that one external site states as absent only
        only = images["site"].to_numpy() == "valley" if f == "mass" else np.zeros(images.height, bool)
        part = part.with_columns(pl.when(pl.Series(only)).then(pl.lit("absent")).otherwise("state").alias("state"))
        frames.append(part.filter(pl.Series(keep)))
    return pl.concat(frames)


def _joined(rng: np.random.Generator, images: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    test = images.filter(pl.col("split") == "test")
    stated = labels.filter(pl.col("state") != "uncertain").join(
        test.select("case_id", "patient_id", "site"), on="case_id"
    )
    truth = (stated["state"] == "present").to_numpy()
    outside = stated["site"].is_in(EXTERNAL).to_numpy()
    frames = []
    common = rng.normal(size=stated.height)
    for rater, skill in RATERS.items():
        gain = np.where(outside, skill - 0.35, skill) * (1.25 - 0.08 * stated["finding"].rank("dense").to_numpy())
        score = 1 / (1 + np.exp(-(truth * gain * 1.3 + 0.7 * common + 0.7 * rng.normal(size=stated.height) - 1.6)))
        frames.append(
            stated.select("case_id", "finding", "patient_id", "site").with_columns(
                pl.lit(rater).alias("rater"), pl.lit("model").alias("arm"),
                pl.Series("population", np.where(outside, "external:" + stated["site"].to_numpy(), "internal")),
                pl.lit("none").alias("shift"), pl.Series("score", score), pl.Series("truth", truth),
                pl.lit(None, pl.String).alias("call"), pl.lit(1.0).alias("weight"))
        )
    return pl.concat(frames)


def _standalone(joined: pl.DataFrame) -> tuple[list[dict], list[dict]]:
    rows, curves = [], []
    for (rater, population, finding), part in joined.group_by("rater", "population", "finding", maintain_order=True):
        y, score = part["truth"].to_numpy(), part["score"].to_numpy()
        at = {
            "rater": rater, "population": population, "finding": finding, "n_present": int(y.sum()),
            "n_absent": int((~y).sum()), "n_cases": len(y), "n_patients": part["patient_id"].n_unique(),
            "reference": "radiologist", "policy": "uncertain=ignore"}
        found = roc.auc(y, score, cluster=part["patient_id"].to_numpy())
        numbers = {"low": found.low, "high": found.high, "se": found.se, "p": found.p, "note": found.note}
        rows.append(estimate("standalone", "auc", found.value, **at, **numbers, null=0.5))
        if not y.any():
            continue
        call = score >= 0.3
        rates = {
            "sensitivity": call[y].mean(), "specificity": (~call[~y]).mean(), "ppv": y[call].mean(),
            "npv": (~y[~call]).mean(), "f1": 0.5}
        for metric, value in rates.items():
            method = codes.method("delta") if metric == "f1" else WILSON
            rows.append(estimate("standalone", metric, value, **at, at="operating_point=spec90", method=method))
        rows.append(estimate("standalone", "threshold", 0.3, **at, **NONE, at="operating_point=spec90",
                             method=codes.method("threshold_stored"), note=codes.note("threshold_of_model")))
        method = codes.methods(codes.method("fixed_rate_rechosen"), BOOTSTRAP)
        fixed = {"at": "specificity=0.90", "method": method}
        rows.append(estimate("standalone", "sensitivity_at_specificity", 0.6, **at, **fixed))
        for metric, value in (("intercept", -0.1), ("slope", 0.9), ("in_the_large", 0.05)):
            rows.append(
                estimate(
                    "standalone", f"calibration_{metric}", value, **at, at="recalibration=frozen",
                    method=codes.method("logistic_calibration")
                )
            )
        brier = {"at": "recalibration=frozen", "method": codes.method("linearised")}
        rows.append(estimate("standalone", "brier", 0.1, **at, **brier))
        rows.append(
            estimate(
                "standalone", "ece", 0.04, **at, **NONE, at="binning=mass;bins=15;recalibration=frozen",
                method=codes.method("bins_equal_frequency", n=15),
                note=codes.note("expected_under_calibration", value=0.0123))
        )
        curves += _curves(y, score, at)
    return rows, curves


def _curves(y: np.ndarray, score: np.ndarray, at: dict) -> list[dict]:
    keys = {k: at[k] for k in ("rater", "population", "finding", "reference", "policy")}
    keys |= {"at": "", "arm": "model", "subgroup": "", "level": ""}
    line = roc.roc_curve(y, score)
    step = max(len(line.threshold) // 60, 1)
    x, up = line.false_positive_rate[::step], line.true_positive_rate[::step]
    rows = [
        {"curve": "roc", **keys, "order": i, "x": a, "y": b, "low": max(b - 0.06, 0), "high": min(b + 0.06, 1)}
        for i, (a, b) in enumerate(zip([*x, 1.0], [*up, 1.0], strict=True))
    ]
    for i, bin_ in enumerate(np.array_split(np.argsort(score), 8)):
        p, o = float(score[bin_].mean()), float(y[bin_].mean())
        rows.append(
            {
                "curve": "calibration", **keys, "order": i, "x": p, "y": o, "low": max(o - 0.1, 0),
                "high": min(o + 0.1, 1)}
        )
    return rows


def _means(rows: list[dict]) -> list[dict]:
    made = []
    frame = pl.DataFrame([{k: r[k] for k in ("metric", "rater", "population", "finding", "estimate")} for r in rows])
    frame = frame.filter(pl.col("metric") == "auc")
    for (rater, population), part in frame.group_by("rater", "population", maintain_order=True):
        value = part["estimate"].mean()
        note = over(*part["finding"].to_list())
        if part["estimate"].is_nan().any():
            value, note = float("nan"), codes.note("undefined_at_every_site")
        made.append(
            estimate(
                "standalone", "auc", value, rater=rater, population=population, finding="(mean)",
                method=BOOTSTRAP, note=note)
        )
    return made


def _contrasts(rng: np.random.Generator) -> list[dict]:
    rows = []
    outside = [f"external:{s}" for s in EXTERNAL]
    for other in ("north-only", "lake-only", "harbour-only", "pooled-matched"):
        for p in ("internal", *outside):
            for f in (*FINDINGS, "(mean)"):
                bad = f == "mass" and p == "external:valley"
                value = float("nan") if bad else float(rng.normal(0.03, 0.015))
                note = codes.note("cases_of_one_class") if bad else None
                rows.append(
                    estimate(
                        "comparison", "auc_difference", value, finding=f, rater="pooled",
                        contrast=f"rater:{other}", population=p, n_present=40, n_absent=200, n_patients=200,
                        p=0.01, p_adjusted=0.06, family="all findings and populations", note=note, null=0.0)
                )
    for e in outside:
        for s in ("north-only", "lake-only", "harbour-only", "pooled-matched"):
            for f in (*FINDINGS, "(mean)"):
                bad = f == "mass"
                value = float("nan") if bad else float(rng.normal(0.035, 0.01))
                note = few(7 if e.endswith("hill") else 0) if bad else None
                note = over(*sorted(set(FINDINGS) - {"mass"})) if f == "(mean)" else note
                rows.append(
                    estimate(
                        "H1", "auc_difference", value, finding=f, rater="pooled", contrast=f"rater:{s}",
                        population=e, n_present=44, n_absent=180, n_patients=190, p=0.004, p_adjusted=0.03,
                        family="H1", note=note, null=0.0, low=value - 0.02, high=value + 0.02)
                )
        for s in ("north-only", "lake-only", "harbour-only"):
            rows.append(
                estimate(
                    "H1", "auc_difference", 0.035, at="margin=0.01", finding="(mean)", rater="pooled",
                    contrast=f"rater:{s}", population=e, low=np.nan, p=0.99, p_adjusted=1.0, null=0.01,
                    family="H1, gain ruled out: 6 contrasts of site and model")
            )
        for r in RATERS:
            for f in (*FINDINGS, "(mean)"):
                bad = f == "mass" and e.endswith("valley")
                value = float("nan") if bad else float(rng.normal(0.06, 0.02))
                rows.append(
                    estimate(
                        "drop", "auc_drop", value, finding=f, rater=r, contrast=f"population:{e}",
                        population="internal", p=0.02, note=codes.note("cases_of_one_class") if bad else None)
                )
    for f in FINDINGS:
        at = {"finding": f, "population": "internal"}
        rows.append(estimate("site_alone", "auc", 0.58, at="pairs=all", rater="(site) pooled", **at))
        rows.append(estimate("site_alone", "auc", 0.84, at="pairs=all", rater="pooled", **at))
        rows.append(estimate("site_alone", "auc", 0.82, at="pairs=site", rater="pooled", **at))
        rows.append(
            estimate(
                "site_alone", "auc_difference", 0.26, at="pairs=all", rater="pooled", contrast="rater:(site)", **at
            )
        )
        rows.append(
            estimate(
                "site_alone", "auc", float("nan"), at="pairs=all", rater="(site) pooled", finding=f,
                population="external:hill", note=codes.note("site_unseen"))
        )
    return rows


def _slices(rng: np.random.Generator) -> list[dict]:
    rows = []
    homes = {"pooled": INTERNAL} | {f"{s}-only": (s,) for s in INTERNAL}
    for r, home in homes.items():
        for site in (*INTERNAL, *EXTERNAL):
            inside = site in home
            value = float(rng.normal(0.84 if inside else 0.76, 0.015))
            rows.append(
                estimate(
                    "matrix", "auc", value, finding="(mean)", rater=r, subgroup="site", level=site,
                    population="internal" if inside else f"external:{site}")
            )
    groups = {"sex": ("F", "M"), "age_band": ("18-39", "40-59", "60-79", "80+"), "view": ("PA", "AP")}
    for p in ("internal", "external:hill"):
        for s, levels in groups.items():
            for level in levels:
                for f in (*FINDINGS, "(mean)"):
                    bad = level == "80+" or (level == "18-39" and f == "mass")
                    value = float("nan") if bad else float(rng.normal(0.81, 0.02))
                    note = few(3) if bad else None
                    rows.append(
                        estimate(
                            "subgroups", "auc", value, finding=f, rater="pooled", population=p, subgroup=s,
                            level=level, n_present=30, n_absent=90, n_patients=112, note=note)
                    )
                if level != "80+":
                    rows.append(
                        estimate(
                            "subgroups", "underdiagnosis", 0.12, rater="pooled", population=p, subgroup=s, level=level,
                            at="operating_point=spec90", n_cases=30)
                    )
            rows.append(
                estimate(
                    "subgroups", "auc", 0.815, finding="(mean)", rater="pooled", population=p, subgroup=s, level="all",
                    n_patients=224)
            )
            left = codes.note("group_excluded", group="80+", reason=str(codes.note("few_findings_in_group", n=0, of=5)))
            for metric, at, f in (("auc", "", "(mean)"), ("auc", "", "mass"), ("underdiagnosis", "spec90", "")):
                note = codes.notes(
                    codes.note("groups_compared", n=2, groups=levels[:2]), left if s == "age_band" else None)
                rows.append(
                    estimate(
                        "subgroups", f"gap_{metric}", 0.02, finding=f, rater="pooled", population=p, subgroup=s,
                        at=f"operating_point={at}" if at else "", level=levels[0], contrast=f"level:{levels[1]}",
                        low=0.0, high=0.061, p=0.03, p_adjusted=0.09, note=note)
                )
    return rows


def _seeds(rng: np.random.Generator) -> list[dict]:
    rows = []
    for r in ("pooled", "north-only"):
        for e in EXTERNAL:
            at = {"finding": "(mean)", "population": f"external:{e}"}
            for k in (1, 2, 3):
                rows.append(estimate("seeds", "auc", float(rng.normal(0.78, 0.006)), rater=f"{r}/seed-{k}", **at))
            rows.append(
                estimate(
                    "seeds", "auc_sd", 0.006, rater=r, **NONE, method=codes.method("seed_standard_deviation"),
                    note=codes.note("seeds_range", n=3, of=3, lowest=0.774, highest=0.7865), **at)
            )
    return rows


def _verdicts(verdict: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "hypothesis": ["H1"],
            "claim": ["A model of several institutions is better at unseen ones than a model of any one of them."],
            "rule": ["The 95 % lower limit of D(e, s) is above 0 for every external site e and model s."],
            "verdict": [verdict],
            "reason": ["The lower limit of D is above 0 in all 6 contrasts. Not evaluable: hill: mass: too few."],
            "protocol_hash": ["ab12" * 16]}
    )


def _pixels(rng: np.random.Generator, cohort: Path, images: pl.DataFrame, size: int) -> pl.DataFrame:
    """A crude thorax per test image: enough to see an overlay on."""
    down, across = np.mgrid[0:size, 0:size] / size
    body = 190 * np.exp(-(((across - 0.5) / 0.42) ** 4) - ((down - 0.6) / 0.62) ** 4)
    lungs = sum(np.exp(-((((across - c) / 0.13) ** 2 + ((down - 0.48) / 0.26) ** 2) ** 2)) for c in (0.29, 0.71))
    heart = 80 * np.exp(-(((across - 0.56) / 0.13) ** 2) - ((down - 0.66) / 0.15) ** 2)
    ribs = 10 * np.sin(down * 55 + 6 * (across - 0.5) ** 2) * lungs
    thorax = body - 135 * lungs + heart + ribs
    test = images.filter(pl.col("split") == "test").height
    stack = np.clip(thorax + rng.normal(0, 5, (test, size, size)), 0, 255).astype(np.uint8)
    (cohort / "pixels").mkdir(parents=True)
    np.save(cohort / "pixels" / "part-00000.npy", stack)
    tables.write_json(cohort / "pixels" / "recipe.json", {"size": size, "fit": "pad", "window": "full"})
    place = pl.when(pl.col("split") == "test").then((pl.col("split") == "test").cum_sum() - 1).cast(pl.Int32)
    return images.with_columns(
        place.alias("row"), pl.when(pl.col("split") == "test").then(pl.lit(0, pl.Int32)).alias("part"),
        pl.lit(1024, pl.Int32).alias("rows"), pl.lit(896, pl.Int32).alias("columns"))


def _heatmaps(rng: np.random.Generator, folder: Path, images: pl.DataFrame) -> Path:
    test = images.filter(pl.col("split") == "test")
    down, across = np.mgrid[0:7, 0:7] / 6
    centre = rng.uniform(0.2, 0.8, (test.height, len(FINDINGS), 2, 1, 1))
    maps = np.exp(-((down - centre[:, :, 0]) ** 2 + (across - centre[:, :, 1]) ** 2) / 0.06)
    (folder / "heatmaps").mkdir(parents=True)
    np.save(folder / "heatmaps" / "part-00000.npy", maps.astype(np.float16))
    where = test.select("image_id").with_row_index("row").with_columns(pl.lit(0).alias("part"))
    tables.write_frame(where, folder / "heatmaps.parquet")
    said = {"findings": list(FINDINGS), "method": "Grad-CAM, closed form of the linear head"}
    tables.write_json(folder / "heatmaps.json", said)
    return folder


def _flow(images: pl.DataFrame) -> pl.DataFrame:
    n = images.height
    p = images["patient_id"].n_unique()
    rows = [
        ("Found in the sources", "images", "", n + 130), ("Found in the sources", "patients", "", p + 40),
        ("Frontal view", "images", "lateral view", 90), ("Frontal view", "patients", "lateral view", 25),
        ("Frontal view", "images", "kept", n + 40),
        ("Readable", "images", "unreadable file, skipped on request", 12),
        ("Readable", "images", "kept", n + 28), ("One label at least", "images", "no finding is stated", 28),
        ("One label at least", "images", "kept", n), ("One label at least", "patients", "kept", p)]
    return pl.DataFrame(rows, schema=["step", "unit", "reason", "count"], orient="row")


def _models(folder: Path) -> dict[str, Path]:
    made = {}
    for i, name in enumerate(RATERS):
        sites = list(INTERNAL) if name.startswith("pooled") else [name.removesuffix("-only")]
        points = {f: {"spec90": {"threshold": 0.3, "specificity": 0.9, "sensitivity": 0.6}} for f in FINDINGS}
        tables.write_json(
            folder / name / "model.json",
            {
                "name": name, "kind": "ensemble", "members": ["seed-1", "seed-2", "seed-3"],
                "findings": list(FINDINGS), "not_outputs": ["fibrosis"],
                "recipe": {"size": 128, "fit": "pad", "window": "full"},
                "architecture": {"network": "densenet-small"}, "training_sites": sites,
                "operating_points": points,
                "recalibration": {f: {"intercept": 0.0, "slope": 1.0} for f in FINDINGS},
                "n_train_images": 240 * len(sites), "n_train_patients": 120 * len(sites),
                "positive_weights": dict.fromkeys(FINDINGS, 3.0 + i)})
        for k in (1, 2, 3):
            run = folder / name / f"seed-{k}"
            epochs = np.arange(1, 7)
            history = pl.DataFrame(
                {
                    "epoch": epochs,
                    "loss": 0.6 * 0.85**epochs + 0.02 * i,
                    "tune_auc": 0.83 - 0.2 * 0.6**epochs + 0.004 * k,
                }
            )
            tables.write_frame(history, run / "history.parquet")
            config = {
                "epochs": 6, "batch_size": 32, "learning_rate": 3e-4, "weights": None, "patience": 5,
                "positive_weight_cap": 10.0, "uncertain": {"*": "ignore"}, "network": "densenet-small"}
            record = {"config": config, "seed": k, "seconds": 64.2, "status": "complete"}
            integrity.write_sealed(run / "run.json", record)
        made[name] = folder / name
    return made


def make_study(folder: Path, *, n: int = 400, verdict: str = "supported") -> Made:
    """Write the whole made-up study under `folder`."""
    rng = np.random.default_rng(7)
    images = _images(rng, n)
    labels = _labels(rng, images)
    joined = _joined(rng, images, labels)
    cohort = folder / "cohort"
    images = _pixels(rng, cohort, images, 128)
    tables.write(images, cohort / "images.parquet", "images")
    tables.write(labels, cohort / "labels.parquet", "labels")
    tables.write(_flow(images), cohort / "flow.parquet", "flow")
    where = labels.filter(pl.col("state") == "present", pl.col("finding") == "consolidation")
    boxes = where.select(pl.col("case_id").alias("image_id"), "finding", "source").with_columns(
        number=pl.lit(1), x=pl.lit(150.0), y=pl.lit(500.0), width=pl.lit(250.0), height=pl.lit(200.0)
    )
    tables.write(boxes, cohort / "regions.parquet", "regions")
    evidence = folder / "evaluation"
    standalone, curves = _standalone(joined)
    rows = [*standalone, *_means(standalone), *_contrasts(rng), *_slices(rng), *_seeds(rng)]
    write_evidence(evidence, rows, joined=joined, curves=pl.DataFrame(curves), verdicts=_verdicts(verdict))
    book = folder / "ledger.jsonl"
    ledger.append(
        book, analysis="evaluate", models=list(RATERS), cases=900, labels_hash="aa" * 32, protocol_hash="ab12" * 16
    )
    study = {
        "title": "Five hospitals, five findings",
        "question": "Does a model trained at three hospitals hold at two others?",
        "protocol": {"title": "Five hospitals", "evaluation": {"replicates": 2000}},
        "protocol_hash": "ab12" * 16, "warnings": ["The images are simulated."],
        "governance": {"approval_body": "Ethics board of the north", "approval_number": "2024-17"},
        "command": "overread run five-hospitals.toml -o study",
        "runs": {"cohort": {"status": "complete", "seconds": 12.5, "started": "2026-11-23T08:00:00+00:00"}}}
    maps = {"pooled": _heatmaps(rng, folder / "predictions", images)}
    return Made(evidence, cohort, maps, book, _models(folder / "models"), study)


def write_evidence(
    folder: Path,
    rows: list[dict],
    *,
    joined: pl.DataFrame | None = None,
    curves: pl.DataFrame | None = None,
    verdicts: pl.DataFrame | None = None,
    account: list[dict] | None = None,
    settings: dict | None = None,
) -> Path:
    """Write an evaluation folder of these rows; `settings` are added to its configuration."""
    tables.write(pl.DataFrame(rows, infer_schema_length=None), folder / "estimates.parquet", "estimates")
    tables.write(tables.empty("joined") if joined is None else joined, folder / "joined.parquet", "joined")
    tables.write(tables.empty("curves") if curves is None else curves, folder / "curves.parquet", "curves")
    tables.write(tables.empty("verdicts") if verdicts is None else verdicts, folder / "verdicts.parquet", "verdicts")
    dropped = [
        {"stage": "join", "unit": "labels", "reason": codes.note("uncertain_excluded"),
         "reason_code": "uncertain_excluded", "count": 61, "examples": "north-00003"}
    ]
    tables.write(pl.DataFrame(dropped if account is None else account), folder / "account.parquet", "account")
    roles = {"pooled": "pooled", "single": {f"{s}-only": s for s in INTERNAL}, "matched": "pooled-matched"}
    config = {
        "roles": roles, "replicates": 2000, "smallest_worthwhile_gain": 0.01, "minimum_present": 20,
        "minimum_absent": 20, "subgroups": ["sex", "age_band", "view"], "case_score": "mean"}
    with runs.start(folder, "evaluate", config=config | (settings or {}), seed=7):
        pass
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The made-up study, written once."""
    return make_study(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def page(made: Made, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the made-up study."""
    from overread import reporting

    page = reporting.write(made.evidence, tmp_path_factory.mktemp("out"), **made.arguments())
    return page.read_text(encoding="utf-8")


@pytest.fixture
def evidence_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes an evaluation folder of given rows."""
    return lambda rows, **more: write_evidence(tmp_path / "evaluation", rows, **more)


@pytest.fixture(scope="session")
def write_folder() -> Callable[..., Path]:
    """`write_evidence`: an evaluation folder of given rows, wherever it is wanted."""
    return write_evidence


class PageReader(HTMLParser):
    """Reads a page: its tables (caption, rows of cell texts without footnote letters and small print), ids, links."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[dict] = []
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self._into: str | None = None
        self._skip = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append({"caption": "", "rows": [], "heads": []})
        if tag == "caption":
            self._into = "caption"
        if tag == "tr":
            self.tables[-1]["rows"].append([])
        if tag in ("td", "th"):
            self._into = "cell"
            self.tables[-1]["rows"][-1].append("")
        self._skip += tag in ("sup", "small", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skip -= tag in ("sup", "small", "style")
        if tag in ("td", "th", "caption"):
            self._into = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._skip or not self._into:
            return
        if self._into == "caption":
            self.tables[-1]["caption"] += data
        else:
            self.tables[-1]["rows"][-1][-1] += data

    def table(self, caption: str) -> list[list[str]]:
        """The rows of the first table whose caption holds these words."""
        return next(t["rows"] for t in self.tables if caption in t["caption"])


@pytest.fixture(scope="session")
def read_page() -> Callable[[str], PageReader]:
    """Parses a page."""

    def read(text: str) -> PageReader:
        reader = PageReader()
        reader.feed(text)
        return reader

    return read
