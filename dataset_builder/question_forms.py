"""The four templates of R-AVST's questions, for those who ask and for those who read the released questions."""

import re
from string import Formatter

from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Task

from .records import WHEN
from .records import WHEN_WHERE
from .records import WHERE_SILENT
from .records import WHERE_SOUNDING

TEMPLATES: dict[str, str] = {
    WHEN: "When is the moment {name} makes sound and is visible?",
    WHERE_SOUNDING: "What visible object(s) make sound between {start} and {end}, and where is/are they?",
    WHERE_SILENT: "What silent object(s) can be seen between {start} and {end}, and where is/are they?",
    WHEN_WHERE: 'When is the moment {name} makes sound and is visible, and where is the "{name}"?',
}
TYPES_OF_TASK: dict[Task, tuple[str, ...]] = {
    "temporal": (WHEN,),
    "spatial": (WHERE_SOUNDING, WHERE_SILENT),
    "spatio_temporal": (WHEN_WHERE,),
}
_NUMBER = r"\d+(?:\.\d+)?"
_FIELDS = {"name": ".+", "start": _NUMBER, "end": _NUMBER}


def ask_about_object(question_type: str, name: str) -> str:
    """A ``when`` or ``when_where`` question.

    >>> ask_about_object("when", "trombone")
    'When is the moment trombone makes sound and is visible?'
    """
    return TEMPLATES[question_type].format(name=name)


def ask_about_span(question_type: str, span: Span) -> str:
    """A ``where_sounding`` or ``where_silent`` question; the ends of the span, in seconds, get one decimal."""
    start, end = (f"{edge:.1f}" for edge in span)
    return TEMPLATES[question_type].format(start=start, end=end)


def _pattern(template: str) -> re.Pattern[str]:
    """Matches every text that the template can give; a field that comes back is the same text again."""
    pieces, seen = [], set()
    for literal, field, _, _ in Formatter().parse(template):
        pieces.append(re.escape(literal))
        if field:
            pieces.append(f"(?P={field})" if field in seen else f"(?P<{field}>{_FIELDS[field]})")
            seen.add(field)
    return re.compile("".join(pieces))


PATTERNS = {question_type: _pattern(template) for question_type, template in TEMPLATES.items()}
