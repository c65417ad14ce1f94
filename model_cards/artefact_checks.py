"""Whether an artefact can be loaded once it is on the Hub: what is wrong is said before anything is sent."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import RepoCard

from ..dataset_builder.hub_names import HUB_NAME
from .artefacts import CARD
from .artefacts import DATASET
from .artefacts import METRIC
from .artefacts import MODEL
from .artefacts import SPACE
from .artefacts import Artefact
from .artefacts import PublishError

SDK = "gradio"
_SHOWN_FIGURE = re.compile(r"\]\((figures/[^)\s]+)\)")
# A folder here; `user/name` and the short names of old models are not.
_LOCAL_PATH = re.compile(r"[./~\\].*|[A-Za-z]:.*|.*[/\\].*[/\\].*", re.DOTALL)


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
    named = set(_named_files(metadata, artefact.source(CARD)))
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
    _check_figures(artefact)


def _check_figures(artefact: Artefact) -> None:
    card = artefact.source(CARD)
    shown = _SHOWN_FIGURE.findall(card.read_text(encoding="utf-8")) if card else []
    if missing := sorted(path for path in set(shown) if artefact.source(path) is None):
        raise PublishError(f"{card} shows {', '.join(missing)}, which would not go out; give --figures DIR")


def _named_files(metadata: dict[str, Any], card: Path | None) -> Iterator[str]:
    """The files of all configs, in the one form that `r-avst-build` writes."""
    try:
        paths = [own["path"] for config in metadata.get("configs", []) for own in config["data_files"]]
    except (KeyError, TypeError):
        paths = [None]
    for path in paths:
        names = [path] if isinstance(path, str) else path
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise PublishError(
                f"{card}: the data_files of a config are a list of split and path, as r-avst-build writes them; "
                "render the card again"
            )
        yield from names


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


def _check_model(artefact: Artefact, metadata: dict[str, Any], repo_id: str) -> None:
    paths = {file.path for file in artefact.files}
    if not paths & {"config.json", "adapter_config.json"}:
        raise PublishError(
            f"{repo_id}: neither config.json nor adapter_config.json; is it a folder that save_pretrained wrote?"
        )
    if not any(path.endswith(".safetensors") for path in paths):
        raise PublishError(
            f"{repo_id}: no *.safetensors; save the model with save_pretrained, pickled weights are not published"
        )
    _check_shards(artefact)
    _check_paths(artefact)
    if adapter := artefact.source("adapter_config.json"):
        _check_base_model(adapter, metadata.get("base_model"))


def _check_base_model(adapter: Path, of_card: object) -> None:
    """Readers of an adapter load its base model by this name: a folder here is nothing to them."""
    base = _mapping(adapter).get("base_model_name_or_path")
    if not isinstance(base, str) or not HUB_NAME.fullmatch(base):
        raise PublishError(
            f"{adapter}: base_model_name_or_path is {base!r}, which is no name of the Hub; write the user/name of the base "
            "model there"
        )
    if of_card not in (base, [base]):
        raise PublishError(f"{adapter}: the base model is {base}, and base_model of the card is {of_card!r}; correct one")


def _check_paths(artefact: Artefact) -> None:
    """A configuration that tells where a model lay on this machine."""
    for file in artefact.files:
        if "/" in file.path or not file.path.endswith("config.json"):
            continue
        for key, value in _settings(_mapping(file.source)):
            if key in ("_name_or_path", "name_or_path") and isinstance(value, str) and _LOCAL_PATH.fullmatch(value):
                raise PublishError(
                    f"{file.source}: {key} is {value!r}, a path of this machine; remove it, or write a name of the Hub"
                )


def _settings(mapping: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Keys and values, those of mappings inside too."""
    for key, value in mapping.items():
        yield key, value
        if isinstance(value, dict):
            yield from _settings(value)


def _mapping(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (RecursionError, ValueError) as error:
        raise PublishError(f"{path}: it is no JSON ({error}); save the model again") from None
    if not isinstance(found, dict):
        raise PublishError(f"{path}: it is no JSON mapping; save the model again")
    return found


def _check_shards(artefact: Artefact) -> None:
    paths = {file.path for file in artefact.files}
    for file in artefact.files:
        if file.path.endswith(".safetensors.index.json"):
            wanted = _shards(file.source)
            if missing := sorted(wanted - paths):
                raise PublishError(
                    f"{file.source} names {', '.join(missing)}, which the folder lacks; copy the whole checkpoint"
                )


def _shards(index: Path) -> set[str]:
    try:
        shards = list(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (AttributeError, KeyError, TypeError, ValueError):
        shards = [None]
    if not all(isinstance(shard, str) for shard in shards):
        raise PublishError(f"{index}: it is no index of shards (weight_map); copy the whole checkpoint again")
    return set(shards)
