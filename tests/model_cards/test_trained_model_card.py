"""The card of a trained model: what was measured, where it stands, and nothing else."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from card_files import read
from card_files import small_run
from card_files import written
from card_numbers import REPORT_TABLE
from card_numbers import RUN_TABLE
from card_numbers import SCORE_TABLE
from card_numbers import SETTINGS_TABLE
from card_numbers import body
from card_numbers import cells
from card_numbers import rest
from card_numbers import unexplained
from card_numbers import with_other_numbers
from huggingface_hub import EvalResult
from huggingface_hub import ModelCard

from r_avst.metrics.paper_tables import MODELS
from r_avst.model_cards.measured import CardError
from r_avst.model_cards.model_kinds import KINDS
from r_avst.model_cards.trained_model_card import ModelFacts
from r_avst.model_cards.trained_model_card import model_card

RECIPE = "# as it was run\nlearning_rate: 1.0e-6\nreward_weights: {format: 1, temporal: 1}\nnote: '`code` <b>| {{ x }}'\n"
COMMIT = "c0c2596a3b1d9e8f7a6b5c4d3e2f1a0b9c8d7e6f"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def facts(dataset: Path, scores: Path, tmp_path: Path) -> ModelFacts:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return ModelFacts(
        scores=scores, recipe=recipe, dataset=dataset, dataset_id="user/r-avst", commit=COMMIT, hardware="4 x RTX A6000"
    )


def files_of(facts: ModelFacts) -> dict[str, Any]:
    scores = read(facts.scores) if facts.scores else {}
    report = read(facts.dataset / "build_report.json") if facts.dataset else {}
    return {SCORE_TABLE: scores, SETTINGS_TABLE: scores, REPORT_TABLE: report}


def wrong_cells(card: str, kind: str, facts: ModelFacts) -> list[str]:
    row = KINDS[kind].paper_row
    found = unexplained(card, files_of(facts), "avst_zero", MODELS.index(row) if row else None)
    return [f"{cell.heading}: {cell.row}, {cell.column}: {cell.text}" for cell in found]


def metadata(card: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return found


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_stands_in_its_file_under_its_key(kind: str, facts: ModelFacts) -> None:
    card = model_card(kind, facts)
    assert wrong_cells(card, kind, facts) == []
    assert len([cell for cell in cells(card) if cell.table == SCORE_TABLE]) >= 27 * 7


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_changes_with_its_file_and_nothing_else_does(
    kind: str, facts: ModelFacts, dataset: Path, scores: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    written(tmp_path / "other/build_report.json", with_other_numbers(read(dataset / "build_report.json")))
    other = replace(
        facts, scores=written(tmp_path / "other/scores.json", with_other_numbers(read(scores))), dataset=tmp_path / "other"
    )
    first, second = model_card(kind, facts), model_card(kind, other)
    assert wrong_cells(second, kind, other) == []
    assert rest(first) == rest(second)
    assert eval_values(second) == values_of(read(other.scores)) != eval_values(first)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_measured_is_said_to_be_so_and_has_no_figure(kind: str) -> None:
    card = model_card(kind, ModelFacts())
    assert wrong_cells(card, kind, ModelFacts()) == []
    figures = {cell.text for cell in cells(card) if cell.table in (SCORE_TABLE, REPORT_TABLE) and cell.column != "paper"}
    assert figures == {"not measured"}
    assert "model-index" not in metadata(card)
    for what in ("commit of the code", "hardware", "settings.version"):
        assert re.search(rf"\| `?{re.escape(what)}`? \| not stated \|", card)
    assert "The recipe: not stated" in card


def test_the_paper_s_figures_are_marked_as_the_paper_s(facts: ModelFacts) -> None:
    for kind in ("avst-zero", "avst-zero-omni"):
        card = model_card(kind, ModelFacts())
        assert len([cell for cell in cells(card) if cell.column == "paper" and cell.text]) == 4 + 4 + 7
        assert "It was not measured here" in " ".join(card.split())
    assert "47.96" in model_card("avst-zero", facts)
    assert all(cell.column != "paper" for cell in cells(model_card("av-reasoner", facts)))


def test_a_planted_figure_is_found(facts: ModelFacts) -> None:
    card = model_card("avst-zero", facts)
    planted = card.replace("| 47.96 |", "| 57.96 |").replace("| `settings.questions` | 3 |", "| `settings.questions` | 4 |")
    assert wrong_cells(planted, "avst-zero", facts) == [
        "temporal: m_tIoU, paper: 57.96",
        "How they were made: settings.questions, value: 4",
    ]


def test_a_model_s_figures_are_those_of_its_row(facts: ModelFacts) -> None:
    found = {(cell.heading, cell.row, cell.column): cell.text for cell in cells(model_card("avst-zero", facts))}
    assert found["temporal", "m_tIoU", "value"] == "72.00"  # [1.0, 5.0] in [1.4, 6.0]: 3.6 / 5
    assert found["spatial", "m_vIoU", "value"] == "0.00"
    assert found["How they were made", "missing", "value"] == "2"
    assert found["How they were made", "settings.balanced", "value"] == "`false`"
    assert found["How they were made", "settings.word_vectors", "value"] == "`exact`"


def test_the_version_of_the_metric_is_the_one_the_scores_name(facts: ModelFacts, tmp_path: Path) -> None:
    scores = read(facts.scores)  # type: ignore[arg-type]
    scores["settings"]["version"] = "1.0.0"
    own = replace(facts, scores=written(tmp_path / "own.json", scores))
    assert "| `settings.version` | `1.0.0` |" in model_card("avst-zero", own)


def test_no_folder_of_this_machine_is_on_the_card(facts: ModelFacts, tmp_path: Path) -> None:
    scores = read(facts.scores)  # type: ignore[arg-type]
    assert scores["settings"]["dataset"].startswith("/")
    scores["settings"]["word_vectors"] = "/home/me/vectors.npz"
    card = model_card("avst-zero", replace(facts, scores=written(tmp_path / "own.json", scores)))
    assert "| `settings.dataset` | `r-avst` |" in card
    assert "| `settings.word_vectors` | `vectors.npz` |" in card
    assert str(tmp_path) not in card
    assert "/home" not in card


# --- the training run -------------------------------------------------------------------------------------------------


def test_without_a_run_nothing_is_said_of_one() -> None:
    card = model_card("avst-zero", ModelFacts())
    assert "## Training run\n\nNot measured: there is no `run.json` of the run.\n\n## Limits" in card
    assert [cell for cell in cells(card) if cell.table == RUN_TABLE] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_run_s_figures_stand_beside_the_scores(kind: str, facts: ModelFacts, tmp_path: Path) -> None:
    own = replace(facts, run=small_run(tmp_path), hardware=None)
    card = model_card(kind, own)
    row = KINDS[kind].paper_row
    files = files_of(own) | {RUN_TABLE: read(tmp_path / "run.json")}
    assert unexplained(card, files, "avst_zero", MODELS.index(row) if row else None) == []
    found = {(cell.row, cell.column): cell.text for cell in cells(card) if cell.table == RUN_TABLE}
    assert found["figures.score/temporal/m_tIoU", "first"] == "0.0001235"
    assert found["figures.score/temporal/m_tIoU", "last"] == "123,457"
    assert (found["figures.reward", "logged"], found["figures.entropy", "logged"]) == ("60", "not measured")
    assert (found["counts.gold_answers", "value"], found["counts.seed", "value"]) == ("none", "not measured")
    assert found["finished", "what it says"] == "`true`"
    assert "| hardware | `1 x H200` |" in card
    assert metadata(card)["base_model"] == "user/tiny"


def test_what_is_given_on_the_command_line_goes_before_the_run(facts: ModelFacts, tmp_path: Path) -> None:
    card = model_card("avst-zero", replace(facts, run=small_run(tmp_path), base_model="user/root"))
    assert metadata(card)["base_model"] == "user/root"
    assert "| hardware | `4 x RTX A6000` |" in card


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_says_how_it_was_trained_once(kind: str, tmp_path: Path) -> None:
    trained = " ".join(body(model_card(kind, ModelFacts(run=small_run(tmp_path)))).split())
    tuned = " ".join(body(model_card(kind, ModelFacts(run=small_run(tmp_path, method="sft")))).split())
    assert f"{KINDS[kind].trained} {KINDS[kind].title}" in trained
    assert "{trained}" not in trained + tuned
    assert "Trained with GRPO" not in tuned
    assert f"not with the GRPO of {KINDS[kind].title}" in tuned


# --- metadata ---------------------------------------------------------------------------------------------------------


def eval_values(card: str) -> dict[tuple[str | None, str], Any]:
    results: list[EvalResult] = ModelCard(card).data["eval_results"]
    return {(own.dataset_config, own.metric_type): own.metric_value for own in results}


def values_of(scores: dict[str, Any]) -> dict[tuple[str, str], float]:
    figures = scores["models"]["avst_zero"]["figures"]
    return {
        (task, score): own["value"]
        for task in ("temporal", "spatial", "spatio_temporal")
        for score, own in figures[task].items()
        if own["value"] is not None
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_results_in_the_metadata_are_those_of_the_file(kind: str, facts: ModelFacts) -> None:
    card = model_card(kind, facts)
    assert eval_values(card) == values_of(read(facts.scores))  # type: ignore[arg-type]
    results: list[EvalResult] = ModelCard(card).data["eval_results"]
    assert {(own.dataset_type, own.dataset_name, own.dataset_split) for own in results} == {
        ("user/r-avst", "R-AVST", "test")
    }
    assert {own.task_type for own in results} == {"video-text-to-text"}


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        ("avst-zero", "Qwen/Qwen2.5-VL-7B-Instruct"),
        ("avst-zero-omni", "Qwen/Qwen2.5-Omni-7B"),
        ("av-reasoner", "Qwen/Qwen2.5-Omni-7B"),
    ],
)
def test_the_metadata_name_base_model_licence_task_and_data(kind: str, base: str, facts: ModelFacts) -> None:
    found = metadata(model_card(kind, facts))
    assert (found["base_model"], found["license"], found["datasets"]) == (base, "apache-2.0", ["user/r-avst"])
    assert found["pipeline_tag"] == "video-text-to-text"
    assert found["library_name"] == "transformers"
    assert found["model-index"][0]["name"] == KINDS[kind].title
    other = metadata(model_card(kind, replace(facts, base_model="user/tiny", licence="mit", dataset_id=None)))
    assert (other["base_model"], other["license"], other.get("datasets")) == ("user/tiny", "mit", None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("measured", [True, False])
def test_the_card_is_valid_metadata_and_text(kind: str, measured: bool, facts: ModelFacts) -> None:
    text = model_card(kind, facts if measured else ModelFacts())
    card = ModelCard(text)
    assert str(card) == text
    assert card.data.to_dict() == metadata(text)  # type: ignore[no-untyped-call]
    assert "\n\n\n" not in text
    assert "{%" not in text
    for said in ("## Intended use", "## Limits", "*Community* tab", f"# {KINDS[kind].title}\n"):
        assert text.count(said) == 1


def test_each_card_cites_its_papers(facts: ModelFacts) -> None:
    cited = {kind: re.findall(r"^@article\{(\w+),$", model_card(kind, facts), re.MULTILINE) for kind in KINDS}
    assert cited == {
        "avst-zero": ["ravst2025"],
        "avst-zero-omni": ["ravst2025"],
        "av-reasoner": ["avreasoner2025", "ravst2025"],
    }


# --- what a user gives ------------------------------------------------------------------------------------------------


def test_the_recipe_stands_on_the_card_as_it_is(facts: ModelFacts) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)\n```$", body(model_card("avst-zero", facts)), re.MULTILINE | re.DOTALL)
    assert block == RECIPE.rstrip("\n")
    assert yaml.safe_load(block) == yaml.safe_load(RECIPE)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (b"- 1\n- 2\n", "is no recipe: give a YAML mapping"),
        (b"", "is no recipe"),
        (b"a: [", "is no YAML"),
        (b"a: !!python/object/apply:os.system ['true']", "is no YAML"),
        (b"a: \xff", "is no YAML"),
        (b"a: " + b"[" * 5000, "is no YAML"),
        (b"a: 1 # \x1b[2J", "is no YAML"),
        ("a: 1 # \u202e".encode(), "holds .*; take it out"),
        (b"a: " + b"1" * 70_000, "is no recipe: give a YAML mapping of at most 65,536 characters"),
    ],
)
def test_a_recipe_of_another_form_is_named(facts: ModelFacts, recipe: bytes, said: str) -> None:
    assert facts.recipe is not None
    facts.recipe.write_bytes(recipe)
    with pytest.raises(CardError, match=f"^{re.escape(str(facts.recipe))} {said}"):
        model_card("avst-zero", facts)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"commit": "main"}, "the commit 'main' is no name of Git"),
        ({"commit": "c0c2596\n"}, "is no name of Git"),
        ({"hardware": "8 x `H100`"}, "the hardware '8 x `H100`' cannot stand on a card"),
        ({"base_model": "/models/qwen"}, "the base model '/models/qwen' has no name of the Hub"),
        ({"dataset_id": "r-avst"}, "the data set 'r-avst' has no name of the Hub; give user/name"),
        ({"dataset_id": "user/r-avst\nx: 1"}, "has no name of the Hub"),
        ({"licence": "MIT License"}, "the licence is 'MIT License', no identifier"),
        ({"row": "gold"}, r"has the rows \['avst_zero'\] .*--row gold is to be one of them"),
        ({"row": "other"}, "--row other is to be one of them"),
        ({"scores": None, "row": "avst_zero"}, "give --scores FILE too"),
        ({"scores": Path("absent.json")}, r"absent\.json cannot be read"),
        ({"dataset": Path("absent")}, r"absent/build_report\.json cannot be read"),
        ({"run": Path("absent.json")}, r"absent\.json cannot be read"),
        ({"recipe": Path("absent.yaml")}, r"absent\.yaml cannot be read"),
    ],
)
def test_a_fact_of_another_form_is_named(facts: ModelFacts, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CardError, match=said):
        model_card("avst-zero", replace(facts, **changes))


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(
        CardError, match=r"^'avst' is no kind of model; it is one of avst-zero, avst-zero-omni, av-reasoner$"
    ):
        model_card("avst", ModelFacts())


def renamed(name: str) -> Change:
    def rename(own: dict[str, Any]) -> None:
        own["models"][name] = own["models"].pop("avst_zero")

    return rename


def with_figure(figure: str, value: Any) -> Change:
    return lambda own: own["models"]["avst_zero"]["figures"]["temporal"]["m_tIoU"].update({figure: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_figure("value", 78.26), r"models\.avst_zero\.figures\.temporal\.m_tIoU\.value is 78.26, not a number in 0..1"),
        (with_figure("value", "<img src=x>"), "value is '<img src=x>', not a number in 0..1"),
        (with_figure("value", True), "value is True, not a number in 0..1"),
        (with_figure("count", 0.5), "count is 0.5, not a whole number"),
        (with_figure("skill", [1]), r"skill is \[1\], not a number of at most 1"),
        (renamed("`</td><script>"), "the row .* cannot stand on a card"),
        (renamed("a | b"), "the row 'a | b' cannot stand on a card"),
        (renamed(""), "the row '' cannot stand on a card"),
        (lambda own: own["models"].update(second=own["models"]["avst_zero"]), r"has the rows \['avst_zero', 'second'\]"),
        (lambda own: own.update(models={}), r"has the rows \[\] beside constant answers"),
        (lambda own: own.update(models=[]), r"models is \[\], no mapping"),
        (lambda own: own["settings"].update(split="test`"), "settings.split 'test`' cannot stand on a card"),
        (lambda own: own["settings"].update(seed=-1), "settings.seed is -1, not a whole number"),
    ],
)
def test_a_score_file_of_another_form_is_named(facts: ModelFacts, tmp_path: Path, change: Change, said: str) -> None:
    content = read(facts.scores)  # type: ignore[arg-type]
    change(content)
    path = written(tmp_path / "own.json", content)
    with pytest.raises(CardError, match=f"^{re.escape(str(path))}:? ?.*{said}"):
        model_card("avst-zero", replace(facts, scores=path))


def test_a_hostile_name_that_may_stand_stands_as_code(facts: ModelFacts, tmp_path: Path) -> None:
    content = read(facts.scores)  # type: ignore[arg-type]
    renamed("<script>alert(1)</script>[x](javascript:1)")(content)
    card = model_card("avst-zero", replace(facts, scores=written(tmp_path / "own.json", content)))
    assert "under `models`, `<script>alert(1)</script>[x](javascript:1)`, `figures`" in card
