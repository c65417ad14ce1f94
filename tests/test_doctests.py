"""The examples in docstrings run and give what they say."""

import doctest
import importlib

import pytest

MODULES = ["answers", "coordinates", "names", "overlap", "scores"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"r_avst.metrics.avst_metrics.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
