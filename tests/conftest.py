"""What the tests share: the data that others published, where it is, and a small release of our own."""

import gc
import json
import os
import signal
import tempfile
from pathlib import Path

# Read at import by datasets, evaluate and huggingface_hub: caches of our own, and no network.
_HOME = tempfile.mkdtemp(prefix="r-avst-tests-")
os.environ.update(HF_HOME=_HOME, R_AVST_CACHE=f"{_HOME}/r-avst", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background job is started with Ctrl-C ignored, and programs that tests start and interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hypothesis import settings

from r_avst.metrics.avst_metrics.answers import Task

DATA = Path(os.environ.get("R_AVST_DATA") or Path(__file__).parents[2] / "shared" / "data")
TASK_OF_KEY: dict[str, Task] = {
    "AV Temporal Reasoning": "temporal",
    "AV Spatial Reasoning": "spatial",
    "AV ST Reasoning": "spatio_temporal",
}


# How long an example may take says something of the machine alone.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def published(relative: str) -> Path:
    """A file of the published data; skips the test where it is absent."""
    path = DATA / relative
    if not path.is_file():
        pytest.skip(f"needs {relative} under R_AVST_DATA (here {DATA}); see CONTRIBUTING.md")
    return path


def pytest_collection_finish() -> None:
    """What is imported by now stays: looking through it at each collection of garbage takes a fifteenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def release_file() -> Path:
    return published("r_avst/xml_test_QA.json")


@pytest.fixture(scope="session")
def unav_file() -> Path:
    return published("unav100/unav100_annotations.json")


@pytest.fixture(scope="session")
def vectors_file() -> Path:
    return published("word2vec/object_words_300d.npz")


@pytest.fixture(scope="session")
def clips_folder() -> Path:
    return published("clips/nasa_13013.mp4").parent


@pytest.fixture(scope="session")
def released_answers(release_file: Path) -> list[tuple[str, Task]]:
    """The 1,638 released answer texts with their tasks."""
    entries = json.loads(release_file.read_text(encoding="utf-8"))
    return [
        (pair["A"], task)
        for entry in entries
        for annotation in entry["annotation"]
        for key, task in TASK_OF_KEY.items()
        for pair in annotation.get(key, [])
    ]


TINY_RELEASE = [
    {
        "video_name": "tiny_dog",
        "duration": 10.0,
        "annotation": [
            {
                "event_num": 1,
                "AV Temporal Reasoning": [
                    {
                        "Q": "When is the moment Dog makes sound and is visible?",
                        "A": "<answer>\n<object>Dog</object>\n<when>[1.4, 6.0]</when>\n</answer>",
                    }
                ],
                "AV Spatial Reasoning": [
                    {
                        "Q": "What visible object(s) make sound between 1.4 and 6.0, and where is/are they?",
                        "A": "<answer>\n<object>Dog</object>\n<where>\n1.4: [10.0, 20.0, 60.0, 80.0]\n"
                        "2.4: [12.0, 20.0, 62.0, 80.0]\n3.4: [0.0, 0.0, 0.0, 0.0]\n5.4: [14.0, 20.0, 64.0, 80.0]\n"
                        "</where>\n<object>a red ball</object>\n<where>\n</where>\n</answer>",
                    },
                    {
                        "Q": "What silent object(s) can be seen between 1.4 and 6.0, and where is/are they?",
                        "A": "<answer>\n<object>Trees</object>\n<where>\n1.4: [100.0, 0.0, 150.0, 90.0]\n"
                        "1.4: [200.0, 0.0, 250.0, 90.0]\n2.4: [100.0, 0.0, 150.0, 90.0]\n"
                        "2.4: [100.0, 0.0, 150.0, 90.0]\n</where>\n</answer>",
                    },
                ],
            },
            {
                "event_num": 1,
                "AV ST Reasoning": [
                    {
                        "Q": 'When is the moment A cat makes sound and is visible, and where is the "A cat"?',
                        "A": "<answer>\n<object>A cat</object>\n<when>[7.0, 10.1]</when>\n<where>\n"
                        "7.0: [30.0, 30.0, 90.0, 90.0]\n8.0: [40.0, 30.0, 100.0, 90.0]\n</where>\n</answer>",
                    }
                ],
            },
        ],
    },
    {
        "video_name": "tiny_car",
        "duration": 45.5,
        "annotation": [
            {
                "event_num": 1,
                "AV Temporal Reasoning": [
                    {
                        "Q": "When is the moment Car makes sound and is visible?",
                        "A": "<answer>\n<object>Car</object>\n<when>[0.0, 44.4]</when>\n</answer>",
                    }
                ],
            }
        ],
    },
]


@pytest.fixture
def tiny_release(tmp_path: Path) -> Path:
    """A file of the released form with two videos, three events, five questions and a few of the real oddities."""
    path = tmp_path / "tiny_release.json"
    path.write_text(json.dumps(TINY_RELEASE), encoding="utf-8")
    return path
