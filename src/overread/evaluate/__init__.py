"""From scores to evidence: one join of scores and truth, then estimates, curves and verdicts, each with its account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from overread import tables
from overread.errors import InputError
from overread.evaluate import wide
from overread.evaluate.account import Dropped, account_frame
from overread.evaluate.comparison import comparison
from overread.evaluate.config import EvaluationConfig
from overread.evaluate.decisions import decisions
from overread.evaluate.fixed import fixed_rates
from overread.evaluate.frozen import Frozen, from_half, from_model, from_tune, half_of_patients
from overread.evaluate.hypotheses import h1
from overread.evaluate.join import Join, join
from overread.evaluate.joined import joined_table
from overread.evaluate.macro import macro_discrimination, macro_operating, site_replicates
from overread.evaluate.panel import Bools, Panel, panel
from overread.evaluate.policies import policies
from overread.evaluate.populations import populations
from overread.evaluate.probabilities import calibration_rows
from overread.evaluate.read_analyses import analyse_reads
from overread.evaluate.read_setting import ReadSetting, read_setting
from overread.evaluate.references import check_names
from overread.evaluate.resample import draws
from overread.evaluate.rows import Row, estimates_frame
from overread.evaluate.setting import Setting, site_areas
from overread.evaluate.standalone import discrimination, operating
from overread.evaluate.subgroups import subgroups
from overread.evaluate.transport import drop, matrix, seeds, site_alone
from overread.evaluate.unmatched import matched

__all__ = ["EvaluationConfig", "Evidence", "evaluate", "wide", "write"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What an evaluation found: the tables of the design, notes for the reader, and which test labels were opened.

    tuning_patients lists the patients that thresholds were fitted on where half of the test patients was taken for it.
    """

    estimates: pl.DataFrame
    verdicts: pl.DataFrame
    curves: pl.DataFrame
    joined: pl.DataFrame
    account: pl.DataFrame
    notes: tuple[str, ...] = ()
    opened: tuple[dict[str, Any], ...] = ()
    tuning_patients: tuple[str, ...] = ()


def evaluate(
    images: pl.DataFrame,
    labels: pl.DataFrame,
    predictions: pl.DataFrame,
    config: EvaluationConfig,
    *,
    rng: np.random.Generator,
    tune: pl.DataFrame | None = None,
    reads: pl.DataFrame | None = None,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    protocol_hash: str = "",
    progress: Progress | None = None,
) -> Evidence:
    """The evidence about every rater: estimates with intervals, curves, verdicts, and the account of what was left out.

    images, labels, predictions: the tables of those names. tune: predictions of tuning cases, from which thresholds and
    recalibrations of raters without a model.json are fitted; without it they come from images of split "tune" that are
    in predictions, or from half of the patients, drawn with rng. reads: the answers of readers on some of the cases;
    without them nothing changes. models: model.json by rater. progress is told (steps done, steps in all).

    Raises InputError for all that `join` refuses, a patient in two splits, and H1 models without predictions.
    """
    models = models or {}
    images = tables.check(images, "images", where="images")
    lost: list[Dropped] = []
    if tune is not None:
        key = "image_id" if "image_id" in tune.columns else "case_id"
        tune, lost = matched(tune, images, config.allowance("tune"), name="tune predictions", key=key)
    images = _with_tune(images, tune)
    labels = tables.check(labels, "labels", where="labels")
    check_names(tables.check(labels, "labels", where="labels"), config, reads=reads is not None)
    joined = join(images, labels, predictions, config, reads=reads)
    ground = panel(joined, policy=_policy(joined, config), finite=config.finite_population)
    half_rng, draw_rng = rng.spawn(2)
    wanting = [r for r in ground.raters if not models.get(r, {}).get("operating_points")]
    tuned = _tuning(images, labels, predictions if tune is None else tune, config, wanting)
    half = half_of_patients(ground, rng=half_rng)
    setting = _setting(ground, config, models, None if tuned is None else panel(tuned), half, draw_rng)
    reading = read_setting(joined, setting, tuned, half, rng.spawn(1)[0])
    rows, curves, verdicts = _analyses(setting, reading, protocol_hash, progress or (lambda done, total: None))
    rows += policies(
        setting, joined, labels=labels, again=lambda changed: join(images, labels, predictions, changed),
        policy=ground.policy, rng=rng.spawn(1)[0],
    )  # fmt: skip
    fitted = [f for f in setting.frozen.values() if f.origin == "half"]
    used = sorted({p for f in fitted for p in ground.patient[~f.tested]})
    return Evidence(
        estimates=estimates_frame(rows),
        verdicts=tables.check(pl.DataFrame(verdicts), "verdicts") if verdicts else tables.empty("verdicts"),
        curves=tables.check(pl.DataFrame(curves), "curves") if curves else tables.empty("curves"),
        joined=joined_table(joined, setting, reading),
        account=pl.concat([account_frame("join", lost), _account(joined, setting)]),
        notes=_notes(setting) + (reading.words() if reading else ()),
        opened=tuple(_opened(setting, rows)),
        tuning_patients=tuple(ground.patients[p] for p in used),
    )


