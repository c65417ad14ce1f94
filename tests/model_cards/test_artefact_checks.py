import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from r_avst.model_cards.artefact_checks import check_artefact
from r_avst.model_cards.artefacts import DATASET
from r_avst.model_cards.artefacts import METRIC
from r_avst.model_cards.artefacts import MODEL
from r_avst.model_cards.artefacts import SPACE
from r_avst.model_cards.artefacts import ArtefactKind
from r_avst.model_cards.artefacts import PublishError
from r_avst.model_cards.artefacts import collect

DATA_CARD = """---
configs:
- config_name: default
  data_files:
  - split: test
    path: [a/r-avst-test-1.parquet, b/r-avst-test-2.parquet]
- config_name: a
  data_files:
  - split: test
    path: a/r-avst-test-1.parquet
---
"""
DATA = {"README.md": DATA_CARD, "a/r-avst-test-1.parquet": "", "b/r-avst-test-2.parquet": ""}
SPACE_CARD = "---\ntitle: Demo\nsdk: gradio\n---\n"
INDEX = json.dumps({"weight_map": {"x": "model-1.safetensors", "y": "model-2.safetensors"}})
ADAPTER_CARD = "---\nbase_model: user/base\n---\n"
ADAPTER = {
    "README.md": ADAPTER_CARD,
    "adapter_config.json": '{"base_model_name_or_path": "user/base"}',
    "adapter_model.safetensors": "",
}
CHECKPOINT = {"README.md": "---\nlicense: mit\n---\n", "config.json": "{}", "model-1.safetensors": ""}


def checked(folder: Path, kind: ArtefactKind, files: Mapping[str, str], repo_id: str = "user/name") -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    check_artefact(collect(kind, {"": folder}), repo_id)


@pytest.mark.parametrize(
    ("kind", "files", "repo_id"),
    [
        (DATASET, DATA, "user/r-avst"),
        (METRIC, {"README.md": SPACE_CARD, "app.py": "", "avst_metrics.py": ""}, "user/avst_metrics"),
        (SPACE, {"README.md": SPACE_CARD.replace("title", "app_file: demo.py\ntitle"), "demo.py": ""}, "user/demo"),
        (MODEL, CHECKPOINT, "user/model"),
        (MODEL, CHECKPOINT | {"model.safetensors.index.json": INDEX, "model-2.safetensors": ""}, "user/model"),
        (MODEL, ADAPTER, "user/adapter"),
        (MODEL, ADAPTER | {"README.md": "---\nbase_model: [user/base]\n---\n"}, "user/adapter"),
        (MODEL, CHECKPOINT | {"config.json": '{"_name_or_path": "user/base"}'}, "user/model"),
        (DATASET, DATA | {"README.md": DATA_CARD + "![a](figures/a.svg)", "figures/a.svg": ""}, "user/r-avst"),
    ],
)
def test_a_whole_artefact_passes(tmp_path: Path, kind: ArtefactKind, files: dict[str, str], repo_id: str) -> None:
    checked(tmp_path, kind, files, repo_id)


