"""The card of a run: its figures are those of the run's file, its curves are drawn from it, the Hub's client takes it."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from card_numbers import RUN_TABLE
from card_numbers import cells
from card_numbers import rest
from card_numbers import unexplained
from card_numbers import with_other_numbers
from huggingface_hub import ModelCard
from PIL import Image
from run_files import grpo_facts
from run_files import grpo_history
from run_files import read_run

from r_avst.metrics.paper_tables import MODELS
from r_avst.model_cards.measured import CardError
from r_avst.model_cards.measured import read_measured
from r_avst.training.run_card import curve
from r_avst.training.run_card import draw_curves
from r_avst.training.run_card import run_card
from r_avst.training.run_card import running_mean
from r_avst.training.run_card import write_run_card
from r_avst.training.run_report import RunReport
from r_avst.training.run_report import history_of
from r_avst.training.run_report import versions
from r_avst.training.run_report import write_report


def written(folder: Path, adapter: str | None = None, history: Any = None, **facts: Any) -> Path:
    """The file of a run of 60 steps."""
    logged = history_of(grpo_history(60)) if history is None else history
    report = RunReport(grpo_facts(**facts), 60, 60, 1234.5678, 4, "NVIDIA RTX A6000", adapter, 7, versions(), logged)
    return write_report(report, folder)


def sft(folder: Path) -> Path:
    history = [{"step": step, "loss": 1 / step, "mean_token_accuracy": 1 - 1 / step} for step in range(1, 41)]
    return written(folder, method="sft", history=history, completion_limit=None, gold_answers=None, gold_too_long=None)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("learning_rate: 1.0e-6\nmax_steps: 60\n", encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return written(tmp_path)


def wrong(card: str, run: Path) -> list[str]:
    """The figures of the section on the run that are not those of its file."""
    files = {RUN_TABLE: json.loads(run.read_text(encoding="utf-8"))}
    files |= {cell.table: {} for cell in cells(card) if cell.table != RUN_TABLE}
    found = unexplained(card, files, paper_row=MODELS.index("AVST-Zero 7B"))
    return [f"{cell.row}, {cell.column}: {cell.text}" for cell in found]


def shown(card: str) -> dict[tuple[str, str], str]:
    return {(cell.row, cell.column): cell.text for cell in cells(card) if cell.table == RUN_TABLE}


def metadata(card: str) -> Any:
    return yaml.safe_load(card.split("---\n")[1])


# --- figures ----------------------------------------------------------------------------------------------------------


def test_every_figure_of_the_run_stands_in_its_file(run: Path, recipe: Path) -> None:
    card = run_card("avst-zero", run, recipe)
    assert wrong(card, run) == []
    found = shown(card)
    assert found["figures.reward", "first"] == "0.035"  # the mean of 0.01 to 0.06
    assert found["figures.reward", "last"] == "0.575"
    assert found["figures.loss", "first"] == "3.5e-05"
    assert (found["figures.rewards/spatial/mean", "averaged"], found["figures.rewards/spatial/mean", "logged"]) == (
        "2",
        "20",
    )
    assert found["figures.rewards/object/mean", "first"] == "none"
    assert found["figures.kl", "last"] == "not measured"
    assert found["figures.score/temporal/m_tIoU", "last"] == "0.115"
    assert found["seconds", "value"] == "1,235"
    assert found["skipped.unreadable video", "value"] == "1"
    assert found["counts.gold_too_long", "value"] == "2"
    assert found["hardware", "what it says"] == "`4 x NVIDIA RTX A6000`"
    assert found["versions.torch", "what it says"] == f"`{versions()['torch']}`"


def test_every_number_changes_with_the_file_and_nothing_else_does(run: Path, recipe: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps(with_other_numbers(read_run(tmp_path))), encoding="utf-8")
    first, second = run_card("avst-zero", run, recipe), run_card("avst-zero", other, recipe)
    assert wrong(second, other) == []
    assert rest(first) == rest(second)
    before, after = shown(first), shown(second)
    numbers = {key for key, text in before.items() if re.fullmatch(r"[\d,.e-]+", text)}
    assert len(numbers) > 50
    assert {key for key in numbers if before[key] == after[key]} == set()


def test_a_planted_figure_is_found(run: Path, recipe: Path) -> None:
    card = run_card("avst-zero", run, recipe).replace("| 0.575 |", "| 0.585 |").replace("| 3.5e-05 |", "| 3.6e-05 |")
    assert wrong(card, run) == ["figures.reward, last: 0.585", "figures.loss, first: 3.6e-05"]


def test_an_sft_run_is_not_sold_as_grpo(tmp_path: Path, recipe: Path) -> None:
    run = sft(tmp_path)
    card = run_card("avst-zero", run, recipe)
    assert wrong(card, run) == []
    assert "# AVST-Zero (SFT)\n" in card
    assert "Trained with GRPO" not in card
    assert "Fine-tuned on true answers (SFT), not with the GRPO of\nAVST-Zero of the R-AVST paper" in card
    assert "figures.reward" not in card
    assert shown(card)["figures.mean_token_accuracy", "logged"] == "40"
    assert shown(card)["counts.gold_answers", "value"] == "none"
    tags = metadata(card)["tags"]
    assert "sft" in tags
    assert "grpo" not in tags


# --- base model and adapter -------------------------------------------------------------------------------------------


def test_the_card_of_an_adapter_says_so_and_of_what(tmp_path: Path, recipe: Path) -> None:
    card = run_card("avst-zero", written(tmp_path, adapter="LORA"), recipe)
    assert metadata(card)["library_name"] == "peft"
    assert metadata(card)["base_model"] == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert "an adapter of `Qwen/Qwen2.5-VL-7B-Instruct`, for PEFT" in card
    assert shown(card)["adapter", "what it says"] == "`LORA`"


def test_the_card_of_whole_weights_says_nothing_of_adapters(run: Path, recipe: Path) -> None:
    card = run_card("avst-zero", run, recipe)
    assert metadata(card)["library_name"] == "transformers"
    assert "an adapter" not in card
    assert shown(card)["adapter", "what it says"] == "not stated"


def test_a_local_checkpoint_has_no_name_on_the_hub(tmp_path: Path, recipe: Path) -> None:
    run = written(tmp_path, base_model=str(tmp_path))
    card = run_card("avst-zero", run, recipe)
    assert "base_model" not in metadata(card)
    assert "| base model | a local checkpoint |" in card
    assert str(tmp_path) not in card
    named = run_card("avst-zero", run, recipe, base_model="Qwen/Qwen2.5-VL-7B-Instruct")
    assert metadata(named)["base_model"] == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert "| base model | `Qwen/Qwen2.5-VL-7B-Instruct` |" in named


def test_the_base_model_is_the_run_s_and_not_that_of_the_kind(tmp_path: Path, recipe: Path) -> None:
    card = run_card("avst-zero", written(tmp_path, base_model="user/other"), recipe)
    assert metadata(card)["base_model"] == "user/other"
    assert "Qwen/" not in card


@pytest.mark.parametrize("adapter", ["LORA", None])
@pytest.mark.parametrize("kind", ["avst-zero", "avst-zero-omni"])
def test_the_client_reads_the_card_back_unchanged(tmp_path: Path, recipe: Path, kind: str, adapter: str | None) -> None:
    text = run_card(kind, written(tmp_path, adapter=adapter), recipe)
    card = ModelCard(text)
    assert str(card) == text
    assert card.data.to_dict() == metadata(text)  # type: ignore[no-untyped-call]
    assert "\n\n\n" not in text
    assert "{%" not in text
    assert text.count("## Training run\n") == 1


# --- hostile and damaged files ----------------------------------------------------------------------------------------

Change = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda own: own.update(method="ppo"), "method is 'ppo', none of grpo, sft"),
        (lambda own: own.pop("method"), "method is .*, none of grpo, sft"),
        (lambda own: own["figures"]["reward"].update(first="<b>1</b>"), "figures.reward.first is '<b>1</b>', not a finite"),
        (lambda own: own["figures"].update({"score/x|y": {}}), "cannot stand on a card"),
        (lambda own: own["skipped"].update({"`": 1}), "cannot stand on a card"),
        (lambda own: own["counts"].update(steps=-1), "counts.steps is -1, not a whole number"),
        (lambda own: own["versions"].update(torch="`"), "versions.torch '`' cannot stand on a card"),
        (lambda own: own.update(hardware="a|b"), "cannot stand on a card"),
        (lambda own: own.update(base_model="/tmp/x"), "has no name of the Hub"),
    ],
)
def test_a_file_of_another_form_is_named(run: Path, recipe: Path, change: Change, said: str) -> None:
    content = json.loads(run.read_text(encoding="utf-8"))
    change(content)
    run.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CardError, match=said):
        run_card("avst-zero", run, recipe)


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (None, "history is no list"),
        ([{"step": 1, "reward": "x"}], r"history\[0\] has no number under step or reward"),
        ([{"step": 1, "reward": 1.0}, {"reward": 1.0}], r"history\[1\] has no number under step or reward"),
        ([{"step": 1}, 3], r"history\[1\]"),
    ],
)
def test_a_history_of_another_form_is_named(run: Path, history: Any, said: str) -> None:
    content = json.loads(run.read_text(encoding="utf-8")) | {"history": history}
    run.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CardError, match=said):
        draw_curves(run)


# --- curves -----------------------------------------------------------------------------------------------------------


def colours(path: Path) -> set[tuple[int, ...]]:
    """The opaque colours of a picture."""
    with Image.open(path) as picture:
        found = picture.convert("RGBA").getcolors(maxcolors=10_000_000) or []
    return {pixel[:3] for _, pixel in found if isinstance(pixel, tuple) and pixel[3] == 255}


def test_the_curves_are_drawn_and_shown_beside_their_file(tmp_path: Path, run: Path, recipe: Path) -> None:
    assert "training_curves.png" not in run_card("avst-zero", run, recipe)
    path = draw_curves(run)
    assert path == tmp_path / "training_curves.png"
    assert {(0xC9, 0x6A, 0x14), (0x2A, 0x94, 0x54), (0x3B, 0x82, 0xD6)} <= colours(path)  # temporal, spatial, format
    assert (0xD0, 0x56, 0x9A) not in colours(path)  # the object's reward had no value at any step
    assert "](training_curves.png)" in run_card("avst-zero", run, recipe)


def test_curves_of_an_earlier_save_are_not_shown(tmp_path: Path, run: Path, recipe: Path) -> None:
    draw_curves(run)
    written(tmp_path, history=history_of(grpo_history(30)))
    assert "training_curves.png" not in run_card("avst-zero", run, recipe)


def test_the_same_file_gives_the_same_picture(run: Path) -> None:
    assert draw_curves(run).read_bytes() == draw_curves(run).read_bytes()


def test_runs_of_one_step_of_none_and_of_sft_are_drawn(tmp_path: Path) -> None:
    one = draw_curves(written(tmp_path / "one", history=history_of(grpo_history(1))))
    assert (0xC9, 0x6A, 0x14) in colours(one)
    none = draw_curves(written(tmp_path / "none", history=[]))
    assert (0xC9, 0x6A, 0x14) not in colours(none)
    assert (0x15, 0x8F, 0x96) in colours(draw_curves(sft(tmp_path / "sft")))  # the accuracy


def test_a_curve_leaves_out_the_steps_without_a_value(run: Path) -> None:
    steps, values = curve(read_measured(run), "rewards/spatial/mean")
    assert steps.tolist() == list(range(3, 61, 3))
    assert values == pytest.approx(0.001 * steps)


@pytest.mark.parametrize("number", [0, 1, 19, 20, 45, 300])
def test_the_running_mean_is_that_of_the_last_twentieth(number: int) -> None:
    values = [math.sin(index) for index in range(number)]
    width = max(1, number // 20)
    plain = [sum(part := values[max(0, end - width) : end]) / len(part) for end in range(1, number + 1)]
    assert running_mean(np.array(values)) == pytest.approx(plain, abs=1e-12)


def test_a_run_s_card_is_written_into_its_folder(tmp_path: Path, run: Path, recipe: Path) -> None:
    card = write_run_card("avst-zero-omni", tmp_path, recipe, dataset_id="user/r-avst", base_model=None)
    assert card == tmp_path / "README.md"
    text = card.read_text(encoding="utf-8")
    assert metadata(text)["datasets"] == ["user/r-avst"]
    assert "](training_curves.png)" in text
    assert "max_steps: 60" in text
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "recipe.yaml", "run.json", "training_curves.png"}