def write(evidence: Evidence, folder: Path | str) -> None:
    """Write the tables as Parquet, the account also as CSV, and the notes; each file whole or not at all."""
    folder = Path(folder)
    for name in ("estimates", "verdicts", "curves", "joined", "account"):
        tables.write(getattr(evidence, name), folder / f"{name}.parquet", name)
    tables.write(evidence.account, folder / "account.csv", "account")
    tables.write_json(folder / "notes.json", {"notes": list(evidence.notes), "opened": list(evidence.opened)})
    if evidence.tuning_patients:
        tables.write_text(folder / "tuning_patients.txt", "\n".join(evidence.tuning_patients) + "\n")


def _with_tune(images: pl.DataFrame, tune: pl.DataFrame | None) -> pl.DataFrame:
    """The images with those of the tuning predictions marked; a patient in two splits is refused."""
    said = pl.col("split").fill_null("").cast(pl.String)
    if tune is not None:
        key = "image_id" if "image_id" in tune.columns else "case_id"
        mine = pl.col(key).is_in(tune[key].unique().to_list())
        wrong = images.filter(mine & said.is_in(["train", "test"]))
        if wrong.height:
            found = f"{wrong.height:,} images of split train or test"
            raise InputError("tune", "images that are no test images", found, examples=wrong[key].head(5))
        split = pl.when(mine).then(pl.lit("tune")).when(said == "").then(pl.lit("test")).otherwise(said)
        images = images.with_columns(split.cast(images.schema["split"]).alias("split"))
    splits = images.filter(said != "").group_by("patient_id").agg(said.unique().sort().alias("splits"))
    both = splits.filter(pl.col("splits").list.len() > 1).sort("patient_id")
    if both.height:
        shown = both.select(
            pl.format("{} in {}", "patient_id", pl.col("splits").cast(pl.List(pl.String)).list.join(" and "))
        ).to_series()
        raise InputError(
            "images", "every patient in one split", f"{both.height:,} patients in several", examples=shown.head(6),
            do="Split by patient.",
        )  # fmt: skip
    return images


def _policy(joined: Join, config: EvaluationConfig) -> str:
    several = joined.account.filter(pl.col("reason").str.starts_with("scores of several images made one"))
    return (f"case_score={config.case_score};" if several.height else "") + f"uncertain={config.uncertain}"


def _tuning(
    images: pl.DataFrame,
    labels: pl.DataFrame,
    predictions: pl.DataFrame,
    config: EvaluationConfig,
    wanting: Sequence[str],
) -> Join | None:
    """The join of the tuning cases of the raters that bring no thresholds, None where there are none."""
    key = "image_id" if "image_id" in predictions.columns else "case_id"
    cases = images.filter(pl.col("split").fill_null("").cast(pl.String) == "tune")
    raters = [r for r in wanting if r not in config.member_names()]
    mine = predictions.filter(pl.col("model").is_in(raters)).join(cases.select(key).unique(), on=key, how="semi")
    if mine.is_empty():
        return None
    return join(images, labels, mine, config, split="tune")


