"""Sentences on the comparison of two arms, ready for a manuscript."""

from __future__ import annotations

from overread import codes
from overread.reporting.estimate_cells import code_of, known
from overread.reporting.number_format import MISSING, capital, count, fixed, limit, listed, number, p_phrase, plural
from overread.reporting.report_data import Row, value_at
from overread.reporting.sections.reader_results.arm_pairs import MARGIN, MEASURES, ArmPair, arm_words, minus
from overread.reporting.sections.reader_results.reader_titles import (
    arm_title,
    in_sentence,
    in_words,
)


def answer(pair: ArmPair, *, several: bool) -> str:
    """The result of a comparison in one sentence; `several` findings are named.

    Parameters
    ----------
    pair : ArmPair
        The two arms.
    several : bool
        Whether the finding must be named.

    Returns
    -------
    str
    """
    said: dict[str, list[str]] = {}
    for m in pair.measures:
        said.setdefault(pair.together(m).lower(), []).append(f"{MEASURES[m]} {_less(pair.difference(m))}")
    where = f"{pair.title}, " if several else ""
    if not said:
        return f"{where}{minus(pair)}: no difference could be computed."
    first = minus(pair)
    first = f"A{first[1:]}" if not where and pair.new.isdigit() else first  # "Arm 2" opens the sentence
    words = "; ".join(f"{who}: {'; '.join(own)}" for who, own in said.items())
    return f"{where}{first}, {words}."


def for_paper(pair: ArmPair, metric: str, *, patients: bool = True, uncertain: str = "") -> str:
    """The comparison by one measure as a sentence of a results section.

    Parameters
    ----------
    pair : ArmPair
        The two arms.
    metric : {"auc", "sensitivity", "specificity"}
        The measure, which has a difference.
    patients : bool
        Whether it is known which patient a case is of.
    uncertain : str
        What uncertain calls count as, "" where none was; the AUC of grades does not depend on it.

    Returns
    -------
    str
        Both arms with intervals where they are known, the difference with interval and P value, the method with its
        degrees of freedom, the numbers of readers and patients, and the reference standard; "" for a single reader, of
        whom there is no mean.
    """
    if pair.one_reader(metric):
        return ""
    row = pair.difference(metric)
    assert row is not None
    levels_of_both = pair.compared_levels(metric)
    level = f"{100 * number(row.get('confidence') or 0.95):g}% CI"
    name = f"{pair.measure_of_readers(metric)} for {in_words(pair.title)}"
    pooled = "all reads pooled, so that a reader with more reads counts more" if pair.pooled(metric) else ""
    details = [
        f"{level} {_ends(row, signed=True)}" if _bounded(row) else "no CI",
        *([f"P {p_phrase(row['p'])}"] if number(row["p"]) == number(row["p"]) else []),
        *_method(row),
        pooled,
        _weighted(row),
        _other_in_each_arm(pair, metric),
        _numbers(row, patients=patients),
        f"uncertain calls {uncertain}" if uncertain and metric != "auc" else "",
        f"reference standard: {in_sentence(pair.reference)}",
    ]
    difference = f"{fixed(row['estimate'], signed=True)} ({'; '.join(d for d in details if d)})"
    if levels_of_both is None:
        return (
            f"The difference in the {name} between {arm_title(pair.new)} and {arm_title(pair.usual)} was {difference}."
        )
    arms = (pair.new, pair.usual)
    levels = [
        f"{fixed(r['estimate'])}{_own(r, level)} {arm_words(a)}" for r, a in zip(levels_of_both, arms, strict=True)
    ]
    return f"The {name} was {levels[0]} and {levels[1]}; difference, {difference}."


def _weighted(row: Row) -> str:
    """That cases were weighted, "" where all counted alike."""
    weighted = any(code.name == "weighted" for code in codes.decode(row.get("method_code") or ""))
    return "cases weighted by the inverse of their sampling probability" if weighted else ""


def _other_in_each_arm(pair: ArmPair, metric: str) -> str:
    """That every reader read in one arm only, with their numbers."""
    own = pair.own_readers(metric)
    if own is None:
        return ""
    return f"other readers in each arm, {own[0]} {arm_words(pair.new)} and {own[1]} {arm_words(pair.usual)}"


def margin_sentence(pair: ArmPair, metric: str) -> str:
    """The test of non-inferiority as a sentence, "" where no margin was stated."""
    row = pair.non_inferiority(metric)
    if row is None:
        return ""
    margin = value_at(row["at"], MARGIN)
    tested = (
        f"non-inferiority of {arm_title(pair.new)} to {arm_title(pair.usual)} in {MEASURES[metric]} (margin {margin})"
    )
    if not known(row) or number(row["p"]) != number(row["p"]):
        return f"{capital(tested)} could not be tested."
    less = pair.difference(metric) or row
    low = f"; the lower limit of the two-sided CI was {limit(less['low'], signed=True)}" if _bounded(less) else ""
    level = f"level {50 * (1 - number(row.get('confidence') or 0.95)):.3g}%, unadjusted"
    return f"One-sided test of {tested}: P {p_phrase(row['p'])} ({level}){low}."


