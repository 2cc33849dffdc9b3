"""Every public function and class of the statistics is documented in the numpydoc sections that a reader needs."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

PACKAGES = (
    "agreement",
    "calibration",
    "decision",
    "rates",
    "reader_studies",
    "reading_time",
    "resampling",
    "roc",
    "sample_size",
    "sequential",
)


def _exported():
    """Public objects of the facades by name, without sub-packages and without the result that all of them share."""
    objects = {}
    for package in ("overread.stats", *(f"overread.stats.{name}" for name in PACKAGES)):
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.ismodule(value) and name != "Estimate":
                objects[f"{value.__module__.removeprefix('overread.stats.')}.{name}"] = value
    return objects


EXPORTED = _exported()
FUNCTIONS = {name: value for name, value in EXPORTED.items() if inspect.isfunction(value)}
CLASSES = {name: value for name, value in EXPORTED.items() if inspect.isclass(value)}
METHODS = {
    f"{name}.{method}": function
    for name, value in CLASSES.items()
    for method, function in inspect.getmembers(value, inspect.isroutine)
    if not method.startswith("_") and inspect.getmodule(function) is inspect.getmodule(value)
}


def _names(entries):
    return [name.strip().lstrip("*") for entry in entries for name in entry.name.split(",")]


def _has_source(documentation):
    """Whether a published source with an identifier, or a note on assumptions and formula, is given."""
    return bool(re.search(r"doi:10\.|arXiv:\d|ISBN", "\n".join(documentation["References"])) or documentation["Notes"])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_function_documents_parameters_in_the_order_of_its_signature(name):
    documentation = FunctionDoc(FUNCTIONS[name])
    assert _names(documentation["Parameters"]) == list(inspect.signature(FUNCTIONS[name]).parameters)
    assert all(entry.type and entry.desc for entry in documentation["Parameters"])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_function_documents_result_example_and_source(name):
    documentation = FunctionDoc(FUNCTIONS[name])
    assert len(documentation["Summary"]) == 1
    assert documentation["Returns"]
    assert ">>>" in "\n".join(documentation["Examples"])
    assert _has_source(documentation)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_class_documents_fields_in_order_and_source(name):
    documentation = ClassDoc(CLASSES[name], config={"show_class_members": False})
    assert len(documentation["Summary"]) == 1
    assert _names(documentation["Attributes"]) == [field.name for field in dataclasses.fields(CLASSES[name])]
    assert all(entry.type and entry.desc for entry in documentation["Attributes"])
    assert _has_source(documentation)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_method_documents_parameters_and_result(name):
    documentation = FunctionDoc(METHODS[name])
    parameters = [p for p in inspect.signature(METHODS[name]).parameters if p not in ("self", "cls")]
    assert _names(documentation["Parameters"]) == parameters
    assert documentation["Returns"]
