"""The command line of the cards: what it writes, what it refuses, and that the Hub takes it."""

import subprocess
import sys
from pathlib import Path

import pytest
from card_files import small_run
from huggingface_hub import DatasetCard
from huggingface_hub import EvalResult
from huggingface_hub import ModelCard
from huggingface_hub import RepoCard
from huggingface_hub import SpaceCard
from huggingface_hub import metadata_load
from local_hub import client_environment
from local_hub import running_local_hub

from r_avst.dataset_builder import stats
from r_avst.model_cards.cards import main
from r_avst.model_cards.dataset_card import dataset_card
from r_avst.model_cards.metric_card import metric_card
from r_avst.model_cards.model_kinds import KINDS
from r_avst.model_cards.trained_model_card import ModelFacts
from r_avst.model_cards.trained_model_card import model_card

WITHOUT_JINJA = """
import sys
import huggingface_hub.repocard
huggingface_hub.repocard.is_jinja_available = lambda: False
from r_avst.model_cards.cards import main
sys.exit(main(sys.argv[1:]))
"""
VALIDATE = """
import sys
import huggingface_hub
getattr(huggingface_hub, sys.argv[1]).load(sys.argv[2]).validate()
"""


def rendered(*arguments: str | Path) -> str:
    """What the command line writes."""
    out = Path(arguments[-1])
    assert main([str(argument) for argument in arguments]) == 0
    return out.read_text(encoding="utf-8")


