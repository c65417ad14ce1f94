"""The card of the metric: the page that defines the scores, word for word, and the version."""

from pathlib import Path

import evaluate
from huggingface_hub import SpaceCard
from huggingface_hub import metadata_load

from r_avst.metrics import avst_metrics
from r_avst.metrics.avst_metrics.avst_metrics import VERSION
from r_avst.model_cards.metric_card import metric_card

FOLDER = Path(avst_metrics.__file__).parent
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_card_is_the_page_and_the_version() -> None:
    page, card = PAGE.split("---\n", 2), metric_card().split("---\n", 2)
    assert card[2].startswith(page[2].rstrip("\n"))
    added = card[2].removeprefix(page[2].rstrip("\n"))
    assert added.startswith(f"\n\n## Version\n\n`{VERSION}`. ")
    assert added.count("\n") == 5


def test_the_metadata_are_those_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(metric_card(), encoding="utf-8")
    found = metadata_load(path)
    assert found == metadata_load(FOLDER / "README.md")
    assert found is not None
    assert found["sdk"] == "gradio"
    assert found["license"] == "apache-2.0"
    assert (FOLDER / found["app_file"]).is_file()
    assert str(SpaceCard.load(path)) == metric_card()


def test_the_version_on_the_card_is_that_which_a_score_names() -> None:
    truth = "<answer><object>dog</object><when>[0.0, 4.0]</when></answer>"
    metric = evaluate.load(str(FOLDER))
    scores = metric.compute(
        predictions=[truth], references=[truth], coordinate_space="source", word_vectors="exact", bootstrap_samples=0
    )
    assert f"\n`{scores['settings']['version']}`. Scores of different versions" in metric_card()
