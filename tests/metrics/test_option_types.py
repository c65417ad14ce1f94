"""Numbers on a command line: what is taken, and what is refused with its text."""

import argparse
from collections.abc import Callable

import pytest

from r_avst.metrics.option_types import not_negative
from r_avst.metrics.option_types import positive
from r_avst.metrics.option_types import share
from r_avst.metrics.option_types import whole_number


@pytest.mark.parametrize(
    ("read", "text", "number"),
    [
        (whole_number, "0", 0),
        (whole_number, "12", 12),
        (positive, "1", 1),
        (not_negative, "0", 0.0),
        (not_negative, "1e3", 1000.0),
        (share, "0", 0.0),
        (share, "0.08", 0.08),
        (share, "1", 1.0),
    ],
)
def test_a_number_is_read(read: Callable[[str], float], text: str, number: float) -> None:
    assert read(text) == number


@pytest.mark.parametrize(
    ("read", "texts", "said"),
    [
        (whole_number, ("-1", "1.5", "one", "", "²"), "is no whole number of 0 or more"),
        (positive, ("-1", "1.5", "٣"), "is no whole number of 0 or more"),
        (positive, ("0", "00"), "is too few: give a whole number of 1 or more"),
        (not_negative, ("-0.1", "nan", "inf", "a"), "is no number of 0 or more"),
        (share, ("1.01", "100"), "is no share, a number from 0 to 1"),
        (share, ("-0.1", "nan"), "is no number of 0 or more"),
    ],
)
def test_what_is_none_is_named(read: Callable[[str], float], texts: tuple[str, ...], said: str) -> None:
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            read(text)
        assert str(caught.value) == f"{text!r} {said}"
