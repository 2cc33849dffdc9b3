"""Text of others in Markdown: shown as it is."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from overread.reporting.export.markdown import inline

HOSTILE = [
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](http://x/y.png)",
    "a\n# heading",
    "a\r\n- item",
    "a|b|c",
    "`code`",
    "**bold** _em_ ~~gone~~",
    "&lt;script&gt;",
    "<javascript:alert(1)>",
    "[1]: javascript:x",
    "# x",
    "1. x",
    "- x",
    "> quote",
    "+ x",
    "===",
    "---",
    "$x$",
    "a\\",
    "a_b_c",
    "snake_case_name",
    "\x1b[2J",
    "\u202egpj",
    "***",
    "__init__",
]
render = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render


def _words(page: str) -> str:
    return html.unescape(re.sub(r"</?(?:p|ul|li|h1|table|thead|tbody|tr|th|td|strong)[^>]*>|\n", "", page))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_nothing_but_text(text):
    safe = inline(text)
    assert "\n" not in safe
    line = re.sub(r"\s*[\r\n]+\s*", " ", text)
    shown = line.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert render(safe) == f"<p>{html.escape(shown).replace('&#x27;', chr(39))}</p>\n"
    assert _words(render(f"- Name: {safe}")) == f"Name: {shown}"
    assert _words(render(f"# Card: {safe}")).rstrip() == f"Card: {shown}"
    cells = re.findall(r"<td>(.*?)</td>", render(f"| a | b |\n| --- | --- |\n| {safe} | y |"))
    assert [html.unescape(c) for c in cells] == [shown, "y"]


@given(st.text(alphabet=st.sampled_from("<>[]()!*_`~|\\&;#-+=1.$: ax\n\r\"'"), max_size=20))
def test_no_text_makes_an_element(text):
    line = re.sub(r"[^\S\n]*[\r\n]+[^\S\n]*", " ", text.strip())
    elements = set(re.findall(r"<(/?\w+)", render(f"- Name: {inline(text)}")))
    assert elements <= {"ul", "li", "/ul", "/li"}
    assert " ".join(_words(render(f"- Name: {inline(text)}")).split()) == " ".join(f"Name: {line}".split())


def test_citations_stay_numbers_in_brackets():
    assert inline("See [1,2] and [x].", cited=True) == "See [1,2] and \\[x\\]."
