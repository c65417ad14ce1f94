"""Stage 2: the subjects of every event, which a language model reads off its caption (arXiv 2511.16901, data construction).

Every answer is kept in a cache under a digest of model, prompt, schema and caption, so a caption is paid once, however
often a run is killed or other options change. A caption that the model refuses, or to which no answer can be used, is a
failure of its video.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..chat_client import ChatClient
from ..chat_client import ChatError
from ..chat_client import ChatOptions
from ..chat_client import Reply
from ..chat_client import server_url
from ..records import Event
from ..records import Subject
from ..records import VideoRow
from .caption_cache import Answered
from .caption_cache import CaptionCache
from .caption_cache import read_answers
from .caption_prompt import INSTRUCTIONS
from .caption_prompt import LABELS
from .caption_prompt import LETTERS_OF_TOKEN
from .caption_prompt import SCHEMA
from .caption_prompt import CaptionError
from .caption_prompt import label_of
from .caption_prompt import messages_again
from .caption_prompt import messages_for
from .caption_prompt import parse_subjects
from .stage import Report
from .stage import StageError

# USD per million tokens in and out, https://openai.com/api/pricing; other models: the options price_in and price_out.
PRICES = {"gpt-4o-mini": (0.15, 0.60)}
TOKENS_OF_ANSWER = 60  # an answer with three subjects has some 200 letters


@dataclass(frozen=True, slots=True)
class CaptionStage:
    """Asks a model for the subjects of captions.

    Attributes:
        cache: the file that keeps the answers, for one run at a time.
        model: its name on the server; the default is the paper's.
        base_url: of a server that speaks OpenAI's protocol; None: OPENAI_BASE_URL, or OpenAI itself.
        workers: how many videos are worked on at once.
        timeout: seconds to wait for an answer.
        max_attempts: how often a request is sent until the server answers.
        max_answers: how often a model is asked until it answers as asked; each answer is paid.
        temperature: None leaves it to the server; some models take no other than their own.
        structured: whether the server is asked to hold the answer to the schema; some take no such requests.
        price_in: USD per million tokens of questions; None: OpenAI's, if OpenAI is asked and its price is known here.
        price_out: USD per million tokens of answers, likewise.
    """

    cache: Path
    model: str = "gpt-4o-mini"
    base_url: str | None = None
    workers: int = 8
    timeout: float = 60.0
    max_attempts: int = 6
    max_answers: int = 3
    temperature: float | None = 0.0
    structured: bool = True
    price_in: float | None = None
    price_out: float | None = None

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
            StageError: a number is too small, or one price is given without the other.
        """
        for name in ("workers", "timeout", "max_attempts", "max_answers"):
            if not getattr(self, name) > 0:
                raise StageError(f"{name} is {getattr(self, name)}; it must be above 0")
        if (self.price_in is None) != (self.price_out is None):
            raise StageError("of price_in and price_out only one is given; give both, in USD per million tokens")

    @property
    def name(self) -> str:
        """Of its folder in the work folder."""
        return "captions"

    @property
    def gpus(self) -> float:
        """None: it waits for a server."""
        return 0.0

    def settings(self) -> Mapping[str, Any]:
        """The rows depend on what is asked, not on the server that answers."""
        return {"question": self.key_of("")}

    def open(self) -> Callable[[VideoRow], VideoRow]:
        """The work; nothing is asked yet.

        Raises:
            StageError: there is no key, no `openai` client, or the cache is damaged.
        """
        options = ChatOptions(
            model=self.model,
            base_url=self.base_url,
            timeout=self.timeout,
            max_attempts=self.max_attempts,
            temperature=self.temperature,
        )
        return _Asking(self, ChatClient(options), CaptionCache(self.cache)).work

    def report(self, rows: Sequence[VideoRow]) -> Report:
        """What the captions of the rows cost, whenever they were paid; ``all_answers``: and all others in the cache."""
        captions = self._captions(rows)
        answers = [own for own in read_answers(self.cache) if own.model == self.model]
        labels = Counter(label_of(subject) for row in rows for event in row.events for subject in event.subjects)
        return {
            "captions": len(captions),
            **self._bill(own.reply for own in answers if own.key in captions),
            "all_answers": self._bill(own.reply for own in answers),
            "subjects": {label: labels[label] for label in LABELS},
            "events_without_subjects": [event.event_id for row in rows for event in row.events if not event.subjects],
        }

    def estimate(self, rows: Sequence[VideoRow]) -> Report:
        """What it would cost to run: a guess from the letters of what would be asked, and three subjects an answer.

        Raises:
            StageError: the cache is damaged.
        """
        captions = self._captions(rows)
        answered = {own.key for own in read_answers(self.cache) if problem_of(own.reply) is None}
        asked = [caption for key, caption in captions.items() if key not in answered]
        letters = len(INSTRUCTIONS) + (len(json.dumps(SCHEMA)) if self.structured else 0)
        tokens_in = sum(letters + len(caption) for caption in asked) // LETTERS_OF_TOKEN
        tokens_out = TOKENS_OF_ANSWER * len(asked)
        return {
            "captions": len(captions),
            "in_cache": len(captions) - len(asked),
            "to_ask": len(asked),
            "tokens_in_about": tokens_in,
            "tokens_out_about": tokens_out,
            "cost_usd_about": self._cost(tokens_in, tokens_out),
        }

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """What the server is asked to hold the answer to."""
        return SCHEMA if self.structured else None

    def key_of(self, caption: str) -> str:
        """A digest of all that is asked about a caption, the name of its answer in the cache."""
        asked = [self.model, self.temperature, self.schema, messages_for(caption)]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def _captions(self, rows: Iterable[VideoRow]) -> dict[str, str]:
        """Every caption once, by its key."""
        captions = (event.caption for row in rows for event in row.events if event.caption is not None)
        return {self.key_of(caption): caption for caption in captions}

    def _bill(self, replies: Iterable[Reply]) -> dict[str, Any]:
        own = tuple(replies)
        tokens_in, tokens_out = sum(reply.tokens_in for reply in own), sum(reply.tokens_out for reply in own)
        return {
            "answers": len(own),
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "cost_usd": self._cost(tokens_in, tokens_out),
        }

    def _cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """In USD; None where no price is known."""
        known = PRICES.get(self.model) if server_url(self.base_url) is None else None
        price_in, price_out = known or (None, None)
        if self.price_in is not None and self.price_out is not None:
            price_in, price_out = self.price_in, self.price_out
        if price_in is None or price_out is None:
            return None
        return round((tokens_in * price_in + tokens_out * price_out) / 1e6, 6)


