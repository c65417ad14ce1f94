"""Templates and metadata to the text of a card."""

from pathlib import Path
from typing import Any

from huggingface_hub import CardData
from huggingface_hub import RepoCard

from .measured import CardError

TEMPLATES = Path(__file__).with_name("templates")


def rendered(card: type[RepoCard], data: CardData, template: str, **values: Any) -> str:
    """A card's text: ``data`` as YAML, then the template of this name filled with ``values``.

    Raises:
        CardError: Jinja2 is not installed.
    """
    try:
        made = card.from_template(data, template_path=str(TEMPLATES / template), **values)
    except ImportError as error:
        raise CardError(f"cards are rendered with Jinja2 ({error}): pip install 'r-avst[publish]'") from None
    return f"{made}".rstrip("\n") + "\n"
