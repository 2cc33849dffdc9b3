"""What a cohort is to be: pixel recipe, who is selected, how patients are split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from overread import limits
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.images.recipe.pixel_recipe import Recipe
from overread.tables import CHEST, OLDEST, RADIOGRAPHS, VIEWS, schema

_UNITS = ("image", "case", "patient")
_RULES = ("random", "first", "last", "largest")
_SPLIT_BY = ("patient", "time")
_DUPLICATES = ("together", "drop", "refuse")


@dataclass(frozen=True, slots=True)
class CohortConfig:
    """How a cohort is selected, split and stored. Nothing is left out unless it is said here.

    recipe: how pixels are made.
    modalities: modalities (0008,0060) that are kept; () = all. An image whose modality is not stated is kept.
    body_parts: body parts (0018,0015) that are kept; () = all. "CHEST" covers its spellings in other languages. An
        image whose body part is not stated is kept.
    views: views that are kept, such as ("PA", "AP"); () = all.
    ages: youngest and oldest age in years that are kept, both included; None = no limit. With a limit, images whose age
        is not stated are left out.
    minimum_size: rows and columns that an image must have at least. Where the source does not state them, they are
        looked at once the pixels are read.
    one_per: "image" (all), "case" or "patient": one image of each is kept.
    rule: which one: "random" (drawn by the seed), "first" or "last" (by `acquired`; those without a date come after
        those with one), "largest" (rows x columns, unknown counts as 0); ties by image_id.
    exclude: column of the table of images -> values whose images are left out, such as {"patient_id": ["17"]}.
    exclude_files: CSV or Parquet files of names that are left out: one column of image_id, case_id or patient_id, and
        perhaps `reason`, which the flow shows.
    duplicates: images that are one picture, or nearly (see cohort/duplicates.py): "together" (kept, marked, in one
        split), "drop" (one stays: the least image_id, of a case with labels if any) or "refuse".
    fractions: shares of patients for train, tune, test.
    external_sites: sites that are test as a whole.
    split_column: a column of the source that gives the split (train, tune, test; train_val is divided into train and
        tune by the fractions); "" = split here.
    split_file: a published list, CSV or Parquet: image_id or patient_id, and split (the same words).
    split_unlisted: the split of images that the list lacks; "" = they are refused.
    split_by: "patient" (dealt by the seed) or "time": by the date of a patient's latest image, the latest are test.
    split_dates: with "time", the first day of tune and the first of test, such as ("2016-01-01", "2017-01-01"); () =
        the days that divide the patients by the fractions.
    stratify: findings that the split is balanced for, besides the site; () = all that are stated.
    seed: of the split and of the draw.
    max_unreadable: share of each source's images that may be missing or unreadable; they are left out and listed in
        unreadable.csv. Above it the cohort is refused. A source may have a share of its own.
    file_seconds, file_memory_mb: processor time and memory that reading one file may take in a worker process; a file
        that takes more is unreadable. Raise them for pictures that are larger than radiographs.
    missing_allowed: share of the cases of `--labels` and of the images of `--regions` that `--images` may lack (1 = the
        images are a stated subset). Above it: refused.
    vocabulary: the findings that labels may name, see `findings`; a file states it in its section [findings].
    """

    recipe: Recipe = field(default_factory=Recipe)
    modalities: tuple[str, ...] = RADIOGRAPHS
    body_parts: tuple[str, ...] = (CHEST,)
    views: tuple[str, ...] = ()
    ages: tuple[float | None, float | None] = (None, None)
    minimum_size: tuple[int, int] = (0, 0)
    one_per: str = "image"
    rule: str = "random"
    exclude: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude_files: tuple[str, ...] = ()
    duplicates: str = "together"
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    external_sites: tuple[str, ...] = ()
    split_column: str = ""
    split_file: str = ""
    split_unlisted: str = ""
    split_by: str = "patient"
    split_dates: tuple[str, ...] = ()
    stratify: tuple[str, ...] = ()
    seed: int = 0
    max_unreadable: float = 0.0
    missing_allowed: float = 0.01
    file_seconds: float = limits.FILE_SECONDS
    file_memory_mb: int = limits.FILE_MEMORY_MB
    vocabulary: Vocabulary = field(default_factory=partial(load_vocabulary, "chest"))

    def __post_init__(self) -> None:
        problems = [
            *_unknown("views", self.views, VIEWS),
            *_unknown("one_per", (self.one_per,), _UNITS),
            *_unknown("duplicates", (self.duplicates,), _DUPLICATES),
            *_unknown("rule", (self.rule,), _RULES),
            *_unknown("split_by", (self.split_by,), _SPLIT_BY),
            *_unknown("split_unlisted", (self.split_unlisted,), ("", "train", "tune", "test")),
            *_unknown("stratify", self.stratify, self.vocabulary.names()),
            *_split_problems(self),
        ]
        f = self.fractions
        sound = len(f) == 3 and all(limits.is_number(s) and (s == 0 or 0.001 <= s <= 1) for s in f)
        if not sound or f[0] == 0 or abs(sum(f) - 1) > 1e-9:
            expected = "three shares (train, tune, test) that sum to 1, each 0 or at least 0.001, the first above 0"
            problems.append(InputError("cohort.fractions", expected, limits.shown(f)))
        for name in ("max_unreadable", "missing_allowed"):
            if not limits.is_number(getattr(self, name)) or not 0 <= getattr(self, name) <= 1:
                problems.append(InputError(f"cohort.{name}", "a share from 0 to 1", limits.shown(getattr(self, name))))
        problems += limits.outside("cohort.seed", self.seed, 0, limits.SEED, whole=True)
        problems += limits.outside("cohort.file_seconds", self.file_seconds, 1, 86_400)
        problems += limits.outside("cohort.file_memory_mb", self.file_memory_mb, 256, 1_000_000, whole=True)
        problems += _range_problems(self)
        if not isinstance(self.exclude, Mapping):
            expected = "columns and their values, such as {patient_id = [...]}"
            problems.append(InputError("cohort.exclude", expected, repr(self.exclude)))
        if problems:
            raise InputError.all(problems)


def _range_problems(config: CohortConfig) -> list[InputError]:
    """What is wrong with the least size and the ages."""
    problems = []
    if len(config.minimum_size) != 2 or any(limits.outside("", v, 0, 100_000, whole=True) for v in config.minimum_size):
        expected = "the least rows and columns, such as [512, 512], each from 0 to 100,000"
        problems.append(InputError("cohort.minimum_size", expected, limits.shown(config.minimum_size)))
    stated = [age for age in config.ages if age is not None]
    problems += [p for age in stated for p in limits.outside("cohort.ages", age, 0, OLDEST)]
    if not problems and len(stated) == 2 and stated[0] > stated[1]:
        problems.append(InputError("cohort.ages", "the youngest age, then the oldest", str(config.ages)))
    return problems


def _split_problems(config: CohortConfig) -> list[InputError]:
    """Ways of splitting that exclude each other, and dates that are none or do not rise."""
    said = {
        "split_column": config.split_column,
        "split_file": config.split_file,
        "split_by = 'time'": config.split_by == "time",
    }
    named = [key for key, value in said.items() if value]
    problems = []
    if len(named) > 1:
        problems.append(InputError("cohort", "one way to split", " and ".join(named), do="Keep the one that is meant."))
    if config.split_dates:
        if config.split_by != "time":
            do = "Add split_by = 'time', or leave the dates out."
            problems.append(InputError("cohort.split_dates", "a split by time", f"split_by '{config.split_by}'", do=do))
        if not _rising_dates(config.split_dates):
            expected = "the first day of tune, then of test, as YYYY-MM-DD"
            problems.append(InputError("cohort.split_dates", expected, str(config.split_dates)))
    return problems


def _rising_dates(days: tuple[str, ...]) -> bool:
    try:
        tune, test = (date.fromisoformat(day) for day in days)
    except (TypeError, ValueError):
        return False
    return tune <= test


def _unknown(key: str, values: tuple[str, ...], known: tuple[str, ...]) -> list[InputError]:
    strange = [v for v in values if v not in known]
    if not strange:
        return []
    expected = f"{', '.join(repr(k) for k in known)}"
    return [InputError(f"cohort.{key}", expected, f"'{strange[0]}'", do=did_you_mean(str(strange[0]), known))]


def check_columns(config: CohortConfig, columns: list[str]) -> None:
    """Refuse a configuration that names columns which the images do not have."""
    named = [("exclude", c) for c in config.exclude]
    named += [("split_column", config.split_column)] if config.split_column else []
    problems = [
        InputError(f"cohort.{key}", "a column of the images", f"'{c}'", do=did_you_mean(c, columns))
        for key, c in named
        if c not in columns and c not in schema("images").column_names()
    ]
    if problems:
        raise InputError.all(problems)
