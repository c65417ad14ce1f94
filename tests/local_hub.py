"""A small Hugging Face Hub on loopback: repositories with commits, large files, tokens, and faults where a test wants them.

The unmodified clients talk to it: set ``HF_ENDPOINT`` to its ``url`` before they are imported (see `client_environment`).
Objects lie on disk, so that Starlette answers ranges; everything else is in memory.
"""

import asyncio
import base64
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from fastapi import FastAPI
from fastapi import Request
from fastapi import Response
from fastapi.responses import FileResponse
from fastapi.responses import JSONResponse
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

TOKEN = "hf_writes"
READ_TOKEN = "hf_reads"
OTHER_TOKEN = "hf_other"
USERS = {TOKEN: "user", READ_TOKEN: "user", OTHER_TOKEN: "other"}
LARGE_ENDINGS = (".parquet", ".safetensors", ".mp4", ".bin")  # what the Hub's .gitattributes keeps as large files
LARGE = 10 << 20
DATE = "2026-01-01T00:00:00.000Z"
_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)


class Kind(StrEnum):
    """As the Hub's addresses name the kinds of repositories."""

    MODELS = "models"
    DATASETS = "datasets"
    SPACES = "spaces"


class HubError(Exception):
    """An answer of 400 or more."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a commit. ``blob`` is git's name for it (of the pointer, if large); ``sha256`` of large files only."""

    blob: str
    size: int
    sha256: str | None = None

    @property
    def object_name(self) -> str:
        return self.sha256 or self.blob

    def entry(self, path: str) -> dict[str, Any]:
        large = {"lfs": {"oid": self.sha256, "size": self.size, "pointerSize": 134}} if self.sha256 else {}
        return {"type": "file", "path": path, "oid": self.blob, "size": self.size, **large}


@dataclass(frozen=True, slots=True)
class Commit:
    sha: str
    title: str
    tree: dict[str, StoredFile]


@dataclass(slots=True)
class Repo:
    kind: Kind
    name: str
    private: bool
    commits: list[Commit] = field(default_factory=list)

    @property
    def head(self) -> Commit:
        return self.commits[-1]

    def at(self, revision: str) -> Commit:
        found = [commit for commit in self.commits if commit.sha == revision]
        if revision in ("main", "refs/heads/main"):
            return self.head
        if not found:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found[0]

    def add(self, title: str, tree: dict[str, StoredFile]) -> Commit:
        sha = hashlib.sha1(f"{self.kind} {self.name} {len(self.commits)} {title}".encode()).hexdigest()
        self.commits.append(Commit(sha, title, tree))
        return self.head


@dataclass(slots=True)
class Fault:
    """The next ``times`` requests whose line ("PUT /lfs/...") fits the pattern are answered with ``status``."""

    pattern: str
    status: int
    times: int = 1
    after: int = 0  # requests that fit and are let through before
    headers: dict[str, str] = field(default_factory=lambda: {"Retry-After": "0"})

    def strikes(self, line: str) -> bool:
        if not self.times or not re.search(self.pattern, line):
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


class Hub:
    """What the Hub holds, and what a test tells it: ``faults``, and ``hold`` to stop in the middle of an upload.

    ``hold``: uploads that are still let through; the next one stops after its first bytes until ``released``.
    """

    def __init__(self, root: Path) -> None:
        self.objects = root / "objects"
        self.objects.mkdir(parents=True)
        self.repos: dict[tuple[Kind, str], Repo] = {}
        self.requests: list[str] = []
        self.stored: list[str] = []  # large objects, in the order in which they came whole
        self.faults: list[Fault] = []
        self.altered: dict[str, bytes] = {}  # by path, what readers get instead of the content
        self.hold: int | None = None
        self.reached = threading.Event()
        self.released = threading.Event()
        self.url = ""

    def create(self, kind: Kind, name: str, private: bool = False) -> Repo:
        repo = Repo(kind, name, private)
        repo.add("initial commit", {".gitattributes": self.put(b"*.parquet filter=lfs\n")})
        return self.repos.setdefault((kind, name), repo)

    def repo(self, kind: Kind, name: str, user: str | None) -> Repo:
        repo = self.repos.get((kind, name))
        if repo is None or (repo.private and user != name.split("/")[0]):
            raise HubError(404 if user else 401, "Repository not found", "RepoNotFound")
        return repo

    def put(self, content: bytes) -> StoredFile:
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        (self.objects / blob).write_bytes(content)
        return StoredFile(blob, len(content))

    def large(self, sha256: str, path: str) -> StoredFile:
        place = self.objects / sha256
        if not place.is_file():
            raise HubError(400, f"LFS pointer pointed to a file that does not exist: {path}")
        size = place.stat().st_size
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        return StoredFile(hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest(), size, sha256)

    def content(self, kind: Kind, name: str, path: str) -> bytes:
        """What a reader of the head finds."""
        return (self.objects / self.repos[kind, name].head.tree[path].object_name).read_bytes()