@pytest.mark.parametrize(
    ("kind", "files", "said"),
    [
        (MODEL, {"config.json": "{}"}, "there is no README.md: give a card with --card FILE"),
        (MODEL, CHECKPOINT | {"README.md": "# No metadata\n"}, "README.md: it has no metadata"),
        (MODEL, CHECKPOINT | {"README.md": "---\na: [\n---\n"}, "README.md: its metadata cannot be read"),
        (MODEL, CHECKPOINT | {"README.md": "---\n- a\n---\n"}, "README.md: its metadata cannot be read"),
        (DATASET, DATA | {"README.md": "---\nlicense: mit\n---\n"}, "it names no data files under configs"),
        (DATASET, {"README.md": DATA_CARD, "a/r-avst-test-1.parquet": ""}, "the card names b/r-avst-test-2.parquet, which"),
        (DATASET, DATA | {"a/r-avst-test-9.parquet": ""}, "a/r-avst-test-9.parquet: not named by the card"),
        (
            METRIC,
            {"README.md": SPACE_CARD, "app.py": "", "avst_metrics.py": ""},
            'evaluate.load."user/name". reads name.py',
        ),
        (METRIC, {"README.md": SPACE_CARD, "name.py": ""}, "would start app.py, which is not there"),
        (SPACE, {"README.md": SPACE_CARD.replace("gradio", "docker"), "app.py": ""}, "sdk is 'docker'"),
        (SPACE, {"README.md": SPACE_CARD, "main.py": ""}, "would start app.py, which is not there"),
        (MODEL, {"README.md": SPACE_CARD, "model.safetensors": ""}, "neither config.json nor adapter_config.json"),
        (MODEL, {"README.md": SPACE_CARD, "config.json": "", "pytorch_model.bin": ""}, r"no \*.safetensors"),
        (MODEL, CHECKPOINT | {"model.safetensors.index.json": INDEX}, "names model-2.safetensors, which the folder lacks"),
        (MODEL, CHECKPOINT | {"model.safetensors.index.json": "[]"}, "index.json: it is no index of shards"),
        (MODEL, CHECKPOINT | {"model.safetensors.index.json": '{"weight_map": {"a": 3}}'}, "it is no index of shards"),
        (MODEL, CHECKPOINT | {"config.json": "[]"}, "config.json: it is no JSON mapping"),
        (MODEL, CHECKPOINT | {"config.json": "{"}, "config.json: it is no JSON"),
        (MODEL, CHECKPOINT | {"config.json": '{"_name_or_path": "/home/me/model"}'}, "'/home/me/model', a path of this"),
        (MODEL, CHECKPOINT | {"config.json": '{"text": {"_name_or_path": "a/b/c"}}'}, "'a/b/c', a path of this machine"),
        (MODEL, CHECKPOINT | {"tokenizer_config.json": '{"name_or_path": "../tiny"}'}, r"tokenizer_config.json: name_or"),
        (MODEL, ADAPTER | {"adapter_config.json": "{}"}, "base_model_name_or_path is None, which is no name of the Hub"),
        (
            MODEL,
            ADAPTER | {"adapter_config.json": '{"base_model_name_or_path": "/models/base"}'},
            "base_model_name_or_path is '/models/base', which is no name of the Hub",
        ),
        (MODEL, ADAPTER | {"README.md": SPACE_CARD}, "base model is user/base, and base_model of the card is None"),
        (
            MODEL,
            ADAPTER | {"README.md": "---\nbase_model: user/other\n---\n"},
            "base model is user/base, and base_model of the card is 'user/other'",
        ),
        (
            DATASET,
            DATA | {"README.md": DATA_CARD + "![a](figures/a.svg)"},
            "README.md shows figures/a.svg, which would not go out; give --figures",
        ),
    ],
)
def test_what_would_not_load_is_named(tmp_path: Path, kind: ArtefactKind, files: dict[str, str], said: str) -> None:
    with pytest.raises(PublishError, match=said):
        checked(tmp_path, kind, files)


@pytest.mark.parametrize(
    "configs",
    [
        "5",
        "[5]",
        "[{data_files: a/*.parquet}]",
        "[{data_files: {test: a.parquet}}]",
        "[{data_files: [a.parquet]}]",
        "[{data_files: [{split: test}]}]",
        "[{data_files: [{path: [3]}]}]",
        "[{data_files: [{path: {a: b}}]}]",
        "[{}]",
    ],
)
def test_configs_of_another_form_are_named(tmp_path: Path, configs: str) -> None:
    files = DATA | {"README.md": f"---\nconfigs: {configs}\n---\n"}
    with pytest.raises(PublishError, match=r"README\.md: the data_files of a config are a list of split and path"):
        checked(tmp_path, DATASET, files)
