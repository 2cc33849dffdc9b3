"""Facts about a study that sentences of the Methods depend on, from its tables and records.

A fact is present only if its cause is: an account line, a record of a model, a row with a number. Sentences refer to
facts by name (codes/text/sentences.toml).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from overread import codes
from overread.codes.sentences import Facts, Parameters
from overread.codes.texts import Code
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.images.raster.file_content import ALIKE, LEAST_COMPARED
from overread.images.recipe.pixel_recipe import Recipe
from overread.reporting.methods.reader_facts import computed, facts_of_reads, method_codes
from overread.reporting.number_format import listed
from overread.reporting.report_data import MEAN, ReportData, plain_words, value_at, weighted_sample

_NO_PARAMETERS: Sequence[Parameters] = ({},)
_RECODED = {"ignore": "excluded", "absent": "taken as absent", "present": "taken as present"}


def study_facts(data: ReportData) -> Facts:
    """The facts that are present, each with one set of parameters or several.

    Parameters
    ----------
    data : ReportData
        The tables and records of a report.

    Returns
    -------
    mapping of str to sequence of mappings
    """
    found: dict[str, list[Parameters]] = {}
    for part in (_cohort, _sites, _models, _training, _labels, _evaluation, _decision, _subgroups):
        for name, parameters in part(data):
            found.setdefault(name, []).append(parameters)
    for name, parameters in facts_of_reads(data):
        found.setdefault(name, []).append(parameters)
    return found


def _cohort(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    yield ("protocol" if data.study.get("protocol_hash") else "no_protocol"), {}
    if data.cohort:
        yield "cohort", {}
        yield from _split(data)
    if data.duplicates is not None and data.stored_size is not None:
        name = "duplicates_correlation" if data.stored_size >= LEAST_COMPARED else "duplicates_pixels"
        yield name, {"correlation": f"{ALIKE:.2f}", "least": LEAST_COMPARED}
    for recipe in {str(m["recipe"]): m["recipe"] for m in data.models.values() if m.get("recipe")}.values():
        yield "preprocessing", {"recipe": _recipe(recipe)}
    if data.heatmaps:
        yield "heatmaps", {}
    yield ("equal_weights" if weighted_sample(data) is None else "weighted_sample"), {}
    yield ("cases_as_patients" if data.cases_are_patients else "patients_known"), {}
    if (several := _several_cases(data)) is not None:
        single = "each_case_one_patient" if data.cases_are_patients else "one_case_per_patient"
        yield ("several_cases" if several else single), {}


def _several_cases(data: ReportData) -> bool | None:
    """Whether a patient has several evaluated cases; None where the cases are not known."""
    cases = data.joined.select("patient_id", "case_id").drop_nulls().unique()
    return None if cases.is_empty() else bool(cases["patient_id"].is_duplicated().any())


def _split(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """How patients were assigned to sets, from the record of the cohort."""
    splits = [s for s in ("train", "tune", "test") if s in set(data.images["split"].cast(pl.String).to_list())]
    config = data.cohort_run.get("config") or {}
    if len(splits) < 2 or not config:
        return
    given = config.get("split_file") or config.get("split_column")
    name = "split_given" if given else "split_by_time" if config.get("split_by") == "time" else "split_by_patient"
    yield name, {"splits": listed([_SETS[s] for s in splits])}


_SETS: Mapping[str, str] = {"train": "training", "tune": "tuning", "test": "test"}


def _recipe(given: Mapping[str, Any]) -> str:
    try:
        return Recipe.from_dict(dict(given)).describe()
    except InputError:  # a model of another version: its recipe is shown as it is recorded
        return ", ".join(f"{key} {value}" for key, value in given.items())


def _sites(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """Whether test sets are internal or external, and how that is known."""
    lead = data.models.get(data.cast.lead) or {}
    trained = set(map(str, lead.get("training_sites") or ()))
    external = tuple(p.partition(":")[2] for p in data.cast.external)
    if trained:
        outside = tuple(s for s in external if s not in trained)
        if "internal" in data.cast.populations_of(data.cast.lead):
            yield "internal_recorded", {}
        if outside:
            yield "external_recorded", {"sites": outside}
    elif external:
        yield "external_declared", {"sites": external, "n": len(external)}
    elif data.cast.raters:
        yield "provenance_unknown", {}
    within = computed(data).filter(pl.col("analysis") == "standalone", pl.col("subgroup") == "site")
    if within["level"].n_unique() > 1:
        yield "several_sites", {}
        over_pairs = data.estimates["note_codes"].str.contains("aggregation_", literal=True).any()
        yield ("pairs_of_sites" if over_pairs else "mean_of_sites"), {}


def _models(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """Networks, ensembles and recalibrations, from the records of the models."""
    undocumented = tuple(_quoted(r) for r in data.cast.raters if not data.models.get(r))
    if undocumented:
        yield "trained_elsewhere", {"models": undocumented}
    networks: dict[str, list[str]] = {}
    for name, record in data.models.items():
        network = (record.get("architecture") or {}).get("network")
        if network:
            networks.setdefault(str(network), []).append(_quoted(name))
        if record.get("kind") == "ensemble" and record.get("members"):
            yield "ensemble", {"models": (_quoted(name),), "members": len(record["members"])}
    for network, names in sorted(networks.items()):
        yield "network", {"models": tuple(names), "network": network, "n": len(names)}
    if any("densenet" in network for network in networks):
        yield "densenet", {}
    recalibrated = tuple(_quoted(n) for n, m in data.models.items() if m.get("recalibration"))
    if recalibrated:
        yield "recalibration_frozen", {"models": recalibrated}


def _training(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """How models were trained: one set of parameters for each distinct configuration."""
    groups: dict[tuple[str, str], tuple[dict[str, Any], list[str]]] = {}
    for name, record in data.trainings.items():
        config = (record.get("config") or {}).get("training") or record.get("config") or {}
        if "epochs" not in config:
            continue
        for fact, parameters in _training_facts(data, config):
            groups.setdefault((fact, str(parameters)), (parameters, []))[1].append(_quoted(name))
    for (fact, _), (parameters, names) in groups.items():
        yield fact, {"models": tuple(names), **parameters}


def _training_facts(data: ReportData, config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    weights = config.get("weights")
    if weights in (None, "imagenet"):
        yield ("initialisation_imagenet" if weights else "initialisation_random"), {}
    else:
        yield "initialisation_file", {"weights": str(weights)}
    yield "training_loss", {"cap": config.get("positive_weight_cap", "no limit")}
    yield (
        "training",
        {
            "rate": f"{config.get('learning_rate')}",
            "batch": f"{config.get('batch_size')}",
            "length": f"{config['steps']} steps" if config.get("steps") else f"at most {config['epochs']} epochs",
        },
    )
    if config.get("patience") and not config.get("steps"):
        yield "early_stopping", {"patience": config["patience"]}
    uncertain = config.get("uncertain")
    if isinstance(uncertain, Mapping) and uncertain:
        each = [
            f"{'uncertain labels' if name == '*' else f'uncertain labels of {data.heading(name).lower()}'} "
            f"were {_RECODED.get(how, how)}"
            for name, how in uncertain.items()
        ]
        yield "training_uncertain", {"handling": listed(each)}


def _labels(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """The reference standard, and what the account says of labels and scores."""
    main = computed(data).filter(pl.col("analysis") == "standalone")
    sources = tuple(s for s in main["reference"].unique().sort().to_list() if s)
    if sources:
        yield "reference_main", {"sources": tuple(map(_quoted, sources))}
    for row in data.account.iter_rows(named=True):
        for code in codes.decode(row["reason_code"] or ""):
            if row["count"]:
                yield from _account_fact(code, int(row["count"]), data.vocabulary)
    policies = computed(data).filter(pl.col("analysis") == "policies")
    if policies["policy"].n_unique() > 1:
        yield "policies_uncertain", {}
    others = tuple(r for r in policies["reference"].unique().sort().to_list() if r and r not in sources)
    if others:
        yield "policies_reference", {"sources": tuple(map(_quoted, others))}


def _account_fact(code: Code, count: int, vocabulary: Vocabulary) -> Iterator[tuple[str, Parameters]]:
    given = dict(code.parameters)
    if code.name in ("uncertain_excluded", "label_missing"):
        yield code.name, {"n": count}
    elif code.name == "uncertain_recoded":
        yield "uncertain_recoded", {"n": count, "state": given["state"]}
    elif code.name in ("other_uncertain_excluded", "other_uncertain_recoded"):
        yield code.name, {"n": count, **given, "source": _quoted(str(given["source"]))}
    elif code.name == "labelled_not_scored":
        yield "missing_scores", {"n": count, "rater": _quoted(str(given["rater"]))}
    elif code.name == "finding_unscored":
        names = given["findings"] if isinstance(given["findings"], tuple) else (given["findings"],)
        of = listed([plain_words(str(name), vocabulary) for name in names])
        yield "missing_finding_scores", {"n": count, "rater": _quoted(str(given["rater"])), "findings": of}
    elif code.name == "case_score_combined":
        yield "case_score", {"cases": count, "how": given["how"]}


def _evaluation(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """Numbers that the evaluation recorded: parameters of sentences whose rows are there."""
    config = data.config
    if "minimum_present" in config and "minimum_absent" in config:
        yield "minimum", {"present": config["minimum_present"], "absent": config["minimum_absent"]}
    if config.get("replicates"):
        yield "replicates", {"replicates": config["replicates"]}
    confidence = data.confidence
    if data.estimates["confidence"].is_not_null().any():
        yield "confidence", {"levels": confidence}
    for hypothesis in data.verdicts["hypothesis"].unique().sort():  # a rule is stated for what was asked only
        rule = {"levels": confidence, "gain": f"{config.get('smallest_worthwhile_gain', 0):g}"}
        yield f"{str(hypothesis).lower()}_rule", rule
    chosen = tuple(data.heading(f) for f in config.get("findings") or ())
    if chosen and (computed(data)["finding"] == MEAN).any():
        yield "findings_chosen", {"findings": chosen}
    curves = data.curves.filter(pl.col("curve") == "roc", pl.col("low").is_finite())
    if curves.height:
        yield "roc_band", {}
    found = {code.name for code in method_codes(computed(data))}
    if "finite_population" in found:
        yield "finite_population", {}
    if "strata" in found:
        yield "sampled_within_strata", {}
    yield from _effective_size(data)
    recalibrated = data.curves.filter(pl.col("curve") == "recalibrated", pl.col("y").is_finite())
    if recalibrated.height:
        yield "recalibrated_here", {}


def _effective_size(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """What the effective sample size of proportions allows for, from the codes of their methods."""
    found: set[str] = set()
    for text in computed(data)["method_code"].drop_nulls().unique():
        own = {code.name for code in codes.decode(text)}
        found |= own if own & _EFFECTIVE else set()
    if not found & _EFFECTIVE:
        yield "wilson_alone", {}
        return
    clustered = "clustered_by_patient" in found and _several_cases(data) is not False
    causes = [
        *(["several cases per patient"] if clustered else []),
        *(["sampling weights"] if "weighted" in found else []),
        *(["sampling strata"] if "strata" in found else []),
    ]
    yield "effective_size", {"allowance": f", which allows for {listed(causes)}" if causes else ""}


_EFFECTIVE = {"wilson_effective", "wilson_effective_sizes"}


def _decision(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """Thresholds of net benefit, and whose probabilities were used as supplied."""
    rows = computed(data).filter(pl.col("metric") == "net_benefit")
    raters = [r for r in data.cast.raters if (rows["rater"] == r).any()]
    raw = tuple(_quoted(r) for r in raters if not (data.models.get(r) or {}).get("recalibration"))
    if raw:
        yield "net_benefit_raw", {"models": raw}
    thresholds = sorted({code for at in rows["at"].unique() if (code := value_at(at, "threshold"))}, key=float)
    if thresholds:
        yield "decision_thresholds", {"thresholds": listed(thresholds)}


_NO_GROUPS = ("", "all", "UNKNOWN")  # levels that are no group, or whose patients may be of any group


def _subgroups(data: ReportData) -> Iterator[tuple[str, Parameters]]:
    """The columns of subgroups in which at least two groups have an estimate."""
    rows = computed(data).filter(
        pl.col("analysis") == "subgroups", pl.col("subgroup") != "", ~pl.col("level").is_in(_NO_GROUPS)
    )
    levels = rows.group_by("subgroup", maintain_order=True).agg(pl.col("level").n_unique())
    columns = tuple(s.replace("_", " ") for s, n in levels.rows() if n > 1)
    if columns:
        yield "subgroups", {"columns": columns}


def _quoted(name: str) -> str:
    return f"“{name}”"
