"""The schemas of all tables, declared with dataframely."""

from __future__ import annotations

import dataframely as dy

from overread.tables.identifiers.identity import IDENTIFIER, KIND, NAME, TERM, WORD

STATES = ("present", "absent", "uncertain")
SPLITS = ("train", "tune", "test", "")
VIEWS = ("PA", "AP", "LATERAL", "UNKNOWN")
# What the values of a column identify: they have one canonical form.
_IDENTIFIER, _NAME, _WORD, _TERM = {KIND: IDENTIFIER}, {KIND: NAME}, {KIND: WORD}, {KIND: TERM}
# Values of Modality (0008,0060) whose images are radiographs: PS3.3 C.7.3.1.1.1.
RADIOGRAPHS = ("CR", "DX", "RG")
CHEST = "CHEST"


class Images(dy.Schema):
    """One row per image."""

    image_id = dy.String(primary_key=True, metadata=_IDENTIFIER)
    case_id = dy.String(nullable=False, metadata=_IDENTIFIER)
    patient_id = dy.String(nullable=False, metadata=_IDENTIFIER)
    site = dy.String(nullable=False, metadata=_NAME)
    dataset = dy.String(nullable=True, metadata=_WORD)
    split = dy.Enum(SPLITS, nullable=True)
    view = dy.Enum(VIEWS, nullable=True)
    modality = dy.String(nullable=True)
    body_part = dy.String(nullable=True)
    sex = dy.Enum(("F", "M"), nullable=True)
    age_years = dy.Float64(nullable=True, min=0, max=120)
    manufacturer = dy.String(nullable=True)
    device = dy.String(nullable=True)
    acquired = dy.Date(nullable=True)
    rows = dy.Int32(nullable=True, min=1)
    columns_ = dy.Int32(nullable=True, min=1, alias="columns")  # "columns" itself is a method of the schema
    pixel_mm = dy.Float64(nullable=True, min_exclusive=0)
    path = dy.String(nullable=True)
    sha256 = dy.String(nullable=True)
    stratum = dy.String(nullable=True, metadata=_WORD)
    weight = dy.Float64(nullable=True, min_exclusive=0)
    part = dy.Int32(nullable=True, min=0)
    row = dy.Int32(nullable=True, min=0)
    pairs_within = dy.String(nullable=True, metadata=_WORD)


class Labels(dy.Schema):
    """One row per label of a case, finding and source; no row without a label."""

    case_id = dy.String(primary_key=True, metadata=_IDENTIFIER)
    finding = dy.String(primary_key=True, metadata=_TERM)
    source = dy.String(primary_key=True, metadata=_WORD)
    state = dy.Enum(STATES, nullable=False)


class Regions(dy.Schema):
    """One row per bounding box of a finding, in pixels of the original image."""

    image_id = dy.String(primary_key=True, metadata=_IDENTIFIER)
    finding = dy.String(primary_key=True, metadata=_TERM)
    source = dy.String(primary_key=True, metadata=_WORD)
    number = dy.Int32(primary_key=True)
    x = dy.Float64(nullable=False)
    y = dy.Float64(nullable=False)
    width = dy.Float64(nullable=False, min=0)
    height = dy.Float64(nullable=False, min=0)


class Predictions(dy.Schema):
    """One row per score of a model for a finding in an image."""

    image_id = dy.String(primary_key=True, metadata=_IDENTIFIER)
    finding = dy.String(primary_key=True, metadata=_TERM)
    model = dy.String(primary_key=True, metadata=_NAME)
    shift = dy.String(primary_key=True, metadata=_WORD)
    score = dy.Float64(nullable=False, allow_nan=False, allow_inf=False)


class CasePredictions(dy.Schema):
    """One row per score of a model for a finding in a case, for predictions without images."""

    case_id = dy.String(primary_key=True, metadata=_IDENTIFIER)
    finding = dy.String(primary_key=True, metadata=_TERM)
    model = dy.String(primary_key=True, metadata=_NAME)
    shift = dy.String(primary_key=True, metadata=_WORD)
    score = dy.Float64(nullable=False, allow_nan=False, allow_inf=False)


class Thresholds(dy.Schema):
    """One row per operating point: the score from which a model calls a finding present."""

    model = dy.String(primary_key=True, metadata=_NAME)
    finding = dy.String(primary_key=True, metadata=_TERM)
    name = dy.String(primary_key=True, metadata=_NAME)
    threshold = dy.Float64(nullable=False, allow_nan=False, allow_inf=False)
    source = dy.String(nullable=True)


class Reads(dy.Schema):
    """One row per answer of a reader for a finding in a case."""

    reader = dy.String(primary_key=True, metadata=_NAME)
    case_id = dy.String(primary_key=True, metadata=_IDENTIFIER)
    finding = dy.String(primary_key=True, metadata=_TERM)
    arm = dy.String(primary_key=True, metadata=_WORD)
    round = dy.Int32(primary_key=True)
    score = dy.Float64(nullable=True, allow_nan=False, allow_inf=False)
    call = dy.Enum(STATES, nullable=True)


class MadeBy(dy.Schema):
    """One row per reader who contributed to the label of a source; without finding, to all labels of the case."""

    source = dy.String(primary_key=True, metadata=_WORD)
    case_id = dy.String(primary_key=True, metadata=_IDENTIFIER)
    reader = dy.String(primary_key=True, metadata=_NAME)
    finding = dy.String(primary_key=True)


