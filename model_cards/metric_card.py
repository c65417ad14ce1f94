"""The card of the metric's Space: its page, which defines the scores, and the version of the metric."""

from huggingface_hub import SpaceCard

from r_avst.metrics.avst_metrics.version import VERSION

from .citations import metric_page
from .rendering import rendered


def metric_card() -> str:
    """The whole README.md of the metric's Space.

    Raises:
        CardError: Jinja2 is not installed.
    """
    page = SpaceCard(metric_page())
    return rendered(SpaceCard, page.data, "metric.md", page=page.text.strip("\n"), version=VERSION)
