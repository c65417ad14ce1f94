"""The metric's page: started as the Hub starts it, and called over the network."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from r_avst.metrics.avst_metrics import avst_metrics as package_module

FOLDER = Path(package_module.__file__).parent
SECONDS_TO_START = 60
TRUTH = """\
<answer>
<object>dog</object>
<when>[0.0, 4.0]</when>
<where>
0.0: [0.0, 0.0, 10.0, 10.0]
1.0: [0.0, 0.0, 10.0, 10.0]
</where>
</answer>"""
TEXT = """\
<answer>
<object>the dogs</object>
<when>[1.0, 4.0]</when>
<where>
0.2: [0.0, 0.0, 10.0, 5.0]
</where>
</answer>"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_served(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    process.kill()
    pytest.fail(f"app.py serves nothing at {url}: {process.communicate()[0]}")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A copy of the folder, served by `python app.py`."""
    folder = tmp_path_factory.mktemp("space") / "avst_metrics"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    port = free_port()
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(folder.parent / "gradio"),
        "no_proxy": "127.0.0.1,localhost",
    }
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        wait_until_served(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def client(url: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def scored(client: Client, prediction: Any, reference: Any) -> tuple[dict[str, float], str]:
    table, problems = client.predict(prediction, reference, api_name="/score")
    assert table["headers"] == ["score", "value"]
    return dict(table["data"]), problems


def test_an_answer_gets_the_figures_worked_out_by_hand(client: Client) -> None:
    # Half a box at one of two times: frame IoU 0.5 and 0.
    assert scored(client, TEXT, TRUTH) == (
        {
            "format_rate": 1.0,
            "m_tIoU": 0.75,
            "R1@0.3": 1.0,
            "R1@0.5": 1.0,
            "R1@0.7": 1.0,
            "object_accuracy": 1.0,
            "object_f1": 1.0,
            "m_vIoU": 0.25,
            "AP@0.3": 0.5,
            "AP@0.5": 0.5,
            "vIoU_tube": 0.25,
            "vIoU_any": 0.25,
        },
        "none: the answer is well formed",
    )


def test_a_temporal_answer_gets_no_box_scores(client: Client) -> None:
    truth = "<answer><object>dog</object><when>[0.0, 3.0]</when></answer>"
    figures, problems = scored(client, "<object>cat</object><when>[1.0, 3.0]</when>", truth)
    assert figures == {
        "format_rate": 0, "m_tIoU": 0.6667, "R1@0.3": 1, "R1@0.5": 1, "R1@0.7": 0, "object_accuracy": 0, "object_f1": 0
    }  # fmt: skip
    assert problems == "answer_tag"


def test_the_example_on_the_page_is_scored_as_worked_out_by_hand(client: Client, url: str) -> None:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/config", timeout=30) as response:
        components = [own["props"] for own in json.load(response)["components"]]
    example = {props["label"]: props["value"] for props in components if props.get("label") in ("Prediction", "Reference")}
    figures, problems = scored(client, example["Prediction"], example["Reference"])
    first = 151 * 180 / (151 * 192 + 160 * 180 - 151 * 180)
    second = 152 * 180 / (154 * 192 + 160 * 180 - 152 * 180)
    assert figures["m_tIoU"] == round(2.5 / 3, 4)
    assert figures["m_vIoU"] == figures["vIoU_tube"] == figures["vIoU_any"] == round((first + second) / 3, 4)
    assert figures["AP@0.3"] == figures["AP@0.5"] == round(2 / 3, 4)
    assert problems == "none: the answer is well formed"


def test_the_page_shows_the_card(url: str) -> None:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/config", timeout=30) as response:
        config = json.load(response)
    card = (FOLDER / "README.md").read_text(encoding="utf-8").split("---\n")[2].strip()
    shown = [own["props"].get("value") for own in config["components"] if own["type"] == "markdown"]
    assert config["title"] == "avst_metrics"
    assert any(card in value for value in shown if value)
    assert not any("colorFrom" in value for value in shown if value)


@pytest.mark.parametrize(
    "reference", ["", "a dog barks", "<answer></answer>", "<answer><object>dog</object><when>[4, 1]</when></answer>"]
)
def test_a_bad_reference_gives_an_error_that_says_why(client: Client, reference: str) -> None:
    with pytest.raises(AppError, match=r"references\[0\] is no well-formed answer"):
        client.predict(TEXT, reference, api_name="/score")


@pytest.mark.parametrize(
    "text",
    ["", "no idea", "<object>" * 25_000, "[" * 100_000, '{"t": ' + "1" * 5_000],
    ids=["empty", "prose", "tags", "brackets", "digits"],
)
def test_a_hostile_text_scores_zero(client: Client, text: str) -> None:
    figures, problems = scored(client, text, TRUTH)
    assert set(figures.values()) == {0.0}
    assert len(figures) == 12
    assert problems.startswith("answer_tag")


def test_after_errors_it_still_serves(client: Client) -> None:
    for _ in range(3):
        with pytest.raises(AppError):
            client.predict(TEXT, "", api_name="/score")
    assert set(scored(client, TRUTH, TRUTH)[0].values()) == {1.0}
