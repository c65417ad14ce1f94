"""Whether an artefact can be loaded once it is on the Hub: what is wrong is said before anything is sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import RepoCard

from .artefacts import CARD
from .artefacts import DATASET
from .artefacts import METRIC
from .artefacts import MODEL
from .artefacts import SPACE
from .artefacts import Artefact
from .artefacts import PublishError

SDK = "gradio"


def check_artefact(artefact: Artefact, repo_id: str) -> RepoCard:
    """Looks for what would keep an artefact from being loaded back.

    Args:
        artefact: what would be published.
        repo_id: ``user/name``, where.

    Returns:
        Its card.

    Raises:
        PublishError: the card or a file that is needed is missing or wrong; the message names it.
    """
    card = _card(artefact)
    metadata: dict[str, Any] = card.data.to_dict()  # type: ignore[no-untyped-call]
    if not metadata:
        place = artefact.source(CARD)
        raise PublishError(f"{place}: it has no metadata; a card begins with a YAML block between two lines of ---")
    checks = {DATASET.name: _check_dataset, METRIC.name: _check_metric, SPACE.name: _check_space, MODEL.name: _check_model}
    if artefact.kind.name in checks:
        checks[artefact.kind.name](artefact, metadata, repo_id)
    return card


def _card(artefact: Artefact) -> RepoCard:
    source = artefact.source(CARD)
    if source is None:
        raise PublishError(f"there is no {CARD}: give a card with --card FILE, or put one in the folder (see r-avst-cards)")
    try:
        return RepoCard(source.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        raise PublishError(
            f"{source}: its metadata cannot be read ({error}); correct the block between the --- lines"
        ) from None


def _check_dataset(artefact: Artefact, metadata: dict[str, Any], _: str) -> None:
    """The card names each file of each config: without them `load_dataset` mixes the configs or finds nothing."""
    named = set(_named_files(metadata))
    if not named:
        raise PublishError(
            f"{artefact.source(CARD)}: it names no data files under configs; is it the card of this data set?"
        )
    there = {file.path for file in artefact.files if file.path.endswith(".parquet")}
    if missing := sorted(named - there):
        raise PublishError(f"the card names {', '.join(missing)}, which the folder lacks; render the card again from it")
    if unnamed := sorted(there - named):
        raise PublishError(
            f"{', '.join(unnamed)}: not named by the card, so never loaded; remove it or render the card again"
        )


def _named_files(metadata: dict[str, Any]) -> Iterator[str]:
    for config in metadata.get("configs", []):
        for own in config.get("data_files", []):
            yield from [own["path"]] if isinstance(own["path"], str) else own["path"]


def _check_metric(artefact: Artefact, metadata: dict[str, Any], repo_id: str) -> None:
    name = repo_id.split("/")[1]
    if artefact.source(f"{name}.py") is None:
        modules = ", ".join(file.path for file in artefact.files if file.path.endswith(".py"))
        raise PublishError(
            f'evaluate.load("{repo_id}") reads {name}.py, and there is none (there are {modules}); '
            "the repository must bear the name of the metric's module"
        )
    _check_space(artefact, metadata, repo_id)


def _check_space(artefact: Artefact, metadata: dict[str, Any], _: str) -> None:
    card = artefact.source(CARD)
    if metadata.get("sdk") != SDK:
        raise PublishError(f"{card}: sdk is {metadata.get('sdk')!r}; the card of this Space says sdk: {SDK}")
    app = metadata.get("app_file", "app.py")
    if artefact.source(app) is None:
        raise PublishError(f"{card}: the Space would start {app}, which is not there; add it, or say app_file in the card")


def _check_model(artefact: Artefact, _: dict[str, Any], repo_id: str) -> None:
    paths = {file.path for file in artefact.files}
    if not paths & {"config.json", "adapter_config.json"}:
        raise PublishError(
            f"{repo_id}: neither config.json nor adapter_config.json; is it a folder that save_pretrained wrote?"
        )
    if not any(path.endswith(".safetensors") for path in paths):
        raise PublishError(
            f"{repo_id}: no *.safetensors; save the model with save_pretrained, pickled weights are not published"
        )
    for file in artefact.files:
        if file.path.endswith(".safetensors.index.json"):
            wanted = _shards(file.source)
            if missing := sorted(wanted - paths):
                raise PublishError(
                    f"{file.source} names {', '.join(missing)}, which the folder lacks; copy the whole checkpoint"
                )


def _shards(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (AttributeError, KeyError, TypeError, ValueError):
        raise PublishError(f"{index}: it is no index of shards (weight_map); copy the whole checkpoint again") from None
