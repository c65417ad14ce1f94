"""Figures for cards: read from files, checked, and written as text under the key that they have there."""

import json
import math
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

NOT_MEASURED: Final = "not measured"
NONE: Final = "none"
ABSENT: Final = object()
MAX_COUNT = 10**15
ROUNDING = 1e-9  # of means over thousands of shares


class CardError(ValueError):
    """A card that cannot be rendered; the message names the file, what was found there, and what to do."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A file of measurements: JSON as it was read. `NOTHING_MEASURED` stands for a file that was not given."""

    name: str
    content: Mapping[str, Any]

    def at(self, *key: str) -> Any:
        """What stands under a key, `ABSENT` where nothing does."""
        found: Any = self.content
        for part in key:
            if not isinstance(found, dict) or part not in found:
                return ABSENT
            found = found[part]
        return found

    def figure(self, form: str, *key: str) -> str:
        """The number under a key as text; "not measured" where there is no such key, "none" where the file says null.

        Args:
            form: one of `FORMS`.
            key: the names to follow, from the outside in.

        Raises:
            CardError: something else than a number of this form stands there.
        """
        found = self.at(*key)
        if found is ABSENT:
            return NOT_MEASURED
        if found is None:
            return NONE
        meaning, write = FORMS[form]
        text = write(found)
        if text is None:
            raise CardError(f"{self.name}: {'.'.join(key)} is {_shortened(found)}, not {meaning}; write the file anew")
        return text

    def names(self, *key: str) -> list[str]:
        """The names under a key, in the order of the file; none where nothing stands there.

        Raises:
            CardError: what stands there has no names.
        """
        found = self.at(*key)
        if found is ABSENT or found is None:
            return []
        if not isinstance(found, dict):
            raise CardError(f"{self.name}: {'.'.join(key)} is {_shortened(found)}, no mapping; write the file anew")
        return list(found)

    def text(self, *key: str) -> str | None:
        """The text under a key, not yet fit for a card; None where there is none."""
        found = self.at(*key)
        return found if isinstance(found, str) else None


NOTHING_MEASURED: Final = Measured("", {})


def read_measured(path: Path) -> Measured:
    """Reads a file of measurements.

    Raises:
        CardError: it is not there, or is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise CardError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise CardError(f"{path} is no JSON ({error}); write it anew") from None
    if not isinstance(content, dict):
        raise CardError(f"{path} holds {_shortened(content)}, no JSON object; write it anew")
    return Measured(str(path), content)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _shortened(found: Any) -> str:
    text = repr(found)
    return text if len(text) <= 60 else f"{text[:57]}..."


# --- forms ------------------------------------------------------------------------------------------------------------


def _count(found: Any) -> str | None:
    return f"{found:,}" if type(found) is int and 0 <= found < MAX_COUNT else None


def _share(found: Any) -> str | None:
    return as_percent(found) if _is_finite(found) and -ROUNDING <= found <= 1 + ROUNDING else None


def _skill(found: Any) -> str | None:
    return as_percent(found) if _is_finite(found) and -MAX_COUNT < found <= 1 + ROUNDING else None


def _number(found: Any) -> str | None:
    return f"{found:,.2f}" if _is_finite(found) and abs(found) < MAX_COUNT else None


def _figure(found: Any) -> str | None:
    if not _is_finite(found):
        return None
    return f"{found:,.0f}" if 1000 <= abs(found) < MAX_COUNT else f"{found:.4g}"


def _is_finite(found: Any) -> bool:
    return type(found) in (int, float) and math.isfinite(found)


def as_percent(value: float) -> str:
    """A share in percent with two decimals."""
    return f"{round(value * 100, 2) + 0:.2f}"  # + 0: no "-0.00"


FORMS: Final[Mapping[str, tuple[str, Callable[[Any], str | None]]]] = {
    "count": ("a whole number of 0 or more", _count),
    "number": ("a finite number", _number),
    "figure": ("a finite number", _figure),
    "share": ("a number in 0..1", _share),
    "skill": ("a number of at most 1", _skill),
}
"""What a number has to be and how it is written: None if it is not that. Shares and skills are written in percent,
figures of any size with four digits that count."""
