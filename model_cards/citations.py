"""BibTeX of the two papers."""

import re
from functools import cache
from importlib import resources

AV_REASONER = """\
@article{avreasoner2025,
  title  = {AV-Reasoner: Improving and Benchmarking Clue-Grounded Audio-Visual Counting for MLLMs},
  author = {Lu, Lidong and Chen, Guo and Li, Zhiqi and Liu, Yicheng and Lu, Tong},
  year   = {2025},
  eprint = {2506.05328},
  archivePrefix = {arXiv}
}"""


@cache
def metric_page() -> str:
    """The page of the metric's Space, front matter and text: the one place where the scores are defined."""
    return resources.files("r_avst.metrics.avst_metrics").joinpath("README.md").read_text(encoding="utf-8")


def r_avst_citation() -> str:
    """The entry of the R-AVST paper, as it stands on the page of the metric."""
    (entry,) = re.findall(r"^```bibtex\n(.*?)\n```$", metric_page(), re.MULTILINE | re.DOTALL)
    return str(entry)
