"""Word vectors: three kinds of file, none, and the default, downloaded by gensim from a server of our own."""

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import field
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path

import gensim.downloader
import numpy as np
import pytest
from gensim.models import KeyedVectors
from numpy.typing import NDArray

from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.word_vectors import DEFAULT
from r_avst.metrics.avst_metrics.word_vectors import WordVectorsError
from r_avst.metrics.avst_metrics.word_vectors import cache_folder
from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors

WORDS = ["dog", "cat", "french", "horn"]
VECTORS = np.array([[1, 0, 0.5], [0, 1, 0.25], [0.5, 0.5, 0], [-1, 2, 3]], dtype=np.float32)
WAYS_OUT = (f"python -m gensim.downloader --download {DEFAULT}", "a .kv, .bin or .npz file", 'word_vectors="exact"')


def keyed(words: list[str], vectors: NDArray[np.float32]) -> KeyedVectors:
    model = KeyedVectors(vectors.shape[1], dtype=np.float32)
    model.add_vectors(words, vectors)
    return model


def assert_names_the_ways_out(error: BaseException) -> None:
    assert [way for way in WAYS_OUT if way not in str(error)] == []


# --- none, and files --------------------------------------------------------------------------------------------------


def test_exact_means_no_vectors() -> None:
    assert load_word_vectors("exact") is None


def write_npz(path: Path) -> None:
    np.savez(path, words=np.array(WORDS), vectors=VECTORS)


def write_float16_npz(path: Path) -> None:
    np.savez_compressed(path, words=np.array(WORDS), vectors=VECTORS.astype(np.float16))


def write_bin(path: Path) -> None:
    keyed(WORDS, VECTORS).save_word2vec_format(str(path), binary=True)


def write_kv(path: Path) -> None:
    keyed(WORDS, VECTORS).save(str(path))


@pytest.mark.parametrize(
    ("name", "write"),
    [("tiny.npz", write_npz), ("half.npz", write_float16_npz), ("tiny.bin", write_bin), ("tiny.kv", write_kv)],
)
def test_each_kind_of_file_gives_the_vectors_that_were_written(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    vectors = load_word_vectors(str(tmp_path / name))
    assert vectors is not None
    assert vectors.index_to_key == WORDS
    assert vectors.vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors.vectors, VECTORS)
    assert "trombone" not in vectors


def test_a_home_sign_in_a_path_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_npz(tmp_path / "tiny.npz")
    vectors = load_word_vectors("~/tiny.npz")
    assert vectors is not None
    assert vectors.index_to_key == WORDS


def test_the_published_words_are_read_and_match_names(vectors_file: Path) -> None:
    vectors = load_word_vectors(str(vectors_file))
    assert vectors is not None
    assert vectors.vectors.shape == (1146, 300)
    assert NameMatcher(vectors).match(["cello"], ["violin"]).pairs == ((0, 0),)
    assert NameMatcher(vectors).match(["people"], ["person"]).pairs == ()


@pytest.mark.parametrize("name", ["tiny.txt", "tiny", "tiny.bin.gz", "tiny.NPZ"])
def test_a_file_of_another_kind_is_refused_with_its_ending(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"dog 1 2 3")
    with pytest.raises(WordVectorsError, match=r"ends in .* not in one of \.kv, \.bin, \.npz") as caught:
        load_word_vectors(str(path))
    assert str(path) in str(caught.value)
    assert_names_the_ways_out(caught.value)


