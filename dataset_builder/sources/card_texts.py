"""What the cards of data sets say that are built from videos."""

from ..records import CardText

_FIELDS = """\
Boxes are in pixels of the video, times in seconds, on a grid of one second from the start of each event. A box of zeros
(`visible` false) means that the object was looked for and not seen. What each stage of the build did and left out is in
`build_report.json`."""
_METHOD = """\
It was built as R-AVST was ([arXiv 2511.16901](https://arxiv.org/abs/2511.16901), figure 2): videos filtered, objects and
their audibility read off captions by a language model, boxes found and followed by a detector and a tracker, questions asked
by template, faulty ones dropped. `build_report.json` names the models and settings of each stage. No person has looked at it
unless ratings are named there."""

SYNTHETIC = CardText(
    licence="apache-2.0",
    body=f"""\
Questions about the synthetic world of `r-avst-build synthetic`: clips in which coloured shapes of several names move, hide
and sound. It is for trying software, with exact truth; it says nothing of real videos.

{_FIELDS}""",
)
FOLDER = f"""\
Questions about sounding and silent objects in untrimmed videos, with per-second boxes and time spans.

{_METHOD}

{_FIELDS}"""
UNAV100 = CardText(
    licence="mit",
    body=f"""\
Questions about sounding and silent objects in untrimmed videos, with per-second boxes and time spans. Videos, events and
their labels are those of UnAV-100 ([github.com/ttgeng233/UnAV](https://github.com/ttgeng233/UnAV), MIT). The videos are not
here: they are YouTube's, by video id.

{_METHOD}

{_FIELDS}""",
)