@dataclass(frozen=True, slots=True)
class _Asking:
    """The stage at work."""

    stage: CaptionStage
    client: ChatClient
    cache: CaptionCache

    def work(self, row: VideoRow) -> VideoRow:
        """The row with the subjects of its events.

        Raises:
            CaptionError: an event has no caption, or its caption gives no subjects; the message names the event.
            StageError: the server cannot be used.
        """
        for event in row.events:  # all of them before the first is paid
            if not (event.caption and event.caption.strip()):
                raise CaptionError(f"the event {event.event_id} has no caption")
        return replace(row, events=tuple(self._with_subjects(event) for event in row.events))

    def _with_subjects(self, event: Event) -> Event:
        try:
            return replace(event, subjects=self._subjects(event.caption or ""))
        except (CaptionError, ChatError) as error:
            raise CaptionError(f"the caption of the event {event.event_id}: {error}") from None

    def _subjects(self, caption: str) -> tuple[Subject, ...]:
        key = self.stage.key_of(caption)
        with self.cache.only(key):
            settled = (reply for reply in self.cache.replies(key) if problem_of(reply) is None)
            reply = next(settled, None) or self._ask(key, caption)
        if reply.refusal is not None:
            raise CaptionError(f"the model refuses to answer ({reply.refusal[:200]!r}); this is kept in {self.stage.cache}")
        return parse_subjects(reply.text)

    def _ask(self, key: str, caption: str) -> Reply:
        messages = messages_for(caption)
        for _ in range(self.stage.max_answers):
            reply = self.client.complete(messages, self.stage.schema)
            self.cache.add(Answered(key, self.stage.model, caption, reply))
            problem = problem_of(reply)
            if problem is None:
                return reply
            messages = [*messages_for(caption), *messages_again(reply.text, problem)]
        raise CaptionError(f"none of {self.stage.max_answers} answers can be used; of the last one, {problem}")


def problem_of(reply: Reply) -> str | None:
    """Why the model has to be asked again, None if not: it answered as asked, or refused."""
    if reply.refusal is not None:
        return None
    try:
        parse_subjects(reply.text)
    except CaptionError as error:
        return str(error)
    return None
