"""What a hypothesis needs before a verdict can be given."""

from __future__ import annotations

from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig


def check_asked(config: EvaluationConfig, predictions: object, reads: object) -> None:
    """Refuse a hypothesis on which no verdict could be given: H1 without roles, H2 without predictions and reads.

    Raises
    ------
    InputError
        Every hypothesis of `config.hypotheses` that lacks what it compares; None = an absent table.
    """
    problems = []
    if "H1" in config.hypotheses and not config.roles:
        do = "State which model is the pooled one and which are the single ones, or leave out hypothesis H1."
        problems.append(InputError("evaluation.hypotheses", "evaluation.roles for H1", "no roles", do=do))
    tables = {"predictions of a model": predictions, "reads": reads}
    lacking = [name for name, table in tables.items() if table is None]
    if "H2" in config.hypotheses and lacking:
        expected, found = "predictions and reads for H2", " and ".join(f"no {name}" for name in lacking)
        do = "H2 compares AUCs of models under the references of the readers: give both, or leave out hypothesis H2."
        problems.append(InputError("evaluation.hypotheses", expected, found, do=do))
    if problems:
        raise InputError.all(problems)
