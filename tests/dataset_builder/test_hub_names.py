"""Which names of repositories are taken."""

import pytest

from r_avst.dataset_builder.hub_names import HUB_NAME


@pytest.mark.parametrize("name", ["user/r-avst", "Qwen/Qwen2.5-Omni-7B", "a/b", f"user/{'n' * 96}"])
def test_a_user_and_a_name_are_taken(name: str) -> None:
    assert HUB_NAME.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["r-avst", "a/b/c", "/a", "a/", "../a", "a b/c", "a/b\n", "user/\u00e4", f"user/{'n' * 97}", ""]
)
def test_what_is_no_such_name_is_not(name: str) -> None:
    assert not HUB_NAME.fullmatch(name)