def test_the_data_set_s_card_is_written(dataset: Path, statistics: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder/README.md"
    assert rendered("dataset", "--dataset", dataset, "--out", out) == dataset_card(dataset)
    card = rendered("dataset", "--dataset", dataset, "--statistics", statistics, "--out", out)
    assert card == dataset_card(dataset, statistics)


def test_the_metric_s_card_is_written(tmp_path: Path) -> None:
    assert rendered("metric", "--out", tmp_path / "README.md") == metric_card()


def test_a_model_s_card_is_written_with_all_that_is_given(dataset: Path, scores: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("beta: 0.001\n", encoding="utf-8")
    facts = ModelFacts(
        scores=scores,
        row="avst_zero",
        recipe=recipe,
        run=small_run(tmp_path),
        dataset=dataset,
        dataset_id="user/r-avst",
        base_model="user/tiny",
        licence="mit",
        commit="c0c2596",
        hardware="1 x H200",
    )
    files: list[str | Path] = ["--scores", scores, "--recipe", recipe, "--run", tmp_path / "run.json", "--dataset", dataset]
    texts = ["--row", "avst_zero", "--dataset-id", "user/r-avst", "--base-model", "user/tiny", "--licence", "mit"]
    run = ["--commit", "c0c2596", "--hardware", "1 x H200"]
    card = rendered("model", "--kind", "avst-zero", *files, *texts, *run, "--out", tmp_path / "README.md")
    assert card == model_card("avst-zero", facts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_s_card_is_written_with_nothing_given(kind: str, tmp_path: Path) -> None:
    assert rendered("model", "--kind", kind, "--out", tmp_path / "README.md") == model_card(kind, ModelFacts())


def test_the_statistics_and_figures_of_the_other_verb_are_taken(dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("wordcloud")
    figures = tmp_path / "figures"
    assert stats.main([str(dataset), "--out", str(figures)]) == 0
    statistics = figures / stats.STATISTICS
    card = rendered("dataset", "--dataset", dataset, "--statistics", statistics, "--out", tmp_path / "README.md")
    shown = [line.split("(")[1].rstrip(")") for line in card.splitlines() if line.startswith("![")]
    assert len(shown) == 4
    assert all((tmp_path / path).is_file() for path in shown)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_what_cannot_be_rendered_is_told_and_nothing_is_written(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "README.md"
    out.write_text("before", encoding="utf-8")
    assert main(["dataset", "--dataset", str(tmp_path / "absent"), "--out", str(out)]) == 2
    assert capsys.readouterr().err.startswith(f"r-avst-cards: {tmp_path}/absent/build_report.json cannot be read")
    assert out.read_text(encoding="utf-8") == "before"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metric", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"r-avst-cards: {tmp_path} cannot be written (Is a directory); give --out FILE\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "CARD"),
        (["metric"], "--out"),
        (["model", "--out", "x"], "--kind"),
        (["model", "--kind", "avst", "--out", "x"], "invalid choice: 'avst'"),
    ],
)
def test_a_command_line_without_what_is_needed_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    assert said in capsys.readouterr().err


def test_the_help_on_a_model_shows_how_its_card_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["model", "--help"])
    example = capsys.readouterr().out.partition("example:")[2]
    assert "r-avst-cards model --kind avst-zero" in example
    assert "--out model_card.md" in example


def test_without_jinja_it_says_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_JINJA, "metric", "--out", str(tmp_path / "README.md")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("r-avst-cards: cards are rendered with Jinja2")
    assert ran.stderr.endswith("pip install 'r-avst[publish]'\n")


# --- the Hub ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cards(dataset: Path, statistics: Path, scores: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A card of each kind, as files."""
    folder = tmp_path_factory.mktemp("rendered")
    texts = {"dataset": dataset_card(dataset, statistics), "metric": metric_card()}
    texts |= {kind: model_card(kind, ModelFacts(scores=scores, dataset=dataset)) for kind in KINDS}
    texts["unmeasured"] = model_card("avst-zero", ModelFacts())
    texts["adapter"] = model_card("avst-zero", ModelFacts(run=small_run(folder, adapter="LORA")))
    texts["local"] = model_card("avst-zero-omni", ModelFacts(run=small_run(folder, method="sft", base_model=None)))
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.md" for name in texts}


CLASSES: dict[str, type[RepoCard]] = {"dataset": DatasetCard, "metric": SpaceCard}
NAMES = ["dataset", "metric", *KINDS, "unmeasured", "adapter", "local"]


@pytest.mark.parametrize("name", NAMES)
def test_the_metadata_go_through_the_client_s_own_classes_unchanged(name: str, cards: dict[str, Path]) -> None:
    read = metadata_load(cards[name])
    card = CLASSES.get(name, ModelCard).load(cards[name])
    assert read
    assert card.data.to_dict() == read
    assert card.card_data_class(**read).to_dict() == read


@pytest.mark.parametrize("kind", KINDS)
def test_the_results_are_read_as_results(kind: str, cards: dict[str, Path]) -> None:
    results = ModelCard.load(cards[kind]).data["eval_results"]
    assert len(results) > 20
    assert all(isinstance(own, EvalResult) and isinstance(own.metric_value, float) for own in results)
    assert ModelCard.load(cards["unmeasured"]).data.get("eval_results") is None


def test_the_hub_takes_every_card(cards: dict[str, Path], tmp_path: Path) -> None:
    with running_local_hub(tmp_path / "hub") as hub:
        for name, path in cards.items():
            assert validation(CLASSES.get(name, ModelCard), path, hub.url, tmp_path) == "", name


def test_the_hub_s_refusal_would_be_seen(cards: dict[str, Path], tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled.md"
    text = cards["dataset"].read_text(encoding="utf-8")
    spoiled.write_text(text.replace("license: mit", "license:\n  a: b"), encoding="utf-8")
    with running_local_hub(tmp_path / "hub") as hub:
        assert "must be a string" in validation(DatasetCard, spoiled, hub.url, tmp_path)


def validation(card: type[RepoCard], path: Path, url: str, home: Path) -> str:
    """What the client says when it asks the Hub whether a card is valid, from a process of its own."""
    command = [sys.executable, "-c", VALIDATE, card.__name__, str(path)]
    environment = client_environment(url, home / "home")
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode == 0) == (ran.stderr == ""), ran.stderr
    return ran.stderr
