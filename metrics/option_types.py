"""Types of numbers on a command line, for `argparse`: what is none of them is named with what was given."""

import argparse
import math


def whole_number(text: str) -> int:
    """A whole number of 0 or more."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 0 or more")
    return int(text)


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    number = whole_number(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is too few: give a whole number of 1 or more")
    return number


def not_negative(text: str) -> float:
    """A number of 0 or more."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 0 or more")
    return number


def share(text: str) -> float:
    """A number in 0..1."""
    number = not_negative(text)
    if number > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share, a number from 0 to 1")
    return number