class Sittings(dy.Schema):
    """One row per reading of a case by a reader."""

    reader = dy.String(primary_key=True, metadata=_NAME)
    case_id = dy.String(primary_key=True, metadata=_IDENTIFIER)
    arm = dy.String(primary_key=True, metadata=_WORD)
    round = dy.Int32(primary_key=True)
    seconds = dy.Float64(nullable=True, min=0)
    trust = dy.Float64(nullable=True)
    period = dy.Int32(nullable=True)
    sequence = dy.String(nullable=True, metadata=_WORD)
    session = dy.String(nullable=True, metadata=_WORD)
    position = dy.Int32(nullable=True)
    read_at = dy.Datetime(nullable=True)
    role = dy.String(nullable=True, metadata=_WORD)


class Estimates(dy.Schema):
    """One row per estimate, with interval, method and note."""

    analysis = dy.String(primary_key=True)
    metric = dy.String(primary_key=True)
    at = dy.String(primary_key=True)
    finding = dy.String(primary_key=True)
    rater = dy.String(primary_key=True)
    arm = dy.String(primary_key=True)
    contrast = dy.String(primary_key=True)
    population = dy.String(primary_key=True)
    subgroup = dy.String(primary_key=True)
    level = dy.String(primary_key=True)
    reference = dy.String(primary_key=True)
    policy = dy.String(primary_key=True)
    estimate = dy.Float64(nullable=False, allow_nan=True, allow_inf=True)
    low = dy.Float64(nullable=False, allow_nan=True, allow_inf=True)
    high = dy.Float64(nullable=False, allow_nan=True, allow_inf=True)
    se = dy.Float64(nullable=False, allow_nan=True, allow_inf=True)
    p = dy.Float64(nullable=False, allow_nan=True)
    p_adjusted = dy.Float64(nullable=False, allow_nan=True)
    family = dy.String(nullable=True)
    null = dy.Float64(nullable=True, allow_nan=True)
    n_present = dy.Int64(nullable=True)
    n_absent = dy.Int64(nullable=True)
    n_cases = dy.Int64(nullable=True)
    n_patients = dy.Int64(nullable=True)
    n_readers = dy.Int64(nullable=True)
    confidence = dy.Float64(nullable=True)
    method = dy.String(nullable=True)
    method_code = dy.String(nullable=True)
    note = dy.String(nullable=True)
    note_codes = dy.String(nullable=True)


class Verdicts(dy.Schema):
    """One row per claim, with its verdict."""

    hypothesis = dy.String(primary_key=True)
    claim = dy.String(primary_key=True)
    rule = dy.String(nullable=False)
    verdict = dy.Enum(("supported", "not supported", "cannot tell"), nullable=False)
    reason = dy.String(nullable=False)
    protocol_hash = dy.String(nullable=True)


class Joined(dy.Schema):
    """One row per score with its reference standard."""

    case_id = dy.String(primary_key=True)
    finding = dy.String(primary_key=True)
    rater = dy.String(primary_key=True)
    arm = dy.String(primary_key=True)
    population = dy.String(primary_key=True)
    shift = dy.String(primary_key=True)
    score = dy.Float64(nullable=True, allow_nan=False)
    call = dy.Enum(STATES, nullable=True)
    truth = dy.Bool(nullable=True)
    patient_id = dy.String(nullable=False)
    weight = dy.Float64(nullable=True)


class Flow(dy.Schema):
    """One row per step of selection: numbers remaining (reason "") or excluded, with the reason; site "" = all sites.

    Rows of the step "noted" describe unusual values of images that were kept.
    """

    step = dy.String(primary_key=True)
    unit = dy.String(primary_key=True)
    reason = dy.String(primary_key=True)
    site = dy.String(primary_key=True)
    count = dy.Int64(nullable=False, min=0)
    examples = dy.String(nullable=True)


class Excluded(dy.Schema):
    """One row per file that a source excluded, with the reason; those that are `unreadable` count towards
    `max_unreadable`.
    """

    path = dy.String(nullable=False)
    site = dy.String(nullable=True)
    reason = dy.String(nullable=False)
    detail = dy.String(nullable=True)
    unreadable = dy.Bool(nullable=False)


class Account(dy.Schema):
    """One row per reason for an exclusion or change between input tables and estimates."""

    stage = dy.String(primary_key=True)
    unit = dy.String(primary_key=True)
    reason = dy.String(primary_key=True)
    reason_code = dy.String(nullable=True)
    count = dy.Int64(nullable=False, min=0)
    examples = dy.String(nullable=True)


class Curves(dy.Schema):
    """One row per plotted point."""

    curve = dy.String(primary_key=True)
    at = dy.String(primary_key=True)
    finding = dy.String(primary_key=True)
    rater = dy.String(primary_key=True)
    arm = dy.String(primary_key=True)
    population = dy.String(primary_key=True)
    subgroup = dy.String(primary_key=True)
    level = dy.String(primary_key=True)
    reference = dy.String(primary_key=True)
    policy = dy.String(primary_key=True)
    order = dy.Int32(primary_key=True)
    x = dy.Float64(nullable=False, allow_nan=True)
    y = dy.Float64(nullable=False, allow_nan=True)
    low = dy.Float64(nullable=False, allow_nan=True)
    high = dy.Float64(nullable=False, allow_nan=True)


SCHEMAS: dict[str, type[dy.Schema]] = {
    "images": Images,
    "labels": Labels,
    "regions": Regions,
    "predictions": Predictions,
    "case_predictions": CasePredictions,
    "thresholds": Thresholds,
    "reads": Reads,
    "made_by": MadeBy,
    "sittings": Sittings,
    "estimates": Estimates,
    "verdicts": Verdicts,
    "joined": Joined,
    "flow": Flow,
    "excluded": Excluded,
    "account": Account,
    "curves": Curves,
}
