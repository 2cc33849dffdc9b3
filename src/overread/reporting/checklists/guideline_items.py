"""The items of the reporting guidelines, as data: number, section, overread's own short words, and the topic."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import resources

FILES = ("tripod-ai", "stard-ai", "claim", "decide-ai")


@dataclass(frozen=True, slots=True)
class Item:
    """One item: `topic` is what it asks for, `leaves` what it also asks for and a report of numbers does not tell."""

    number: str
    section: str
    words: str
    topic: str
    leaves: str = ""


@dataclass(frozen=True, slots=True)
class Guideline:
    """A reporting guideline with its items in order, where it was published, and the studies it is made for."""

    name: str
    year: int
    text: str
    doi: str
    scope: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Where a topic is answered (the section's name), with the number or words themselves, and what is still left."""

    where: str
    text: str
    leaves: str = ""


@cache
def guidelines() -> tuple[Guideline, ...]:
    """The four guidelines.

    >>> [(g.name, len(g.items)) for g in guidelines()]
    [('TRIPOD+AI', 52), ('STARD-AI', 48), ('CLAIM', 44), ('DECIDE-AI', 38)]
    """
    made = []
    for name in FILES:
        text = resources.files("overread.reporting.checklists").joinpath(f"{name}.toml").read_text(encoding="utf-8")
        stated = tomllib.loads(text)
        made.append(Guideline(**{**stated, "items": tuple(Item(**i) for i in stated["items"])}))
    return tuple(made)


def topics() -> Collection[str]:
    """Everything that an item asks for, by name: what a study's statements may say."""
    return dict.fromkeys(i.topic for g in guidelines() for i in g.items)