@pytest.mark.parametrize("name", ["absent.npz", "absent.kv", ".", "word2vec-google-news-30"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(WordVectorsError, match="there are no word vectors at") as caught:
        load_word_vectors(str(tmp_path / name))
    assert str(tmp_path) in str(caught.value)
    assert_names_the_ways_out(caught.value)


def write_npz_without_words(path: Path) -> None:
    np.savez(path, vectors=VECTORS)


def write_npz_with_a_word_too_few(path: Path) -> None:
    np.savez(path, words=np.array(WORDS[:-1]), vectors=VECTORS)


def write_npz_of_objects(path: Path) -> None:
    np.savez(path, words=np.array(WORDS, dtype=object), vectors=VECTORS)


def write_npz_of_one_row(path: Path) -> None:
    np.savez(path, words=np.array(WORDS[:3]), vectors=VECTORS[0])


def write_kv_of_another_class(path: Path) -> None:
    from gensim.corpora import Dictionary

    Dictionary([WORDS]).save(str(path))


def write_half_a_bin(path: Path) -> None:
    write_bin(path)
    path.write_bytes(path.read_bytes()[:-10])


def write_noise(path: Path) -> None:
    path.write_bytes(b"\x00damaged\xff" * 50)


def write_nothing(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.npz", write_npz_without_words),
        ("a.npz", write_npz_with_a_word_too_few),
        ("a.npz", write_npz_of_objects),
        ("a.npz", write_npz_of_one_row),
        ("a.npz", write_noise),
        ("a.npz", write_nothing),
        ("a.kv", write_kv_of_another_class),
        ("a.kv", write_noise),
        ("a.kv", write_nothing),
        ("a.bin", write_half_a_bin),
        ("a.bin", write_noise),
        ("a.bin", write_nothing),
    ],
)
def test_a_damaged_file_is_refused_and_the_ways_out_are_named(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    with pytest.raises(WordVectorsError, match="cannot be read as word vectors") as caught:
        load_word_vectors(str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)
    assert_names_the_ways_out(caught.value)


# --- the default: a small gensim-data on loopback ---------------------------------------------------------------------

KEPT = ["dog", "cat", "7", "café"]
DROPPED = ["Dog", "french_horn", "New_York", "USA", "t-shirt", "</s>", "#", "ＤＯＧ"]


def google_news_like(size: int = len(KEPT + DROPPED), dimensions: int = 3) -> KeyedVectors:
    """A model in which words that are kept and words that are not take turns, filled up with words that are kept."""
    words = [word for pair in zip(KEPT, DROPPED[: len(KEPT)], strict=True) for word in pair] + DROPPED[len(KEPT) :]
    words += [f"word{index}" for index in range(size - len(words))]
    rows = np.arange(len(words), dtype=np.float32)[:, None]
    return keyed(words, rows + np.arange(dimensions, dtype=np.float32) / 8)


@dataclass
class Site:
    """A server of gensim's data: what it serves, by path, and what it was asked for."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    cut_off: bool = False

    def publish(self, model: bytes, checksum: str | None = None) -> None:
        entry = {"parts": 1, "file_name": f"{DEFAULT}.gz", "checksum": checksum or hashlib.md5(model).hexdigest()}
        self.files = {
            "/list.json": json.dumps({"corpora": {}, "models": {DEFAULT: entry}}).encode(),
            f"/download/{DEFAULT}/__init__.py": b"raise RuntimeError('nobody runs this')\n",
            f"/download/{DEFAULT}/{DEFAULT}.gz": model,
        }

    def downloads(self) -> int:
        return self.asked.count(f"/download/{DEFAULT}/{DEFAULT}.gz")


@contextlib.contextmanager
def served() -> Iterator[Site]:
    site = Site("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            content = site.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if site.cut_off and self.path.endswith(".gz") else content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield site
        server.shutdown()
        thread.join()


def point_gensim_at(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(gensim.downloader, "DATA_LIST_URL", f"{url}/list.json")
    monkeypatch.setattr(gensim.downloader, "DOWNLOAD_BASE_URL", f"{url}/download")
    monkeypatch.setattr(gensim.downloader, "BASE_DIR", str(folder))
    # Its default was bound when gensim was imported.
    monkeypatch.setattr(gensim.downloader._load_info, "__defaults__", (f"{url}/list.json", "utf-8"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("R_AVST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with served() as own:
        point_gensim_at(own.url, tmp_path / "gensim-data", monkeypatch)
        own.publish(packed(google_news_like(), tmp_path))
        yield own


def packed(model: KeyedVectors, folder: Path) -> bytes:
    """The model as gensim publishes it: word2vec's binary format, gzipped."""
    path = folder / "model.bin"
    model.save_word2vec_format(str(path), binary=True)
    content = gzip.compress(path.read_bytes(), compresslevel=1)
    path.unlink()
    return content


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


def assert_equal_vectors(found: KeyedVectors | None, model: KeyedVectors, words: list[str]) -> None:
    assert found is not None
    assert found.index_to_key == words
    np.testing.assert_array_equal(found.vectors, model[words])


def test_the_default_is_downloaded_once_and_then_mapped_from_the_cache(site: Site, cache: Path, tmp_path: Path) -> None:
    model = google_news_like(size=36_000, dimensions=300)  # gensim maps arrays of 10 million numbers and more
    site.publish(packed(model, tmp_path))
    words = [word for word in model.index_to_key if word not in DROPPED]

    first = load_word_vectors(DEFAULT)
    assert_equal_vectors(first, model, words)
    assert site.downloads() == 1
    assert {path.parent for path in files_in(cache)} == {cache / DEFAULT}

    site.asked.clear()
    second = load_word_vectors(DEFAULT)
    assert_equal_vectors(second, model, words)
    assert site.asked == []
    assert second is not None
    assert isinstance(second.vectors, np.memmap)
    assert not second.vectors.flags.writeable


def test_of_several_that_ask_at_once_one_downloads(site: Site, cache: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(load_word_vectors, [DEFAULT] * 3))
    for vectors in found:
        assert_equal_vectors(vectors, google_news_like(), KEPT)
    assert site.downloads() == 1


def test_only_words_that_a_lookup_can_ask_for_are_kept(site: Site, cache: Path) -> None:
    vectors = load_word_vectors(DEFAULT)
    assert_equal_vectors(vectors, google_news_like(), KEPT)
    assert vectors is not None
    assert [word for word in DROPPED if word in vectors] == []


def test_the_progress_of_the_download_does_not_mix_with_the_figures_on_stdout(
    site: Site, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_word_vectors(DEFAULT)
    assert site.downloads() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "downloaded" in printed.err


def test_the_cache_stands_in_the_home_folder_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("R_AVST_CACHE", "")
    assert cache_folder() == tmp_path / ".cache" / "r-avst"
    monkeypatch.setenv("R_AVST_CACHE", str(tmp_path / "other"))
    assert cache_folder() == tmp_path / "other"


# --- the default: what goes wrong -------------------------------------------------------------------------------------


def fail_with_no_file(site: Site, tmp_path: Path) -> None:
    site.files.pop(f"/download/{DEFAULT}/{DEFAULT}.gz")


def fail_with_no_list(site: Site, tmp_path: Path) -> None:
    site.files.clear()


def fail_with_another_checksum(site: Site, tmp_path: Path) -> None:
    site.publish(packed(google_news_like(), tmp_path), checksum="0" * 32)


def fail_in_the_middle(site: Site, tmp_path: Path) -> None:
    site.cut_off = True


def fail_with_damaged_content(site: Site, tmp_path: Path) -> None:
    site.publish(packed(google_news_like(), tmp_path)[:-20])


@pytest.mark.parametrize(
    "fail",
    [fail_with_no_file, fail_with_no_list, fail_with_another_checksum, fail_in_the_middle, fail_with_damaged_content],
)
def test_a_download_that_fails_names_the_ways_out_and_leaves_nothing(
    site: Site, cache: Path, tmp_path: Path, fail: Callable[[Site, Path], None]
) -> None:
    fail(site, tmp_path)
    with pytest.raises(WordVectorsError, match=f"{DEFAULT} cannot be downloaded") as caught:
        load_word_vectors(DEFAULT)
    assert_names_the_ways_out(caught.value)
    assert site.asked != []
    assert files_in(cache) == []


def test_a_server_that_refuses_names_the_ways_out_and_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served() as own:
        url = own.url
    point_gensim_at(url, tmp_path / "gensim-data", monkeypatch)
    with pytest.raises(WordVectorsError, match=f"{DEFAULT} cannot be downloaded") as caught:
        load_word_vectors(DEFAULT)
    assert_names_the_ways_out(caught.value)
    assert files_in(cache) == []


def test_after_a_download_that_failed_the_next_one_works(site: Site, cache: Path) -> None:
    site.cut_off = True
    with pytest.raises(WordVectorsError):
        load_word_vectors(DEFAULT)
    site.cut_off = False
    assert_equal_vectors(load_word_vectors(DEFAULT), google_news_like(), KEPT)


def test_a_damaged_cache_names_the_ways_out(site: Site, cache: Path) -> None:
    load_word_vectors(DEFAULT)
    kept = [path for path in files_in(cache) if path.suffix == ".kv"]
    assert len(kept) == 1
    kept[0].write_bytes(kept[0].read_bytes()[:20])
    with pytest.raises(WordVectorsError) as caught:
        load_word_vectors(DEFAULT)
    assert str(kept[0]) in str(caught.value)


def test_a_cache_that_cannot_be_written_is_named(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    monkeypatch.setenv("R_AVST_CACHE", str(blocked))
    with pytest.raises(WordVectorsError) as caught:
        load_word_vectors(DEFAULT)
    assert str(blocked) in str(caught.value)


# --- the default: the first way out -----------------------------------------------------------------------------------


def copied_gensim_data(site: Site, to: Path) -> None:
    """What `python -m gensim.downloader --download` leaves on a machine with network, copied."""
    gensim.downloader.load(DEFAULT, return_path=True)
    assert site.downloads() == 1
    shutil.copytree(gensim.downloader.BASE_DIR, to)
    shutil.rmtree(gensim.downloader.BASE_DIR)


def test_copied_gensim_data_serves_without_network(
    site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied_gensim_data(site, tmp_path / "copied")
    with served() as gone:
        pass
    point_gensim_at(gone.url, tmp_path / "copied", monkeypatch)
    site.asked.clear()
    assert_equal_vectors(load_word_vectors(DEFAULT), google_news_like(), KEPT)
    assert (site.asked, gone.asked) == ([], [])


COUNT_WORDS = (
    "from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors; "
    f"vectors = load_word_vectors('{DEFAULT}'); print(*vectors.index_to_key, vectors['cat'].tolist())"
)


def test_two_processes_without_network_share_a_cache_and_the_home_folder(site: Site, cache: Path, tmp_path: Path) -> None:
    copied_gensim_data(site, tmp_path / "home" / "gensim-data")
    nowhere = "http://127.0.0.1:9"  # the discard port: refused at once
    environment = {name: value for name, value in os.environ.items() if name.lower() not in ("no_proxy", "gensim_data_dir")}
    environment |= {"HOME": str(tmp_path / "home"), "http_proxy": nowhere, "https_proxy": nowhere}
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNT_WORDS], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=60)[0].split(maxsplit=len(KEPT)) for process in processes]
    expected = [*KEPT, f"{google_news_like()['cat'].tolist()}\n"]
    assert [process.returncode for process in processes] == [0, 0]
    assert printed == [expected, expected]
    assert {path.parent for path in files_in(cache)} == {cache / DEFAULT}
