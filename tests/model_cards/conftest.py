"""A small data set, its statistics and scores, built once for all tests of the cards."""

from pathlib import Path

import pytest
from card_files import small_dataset
from card_files import small_scores
from card_files import small_statistics


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("cards"))


@pytest.fixture(scope="session")
def statistics(dataset: Path) -> Path:
    return small_statistics(dataset)


@pytest.fixture(scope="session")
def scores(dataset: Path) -> Path:
    return small_scores(dataset)
