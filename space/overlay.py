"""The player as a Gradio component: boxes over the playing video, and under it a timeline.

A page is one `gradio.HTML` component: `page/player.html` in the place that `page/{name}.html` leaves for it, the styles of
both, and one script made of `timeline.js`, `player.js`, `jobs.js` and `{name}.js`. Gradio evaluates templates (Handlebars
within a JavaScript template string), so they hold nothing that it could evaluate and nothing of a data set or of a model:
the scripts write such texts with `textContent` or on a canvas.
"""

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("timeline.js", "player.js", "jobs.js")
PLAYER_PLACE = "<!--player-->"
EVALUATED = ("${", "{{", "`", "\\")


class PageError(RuntimeError):
    """A part of the page is missing or would be evaluated; the message names the file and says what to do."""


def player_component(
    name: str, value: Any, server_functions: Sequence[Callable[..., Any]] = (), folder: Path = PAGE
) -> gr.HTML:
    """A component that holds a player and what a page has around it.

    Args:
        name: of the page; its parts are ``{name}.html``, ``{name}.css`` and ``{name}.js``.
        value: what the page's script finds in ``props.value``.
        server_functions: what the page's script may call, by their names, as ``server.*``.
        folder: where the page's own parts are; those of the player are always the ones beside this module.

    Raises:
        PageError: a part is missing, has no place for the player, or holds what Gradio would evaluate.
    """
    return gr.HTML(
        value,
        html_template=_template(folder / f"{name}.html"),
        css_template=_evaluated_part(PAGE / "player.css") + _evaluated_part(folder / f"{name}.css"),
        js_on_load="".join(_part(path) for path in (*(PAGE / script for script in SCRIPTS), folder / f"{name}.js")),
        apply_default_css=False,
        server_functions=list(server_functions),
    )


def _template(path: Path) -> str:
    page = _evaluated_part(path)
    if page.count(PLAYER_PLACE) != 1:
        raise PageError(
            f"{path}: {PLAYER_PLACE} stands in it {page.count(PLAYER_PLACE)} times; put it where the player goes"
        )
    return page.replace(PLAYER_PLACE, _evaluated_part(PAGE / "player.html"))


def _evaluated_part(path: Path) -> str:
    text = _part(path)
    for line, found in enumerate(text.splitlines(), 1):
        for mark in EVALUATED:
            if mark in found:
                raise PageError(f"{path}, line {line}: Gradio would evaluate its {mark!r}; write this line without it")
    return text


def _part(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PageError(f"{path}: this part of the page cannot be read ({error.strerror}); install r-avst anew") from None
