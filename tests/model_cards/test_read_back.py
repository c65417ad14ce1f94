import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.metrics import avst_metrics
from r_avst.model_cards.artefacts import PublishError
from r_avst.model_cards.read_back import differences
from r_avst.model_cards.read_back import main
from r_avst.model_cards.read_back import read_back
from r_avst.model_cards.read_back import summarise_metric
from r_avst.model_cards.read_back import summarise_model
from r_avst.model_cards.read_back import summarise_space


def test_equal_summaries_do_not_differ_and_others_are_told_by_part() -> None:
    here = {"a/test": {"rows": 1}, "b/test": {"rows": 2}}
    assert differences(here, dict(here)) == []
    assert differences(here, {"a/test": {"rows": 3}, "c/test": {"rows": 4}}) == [
        "a/test: here {'rows': 1}, on the Hub {'rows': 3}",
        "b/test: here {'rows': 2}, on the Hub None",
        "c/test: here None, on the Hub {'rows': 4}",
    ]


def test_a_data_set_of_other_rows_has_another_checksum(
    tmp_path: Path, tiny_release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = (tiny_release.read_text(), tiny_release.read_text().replace("60.0, 80.0", "60.0, 81.0"))
    summaries = []
    for name, text in zip(("one", "two"), texts, strict=True):
        tiny_release.write_text(text)
        build_release(str(tiny_release), None, None, tmp_path / name)
        capsys.readouterr()
        assert main(["dataset", str(tmp_path / name)]) == 0
        summaries.append(json.loads(capsys.readouterr().out))
    one, two = summaries
    assert {part: told["rows"] for part, told in one.items()} == {
        "default/test": 5,
        "temporal/test": 2,
        "spatial/test": 2,
        "spatio_temporal/test": 1,
        "events/test": 3,
    }
    assert [part for part in one if one[part] != two[part]] == ["default/test", "spatial/test", "events/test"]


def test_a_metric_whose_scores_are_others_has_another_checksum(tmp_path: Path) -> None:
    folder = Path(avst_metrics.__file__).parent
    shutil.copytree(folder, tmp_path / "avst_metrics", ignore=shutil.ignore_patterns("__pycache__"))
    before = summarise_metric(str(tmp_path / "avst_metrics"), None)
    module = tmp_path / "avst_metrics" / "scores.py"
    module.write_text(module.read_text().replace('"format_rate"', '"formats"'))
    after = summarise_metric(str(tmp_path / "avst_metrics"), None)
    assert before["avst_metrics"]["scores"] == after["avst_metrics"]["scores"] == 12
    assert before != after


def test_a_library_that_aborts_at_the_end_takes_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "app.py").write_text("print()\n")
    (tmp_path / "sitecustomize.py").write_text("import atexit, os\natexit.register(os.abort)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert subprocess.run([sys.executable, "-c", "pass"], check=False).returncode == -signal.SIGABRT
    assert read_back("space", str(tmp_path / "space"), None)["app.py"]["bytes"] == 8


def test_a_space_is_told_by_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print()\n")
    (tmp_path / ".gitattributes").write_text("of the Hub")
    digest = summarise_space(str(tmp_path), None)
    assert {path: told["bytes"] for path, told in digest.items()} == {"app.py": 8}


def test_a_checkpoint_is_told_by_its_weights(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    before = summarise_model(str(tmp_path), None)
    assert before["weights"]["parameters"] == model.num_parameters()
    assert summarise_model(str(tmp_path), None) == before
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1
    model.save_pretrained(tmp_path)
    assert summarise_model(str(tmp_path), None)["weights"]["sha256"] != before["weights"]["sha256"]


@pytest.mark.parametrize(
    ("instead", "said"), [(None, "1 weights are missing: "), ((2, 3), "1 weights are of another shape than config.json")]
)
def test_a_checkpoint_without_all_of_its_weights_is_refused(
    tmp_path: Path, instead: tuple[int, int] | None, said: str
) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from safetensors.torch import load_file
    from safetensors.torch import save_file

    config = transformers.LlamaConfig(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    del weights[name]
    others = {name: torch.zeros(instead)} if instead else {}
    save_file(weights | others, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(PublishError, match=f"{said}.*{name}"):
        summarise_model(str(tmp_path), None)


def test_an_adapter_is_told_by_its_base_and_tensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    save_file({"lora_A": torch.zeros(2, 4), "lora_B": torch.ones(4, 2)}, tmp_path / "adapter_model.safetensors")
    config = {"base_model_name_or_path": "user/base", "peft_type": "LORA"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    told = summarise_model(str(tmp_path), None)
    assert told["config"] == {"base": "user/base", "type": "LORA"}
    assert told["adapter_model.safetensors"]["tensors"] == 2


def test_what_cannot_be_loaded_is_said_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nconfigs: []\n---\n")
    with pytest.raises(PublishError, match=r"it cannot be loaded back as its users would load it \(.+\)"):
        read_back("dataset", str(tmp_path), None)