@contextmanager
def running_local_hub(root: Path) -> Iterator[Hub]:
    hub = Hub(root)
    config = uvicorn.Config(_Watched(_app(hub), hub), host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    hub.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield hub
    finally:
        hub.released.set()
        server.should_exit = True
        thread.join()


def client_environment(url: str, home: Path, token: str | None = TOKEN) -> dict[str, str]:
    """The environment of a process whose clients talk to the Hub at ``url``, with caches of their own in ``home``."""
    own = {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "OMP_NUM_THREADS": "1",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return inherited | own | ({"HF_TOKEN": token} if token else {})


class _Watched:
    """Notes each request and answers those that a fault strikes, before the Hub sees them."""

    def __init__(self, app: FastAPI, hub: Hub) -> None:
        self.app = app
        self.hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = f"{scope['method']} {scope['path']}"
        self.hub.requests.append(line)
        fault = next((fault for fault in self.hub.faults if fault.strikes(line)), None)
        if fault is None:
            await self.app(scope, receive, send)
            return
        await Request(scope, receive).body()  # an answer before the end of a body looks like a broken connection
        await JSONResponse({"error": "as the test wants it"}, fault.status, fault.headers)(scope, receive, send)


def _app(hub: Hub) -> FastAPI:
    app = FastAPI()
    app.state.hub = hub
    app.add_exception_handler(HubError, _error_answer)
    _add_account_routes(app, hub)
    _add_reading_routes(app, hub)
    _add_writing_routes(app, hub)
    _add_large_file_routes(app, hub)
    return app


def _error_answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, HubError)
    return JSONResponse({"error": str(error)}, error.status, error.headers)


def _page(hub: Hub, repo: Repo) -> str:
    return f"{hub.url}/{'' if repo.kind is Kind.MODELS else f'{repo.kind}/'}{repo.name}"


def _token(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _reader(request: Request) -> str | None:
    """The user of a request, None without a token."""
    token = _token(request)
    if token and token not in USERS:
        raise HubError(401, "Invalid credentials in Authorization header")
    return USERS.get(token)


def _writer(request: Request, namespace: str) -> str:
    user = _reader(request)
    if user is None:
        raise HubError(401, "Invalid username or password.")
    if user != namespace or _token(request) == READ_TOKEN:
        raise HubError(403, f"Forbidden: you don't have the rights to write to the namespace {namespace}")
    return user


def _add_account_routes(app: FastAPI, hub: Hub) -> None:
    @app.get("/api/whoami-v2")
    def whoami(request: Request) -> dict[str, Any]:
        user = _reader(request)
        if user is None:
            raise HubError(401, "Invalid username or password.")
        role = "read" if _token(request) == READ_TOKEN else "write"
        access = {"type": "access_token", "accessToken": {"displayName": "of a test", "role": role}}
        return {"type": "user", "id": "0", "name": user, "fullname": user, "isPro": False, "orgs": [], "auth": access}

    @app.post("/api/repos/create")
    async def create(request: Request) -> Response:
        asked = await request.json()
        namespace = _writer(request, asked.get("organization") or _reader(request) or "")
        kind, name = Kind(asked.get("type", "model") + "s"), f"{namespace}/{asked['name']}"
        if (kind, name) in hub.repos:
            return JSONResponse({"error": "You already created this repo", "url": _page(hub, hub.repos[kind, name])}, 409)
        repo = hub.create(kind, name, private=asked.get("visibility") == "private")
        return JSONResponse({"url": _page(hub, repo), "name": name, "id": "0"})

    @app.delete("/api/repos/delete")
    async def delete(request: Request) -> str:
        asked = await request.json()
        namespace = _writer(request, asked.get("organization") or _reader(request) or "")
        kind, name = Kind(asked.get("type", "model") + "s"), f"{namespace}/{asked['name']}"
        hub.repo(kind, name, namespace)
        del hub.repos[kind, name]
        return "OK"

    @app.post("/api/validate-yaml")
    async def validate(request: Request) -> Response:
        errors = _card_errors((await request.json())["content"])
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)


def _card_errors(content: str) -> list[dict[str, str]]:
    """The few of the Hub's rules that the tests break."""
    found = _FRONT.match(content)
    try:
        metadata = yaml.safe_load(found[1]) if found else {}
    except yaml.YAMLError as error:
        return [{"message": f"bad YAML: {error}"}]
    licence = (metadata or {}).get("license", "")
    return [] if isinstance(licence, str) else [{"message": '"license" must be a string'}]


def _card(hub: Hub, commit: Commit) -> dict[str, Any]:
    if "README.md" not in commit.tree:
        return {}
    text = (hub.objects / commit.tree["README.md"].object_name).read_text(encoding="utf-8")
    found = _FRONT.match(text)
    return (yaml.safe_load(found[1]) or {}) if found else {}


def _add_reading_routes(app: FastAPI, hub: Hub) -> None:
    @app.get("/api/{kind}/{user}/{name}")
    @app.get("/api/{kind}/{user}/{name}/revision/{revision}")
    def info(request: Request, kind: Kind, user: str, name: str, revision: str = "main") -> dict[str, Any]:
        repo = hub.repo(kind, f"{user}/{name}", _reader(request))
        commit = repo.at(revision)
        files = [{"rfilename": path, "size": file.size, "blobId": file.blob} for path, file in sorted(commit.tree.items())]
        known = {"id": repo.name, "sha": commit.sha, "author": user, "private": repo.private, "gated": False}
        dates = {"lastModified": DATE, "createdAt": DATE, "downloads": 0, "likes": 0}
        return {**known, **dates, "disabled": False, "tags": [], "cardData": _card(hub, commit), "siblings": files}

    @app.get("/api/{kind}/{user}/{name}/refs")
    def refs(request: Request, kind: Kind, user: str, name: str) -> dict[str, Any]:
        head = hub.repo(kind, f"{user}/{name}", _reader(request)).head
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": head.sha}
        return {"branches": [main], "tags": [], "converts": [], "pullRequests": []}

    @app.get("/api/{kind}/{user}/{name}/tree/{revision}")
    @app.get("/api/{kind}/{user}/{name}/tree/{revision}/{path:path}")
    def tree(request: Request, kind: Kind, user: str, name: str, revision: str, path: str = "") -> list[dict[str, Any]]:
        commit = hub.repo(kind, f"{user}/{name}", _reader(request)).at(revision)
        deep = request.query_params.get("recursive", "").lower() in ("true", "1")
        found = _listing(commit.tree, f"{path.rstrip('/')}/" if path else "", deep)
        if path and not found:
            raise HubError(404, "Entry not found", "EntryNotFound")
        return found

    @app.post("/api/{kind}/{user}/{name}/paths-info/{revision}")
    async def paths_info(request: Request, kind: Kind, user: str, name: str, revision: str) -> list[dict[str, Any]]:
        commit = hub.repo(kind, f"{user}/{name}", _reader(request)).at(revision)
        if request.headers.get("content-type") == "application/json":
            asked = (await request.json())["paths"]
        else:
            asked = (await request.form()).getlist("paths")
        return [entry for entry in _listing(commit.tree, "", deep=True) if entry["path"] in asked]

    @app.api_route("/{user}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    def resolve_model(request: Request, user: str, name: str, revision: str, path: str) -> Response:
        return _file_answer(hub, hub.repo(Kind.MODELS, f"{user}/{name}", _reader(request)), revision, path)

    @app.api_route("/{kind}/{user}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    def resolve(request: Request, kind: Kind, user: str, name: str, revision: str, path: str) -> Response:
        return _file_answer(hub, hub.repo(kind, f"{user}/{name}", _reader(request)), revision, path)


def _listing(tree: dict[str, StoredFile], prefix: str, deep: bool) -> list[dict[str, Any]]:
    """The files and folders below ``prefix`` ("" or ending in "/"); without ``deep`` only those directly there."""
    inside = {path: file for path, file in sorted(tree.items()) if path.startswith(prefix)}
    folders = {
        "/".join(path.split("/")[:depth]) for path in inside for depth in range(prefix.count("/") + 1, path.count("/") + 1)
    }
    entries: list[dict[str, Any]] = [
        {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0} for path in folders
    ]
    entries += [file.entry(path) for path, file in inside.items()]
    found = [entry for entry in entries if deep or "/" not in entry["path"].removeprefix(prefix)]
    return sorted(found, key=lambda entry: str(entry["path"]))


def _file_answer(hub: Hub, repo: Repo, revision: str, path: str) -> Response:
    commit = repo.at(revision)
    file = commit.tree.get(path)
    if file is None:
        error = HubError(404, "Entry not found", "EntryNotFound")
        return JSONResponse({"error": str(error)}, 404, error.headers | {"X-Repo-Commit": commit.sha})
    if path in hub.altered:
        file = hub.put(hub.altered[path])
    etag = f'"{file.object_name}"'
    headers = {"ETag": etag, "X-Linked-ETag": etag, "X-Linked-Size": str(file.size), "X-Repo-Commit": commit.sha}
    return FileResponse(hub.objects / file.object_name, headers=headers, media_type="application/octet-stream")


def _add_writing_routes(app: FastAPI, hub: Hub) -> None:
    @app.post("/api/{kind}/{user}/{name}/preupload/{revision}")
    async def preupload(request: Request, kind: Kind, user: str, name: str, revision: str) -> dict[str, Any]:
        commit = hub.repo(kind, f"{user}/{name}", _writer(request, user)).at(revision)
        return {"files": [_upload_mode(own, commit.tree.get(own["path"])) for own in (await request.json())["files"]]}

    @app.post("/api/{kind}/{user}/{name}/commit/{revision}")
    async def commit(request: Request, kind: Kind, user: str, name: str, revision: str) -> dict[str, Any]:
        repo = hub.repo(kind, f"{user}/{name}", _writer(request, user))
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit") not in (None, repo.at(revision).sha):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(repo.head.tree)
        for line in lines:
            _change(hub, tree, line["key"], line["value"])
        made = repo.add(header["summary"], tree)
        return {
            "success": True,
            "commitOid": made.sha,
            "commitUrl": f"{_page(hub, repo)}/commit/{made.sha}",
            "hookOutput": "",
        }


def _upload_mode(asked: dict[str, Any], old: StoredFile | None) -> dict[str, Any]:
    binary = b"\0" in base64.b64decode(asked["sample"])
    large = asked["size"] >= LARGE or asked["path"].endswith(LARGE_ENDINGS) or binary
    mode = "lfs" if large else "regular"
    return {"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": old.object_name if old else None}


def _change(hub: Hub, tree: dict[str, StoredFile], key: str, value: dict[str, Any]) -> None:
    if key == "file":
        tree[value["path"]] = hub.put(base64.b64decode(value["content"]))
    elif key == "lfsFile":
        tree[value["path"]] = hub.large(value["oid"], value["path"])
    elif key == "deletedFile":
        if tree.pop(value["path"], None) is None:
            raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
    elif key == "deletedFolder":
        for path in [path for path in tree if path.startswith(value["path"].rstrip("/") + "/")]:
            del tree[path]


def _add_large_file_routes(app: FastAPI, hub: Hub) -> None:
    async def batch(request: Request, user: str) -> dict[str, Any]:
        _writer(request, user)
        objects = (await request.json())["objects"]
        missing = [own for own in objects if not (hub.objects / own["oid"]).is_file()]
        actions = {own["oid"]: {"actions": {"upload": {"href": f"{hub.url}/lfs/{own['oid']}"}}} for own in missing}
        return {"transfer": "basic", "objects": [own | actions.get(own["oid"], {}) for own in objects]}

    @app.post("/{user}/{name}.git/info/lfs/objects/batch")
    async def batch_of_model(request: Request, user: str, name: str) -> dict[str, Any]:
        hub.repo(Kind.MODELS, f"{user}/{name}", _reader(request))
        return await batch(request, user)

    @app.post("/{kind}/{user}/{name}.git/info/lfs/objects/batch")
    async def batch_of_others(request: Request, kind: Kind, user: str, name: str) -> dict[str, Any]:
        hub.repo(kind, f"{user}/{name}", _reader(request))
        return await batch(request, user)

    @app.put("/lfs/{sha256}")
    async def store(request: Request, sha256: str) -> Response:
        content = b""
        async for chunk in request.stream():
            content += chunk
            await _hold(hub)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise HubError(400, "the content has another SHA-256")
        (hub.objects / sha256).write_bytes(content)
        hub.stored.append(sha256)
        return Response(headers={"ETag": sha256})


async def _hold(hub: Hub) -> None:
    """Stops an upload after its first bytes, when as many as ``hub.hold`` came whole before."""
    if hub.hold is not None and len(hub.stored) >= hub.hold:
        hub.reached.set()
        await asyncio.to_thread(hub.released.wait)
