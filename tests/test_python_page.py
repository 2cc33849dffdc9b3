"""The examples of the page on use from Python give what the page shows."""

import doctest
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/python.md"


@pytest.mark.slow
def test_the_examples_give_what_the_page_shows():
    found = doctest.testfile(
        str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert found.attempted > 15
    assert found.failed == 0
