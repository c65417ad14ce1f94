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
AVE = CardText(
    licence="other",
    body="""\
AVE in the form of R-AVST: when an event is both seen and heard in clips of 10 s, as temporal questions. The annotations
are those of "Audio-Visual Event Localization in Unconstrained Videos" (Tian et al., ECCV 2018,
[github.com/YapengTian/AVE-ECCV18](https://github.com/YapengTian/AVE-ECCV18)), which states no licence for them. The videos
are not here: they are YouTube's, by video id.

An answer's object is AVE's category. Event labels are UnAV-100's where a category has just the name of a class, and empty
elsewhere. Validation videos are in the split `train`. `build_report.json` counts under `notes` the lines that could not
be asked about.""",
)
AVSBENCH = CardText(
    licence="other",
    body="""\
AVSBench V1 in the form of R-AVST: where what sounds is in clips of 5 s, as spatial questions. The masks that the boxes
come from are those of "Audio-Visual Segmentation" (Zhou et al., ECCV 2022,
[github.com/OpenNLPLab/AVSBench](https://github.com/OpenNLPLab/AVSBench)); its authors give out the data on request. The
videos are not here.

A mask covers all that sounds at one moment of a second, its 15/16: mask i of a clip is at i - 0.1 s. `build_report.json`
says under `rules` what became a box: the mask, or each of its connected parts. The multi-source subset has no names: its
objects are all called "sounding object", so read the scores that leave names aside. Boxes are in pixels of the video
where its file was given, else of the mask. A box of zeros (`visible` false) stands for a black mask. Validation clips are
in the split `train`.""",
)
