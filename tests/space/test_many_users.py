"""Twenty people on the page at once: each gets what they asked for, and memory comes back."""

import json
import random
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from space_server import Served
from space_server import served_space

USERS, LOOKS = 20, 8
ROOM = 40  # megabytes that allocators and caches may keep


@dataclass(frozen=True)
class User:
    """A browser's session, without the browser."""

    space: Served
    component: int
    session: str

    def ask(self, function: str, **request: Any) -> dict[str, Any]:
        body = {"session_hash": self.session, "component_id": self.component, "fn_name": function, "data": request}
        sent = urllib.request.Request(
            f"{self.space.url}gradio_api/component_server",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(sent, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def looks_around(self) -> int:
        """How many questions were shown as they were asked for."""
        index = self.ask("index_of")
        wanted = random.Random(self.session).choices(range(len(index["question_id"])), k=LOOKS)
        for place in wanted:
            question_id = index["question_id"][place]
            scene = self.ask("scene_of", question_id=question_id)
            assert (scene["question_id"], scene["question"]) == (question_id, index["question"][place])
            media = self.ask("media_for", question_id=question_id)
            assert media["frame_times"][-1] < scene["duration"]
            sent = urllib.request.Request(f"{self.space.url}{scene['video']}", headers={"Range": "bytes=0-1023"})
            with urllib.request.urlopen(sent, timeout=60) as answer:
                assert (answer.status, len(answer.read())) == (206, 1024)
        return len(wanted)


def browse_component(space: Served) -> int:
    with urllib.request.urlopen(f"{space.url}config", timeout=10) as answer:
        components = json.load(answer)["components"]
    (own,) = (one["id"] for one in components if "scene_of" in str(one["props"].get("server_fns", "")))
    return int(own)


def resident(pid: int) -> float:
    """Megabytes of memory of a process, as they are now."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6


def test_twenty_people_browse_at_once_and_memory_comes_back() -> None:
    with served_space("--synthetic") as space:
        component = browse_component(space)
        users = [User(space, component, f"session{number}") for number in range(USERS)]
        users[0].looks_around()  # what is loaded and kept on the first look
        before = resident(space.pid)
        with ThreadPoolExecutor(USERS) as pool:
            shown = list(pool.map(User.looks_around, users))
        assert shown == [LOOKS] * USERS
        assert resident(space.pid) - before < ROOM
