"""The picture of the Space in the README: `PYTHONPATH=tests python bench/space_picture.py` writes bench/space.png."""

import json
import tempfile
from pathlib import Path

from chromium import Tab
from chromium import browser_tab
from space_server import served_space

PICTURE = Path(__file__).with_name("space.png")
SIZE = (1400, 1240)
TASK, TIMES = "spatio_temporal", 3  # which questions, and at which annotated time of the second of them
CHOOSE = f"""(() => {{
  const task = document.querySelector(".task");
  task.value = {json.dumps(TASK)};
  task.dispatchEvent(new Event("change"));
  document.querySelectorAll(".row")[1].click();
}})()"""


def main() -> None:
    """Opens the page on its made-up data set and takes the picture."""
    with served_space("--synthetic") as space, tempfile.TemporaryDirectory() as profile, browser_tab(Path(profile)) as tab:
        tab.size(*SIZE)
        tab.open(space.url)
        tab.wait_for("document.querySelectorAll('.row').length > 1")
        tab.value(CHOOSE)
        settle(tab)
        for _ in range(TIMES):
            tab.press("ArrowRight", shift=True)
            settle(tab)
        tab.screenshot(PICTURE)


def settle(tab: Tab) -> None:
    """Waits until the picture stands."""
    tab.value("new Promise((done) => setTimeout(done, 800))")
    tab.wait_for("document.querySelector('video').readyState >= 2 && !document.querySelector('video').seeking")


if __name__ == "__main__":
    main()
