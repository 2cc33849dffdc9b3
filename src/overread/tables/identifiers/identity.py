"""Canonical form of identifiers, and assignment of DICOM files to patients by patient number and issuer.

Two identifiers are the same if and only if their canonical forms are equal. All readers of tables and DICOM files use
this module, so that different spellings of a patient, case or site are recognised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from overread.tables.text.missing import MARKS, PHRASES, PROGRAMS

# Words that programs and people write where an identifier is missing, in lower case.
NOT_A_VALUE = ("", *PROGRAMS, *MARKS)
# Words that may be the name of an arm or of a label source, but not that of a person, a case or an institution.
NO_IDENTIFIER = (*PHRASES, "anonymous", "anonymized", "anonymised", "anon")

_SAMPLE = 1000  # values that show whether a column repeats its values

# Text that is in canonical form already: printable ASCII with single spaces between words.
_PLAIN = r"^(?:[!-~]+(?: [!-~]+)*)?$"
# Characters without a picture: control characters, byte order mark, zero-width space, Hangul filler and their like.
# The joiners U+200C and U+200D separate letters of some scripts, so that they are removed at the ends only.
_INVISIBLE = r"[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}--[\u{200C}\u{200D}\t\n\u{0B}\f\r\u{85}]]"
# Ways to write one hyphen: hyphen, non-breaking hyphen, figure dash, en dash (word processors insert it), minus sign.
HYPHENS = r"[\u{2010}-\u{2013}\u{2212}]"
# Marks with which spreadsheets keep a number as text: '123 and ="123".
_AS_TEXT = r"""^'(\d+)$|^="([^"]*)"$"""
_ENDS = r"^[\s\u{200C}\u{200D}\u{2800}]+|[\s\u{200C}\u{200D}\u{2800}]+$"


KIND = "identifies"  # in the metadata of a column of a schema: what its values identify, a `IdentifierKind`


@dataclass(frozen=True, slots=True)
class IdentifierKind:
    """What the values of a column identify.

    Attributes
    ----------
    missing: the words, in lower case, that are a missing value and not the name of something.
    empty: whether "" is allowed in the column: always, in all rows or none ("whole"), or never.
    strict: whether values that differ in letter case, leading zeros, a trailing ".0" or inner spaces only are refused.
    """

    missing: tuple[str, ...] = NOT_A_VALUE
    empty: Literal["always", "whole", "never"] = "always"
    strict: bool = True


IDENTIFIER = IdentifierKind((*NOT_A_VALUE, *NO_IDENTIFIER), "never", strict=False)  # of an image, a case, a patient
NAME = IdentifierKind((*NOT_A_VALUE, *NO_IDENTIFIER), "whole")  # of a site, a reader, a model
WORD = IdentifierKind()  # an arm, a label source, a stratum
TERM = IdentifierKind((), strict=False)  # a finding: the vocabulary decides which there are


def canonical(values: pl.Series) -> pl.Series:
    """Convert text to the canonical form of identifiers.

    Parameters
    ----------
    values: text; null stays null.

    Returns
    -------
    The same Series if every value is in canonical form. Otherwise a new Series: Unicode normalisation form C, control
    and zero-width characters removed, white space removed at both ends and every other run of it replaced by one space,
    typographic hyphens and en dashes as "-", and without the marks of a spreadsheet that keep a number as text ('12,
    ="12"). Letter case, leading zeros and missing words are kept, see `is_missing`.

    Examples
    --------
    >>> canonical(pl.Series(["p1 ", "\\u00a0p1\\u200b", "St.\\u3000Mary", "e\\u0301", None])).to_list()
    ['p1', 'p1', 'St. Mary', 'é', None]
    >>> canonical(pl.Series(["'012", '="012"', "p\\u20111", "O'Hara"])).to_list()
    ['012', '012', 'p-1', "O'Hara"]
    """
    odd = ~values.str.contains(_PLAIN).fill_null(True) | values.str.contains(_AS_TEXT).fill_null(False)
    if not odd.any():
        return values
    written = values.filter(odd)
    if written.head(_SAMPLE).n_unique() > _SAMPLE // 2:  # nearly every value is another: convert all of them
        return _converted(values)
    distinct = written.unique()
    return values.replace(distinct, _converted(distinct))


