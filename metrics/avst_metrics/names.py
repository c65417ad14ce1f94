"""Matching of object names: which predicted object is which true one.

Within one question, one to one, in tiers: identical but for case; equal when normalised; Word2Vec cosine of at least 0.75
(paper, eq. 2-3; its text leaves the threshold open, its released code has 0.75). Boxes never decide.
"""

import re
from collections.abc import Callable
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.75
CACHED_NAMES = 16_384
MAX_PARTS = 64  # a name with more commas is no list of objects: it stays one wrong name
ARTICLES = frozenset({"a", "an", "the"})

_APOSTROPHE = re.compile("['’]")
_WORD = re.compile(r"[^\W_]+")
_HYPHENATED_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*+")


class WordVectors(Protocol):
    """What is used of gensim's `KeyedVectors`."""

    def __contains__(self, word: str, /) -> bool: ...

    def __getitem__(self, word: str, /) -> NDArray[np.float32]: ...


class NameMatch(NamedTuple):
    """``pairs`` of (true index, predicted index), and how many names were predicted, parts of split names included."""

    pairs: tuple[tuple[int, int], ...]
    predicted_count: int


class _Candidate(NamedTuple):
    """A casefolded name, or a part of one, and the object it stands for. Sorts by name, so order changes no score."""

    name: str
    whole: str
    owner: int


class NameMatcher:
    """Matches names with word vectors, or by their letters alone where ``vectors`` is None.

    >>> NameMatcher(None).match(["The dogs", "CAT"], ["cat", "dog"])
    NameMatch(pairs=((0, 1), (1, 0)), predicted_count=2)
    """

    def __init__(self, vectors: WordVectors | None, threshold: float = THRESHOLD) -> None:
        self.vectors = vectors
        self.threshold = threshold
        self._direction = lru_cache(maxsize=CACHED_NAMES)(self._uncached_direction)

    def match(self, predicted: Sequence[str], true: Sequence[str]) -> NameMatch:
        """Pairs of true and predicted names, greedy within a tier by (score, true name, predicted name).

        A name that matches nothing whole is split at its commas and its parts are tried in the same tiers; where one
        matches, the name counts as that many predicted names. A blank name matches nothing and counts.
        """
        whole, wanted = _candidates(predicted), _candidates(true)
        pairs = self._match_in_tiers(whole, wanted)
        matched_true, matched = {name for name, _ in pairs}, {name for _, name in pairs}
        missed = [name for name in wanted if name not in matched_true]
        parts = [part for name in whole if missed and name not in matched for part in _parts(name)]
        pairs_of_parts = self._match_in_tiers(parts, missed)
        split = {found.owner for _, found in pairs_of_parts}
        count = len(predicted) - len(split) + sum(part.owner in split for part in parts)
        return NameMatch(tuple(sorted((name.owner, found.owner) for name, found in pairs + pairs_of_parts)), count)

    def _match_in_tiers(
        self, predicted: Sequence[_Candidate], true: Sequence[_Candidate]
    ) -> list[tuple[_Candidate, _Candidate]]:
        pairs: list[tuple[_Candidate, _Candidate]] = []
        for tier in (_identical, _same_when_normalised, self._similarity):
            if not true or not predicted:
                break
            new = _greedy(tier, predicted, true)
            pairs += new
            matched_true, matched = {name for name, _ in new}, {name for _, name in new}
            true = [name for name in true if name not in matched_true]
            predicted = [name for name in predicted if name not in matched]
        return pairs

    def _similarity(self, predicted: str, true: str) -> float:
        """Cosine of the two names' embeddings where it reaches the threshold, else 0."""
        first, second = self._direction(predicted), self._direction(true)
        if first is None or second is None:
            return 0.0
        cosine = float(first @ second)
        return cosine if cosine >= self.threshold else 0.0

    def _uncached_direction(self, name: str) -> NDArray[np.float64] | None:
        """The embedding of a name, scaled to length 1."""
        mean = None if self.vectors is None else embedding(name, self.vectors)
        length = 0.0 if mean is None else float(np.linalg.norm(mean))
        return mean / length if mean is not None and length > 0 else None


def embedding(name: str, vectors: WordVectors) -> NDArray[np.float64] | None:
    """Mean of the unnormalised vectors of the words found, shape (dimensions,); None where no word is found.

    Lower case, without articles; a hyphenated word is tried joined ("dark-colored" as "darkcolored"), then split.
    """
    found: list[NDArray[np.float32]] = []
    for word in _HYPHENATED_WORD.findall(_APOSTROPHE.sub("", name.lower())):
        joined = word.replace("-", "")
        spellings = [joined] if joined in vectors else word.split("-")
        found += [vectors[part] for part in spellings if part not in ARTICLES and part in vectors]
    return np.mean(np.asarray(found, dtype=np.float64), axis=0) if found else None


@lru_cache(maxsize=CACHED_NAMES)
def normalised(name: str) -> tuple[str, ...]:
    """The words of a name, casefolded, without articles, punctuation and extra spaces.

    >>> normalised("The  dog's bowl, large")
    ('dogs', 'bowl', 'large')
    """
    words = _WORD.findall(_APOSTROPHE.sub("", name.casefold()))
    return tuple(word for word in words if word not in ARTICLES)


def plurals(word: str) -> tuple[str, ...]:
    """The regular plurals of a word: two where the ending allows both ("pianos", "potatoes").

    >>> plurals("box"), plurals("baby"), plurals("dog")
    (('boxes',), ('babies',), ('dogs',))
    """
    if word.endswith("y") and word[-2:-1] not in ("", "a", "e", "i", "o", "u"):
        return (word[:-1] + "ies",)
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return (word + "es",)
    return (word + "s", word + "es") if word.endswith("o") else (word + "s",)


def _identical(predicted: str, true: str) -> float:
    return float(predicted == true)


def _same_when_normalised(predicted: str, true: str) -> float:
    """1.0 where two names have the same words, the last of them in the singular or regular plural; else 0.0."""
    a, b = normalised(predicted), normalised(true)
    if not a or not b or a[:-1] != b[:-1]:
        return 0.0
    return float(a[-1] == b[-1] or a[-1] in plurals(b[-1]) or b[-1] in plurals(a[-1]))


def _candidates(names: Sequence[str]) -> list[_Candidate]:
    folded = [name.casefold() for name in names]
    return sorted(_Candidate(name, name, index) for index, name in enumerate(folded) if name.strip())


def _parts(name: _Candidate) -> list[_Candidate]:
    if name.name.count(",") >= MAX_PARTS:
        return []
    pieces = (piece.strip() for piece in name.name.split(","))
    return sorted(_Candidate(piece, name.whole, name.owner) for piece in pieces if piece)


def _greedy(
    tier: Callable[[str, str], float], predicted: Sequence[_Candidate], true: Sequence[_Candidate]
) -> list[tuple[_Candidate, _Candidate]]:
    """One-to-one pairs of positive score, best first, ties by name."""
    scored = [(-tier(found.name, wanted.name), wanted, found) for wanted in true for found in predicted]
    used: set[_Candidate] = set()
    pairs = []
    for _, wanted, found in sorted(pair for pair in scored if pair[0] < 0):
        if wanted not in used and found not in used:
            used |= {wanted, found}
            pairs.append((wanted, found))
    return pairs
