"""Loads an artefact the way its users will, in a process of its own with an empty cache: counts and a checksum.

The process is `python -m r_avst.model_cards.read_back KIND SOURCE [--revision COMMIT]`; its last line is JSON.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import get_token
from huggingface_hub import snapshot_download

from .artefacts import DATASET
from .artefacts import METRIC
from .artefacts import MODEL
from .artefacts import SPACE
from .artefacts import VIDEOS
from .artefacts import PublishError

# What is told of an artefact: by part (a config's split, a model's weights) its counts and its checksum.
Summary = dict[str, dict[str, Any]]
CACHES = (
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_DATASETS_CACHE",
    "HF_EVALUATE_CACHE",
    "HF_METRICS_CACHE",
    "HF_MODULES_CACHE",
    "HF_ASSETS_CACHE",
    "TRANSFORMERS_CACHE",
)
EXAMPLE = """\
<answer>
<object>dog</object>
<when>[1.0, 3.0]</when>
<where>
1.0: [10.0, 20.0, 60.0, 80.0]
2.0: [12.0, 20.0, 62.0, 80.0]
</where>
</answer>"""


def read_back(kind: str, source: str, revision: str | None) -> Summary:
    """Loads an artefact in a fresh process with an empty cache.

    Args:
        kind: of artefact.
        source: a folder, or ``user/name`` on the Hub.
        revision: the commit on the Hub; None for a folder.

    Returns:
        Counts and a checksum of each part; two of the same content are equal.

    Raises:
        PublishError: it cannot be loaded.
    """
    command = [sys.executable, "-m", "r_avst.model_cards.read_back", kind, source]
    command += ["--revision", revision] if revision else []
    with tempfile.TemporaryDirectory(prefix="r-avst-read-back-") as home:
        # in an empty folder: user/name must not be a folder of this name here
        ran = subprocess.run(command, cwd=home, env=_environment(home), capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        reason = (ran.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise PublishError(f"{source}: it cannot be loaded back as its users would load it ({reason})")
    summary: Summary = json.loads(ran.stdout.splitlines()[-1])
    return summary


def _environment(home: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in CACHES}
    token = get_token()
    return kept | {"HF_HOME": home, "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | ({"HF_TOKEN": token} if token else {})


def differences(here: Summary, there: Summary) -> list[str]:
    """What two summaries tell otherwise, one line a part."""
    parts = sorted(here.keys() | there.keys())
    return [
        f"{part}: here {here.get(part)}, on the Hub {there.get(part)}" for part in parts if here.get(part) != there.get(part)
    ]


def summarise_dataset(source: str, revision: str | None) -> Summary:
    """Rows, columns and a checksum of each split of each config."""
    import datasets

    found: Summary = {}
    for config in datasets.get_dataset_config_names(source, revision=revision):
        for split, rows in datasets.load_dataset(source, config, revision=revision).items():
            checksum = _checksum(json.dumps(row, sort_keys=True).encode() for row in rows.to_list())
            found[f"{config}/{split}"] = {"rows": rows.num_rows, "columns": rows.num_columns, "sha256": checksum}
    return found


def summarise_videos(source: str, revision: str | None) -> Summary:
    """Rows and a checksum of what is said of the videos of each split; the videos themselves are not downloaded."""
    import datasets

    found: Summary = {}
    for split, rows in datasets.load_dataset(source, revision=revision, streaming=True).items():
        told = [{key: value for key, value in row.items() if key != "video"} for row in rows.decode(False)]
        lines = sorted(json.dumps(row, sort_keys=True) for row in told)
        found[str(split)] = {"rows": len(told), "sha256": _checksum(line.encode() for line in lines)}
    return found


def summarise_metric(source: str, revision: str | None) -> Summary:
    """The scores that the metric gives an answer that is nearly right. A folder bears the metric's name."""
    import evaluate

    metric = evaluate.load(source, revision=revision)
    scores = metric.compute(
        predictions=[EXAMPLE.replace("60.0, 80.0", "50.0, 80.0")],
        references=[EXAMPLE],
        coordinate_space="source",
        word_vectors="exact",
        bootstrap_samples=0,
    )
    checksum = _checksum([json.dumps(scores, sort_keys=True, default=str).encode()])
    return {metric.name: {"scores": len(scores["overall"]), "sha256": checksum}}