def _converted(values: pl.Series) -> pl.Series:
    plain = values.str.strip_chars()
    if not plain.str.contains(_PLAIN).fill_null(True).all():
        plain = plain.str.replace_all(_INVISIBLE, "").str.replace_all(r"\s+", " ").str.replace_all(_ENDS, "")
        plain = plain.str.replace_all(HYPHENS, "-")
        # Last, because removing an invisible character can bring a letter and its accent together.
        plain = plain.str.normalize("NFC") if plain.str.contains(r"[^ -~]").any() else plain
    marked = plain.str.contains(_AS_TEXT).fill_null(False)
    if not marked.any():
        return plain
    return _converted(plain.zip_with(~marked, plain.str.replace(_AS_TEXT, "${1}${2}")))  # ="'12" and =" 12 "


def is_missing(values: pl.Series, kind: IdentifierKind = IDENTIFIER) -> pl.Series:
    """Whether each value is null or one of the words that stand for a missing value, in any letter case.

    Parameters
    ----------
    values: text in canonical form.
    kind: what the column identifies. An arm and a label source may be "none" or "unknown", a patient may not.

    Examples
    --------
    >>> is_missing(pl.Series(["17", "NaN", "None", "", None])).to_list()
    [False, True, True, True, True]
    >>> is_missing(pl.Series(["none", "NA"]), WORD).to_list()
    [False, True]
    """
    words = kind.missing
    if not words:
        return values.is_null()
    # None of the words has a digit and all are short, as few identifiers are.
    short = values.str.contains(r"^[^0-9]{0,20}$").fill_null(False)
    found = values.filter(short).unique()
    found = found.filter(found.str.to_lowercase().is_in(words) | found.str.contains(r"^#+$"))
    if not found.len():
        return values.is_null()
    return values.is_in(found.to_list()) | values.is_null()


def folded(values: pl.Series) -> pl.Series:
    """Remove from canonical text what two spellings of one identifier often differ in.

    Letter case, full-width and other compatibility forms, spaces, leading zeros of numbers, and a ".0" after a whole
    number. Equal results do not mean one identifier; they are a reason to look.

    Examples
    --------
    >>> folded(pl.Series(["P 007", "p7", "17.0", "00017", "1.2.0", "\uff11\uff17"])).to_list()
    ['p7', 'p7', '17', '17', '1.2.0', '17']
    """
    plain = _one_case(values)
    return plain.str.replace_all(r"(^|[^0-9.])0+([0-9])", "${1}${2}").str.replace(r"^([^.]*[0-9])\.0+$", "$1")


def look_alikes(values: pl.Series) -> list[list[str]]:
    """Group the distinct values that are equal when `folded`; those that resemble no other are left out.

    Examples
    --------
    >>> look_alikes(pl.Series(["p7", "P 007", "p8", "17", "17.0"]))
    [['17', '17.0'], ['P 007', 'p7']]
    """
    # A coarser form that is made in a third of the time: where it keeps all values apart, `folded` does.
    coarse = _one_case(values).str.replace_all("_", "-", literal=True).str.replace_all(r"\b0+", "")
    lettered = coarse.str.contains("[a-z]0").fill_null(False)
    if lettered.any():
        coarse = coarse.zip_with(~lettered, coarse.str.replace_all("([a-z])0+", "$1"))
    coarse = coarse.str.strip_chars_end(".")
    if coarse.hash().n_unique() == values.hash().n_unique():
        return []
    pairs = pl.DataFrame({"value": values.rename("value"), "coarse": coarse.rename("coarse")}).unique().drop_nulls()
    pairs = pairs.filter(pl.col("coarse").is_duplicated())
    pairs = pairs.with_columns(folded(pairs["value"]).alias("key")).filter(pl.col("key").is_duplicated())
    return pairs.sort("value").group_by("key").agg("value").sort("key")["value"].to_list()