def _less(row: Row | None) -> str:
    if row is None or not known(row):
        return MISSING
    ends = f" ({_ends(row, signed=True)})" if _bounded(row) else " (no CI)"
    return f"{fixed(row['estimate'], signed=True)}{ends}"


def _own(row: Row, level: str) -> str:
    return f" ({level} {_ends(row)})" if _bounded(row) else ""


def _ends(row: Row, *, signed: bool = False) -> str:
    return f"{limit(row['low'], signed=signed)} to {limit(row['high'], signed=signed)}"


def _bounded(row: Row) -> bool:
    """Whether there is an interval; one without width is that of a difference that does not vary."""
    low, high = number(row["low"]), number(row["high"])
    return low == low and high == high and low != high


def _method(row: Row) -> list[str]:
    """The method of the difference with its degrees of freedom, from its codes."""
    found = {code.name: code for code in codes.decode(row.get("method_code") or "")}
    df = f"{float(str(found['scale_t']['df'])):.3g}" if "scale_t" in found else ""
    df = f"{df} {'degree' if df == '1' else 'degrees'} of freedom" if df else ""
    if (own := found.get("obuchowski_rockette")) is not None:
        what = (
            "readers and cases random"
            if own["readers"] == own["cases"] == "random"
            else f"readers {own['readers']}, cases {own['cases']}"
        )
        return [f"Obuchowski–Rockette, {what}", *([f"{df} by Hillis"] if df else [])]
    if {"u_statistics_centred", "u_statistics", "v_statistics"} & set(found):
        centred = "u_statistics_centred" in found and any(code_of(row, name) for name in _NOT_CROSSED)
        kind = "U-statistics with centred kernels (overread's estimator, not that of iMRMC)"
        kind = kind if centred else "U-statistics"
        return [f"{kind}, readers and cases random", *([df] if df else [])]
    return []


# Designs in which centred kernels give another variance than those of Gallas et al. and of iMRMC.
_NOT_CROSSED = (
    "reads_missing", "reads_of_practice", "reads_in_groups", "reads_not_assigned", "reads_without_majority",
    "readers_within_arms", "reads_in_one_arm", "reader_not_in_reference",
)  # fmt: skip


def _numbers(row: Row, *, patients: bool) -> str:
    """Readers, cases and patients, and the reads that are not there."""
    people, cases, present = row.get("n_patients"), row.get("n_cases"), row.get("n_present")
    readers = plural(int(row["n_readers"]), "reader") if row.get("n_readers") else ""
    unit = f"{count(cases)} cases"
    if patients and people is not None:
        unit = f"{count(people)} patients" if people == cases else f"{unit} of {count(people)} patients"
    has = f" ({count(present)} with and {count(row['n_absent'])} without the finding)" if present is not None else ""
    return ", ".join(t for t in (readers, f"{unit}{has}", *_unread(row)) if t)


_PARTS = "each reader, or each arm, with part of the cases, by design or not"


def _unread(row: Row) -> list[str]:
    """The combinations without a read that the design explains, the missing reads, and those that were excluded."""
    said = ["each reader read a case in one arm only"] if code_of(row, "reads_in_one_arm") is not None else []
    by_design = code_of(row, "reads_in_groups") or code_of(row, "reads_not_assigned")
    if by_design is not None:
        in_groups = by_design.name == "reads_in_groups"
        who = f"{by_design['groups']} groups of readers with cases of their own" if in_groups else _PARTS
        said.append(f"{who} ({count(by_design['n'])} of {count(by_design['total'])} combinations without a read)")
    for name, verb, why in (
        ("reads_missing", "missing", ""),
        ("reads_of_practice", "excluded", "practice"),
        ("reads_without_majority", "excluded", "no majority of the others"),
    ):
        if (found := code_of(row, name)) is not None:
            by_arm = _by_arm(row, f"{name}_by_arm")
            brackets = "; ".join(filter(None, (why, by_arm)))
            where = f" ({brackets})" if brackets else ""
            said.append(f"{count(found['n'])} of {count(found['total'])} reads {verb}{where}")
    if code_of(row, "reads_without_majority_by_arm") is not None:
        said.append("so that the arms rest on different cases")
    return said


def missing_by_arm(row: Row) -> str:
    """How many reads each arm lacks, "" where this is not known.

    >>> missing_by_arm({"note_codes": codes.encode(codes.note("reads_missing_by_arm", arms=("a 0 of 9", "b 1 of 9")))})
    'a 0 of 9 and b 1 of 9'
    """
    return _by_arm(row, "reads_missing_by_arm")


def _by_arm(row: Row, name: str) -> str:
    found = code_of(row, name)
    arms = found["arms"] if found is not None else ()
    return listed([str(a) for a in arms]) if isinstance(arms, tuple) else str(arms)
