"""Every event class is in one group."""

from collections import Counter

from r_avst.dataset_builder.event_classes import UNAV_100
from r_avst.dataset_builder.event_groups import GROUP_OF
from r_avst.dataset_builder.event_groups import GROUPS


def test_every_class_is_in_one_group_and_nothing_else_is() -> None:
    assert Counter(label for own in GROUPS.values() for label in own) == Counter(UNAV_100)


def test_the_group_of_a_class_is_the_one_that_lists_it() -> None:
    assert {group: tuple(label for label in GROUP_OF if GROUP_OF[label] == group) for group in GROUPS} == GROUPS