def _one_case(values: pl.Series) -> pl.Series:
    """Convert to lower case, without spaces and compatibility forms of characters."""
    odd = values.str.contains(r"[^!-~]").fill_null(False)
    if odd.any():
        distinct = values.filter(odd).unique()
        values = values.replace(distinct, distinct.str.normalize("NFKC").str.replace_all(r"\s", ""))
    return values.str.to_lowercase()


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """The patients of a set of DICOM files.

    Attributes
    ----------
    keys: the patient of each file; null where the file has no patient number or an ambiguous one.
    numbers: the canonical patient number of each file; null where it has none.
    issuers: the issuer of each file's number, "" where no file reports one. A file without an issuer has the issuer
        that other files report for the same number; null where `keys` is null.
    ambiguous: per file, whether it lacks the issuer while other files report several for its number.
    """

    keys: pl.Series
    numbers: pl.Series
    issuers: pl.Series
    ambiguous: pl.Series


def patients(numbers: pl.Series, issuers: pl.Series) -> Patients:
    """Determine which files are of one patient from Patient ID (0010,0020) and Issuer of Patient ID (0010,0021).

    Parameters
    ----------
    numbers, issuers: the two values of each file, as read; null, empty and missing words are missing.

    Notes
    -----
    A missing issuer is unspecified; it is not another authority (PS3.3, C.2.2: type 3). A number with no issuer or one
    is one patient, with or without files that lack the issuer. A number with two different issuers is two patients. A
    number that occurs both without an issuer and with several cannot be assigned where it lacks the issuer: those files
    are ambiguous and must be left out, the files with an issuer are not. Issuers that differ in letter case only are
    one.

    The key is the number. Where the files report two or more issuers in all, it is "ISSUER:NUMBER" for every number
    with an issuer, so that it does not depend on which other numbers there are.

    Examples
    --------
    >>> found = patients(pl.Series(["7", "7 ", "8", "9"]), pl.Series(["A", None, "B", None]))
    >>> found.keys.to_list()
    ['A:7', 'A:7', 'B:8', '9']
    >>> patients(pl.Series(["7", "7", "7"]), pl.Series(["A", "B", ""])).ambiguous.to_list()
    [False, False, True]
    """
    files = pl.DataFrame({"number": known(numbers), "issuer": known(issuers)})
    files = files.with_columns(pl.col("issuer").min().over(pl.col("issuer").str.to_lowercase()))
    number, issuer = pl.col("number"), pl.col("issuer")
    of_number = issuer.drop_nulls().n_unique().over("number")
    files = files.with_columns(
        ambiguous=number.is_not_null() & issuer.is_null() & (of_number > 1),
        issuer=pl.when(of_number == 1).then(issuer.min().over("number")).otherwise(issuer),
    )
    if files["issuer"].drop_nulls().n_unique() > 1:
        files = files.with_columns(key=pl.coalesce(pl.format("{}:{}", issuer, number), number))
    else:
        files = files.with_columns(key=number)
    # A number "A:7" without an issuer and the number "7" of the issuer "A" must not become one patient.
    assigned = number.is_not_null() & ~pl.col("ambiguous")
    shared = assigned & (pl.struct("number", "issuer").filter(assigned).n_unique().over("key") > 1)
    files = files.with_columns(pl.col("ambiguous") | shared)
    files = files.with_columns(key=pl.when(assigned).then("key"), issuer=pl.when(assigned).then(issuer.fill_null("")))
    return Patients(files["key"], files["number"], files["issuer"], files["ambiguous"])


def known(values: pl.Series) -> pl.Series:
    """Convert to canonical text, with null for missing values.

    Examples
    --------
    >>> known(pl.Series([" 007", "NULL"])).to_list()
    ['007', None]
    """
    text = canonical(values.cast(pl.String))
    return text.set(is_missing(text), None)