def summarise_space(source: str, revision: str | None) -> Summary:
    """Bytes and checksum of each file; what only the Hub has (`.gitattributes`, files of others) is left to it."""
    folder = Path(source) if Path(source).is_dir() else Path(snapshot_download(source, repo_type="space", revision=revision))
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        path: {"bytes": file.stat().st_size, "sha256": _checksum([file.read_bytes()])}
        for path, file in files.items()
        if SPACE.owns(path)
    }


def summarise_model(source: str, revision: str | None) -> Summary:
    """Parameters and a checksum of the weights of a checkpoint, or of an adapter."""
    folder = Path(source) if Path(source).is_dir() else Path(snapshot_download(source, revision=revision))
    if (folder / "adapter_config.json").is_file():
        return _summarise_adapter(folder)
    try:
        import torch
        import transformers
    except ImportError:
        raise PublishError(
            "loading a model back needs transformers and torch: pip install 'r-avst[train]', or publish with --check files"
        ) from None
    config = transformers.AutoConfig.from_pretrained(source, revision=revision)
    loader = getattr(transformers, (config.architectures or ["AutoModel"])[0], transformers.AutoModel)
    weights = _whole(source, loader, revision).state_dict()
    checksum = _checksum(
        part
        for name, tensor in sorted(weights.items())
        for part in (name.encode(), tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    )
    parameters = sum(tensor.numel() for tensor in weights.values())
    return {"weights": {"class": loader.__name__, "parameters": parameters, "sha256": checksum}}


def _whole(source: str, loader: Any, revision: str | None) -> Any:
    """The model; weights that no file has would be made up, each time others.

    Raises:
        PublishError: weights are missing, or of another shape.
    """
    import transformers

    # The full Qwen2.5-Omni overrides from_pretrained with one that cannot return the report.
    inherits = isinstance(loader, type) and issubclass(loader, transformers.PreTrainedModel)
    inherited = vars(transformers.PreTrainedModel)["from_pretrained"].__get__(None, loader)
    load = inherited if inherits else loader.from_pretrained
    model, report = load(
        source, revision=revision or "main", dtype="auto", ignore_mismatched_sizes=True, output_loading_info=True
    )
    mismatched = {key[0] for key in report["mismatched_keys"]}
    for found, said in ((report["missing_keys"], "missing"), (mismatched, "of another shape than config.json says")):
        if found:
            names = ", ".join(sorted(found)[:3])
            raise PublishError(f"{len(found)} weights are {said}: {names}; copy the whole checkpoint again")
    return model


def _summarise_adapter(folder: Path) -> Summary:
    """Without its base model, which peft would load too: the configuration, and the tensors that the files list."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    found: Summary = {"config": {"base": config["base_model_name_or_path"], "type": config["peft_type"]}}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        tensors = [tensor for name, tensor in header.items() if name != "__metadata__"]
        found[path.name] = {"tensors": len(tensors), "sha256": _checksum([path.read_bytes()])}
    return found


def _checksum(parts: Iterable[bytes]) -> str:
    """Of byte strings in order; where one ends counts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


SUMMARIES: dict[str, Callable[[str, str | None], Summary]] = {
    DATASET.name: summarise_dataset,
    VIDEOS.name: summarise_videos,
    METRIC.name: summarise_metric,
    SPACE.name: summarise_space,
    MODEL.name: summarise_model,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the summary of one artefact as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=SUMMARIES)
    parser.add_argument("source")
    parser.add_argument("--revision")
    options = parser.parse_args(arguments)
    print(json.dumps(SUMMARIES[options.kind](options.source, options.revision)))
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # All is told. Threads of libraries may outlive it, and abort a process that ends the usual way: pyarrow's do, now and
    # then, after a folder of videos was streamed (apache/arrow#45214).
    os._exit(status)
