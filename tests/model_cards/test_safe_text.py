"""What others wrote stands on a card as text, or not at all. Held against an independent reader of Markdown."""

from typing import Any

import pytest

from r_avst.model_cards.measured import CardError
from r_avst.model_cards.safe_text import code
from r_avst.model_cards.safe_text import fenced
from r_avst.model_cards.safe_text import licence

HOSTILE = [
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/track.png)",
    "www.evil.example",
    "**bold** _it_ ~~gone~~ $x$",
    "{{ 7 * 7 }}{% raw %}",
    "back\\slash",
    "--> <!--",
    "&lt;b&gt;",
]


def html_of(markdown: str) -> str:
    reader = pytest.importorskip("markdown_it")
    made: str = reader.MarkdownIt("gfm-like", {"linkify": False}).render(markdown)
    return made


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_name_is_read_as_markdown(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    html = html_of(f"| name | 1 |\n| --- | --- |\n| {code(text, 'the name')} | 2 |\n")
    assert f"<td><code>{escaped}</code></td>\n<td>2</td>" in html


@pytest.mark.parametrize("text", ["", " ", "a`b", "a|b", "a\nb", "a\rb", "a\x00b", "a\u202eb", "a\u2028b", "x" * 201])
def test_a_name_that_would_break_out_is_refused(text: str) -> None:
    with pytest.raises(CardError, match=r"^the row .* cannot stand on a card: give 1 to 200 printable characters"):
        code(text, "the row")


@pytest.mark.parametrize("text", [*HOSTILE, "a: 1\n```\n<b>out</b>\n", "~~~\n````\n`````", "# heading\n\ttab"])
def test_nothing_in_a_block_of_code_gets_out_of_it(text: str) -> None:
    html = html_of(f"before\n\n{fenced(text, 'yaml', 'recipe.yaml')}\n\nafter\n")
    assert html.count("<pre>") == html.count("</pre>") == 1
    inside = html.split("<pre>")[1].split("</pre>")[0]
    assert "<b>" not in inside
    assert html.startswith("<p>before</p>\n<pre>")
    assert html.endswith("</pre>\n<p>after</p>\n")


def test_a_block_of_code_takes_both_kinds_of_line_ends_and_no_others() -> None:
    assert fenced("a: 1\r\nb: 2\r\n", "yaml", "recipe.yaml") == "```yaml\na: 1\nb: 2\n```"
    for char in "\x00\x1b\r\u202e":
        with pytest.raises(CardError, match=r"recipe\.yaml holds .*; take it out"):
            fenced(f"a: {char}1", "yaml", "recipe.yaml")


@pytest.mark.parametrize("text", ["mit", "apache-2.0", "cc-by-nc-sa-4.0", "other"])
def test_an_identifier_of_a_licence_is_taken(text: str) -> None:
    assert licence(text, "the licence") == text


@pytest.mark.parametrize("text", [None, 4, ["mit"], "", "MIT License", "mit\n---", "<b>", "`mit`"])
def test_another_licence_is_refused(text: Any) -> None:
    with pytest.raises(CardError, match=r"^x/README\.md: the licence is .*, no identifier of the Hub"):
        licence(text, "x/README.md: the licence")
