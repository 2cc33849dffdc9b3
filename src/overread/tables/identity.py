"""Identifiers: their one canonical form, and which DICOM patient numbers name one patient.

Two identifiers are the same if and only if their canonical forms are equal. Every table and every DICOM reader uses
this module, so that a patient, a case or a site that is written in two ways stays one.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

# Words that programs and people write where an identifier is missing, in lower case.
NOT_A_VALUE = ("", "na", "n/a", "#n/a", "<na>", "n.a.", "nan", "nat", "null", "#null!", "#value!", "#ref!", "#name?",
               "-", "--", "?", "??", "???", ".", "..", "...")  # fmt: skip
# Words that may be the name of an arm or of a label source, but not that of a person, a case or an institution.
NO_IDENTIFIER = ("none", "nil", "unknown", "unk", "missing", "undefined", "unspecified", "not available",
                 "not applicable", "not stated", "anonymous", "anonymized", "anonymised", "anon")  # fmt: skip

# Text that is in canonical form already: printable ASCII with single spaces between words.
_PLAIN = r"^(?:[!-~]+(?: [!-~]+)*)?$"
# Characters without a picture: control characters, byte order mark, zero-width space, Hangul filler and their like.
# The joiners U+200C and U+200D separate letters of some scripts, so that they are removed at the ends only.
_INVISIBLE = r"[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}--[\u{200C}\u{200D}\t\n\u{0B}\f\r\u{85}]]"
_ENDS = r"^[\s\u{200C}\u{200D}\u{2800}]+|[\s\u{200C}\u{200D}\u{2800}]+$"


def canonical(values: pl.Series) -> pl.Series:
    """Convert text to the canonical form of identifiers.

    Parameters
    ----------
    values: text; null stays null.

    Returns
    -------
    The same Series if every value is in canonical form. Otherwise a new Series: Unicode normalisation form C, control
    and zero-width characters removed, white space removed at both ends and every other run of it replaced by one space.
    Letter case, leading zeros and missing words are kept, see `is_missing`.

    Examples
    --------
    >>> canonical(pl.Series(["p1 ", "\\u00a0p1\\u200b", "St.\\u3000Mary", "e\\u0301", None])).to_list()
    ['p1', 'p1', 'St. Mary', 'é', None]
    """
    odd = ~values.str.contains(_PLAIN)
    if not odd.any():
        return values
    written = values.filter(odd).unique()
    # Twice to NFC: removing a zero-width character can bring a letter and its accent together.
    plain = written.str.replace_all(r"[\u{2028}\u{2029}]", " ").str.replace_all(_INVISIBLE, "")
    plain = plain.str.normalize("NFC").str.replace_all(r"\s+", " ").str.replace_all(_ENDS, "")
    return values.replace(written, plain)


def is_missing(values: pl.Series, *, names: bool = False) -> pl.Series:
    """Whether each value is null or one of the words that stand for a missing identifier, in any letter case.

    Parameters
    ----------
    values: text in canonical form.
    names: whether the column holds names such as an arm or a label source, which may be "none" or "unknown".

    Examples
    --------
    >>> is_missing(pl.Series(["17", "NaN", "None", "", None])).to_list()
    [False, True, True, True, True]
    >>> is_missing(pl.Series(["none", "NA"]), names=True).to_list()
    [False, True]
    """
    words = NOT_A_VALUE if names else (*NOT_A_VALUE, *NO_IDENTIFIER)
    short = values.is_null() | (values.str.len_bytes() <= max(len(w) for w in words))
    if not short.any():
        return short
    found = values.str.to_lowercase().is_in(words) | values.str.contains(r"^#+$")
    return found.fill_null(True)


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
    files = pl.DataFrame({"number": _known(numbers), "issuer": _known(issuers)})
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
    known = number.is_not_null() & ~pl.col("ambiguous")
    shared = known & (pl.struct("number", "issuer").filter(known).n_unique().over("key") > 1)
    files = files.with_columns(pl.col("ambiguous") | shared)
    files = files.with_columns(key=pl.when(known).then("key"), issuer=pl.when(known).then(issuer.fill_null("")))
    return Patients(files["key"], files["number"], files["issuer"], files["ambiguous"])


def _known(values: pl.Series) -> pl.Series:
    """The canonical values, null where they are missing."""
    text = canonical(values.cast(pl.String))
    return text.set(is_missing(text), None)
