"""Where the word vectors come from: the paper's GoogleNews Word2Vec by default, a file, or none."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

DEFAULT = "word2vec-google-news-300"
EXACT = "exact"


class WordVectorsError(RuntimeError):
    """Word vectors that cannot be had; the message says why and names the ways out."""


def load_word_vectors(source: str) -> "KeyedVectors | None":
    """Loads word vectors.

    Args:
        source: ``"exact"`` for none (names then match by their letters alone); a path to gensim's ``.kv`` (memory-mapped; a
            pickle: load only what you trust), a word2vec ``.bin``, or an ``.npz`` with ``words`` (n,) and ``vectors``
            (n, dimensions); or ``"word2vec-google-news-300"``, which is downloaded on first use (1.7 GB) and kept
            memory-mapped under ``$R_AVST_CACHE`` (default ``~/.cache/r-avst``).

    Raises:
        WordVectorsError: the file is absent, of another kind or damaged, or the download fails.
    """
    if source == EXACT:
        return None
    if source == DEFAULT:
        return _google_news()
    path = Path(source).expanduser()
    if not path.is_file():
        raise WordVectorsError(f"there are no word vectors at {path}. {_ways_out()}")
    readers = {".kv": _read_kv, ".bin": _read_bin, ".npz": _read_npz}
    if path.suffix not in readers:
        raise WordVectorsError(f"{path} ends in {path.suffix!r}, not in one of {', '.join(readers)}. {_ways_out()}")
    try:
        return readers[path.suffix](path)
    except Exception as error:  # three file formats, a dozen kinds of damage
        raise WordVectorsError(f"{path} cannot be read as word vectors ({error!r}). {_ways_out()}") from error


def cache_folder() -> Path:
    """Where converted word vectors are kept: ``$R_AVST_CACHE``, else ``~/.cache/r-avst``."""
    return Path(os.environ.get("R_AVST_CACHE") or Path.home() / ".cache" / "r-avst")


def _google_news() -> "KeyedVectors":
    """GoogleNews from the cache; downloaded and converted on first use.

    Only the words that a lookup can ask for are kept (lower case, no phrases): names are lower-cased before the lookup, and
    unpickling 3 million keys alone takes longer than a second.
    """
    kept = cache_folder() / DEFAULT / "vectors.kv"
    if not kept.is_file():
        _make(kept)
    try:
        return _read_kv(kept)
    except Exception as error:  # a pickle that was cut off raises what it likes
        raise WordVectorsError(f"{kept} is damaged ({error!r}): delete the folder {kept.parent} and try again") from error


def _downloaded() -> "KeyedVectors":
    import gensim.downloader

    try:
        with contextlib.redirect_stdout(sys.stderr):  # the downloader prints its progress
            path = gensim.downloader.load(DEFAULT, return_path=True)
        return _read_bin(Path(path))
    except Exception as error:  # it raises bare Exceptions for checksums, URLError for the network
        raise WordVectorsError(f"{DEFAULT} cannot be downloaded ({error!r}). {_ways_out()}") from error


def _make(path: Path) -> None:
    """Downloads and converts; of several processes that ask at once, as those of a training do, one does it."""
    try:
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent.parent / f"{DEFAULT}.lock"):
            if not path.is_file():
                vectors = _downloaded()
                words = [word for word in vectors.index_to_key if word == word.lower() and word.isalnum()]
                _keep(_keyed_vectors(words, vectors[words]), path)
    except OSError as error:
        raise WordVectorsError(f"{path} cannot be written ({error}): set R_AVST_CACHE to a writable folder") from error


def _keep(vectors: "KeyedVectors", path: Path) -> None:
    """Saves in one step, so that a killed run leaves nothing half-written."""
    with tempfile.TemporaryDirectory(dir=path.parent.parent) as scratch:
        folder = Path(scratch) / "ready"
        folder.mkdir()
        vectors.save(str(folder / path.name))
        with contextlib.suppress(OSError):  # another process was faster
            folder.rename(path.parent)


def _ways_out() -> str:
    return (
        f"Three ways out: (1) on a machine with network run `python -m gensim.downloader --download {DEFAULT}`, copy its "
        "~/gensim-data here and try again; (2) give word_vectors the path of a .kv, .bin or .npz file; "
        f'(3) give word_vectors="{EXACT}" to match names by their letters alone, and say so beside the scores.'
    )


def _read_kv(path: Path) -> "KeyedVectors":
    from gensim.models import KeyedVectors

    vectors = KeyedVectors.load(str(path), mmap="r")
    if not isinstance(vectors, KeyedVectors):
        raise TypeError(f"it holds a {type(vectors).__name__}, not KeyedVectors")
    return vectors


def _read_bin(path: Path) -> "KeyedVectors":
    from gensim.models import KeyedVectors

    return KeyedVectors.load_word2vec_format(str(path), binary=True)


def _read_npz(path: Path) -> "KeyedVectors":
    with np.load(path, allow_pickle=False) as arrays:
        return _keyed_vectors([str(word) for word in arrays["words"]], arrays["vectors"])


def _keyed_vectors(words: list[str], vectors: np.ndarray) -> "KeyedVectors":
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(vectors.shape[1], dtype=np.float32)
    keyed.add_vectors(words, vectors.astype(np.float32))
    return keyed
