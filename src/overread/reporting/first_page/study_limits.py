"""What limits the answer of the first page, worst first, each with its count and the section that has more.

Everything is found by codes and counts: of notes, of reasons of the account, of the record of the evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import polars as pl

from overread import codes
from overread.codes import Code
from overread.reporting.estimate_cells import codes_of, known
from overread.reporting.first_page.first_page_parts import Limitation, bounded
from overread.reporting.first_page.question import AGREEMENT, ARMS, READERS_ALONE, SEEDS, leading
from overread.reporting.number_format import count, fixed, limit, listed, number, plural
from overread.reporting.report_data import MEAN, ReportData, Row, once, overall, pick, plain_words
from overread.reporting.sections.reader_results.arm_pairs import compared_readers
from overread.reporting.sections.reader_results.reader_titles import DERIVED, OTHERS, arms, in_sentence, most_cases
from overread.reporting.seed_rows import rows_of_seeds, seed_count
from overread.tables.table_notes import IDENTIFIERS, sentences

MOST_LIMITS = 6
_LOST = ("not_in_images", "not_in_images_hint", "unscored_cases", "labelled_not_scored", "case_without_scored_label")
_UNIDENTIFIED = "dawid_skene_refused"
_SHORT = 60  # characters of a warning that is given in full in the line below the answer
_FEW = 50  # present cases: below, intervals are wide


@once
def limitations(evidence: ReportData) -> tuple[Limitation, ...]:
    """Every limitation, the worst first."""
    found = [each for rule in _RULES for each in rule(evidence)]
    if leading(evidence) in (
        AGREEMENT,
        ARMS,
        READERS_ALONE,
    ):  # what limits the models limits no answer about the readers
        about_models = {each.short for rule in _ABOUT_MODELS for each in rule(evidence)}
        found = [replace(each, rank=each.rank + 10) if each.short in about_models else each for each in found]
    return tuple(sorted(found, key=lambda each: each.rank))


def _account(evidence: ReportData, *names: str) -> list[tuple[Code, Row]]:
    """The codes of the account with these names, each with its line."""
    return [
        (code, row)
        for row in evidence.account.iter_rows(named=True)
        for code in codes.decode(row["reason_code"] or "")
        if code.name in names
    ]


def _noted(rows: Iterable[Row], name: str) -> list[Code]:
    return [code for row in rows for code in codes_of(row) if code.name == name]


def _simulated(evidence: ReportData) -> list[Limitation]:
    sources = (evidence.study.get("protocol") or {}).get("sources") or {}
    readers = [s.get("reader") for s in sources.values() if isinstance(s, Mapping)]
    if "simulate" not in readers:
        return []
    which = "The images are" if set(readers) == {"simulate"} else "Some of the images are"
    text = f"{which} simulated: the results are about the methods, not about patients."
    return [Limitation(0, "simulated images", text)]


def _ledger(evidence: ReportData) -> list[Limitation]:
    return [Limitation(1, "ledger incomplete", str(fault), link="governance") for fault in evidence.ledger_faults]


def _below_chance(evidence: ReportData) -> list[Limitation]:
    """AUCs at hospitals not used in training whose whole interval lies below 0.5: the score points the wrong way."""
    rows = pick(overall(evidence, "standalone", "auc"), at="").filter(pl.col("population").str.starts_with("external:"))
    low = [r for r in rows.to_dicts() if bounded(r) and number(r["high"]) < 0.5]
    low = [r for r in low if r["rater"] not in evidence.cast.members]
    if not low:
        return []
    worst = min(low, key=lambda r: number(r["estimate"]))
    finding = evidence.heading(worst["finding"]).lower()
    place = worst["population"].partition(":")[2]
    cases = f" ({plural(worst['n_cases'], 'case')})" if worst["n_cases"] else ""
    text = (
        f"{plural(len(low), 'AUC')} at a hospital not used in training {'lies' if len(low) == 1 else 'lie'} below "
        f"0.5 with the whole interval; lowest: {worst['rater']}, {finding}, {place}{cases}, "
        f"{fixed(worst['estimate'])} ({fixed(worst['low'])} to {limit(worst['high'])})."
    )
    return [Limitation(2, "an AUC below 0.5 at another hospital", "Worse than chance.", text, "discrimination")]


def _reader_made(evidence: ReportData) -> list[Limitation]:
    found = arms(evidence)
    if not found:
        return []
    own = [r for r in found[0].references if r in found[0].made]
    favour = [in_sentence(r) for r in own if r != OTHERS]
    if not favour:
        return []
    n = len(found[0].references)
    these = "it" if len(favour) == 1 else "these"
    text = f"{listed(favour)[:1].upper()}{listed(favour)[1:]}; results under {these} favour the readers."
    if OTHERS in own:
        text += f" {in_sentence(OTHERS)[:1].upper()}{in_sentence(OTHERS)[1:]} leaves out the reader who is evaluated."
    head = f"{count(len(own))} of {plural(n, 'reference standard')} made from reads of these readers."
    return [Limitation(3, f"{plural(len(own), 'reference standard')} made by these readers", head, text, "readers")]


def _dawid_skene(evidence: ReportData) -> list[Limitation]:
    """Dawid-Skene was asked for and is not identified."""
    asked = "dawid-skene" in (evidence.config.get("references") or ())
    rows = evidence.estimates.filter(pl.col("note_codes").fill_null("") != "").iter_rows(named=True)
    noted = _noted(rows, _UNIDENTIFIED) if asked else []
    lost = _account(evidence, _UNIDENTIFIED) if asked else []
    if not noted and not lost:
        return []
    text = "It was asked for and is not used: the reads do not determine it."
    return [Limitation(3, "Dawid-Skene not identified", "Dawid-Skene is not identified.", text, "account")]


def _external(evidence: ReportData) -> list[Limitation]:
    if not evidence.cast.raters or evidence.estimates.is_empty():
        return []
    n = len(evidence.cast.external)
    if n == 0:
        text = "Nothing here shows how the models do at a hospital that was not used in training."
        if not evidence.cast.trained:
            text = "Whether a hospital of the test was used in training is not known."
        return [Limitation(4, "no other hospital known to be unseen", "No external hospital.", text)]
    if n == 1:
        return [
            Limitation(
                5,
                "one external hospital",
                "One external hospital.",
                "At least two are needed to assess generalisation.",
                "drop",
            )
        ]
    text = "" if evidence.cast.trained else "That they were not used in training is declared, not verified."
    few = [Limitation(13, f"{n} external hospitals", f"{n} external hospitals.", text, "drop")]
    return few if text or n == 2 else []


def _training_runs(evidence: ReportData) -> list[Limitation]:
    silent = [m for m, e in evidence.models.items() if e.get("kind") == "single" and m in evidence.cast.raters]
    if not silent:
        return []
    text = f"Variation between training runs of {listed(silent)} is unknown."
    return [
        Limitation(
            5, "one training run per model", "One training run per model.", text, "h1" if evidence.cast.single else ""
        )
    ]


def _seeds(evidence: ReportData) -> list[Limitation]:
    """An interval of a mean over seeds is about patients."""
    rows = rows_of_seeds(evidence)
    if rows is None or leading(evidence) != SEEDS:
        return []
    n = seed_count(list(rows.variants.values()))
    text = "The intervals cover the sampling of patients, not that of training seeds; see the SD over seeds."
    each = " of each variant" if len(rows.variants) > 1 else ""
    return [Limitation(5, "intervals do not cover training seeds", f"{n} training seeds{each}.", text, "seeds")]


def _not_prespecified(evidence: ReportData) -> list[Limitation]:
    if evidence.study.get("protocol_hash") or evidence.estimates.is_empty():
        return []
    text = "No protocol was supplied: no main measure and no relevant difference were stated before the test."
    return [Limitation(6, "no protocol", "Not prespecified.", text, "governance")]


def _selected(evidence: ReportData) -> list[Limitation]:
    n = len(evidence.cast.raters)
    if leading(evidence) == SEEDS or n < 4 or set(evidence.cast.single) & set(evidence.cast.raters):
        return []
    text = f"The highest AUC of {n} is too high on average, because the model was chosen on these cases."
    return [Limitation(7, f"best of {n} models", "The best of several.", text, "comparison")]


def _reference(evidence: ReportData) -> list[Limitation]:
    statements = evidence.study.get("statements") or {}
    labels = {r for joined in evidence.estimates["reference"].unique() for r in (joined or "").split(", ")}
    if (
        evidence.estimates.is_empty()
        or leading(evidence) == AGREEMENT
        or evidence.config.get("reader_made")
        or _account(evidence, "makers_not_judged")
        or (arms(evidence) and not labels - {"", *DERIVED})
        or statements.get("reference_standard")
        or statements.get("labels")
        or evidence.study.get("protocol_hash")
    ):
        return []
    return [
        Limitation(
            8,
            "reference labels not described",
            "Reference standard not described.",
            "How the labels were made, and by whom, is not stated.",
            "checklists",
        )
    ]


def _half(evidence: ReportData) -> list[Limitation]:
    rows = (
        overall(evidence, "standalone", "threshold").to_dicts()
        + overall(evidence, "standalone", "sensitivity").to_dicts()
    )
    found = _noted(rows, "fitted_on_half")
    if not found:
        return []
    fitted, tested = int(str(found[0]["fitted"])), int(str(found[0]["tested"]))
    half = 0.45 <= fitted / (fitted + tested) <= 0.55
    text = (
        f"They were chosen on {count(fitted)} of {count(fitted + tested)} patients and tested on the other "
        f"{count(tested)}; a locked threshold would use all."
    )
    share = "half of the patients" if half else "a part of the patients"
    return [Limitation(9, f"thresholds chosen on {share}", f"Thresholds chosen on {share}.", text, "operating")]


def _lost(evidence: ReportData) -> list[Limitation]:
    """Rows without their partner in another table, one limitation for all."""
    found = [(code, row) for code, row in _account(evidence, *_LOST)]
    if not found:
        return []
    largest = sorted(found, key=lambda pair: -pair[1]["count"])[:2]
    told = [
        f"{plural(r['count'], r['unit'].removesuffix('s'))} ({plain_words(r['reason'], evidence.vocabulary)})"
        for _, r in largest
    ]
    more = f"; {len(found) - 2} more reasons" if len(found) > 2 else ""
    return [Limitation(10, "cases left out", "Left out:", f"{listed(told)}{more}.", "account")]


def _not_evaluated(evidence: ReportData) -> list[Limitation]:
    lines = _account(evidence, "findings_only_uncertain", "findings_without_label")
    return [
        Limitation(
            10,
            "findings not evaluated",
            "Findings not evaluated:",
            f"{plain_words(row['reason'], evidence.vocabulary)}.",
            "account",
        )
        for _, row in lines
    ]


def _sites(evidence: ReportData) -> list[Limitation]:
    """Hospitals left out of a mean, and hospitals without a mean."""
    rows = pick(overall(evidence, "standalone", "auc"), at="")
    excluded = [c for name in ("sites_excluded", "sites_one_class") for c in _noted(rows.to_dicts(), name)]
    left = sorted({site for c in excluded if isinstance(sites := c["sites"], tuple) for site in sites})
    means = rows.filter(pl.col("finding") == MEAN, pl.col("population").str.starts_with("external:")).to_dicts()
    lone = sorted({r["population"].partition(":")[2] for r in means if not known(r)})
    made = []
    if left:
        more = f" and {len(left) - 4} more" if len(left) > 4 else ""
        text = f"{listed(left[:4])}{more}: too few patients with or without a finding."
        made.append(
            Limitation(
                9,
                f"{plural(len(left), 'hospital')} not evaluable for some findings",
                f"{plural(len(left), 'hospital')} not in every mean.",
                text,
                "not-computed",
            )
        )
    if lone:
        text = f"{listed(lone)}: no mean AUC could be computed."
        made.append(
            Limitation(
                9,
                f"{plural(len(lone), 'hospital')} not evaluable",
                f"{plural(len(lone), 'hospital')} not evaluable.",
                text,
                "not-computed",
            )
        )
    return made


def _without_pair(evidence: ReportData) -> list[Limitation]:
    """Hospitals whose cases are compared with none, because all are of one class."""
    rows = pick(overall(evidence, "standalone", "auc"), at="").to_dicts()
    means = [r for r in rows if r["finding"] == MEAN] or rows  # a hospital without a pair for any finding
    found = [c for name in ("sites_without_pair", "many_sites_without_pair") for c in _noted(means, name)]
    if not found:
        return []
    code = max(found, key=lambda c: int(str(c["n"])))
    n, sites = int(str(code["n"])), code["sites"]
    named = list(sites) if isinstance(sites, tuple) else [str(sites)]
    more = f" and {n - len(named)} more" if n > len(named) else ""
    text = f"{listed(named)}{more}: {plural(int(str(code['cases'])), 'case')} of one class, in no AUC."
    short = f"{plural(n, 'hospital')} without a pair"
    return [Limitation(9, short, f"{short} of cases with and without a finding.", text, "discrimination")]


def _few_readers(evidence: ReportData) -> list[Limitation]:
    rows = pick(evidence.estimates, analysis="readers")
    read = sorted({r for r in rows.filter(pl.col("arm") != "model")["rater"].to_list() if r and not r.startswith("(")})
    n = (compared_readers(evidence) if leading(evidence) == ARMS else 0) or len(read)
    if not 0 < n < 10:
        return []
    text = "The interval for readers in general may be too narrow."
    return [Limitation(7, plural(n, "reader"), f"{plural(n, 'reader')}.", text, "readers")]


def _subset(evidence: ReportData) -> list[Limitation]:
    found = arms(evidence)
    if not found:
        return []
    read = most_cases(found[0])
    tested = max((n for n in pick(evidence.estimates, analysis="standalone")["n_cases"] if n is not None), default=0)
    if read >= tested:
        return []
    text = "Unless these were sampled at random, predictive values cannot be estimated from them."
    return [
        Limitation(
            8, "a selected sample was read", f"{count(read)} of {count(tested)} test cases were read.", text, "readers"
        )
    ]


def _few_present(evidence: ReportData) -> list[Limitation]:
    rows = [r for r in pick(overall(evidence, "standalone", "auc"), at="").to_dicts() if r["finding"] != MEAN]
    low = {
        r["finding"]: r["n_present"]
        for r in sorted(rows, key=lambda r: -(r["n_present"] or 0))
        if r["n_present"] is not None
    }
    few = {f: n for f, n in low.items() if 0 < n < _FEW and f in evidence.cast.findings}
    if not few or evidence.cast.single:
        return []
    names = [f"{evidence.heading(f).lower()} ({count(n)})" for f, n in sorted(few.items(), key=lambda pair: pair[1])]
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [
        Limitation(
            10,
            "few cases of some findings",
            f"Fewer than {_FEW} cases present:",
            f"{listed(names[:3])}{rest}. These intervals are wide.",
            "discrimination",
        )
    ]


def _one_class(evidence: ReportData) -> list[Limitation]:
    rows = overall(evidence, "standalone", "auc").filter(pl.col("finding") != MEAN)
    one = (pl.col("n_present") == 0) != (pl.col("n_absent") == 0)  # both 0: nothing is stated there at all
    pairs = rows.filter(one).select("population", "finding").unique(maintain_order=True).rows()
    if not pairs:
        return []
    told = [f"{evidence.heading(f).lower()} ({p.partition(':')[2] or p})" for p, f in pairs[:3]]
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return [
        Limitation(
            10,
            "findings with cases of one class",
            "All cases of one class:",
            f"{listed(told)}{more}. No AUC can be estimated.",
            "not-computed",
        )
    ]


def _own_patients(evidence: ReportData) -> list[Limitation]:
    """Every case was taken as its own patient, because no table says whose it is."""
    if not _account(evidence, "case_is_own_patient"):
        return []
    n = evidence.joined["case_id"].n_unique()
    head = f"Each of {count(n)} cases counted as a patient of its own." if n != 1 else "The case counted as a patient."
    text = "No table says whose the cases are. If a patient has several, the intervals are too narrow."
    return [Limitation(8, "every case taken as its own patient", head, text, "account")]


def _uncertain(evidence: ReportData) -> list[Limitation]:
    found = _account(evidence, "uncertain_excluded", "uncertain_recoded")
    n = sum(row["count"] for _, row in found)
    if not n:
        return []
    how = "left out" if found[0][0].name == "uncertain_excluded" else f"taken as {found[0][0]['state']}"
    return [
        Limitation(
            12,
            "uncertain labels",
            f"{plural(n, 'uncertain label')} {how};",
            "the alternatives are given beside.",
            "policies",
        )
    ]


def _uncomputed(evidence: ReportData) -> list[Limitation]:
    frame = evidence.estimates
    missing = frame.filter(pl.col("estimate").is_nan()).height
    if not missing:
        return []
    head = f"{count(missing)} of {plural(frame.height, 'number')} could not be computed."
    return [Limitation(11, "numbers not computed", head, "Each has its reason.", "not-computed")]


def _stated(evidence: ReportData) -> list[Limitation]:
    return [Limitation(7, _short(str(w)), str(w), link="governance") for w in evidence.study.get("warnings") or ()]


def _short(warning: str) -> str:
    """A warning within a line, if it is short enough for one."""
    text = warning.strip().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}" if 0 < len(text) <= _SHORT else "a warning of the protocol"


def _identifiers(evidence: ReportData) -> list[Limitation]:

    flow = evidence.flow.filter(pl.col("step") == "noted", pl.col("unit") == IDENTIFIERS, pl.col("site") == "")
    told = [*sentences(evidence.account), *(f"{reason}." for reason in flow["reason"])]
    return [Limitation(14, "identifiers changed", text, link="account") for text in told]


_ABOUT_MODELS = (_external, _training_runs, _half, _few_present, _below_chance)
_RULES: Sequence[Callable[[ReportData], list[Limitation]]] = (
    _simulated,
    _ledger,
    _below_chance,
    _reader_made,
    _dawid_skene,
    _external,
    _training_runs,
    _seeds,
    _not_prespecified,
    _stated,
    _selected,
    _few_readers,
    _reference,
    _subset,
    _own_patients,
    _half,
    _sites,
    _without_pair,
    _lost,
    _not_evaluated,
    _few_present,
    _one_class,
    _uncomputed,
    _uncertain,
    _identifiers,
)
