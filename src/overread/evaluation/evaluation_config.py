"""Configuration of an evaluation: policies of the join, operating points, subgroups and minimum numbers of patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

from overread import limits
from overread.errors import InputError, did_you_mean
from overread.evaluation.join.finding_mapping import Mapped, mappings
from overread.evaluation.join.unmatched import UnmatchedAllowance
from overread.evaluation.subgroups.difference_names import columns_and_levels
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.stats.agreement import RatePrior
from overread.tables import OLDEST, STATES

UNCERTAIN = ("ignore", "absent", "present")
CASE_SCORES = ("mean", "max")
AGGREGATIONS = ("within-site mean", "stratified", "pooled")
# Shares of rows that may lack their partner in another table: then counted, above it refused.
ALLOWANCES: Mapping[str, float] = {"labels": 0.01, "reads": 0.01, "predictions": 0.01, "tune": 0.01, "scores": 0.0}
# Numbers from where they mean something to where a slip of the pen is likelier than intent: 100,000 replicates give
# limits of intervals to a third digit, more bins than cases none.
_WHOLE = {
    "minimum_present": (1, 10**9),
    "minimum_absent": (1, 10**9),
    "replicates": (100, 100_000),
    "calibration_bins": (2, 1000),
    "ece_bins": (1, 1000),
    "seed": (0, limits.SEED),
}
CROSS = " × "  # joins the names of two crossed columns, and their levels
_RATING = 10**6  # no rating scale reaches further
_LONGEST = 100  # operating points, thresholds, bands, subgroups
_ROLES = ("pooled", "single", "matched")
HYPOTHESES = ("H1", "H2")


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """Settings of an evaluation that affect its numbers, other than the data.

    Parameters
    ----------
    findings : tuple of str
        The prespecified findings over which means are computed; () = every finding with labels that all raters score.
    reference : str or tuple of str
        The label source that is the reference standard; "" = the only source. Several sources are allowed if no two of
        them label the same case and finding.
    uncertain : {"ignore", "absent", "present"}
        How uncertain labels are treated.
    case_score : {"mean", "max"}
        How the scores of the images of a case are combined.
    missing_allowed : float or mapping of str to float
        Largest share (0 to 1) of unmatched rows, one for all tables or one per table. For labels, reads, predictions
        and tune: the share of rows whose case or image is not in the images table (default 0.01; 1 = the images are a
        known subset). For scores: the share of labelled test cases without a score (default 0). Unmatched rows are
        counted in the account; above the share the evaluation is refused.
    spellings : mapping of str to mapping of str to str
        Local words by column, such as ``{"sex": {"1": "M"}}``. The columns "state", "call" and "finding" hold the words
        of labels, of reads, and for findings.
    specificities, sensitivities : tuple of float
        The fixed rates (0 to 1) that define the operating points.
    decision_thresholds : tuple of float
        Probabilities (0 to 1) at which net benefit is estimated.
    subgroups : tuple of str
        Columns of the images table that define subgroups.
    subgroup_intersections : tuple of (str, str)
        Pairs of columns of `subgroups` whose combinations are also subgroups.
    group_differences : tuple of str
        Column, level and reference level of the groups whose signed difference (level minus reference level) and ratio
        are estimated, such as ``"sex: F - M"``. The column is one of `subgroups`, a pair of `subgroup_intersections`
        joined by " × ", or "site". () = every column of `subgroups` with exactly two levels, the first level minus the
        second.
    baseline_model : str
        The model that the group differences of every other model are compared with, or the ensemble of `members` whose
        mean over seeds those of every other ensemble are compared with; "" = all pairs of up to five, and with more the
        comparison of each with the first.
    age_bands : tuple of float
        Lower limits of the age bands in years, ascending.
    minimum_present, minimum_absent : int
        Smallest number of patients with and without the finding for which estimates of a site or subgroup are made.
    replicates : int
        Number of bootstrap replicates.
    confidence : float
        Confidence level of the intervals.
    seed : int
        Seed of the resampling.
    calibration_bins, ece_bins : int
        Number of bins of the calibration curve and of the expected calibration error.
    smallest_worthwhile_gain : float
        Smallest relevant gain in AUC in hypothesis H1.
    aggregation : {"", "within-site mean", "stratified", "pooled"}
        How the AUC of a population of several sites is computed: unweighted mean of the within-site AUCs, pairs of
        cases of the same site with every pair counted once, or all pairs. "" = by design: within-site mean where
        training sites are known or stated (model.json, roles, internal or external sites), otherwise stratified.
    external_sites, internal_sites : tuple of str
        Sites for raters whose training sites are not known from a model.json.
    roles : mapping
        The models that hypothesis H1 compares: ``{"pooled": name, "single": {name: site}, "matched": name}``.
    hypotheses : tuple of {"H1", "H2"}
        The hypotheses on which a verdict is given, the leading one first: H1 on pooled training (needs `roles`), H2 on
        the choice of reference standard (needs reads). With `roles`, H1 is asked.
    members : mapping of str to tuple of str
        Models trained with different seeds, by ensemble. If the ensemble has no predictions, its members are raters
        like any other, and the mean and standard deviation over them are reported under its name.
    mapping : tuple of mapping
        The outputs that represent a finding of the readers, see `overread.evaluation.join.finding_mapping.Mapped`.
    references : tuple of str
        Reference standards for analyses of reads, compared side by side: label sources, and "majority" and
        "dawid-skene" of the reads; () = all that are available.
    reader_made : tuple of str, or mapping of str to tuple of str
        Label sources to which the reads of the same readers contributed: of all readers, or of the readers named for
        each source. A source does not judge the reads of its named readers; the others are independent of it.
    uncertain_calls : {"absent", "present", "ignore"}
        How uncertain calls of readers are treated in the main analysis; the alternatives are reported beside it.
    baseline_arm : str
        The arm of reads that is subtracted from every other arm; "" = "unaided". Reads in several arms, none of them
        "unaided", need it.
    margin : float
        Non-inferiority margin of the differences between arms, in the unit of the metric; 0 = none.
    rating_cutoffs : float or mapping of str to float
        Rating from which a graded read counts as a call of present, one for all findings or one per finding. Without it
        graded reads have an AUC and no sensitivity and specificity.
    dawid_skene_prior : mapping of str to (float, float)
        Beta priors (a and b of at least 1) of the Dawid-Skene reference standard, of "sensitivity" and "specificity" of
        every reader and of the "prevalence", such as ``{"sensitivity": (4, 2), "specificity": (4, 2)}``; the truth is
        then that of the posterior mode. A rate that is not named has a uniform prior. {} = maximum likelihood.
    finite_population : bool
        Whether estimates of a weighted sample refer to the finite population from which it was drawn, whose size is the
        sum of the weights. Intervals are then narrower, and a stratum that was sampled completely adds no variance.
    vocabulary : Vocabulary
        The findings that tables may name, see `overread.findings`; in a file it is the section [findings].

    Raises
    ------
    InputError
        All values that are out of range, unknown or contradictory, in one error.

    Examples
    --------
    >>> EvaluationConfig(specificities=(0.9,), sensitivities=()).points()
    {'spec90': {'specificity': 0.9}}
    """

    findings: tuple[str, ...] = ()
    reference: str | tuple[str, ...] = ""
    uncertain: str = "ignore"
    case_score: str = "mean"
    missing_allowed: float | Mapping[str, float] = field(default_factory=dict)
    spellings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    specificities: tuple[float, ...] = (0.90, 0.95)
    sensitivities: tuple[float, ...] = (0.90, 0.95)
    decision_thresholds: tuple[float, ...] = (0.05, 0.10, 0.20)
    subgroups: tuple[str, ...] = ("sex", "age_band", "view")
    subgroup_intersections: tuple[tuple[str, str], ...] = ()
    group_differences: tuple[str, ...] = ()
    baseline_model: str = ""
    age_bands: tuple[float, ...] = (18, 40, 60, 80)
    minimum_present: int = 20
    minimum_absent: int = 20
    replicates: int = 2000
    confidence: float = 0.95
    seed: int = 0
    calibration_bins: int = 10
    ece_bins: int = 15
    smallest_worthwhile_gain: float = 0.01
    aggregation: str = ""
    external_sites: tuple[str, ...] = ()
    internal_sites: tuple[str, ...] = ()
    roles: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    hypotheses: tuple[str, ...] = ()
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mapping: tuple[Mapping[str, Any], ...] = ()
    references: tuple[str, ...] = ()
    reader_made: tuple[str, ...] | Mapping[str, tuple[str, ...]] = ()
    uncertain_calls: str = "absent"
    baseline_arm: str = ""
    margin: float = 0.0
    rating_cutoffs: float | Mapping[str, float] = field(default_factory=dict)
    dawid_skene_prior: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    finite_population: bool = False
    vocabulary: Vocabulary = field(default_factory=partial(load_vocabulary, "chest"))

    def __post_init__(self) -> None:
        problems = [*_word_problems(self), *_number_problems(self), *_role_problems(self), *_table_problems(self)]
        problems += [*_arm_problems(self), *_difference_problems(self), *_prior_problems(self)]
        if problems:
            raise InputError.all(problems)
        self.mapped()

    @property
    def sources(self) -> tuple[str, ...]:
        """The label sources of the reference standard; () = the only source."""
        return ((self.reference,) if self.reference else ()) if isinstance(self.reference, str) else self.reference

    @property
    def pooled(self) -> str:
        """The model trained on all training sites together; "" if none is named."""
        return str(self.roles.get("pooled", ""))

    @property
    def single(self) -> dict[str, str]:
        """The single-institution models, each with its site."""
        given = self.roles.get("single", {})
        return dict(given) if isinstance(given, Mapping) else {}

    @property
    def matched(self) -> str:
        """The pooled model trained on as many images as the largest single institution; "" if none is named."""
        return str(self.roles.get("matched", ""))

    @property
    def makers(self) -> dict[str, tuple[str, ...]]:
        """The label sources with the readers named as their makers."""
        return dict(self.reader_made) if isinstance(self.reader_made, Mapping) else {}

    @property
    def made_by_all(self) -> tuple[str, ...]:
        """The label sources to which all readers contributed."""
        return () if isinstance(self.reader_made, Mapping) else self.reader_made

    def allowance(self, table: str) -> UnmatchedAllowance:
        """Return the share of rows of a table that may be unmatched.

        >>> EvaluationConfig(missing_allowed={"labels": 0.5}).allowance("labels").share
        0.5
        """
        share = self.missing_allowed
        if isinstance(share, Mapping):
            share = share.get(table, ALLOWANCES[table])
        return UnmatchedAllowance(f"evaluation.missing_allowed.{table}", share)

    def allowing_all(self) -> EvaluationConfig:
        """Return the configuration with any share of unmatched rows allowed, for sensitivity analyses."""
        return replace(self, missing_allowed=1.0)

    def rating_cutoff(self, finding: str) -> float | None:
        """Return the rating from which a graded read of a finding counts as present; None if there is none.

        >>> EvaluationConfig(rating_cutoffs=3).rating_cutoff("pneumothorax")
        3.0
        """
        if isinstance(self.rating_cutoffs, Mapping):
            given = self.rating_cutoffs.get(finding)
            return None if given is None else float(given)
        return float(self.rating_cutoffs)

    def rate_prior(self) -> RatePrior | None:
        """Return the priors of the Dawid-Skene reference standard; None if none are given.

        >>> EvaluationConfig(dawid_skene_prior={"sensitivity": (4, 2)}).rate_prior()
        RatePrior(sensitivity=(4, 2), specificity=(1.0, 1.0), prevalence=(1.0, 1.0))
        """
        return RatePrior(**self.dawid_skene_prior) if self.dawid_skene_prior else None

    def points(self) -> dict[str, dict[str, float]]:
        """Return the operating points by name, each with the rate that defines it.

        >>> EvaluationConfig(specificities=(0.9,), sensitivities=(0.95,)).points()
        {'spec90': {'specificity': 0.9}, 'sens95': {'sensitivity': 0.95}}
        """
        named = {f"spec{_percent(s)}": {"specificity": s} for s in self.specificities}
        return named | {f"sens{_percent(s)}": {"sensitivity": s} for s in self.sensitivities}

    def mapped(self) -> tuple[Mapped, ...]:
        """Return the validated mappings of model outputs to findings."""
        return mappings(self.mapping, vocabulary=self.vocabulary)

    def difference_names(self) -> list[tuple[str, str, str]]:
        """Return column, level and reference level of the named groups.

        >>> EvaluationConfig(group_differences=("sex: F - M",)).difference_names()
        [('sex', 'F', 'M')]
        """
        return columns_and_levels(self.group_differences)

    def member_names(self) -> dict[str, str]:
        """Return the ensemble of every member model."""
        return {member: name for name, members in self.members.items() for member in members}


def _percent(share: float) -> str:
    """Format a rate for the name of an operating point: 0.9 as "90", 0.975 as "97.5"."""
    return f"{round(100 * share, 6):g}"


def _word_problems(config: EvaluationConfig) -> list[InputError]:
    problems = []
    for name, value, known in (
        ("uncertain", config.uncertain, UNCERTAIN),
        ("uncertain_calls", config.uncertain_calls, UNCERTAIN),
        ("case_score", config.case_score, CASE_SCORES),
        ("aggregation", config.aggregation, ("", *AGGREGATIONS)),
    ):
        if value not in known:
            expected = "one of " + ", ".join(filter(None, known))
            hint = did_you_mean(str(value), known)
            problems.append(InputError(f"evaluation.{name}", expected, f"'{value}'", do=hint))
    for word in config.hypotheses:
        if word not in HYPOTHESES:
            problems.append(InputError("evaluation.hypotheses", "one of " + ", ".join(HYPOTHESES), f"'{word}'"))
    known_findings = config.vocabulary.names()
    for word in config.findings:
        if word not in known_findings:
            try:  # a synonym is no near spelling of its finding
                hint = did_you_mean(config.vocabulary.resolve(word), known_findings)
            except InputError:
                hint = did_you_mean(word, known_findings)
            problems.append(InputError("evaluation.findings", "names of the vocabulary", f"'{word}'", do=hint))
    for name, words in (
        ("findings", config.findings),
        ("hypotheses", config.hypotheses),
        ("references", config.references),
        ("reader_made", tuple(config.reader_made)),
        *((f"reader_made.{source}", readers) for source, readers in config.makers.items()),
    ):
        if len(set(words)) < len(words):
            problems.append(InputError(f"evaluation.{name}", "each name once", "a repeat", examples=words))
    for source in (s for s, readers in config.makers.items() if not readers):
        problems.append(InputError(f"evaluation.reader_made.{source}", "readers", "none"))
    return problems


def _number_problems(config: EvaluationConfig) -> list[InputError]:
    problems = []
    shares = [("specificities", s) for s in config.specificities] + [("sensitivities", s) for s in config.sensitivities]
    shares += [("decision_thresholds", t) for t in config.decision_thresholds]
    for name, share in [*shares, ("confidence", config.confidence)]:
        if not limits.is_number(share) or not 0 < share < 1:
            problems.append(InputError(f"evaluation.{name}", "a number between 0 and 1", limits.shown(share)))
    for name, (least, most) in _WHOLE.items():
        problems += limits.outside(f"evaluation.{name}", getattr(config, name), least, most, whole=True)
    for name in (
        "specificities",
        "sensitivities",
        "decision_thresholds",
        "age_bands",
        "subgroups",
        "group_differences",
    ):
        if (count := len(getattr(config, name))) > _LONGEST:
            problems.append(InputError(f"evaluation.{name}", f"at most {_LONGEST}", f"{count:,}"))
    gain = config.smallest_worthwhile_gain
    if not limits.is_number(gain) or not 0 < gain <= 1:
        problems.append(
            InputError("evaluation.smallest_worthwhile_gain", "a gain in AUC above 0, at most 1", limits.shown(gain))
        )
    problems += [
        p for age in config.age_bands[:_LONGEST] for p in limits.outside("evaluation.age_bands", age, 0, OLDEST)
    ]
    for pair in config.subgroup_intersections:
        lost = [name for name in pair if name not in config.subgroups]
        if lost or len(set(pair)) < 2:
            problems.append(
                InputError(
                    "evaluation.subgroup_intersections",
                    "pairs of two different columns of evaluation.subgroups",
                    f"{' and '.join(pair)}",
                    do=did_you_mean(lost[0], config.subgroups) if lost else "",
                )
            )
    if list(config.age_bands) != sorted(set(config.age_bands)):
        problems.append(InputError("evaluation.age_bands", "ages in ascending order", limits.shown(config.age_bands)))
    return problems


def _difference_problems(config: EvaluationConfig) -> list[InputError]:
    """Check the columns of the named groups, and that every pair has two different levels and is given once."""
    problems, where = [], "evaluation.group_differences"
    try:
        differences = config.difference_names()
    except InputError as error:
        return list(error.problems)
    crossed = [CROSS.join(pair) for pair in config.subgroup_intersections]
    known = list(dict.fromkeys((*config.subgroups, *crossed, "site")))
    for column, level, reference in differences:
        if column not in known:
            expected = "columns of evaluation.subgroups, crossed columns, or site"
            problems.append(InputError(where, expected, f"'{column}'", do=did_you_mean(column, known)))
        if level == reference:
            problems.append(InputError(where, "two different levels", f"'{level}' of {column} twice"))
    pairs = [(column, frozenset(levels)) for column, *levels in differences]
    if len(set(pairs)) < len(pairs):
        repeats = [g for g, p in zip(config.group_differences, pairs, strict=True) if pairs.count(p) > 1]
        problems.append(InputError(where, "each pair of levels once", "a repeat", examples=repeats))
    return problems


def _table_problems(config: EvaluationConfig) -> list[InputError]:
    """Check the allowed shares of unmatched rows and the local words."""
    problems = []
    allowed = config.missing_allowed if isinstance(config.missing_allowed, Mapping) else {"": config.missing_allowed}
    for table, share in allowed.items():
        if table and table not in ALLOWANCES:
            expected, hint = "tables " + ", ".join(ALLOWANCES), did_you_mean(table, ALLOWANCES)
            problems.append(InputError("evaluation.missing_allowed", expected, f"'{table}'", do=hint))
        elif not limits.is_number(share) or not 0 <= share <= 1:
            where = "evaluation.missing_allowed" + (f".{table}" if table else "")
            problems.append(InputError(where, "a share from 0 to 1", limits.shown(share)))
    for column, known in (("state", STATES), ("call", STATES), ("finding", config.vocabulary.names())):
        for word in config.spellings.get(column, {}).values():
            if word not in known:
                hint = did_you_mean(word, known)
                problems.append(InputError(f"evaluation.spellings.{column}", "words of overread", f"'{word}'", do=hint))
    return problems


def _arm_problems(config: EvaluationConfig) -> list[InputError]:
    """Check the margin and the rating cut-offs; whether a cut-off is on the scale is checked with the reads."""
    problems = []
    if not limits.is_number(config.margin) or not 0 <= config.margin < 1:
        expected = "a margin in the unit of the metric, from 0 (none) to 1"
        problems.append(InputError("evaluation.margin", expected, limits.shown(config.margin)))
    cutoffs = config.rating_cutoffs if isinstance(config.rating_cutoffs, Mapping) else {"": config.rating_cutoffs}
    known = config.vocabulary.names()
    for finding, cutoff in cutoffs.items():
        where = "evaluation.rating_cutoffs" + (f".{finding}" if finding else "")
        if finding and finding not in known:
            hint = did_you_mean(finding, known)
            problems.append(InputError("evaluation.rating_cutoffs", "findings", f"'{finding}'", do=hint))
        else:
            problems += limits.outside(where, cutoff, -_RATING, _RATING)
    return problems


def _prior_problems(config: EvaluationConfig) -> list[InputError]:
    problems, known = [], [f.name for f in fields(RatePrior)]
    for name, given in config.dawid_skene_prior.items():
        where = "evaluation.dawid_skene_prior"
        if name not in known:
            problems.append(InputError(where, "rates " + ", ".join(known), f"'{name}'", do=did_you_mean(name, known)))
            continue
        try:
            RatePrior(**{name: given})
        except InputError:
            expected = "two finite numbers of at least 1, such as [4, 2]"
            problems.append(InputError(f"{where}.{name}", expected, limits.shown(given)))
    return problems


def _role_problems(config: EvaluationConfig) -> list[InputError]:
    problems = []
    for role in config.roles:
        if role not in _ROLES:
            hint = did_you_mean(role, _ROLES)
            problems.append(InputError("evaluation.roles", "roles " + ", ".join(_ROLES), f"'{role}'", do=hint))
    for role, given in config.roles.items():
        if isinstance(given, Mapping) != (role == "single"):
            expected = "models and their sites" if role == "single" else "the name of a model"
            problems.append(InputError(f"evaluation.roles.{role}", expected, f"{given!r}"))
    if problems:
        return problems
    both = set(config.external_sites) & set(config.internal_sites)
    if both:
        problems.append(InputError("evaluation", "sites external or internal", "sites named as both", examples=both))
    if config.pooled and not config.single:
        problems.append(InputError("evaluation.roles", "single-institution models beside the pooled one", "none named"))
    return problems