def _setting(
    ground: Panel,
    config: EvaluationConfig,
    models: Mapping[str, Mapping[str, Any]],
    tuned: Panel | None,
    half: Bools,
    rng: np.random.Generator,
) -> Setting:
    members = config.member_names()
    raters = tuple(r for r in ground.raters if r not in members)
    where = populations(raters, ground.site.levels, config, models)
    frozen: dict[str, Frozen] = {}
    for rater in raters:
        if models.get(rater, {}).get("operating_points"):
            frozen[rater] = from_model(models[rater], ground)
        elif tuned is not None:
            frozen[rater] = from_tune(tuned, rater, ground, config)
        else:
            frozen[rater] = from_half(ground, rater, where[rater], half, config)
    drawn = draws(ground, rng=rng, replicates=config.replicates)
    areas = site_areas(ground, raters)
    replicates = site_replicates(ground, drawn, areas, raters, config)
    return Setting(ground, config, raters, where, models, drawn, frozen, areas, replicates)


def _analyses(
    setting: Setting, reading: ReadSetting | None, protocol_hash: str, progress: Progress
) -> tuple[list[Row], list[Row], list[Row]]:
    """Every analysis in turn: rows of estimates, of curves and of verdicts."""
    rows: list[Row] = []
    curves: list[Row] = []
    verdicts: list[Row] = []
    plain: Sequence[Callable[[Setting], list[Row]]] = (
        discrimination, macro_discrimination, operating, macro_operating, comparison, subgroups, drop, site_alone,
        matrix, seeds,
    )  # fmt: skip
    pairs = (fixed_rates, calibration_rows, decisions)
    total = len(plain) + len(pairs) + 1
    for done, analysis in enumerate(plain):
        progress(done, total)
        rows += analysis(setting)
    for step, pair in enumerate(pairs):
        progress(len(plain) + step, total)
        made, points = pair(setting)
        rows, curves = rows + made, curves + points
    progress(total - 1, total)
    made, verdicts = h1(setting, protocol_hash=protocol_hash)
    rows += made
    if reading is not None:
        made, points, claims = analyse_reads(reading, protocol_hash=protocol_hash)
        rows, curves, verdicts = rows + made, curves + points, verdicts + claims
    progress(total, total)
    return rows, curves, verdicts


def _account(joined: Join, setting: Setting) -> pl.DataFrame:
    """The join's account and, per subgroup column, the cases without a value in it."""
    lost = []
    for name, column in setting.panel.groups.items():
        none = int((column.codes < 0).sum())
        if none:
            lost.append(Dropped("cases", f"no value of {name}: in none of its groups", none))
    read = [joined.reads.account] if joined.reads is not None else []
    return pl.concat([joined.account, *read, account_frame("subgroups", lost)])


def _notes(setting: Setting) -> tuple[str, ...]:
    """What a reader must know beside the numbers."""
    panel, config = setting.panel, setting.config
    said = [f"Truth: label source {panel.reference}; {panel.policy.replace(';', ', ').replace('=', ': ')}."]
    said += [f"Thresholds of {r}: {f.words}." for r, f in setting.frozen.items()]
    within = ", within sites" if setting.drawn.within_site else ""
    within += ", within sampling strata" if setting.drawn.within_stratum else ""
    said.append(
        f"Bootstrap: {config.replicates:,} resamples of {panel.n_patients:,} patients{within}, one set for everything."
    )
    if panel.weight is not None:
        held = "" if panel.strata is None else f", patients within {np.unique(panel.strata).size} sampling strata"
        said.append(f"Every estimate is weighted by the inverse sampling probability{held}; counts are not.")
    if panel.finite and panel.weight is not None:
        population = f"{panel.weight.sum():,.0f} cases that were drawn from"
        resampled = "intervals from the bootstrap or over pairs within strata are not corrected, and too wide"
        said.append(f"Finite population: estimates are about the {population}; {resampled}.")
    said += [f"Sampling strata: {panel.unstratified}."] if panel.unstratified else []
    if config.pooled and config.single and not config.matched:
        said.append("No size-matched pooled model: size and diversity of the training data are confounded in H1.")
    return tuple(said)


def _opened(setting: Setting, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Which analyses looked at the truth of how many cases, with which raters."""
    names = dict.fromkeys(r["analysis"] for r in rows)
    return [
        {"analysis": name, "models": list(setting.panel.raters), "cases": len(setting.panel.case_id)} for name in names
    ]
