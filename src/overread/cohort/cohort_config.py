"""Configuration of a cohort: pixel recipe, selection of images, split of patients."""

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
    """Configuration of the selection, split and storage of a cohort. Only criteria given here exclude images.

    Parameters
    ----------
    recipe : Recipe
        How pixels are rendered.
    modalities : tuple of str
        Modalities (0008,0060) to include (default: radiographs); () = all. Images without a modality are included.
    body_parts : tuple of str
        Body parts (0018,0015) to include (default: CHEST); () = all. "CHEST" includes its spellings in
        other languages. Images without a body part are included.
    views : tuple of str
        Views to include, such as ("PA", "AP"); () = all.
    ages : tuple of float, optional
        Lowest and highest age in years, both inclusive; None = no limit on this side. With a limit, images without an
        age are excluded.
    minimum_size : tuple of int
        Minimum rows and columns in pixels. Where the source does not give the size, it is checked when the pixels are
        read.
    one_per : {"image", "case", "patient"}
        Include every image, or one image per case or per patient.
    rule : {"random", "first", "last", "largest"}
        Choice of that image: at random (by `seed`), first or last by `acquired` (images without date are ranked last),
        or largest by rows x columns (unknown = 0). Ties are resolved by image_id.
    exclude : mapping
        Column of the table of images -> values whose images are excluded, such as {"patient_id": ["17"]}.
    exclude_files : tuple of str
        CSV or Parquet files with names to exclude: exactly one column of image_id, case_id or patient_id, and
        optionally `reason`, which the flow shows.
    duplicates : {"together", "drop", "refuse"}
        Treatment of duplicate and near-duplicate images (see cohort/cohort_duplicates.py): keep them, marked and in
        one split; keep one of each group (the lowest image_id, of a case with labels if there is one); or refuse the
        cohort.
    fractions : tuple of float
        Shares of patients for train, tune and test.
    external_sites : tuple of str
        Sites that are test in full.
    split_column : str
        Column of the source with the split (train, tune, test; train_val is divided into train and tune by
        `fractions`); "" = none.
    split_file : str
        Published split, CSV or Parquet, with image_id or patient_id, and split (same values).
    split_unlisted : str
        Split of images that `split_file` lacks; "" = the cohort is refused.
    split_by : {"patient", "time"}
        Split patients at random (by `seed`), or by the date of each patient's latest image, so that the latest are
        test.
    split_dates : tuple of str
        With "time": first day of tune and first day of test, such as ("2016-01-01", "2017-01-01"); () = the days that
        divide patients by `fractions`.
    stratify : tuple of str
        Findings that the split balances in addition to the site; () = all that are stated.
    seed : int
        Seed of the split and of the selection.
    max_unreadable : float
        Largest share of each source's images that may be missing or unreadable; these are excluded and listed in
        unreadable.csv. Above it the cohort is refused. A source may have its own share.
    missing_allowed : float
        Largest share of the cases of `--labels` and of the images of `--regions` that `--images` may lack (1 = the
        images are a declared subset). Above it the input is refused.
    file_seconds, file_memory_mb : float, int
        Processor time and memory that a worker process may use for one file; a file that needs more is unreadable.
        Increase them for images larger than radiographs.
    vocabulary : Vocabulary
        Findings that labels may name, see `findings`; in a configuration file, the section [findings].
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
    """Errors in the minimum size and the ages."""
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
    """Errors for mutually exclusive split options, and for dates that are invalid or not increasing."""
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
    """Refuse a configuration that names columns which the table of images lacks."""
    named = [("exclude", c) for c in config.exclude]
    named += [("split_column", config.split_column)] if config.split_column else []
    problems = [
        InputError(f"cohort.{key}", "a column of the images", f"'{c}'", do=did_you_mean(c, columns))
        for key, c in named
        if c not in columns and c not in schema("images").column_names()
    ]
    if problems:
        raise InputError.all(problems)
