"""The page on which people rate: a video with its boxes, a question, its answer, and the scale.

The page is one `gradio.HTML` component. Its template holds no text of the data set: the script in `review_player.js` asks
the functions here for one question at a time and writes what it gets as text or on a canvas, so a name such as
``<img src=x onerror=...>`` stays a name.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import gradio as gr

from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.answers import parse_answer

from .page_server import View
from .page_server import answering
from .page_server import serve_videos
from .page_server import video_url
from .ratings import Rating
from .ratings import RatingError
from .ratings import append_rating
from .ratings import check_rater
from .ratings import rating_now
from .ratings import read_all
from .records import ObjectTrack
from .review_questions import ReviewError
from .review_questions import ReviewQuestion

HERE = Path(__file__).parent
AS_IT_IS = ("question_id", "video_id", "question", "question_type", "span", "duration", "width", "height")


@dataclass(frozen=True, slots=True)
class Review:
    """What is rated: the questions in their order, the video files by id, and the file that takes the ratings."""

    questions: Sequence[ReviewQuestion]
    videos: Mapping[str, Path]
    ratings: Path


def serve_review(review: Review, rater: str, host: str, port: int | None) -> None:
    """Serves the page until it is interrupted; of the files of this machine it gives out the videos alone.

    Raises:
        ReviewError: the address is taken or is none of this machine.
        RatingError: the rater's name or the file of ratings cannot be used.
    """
    open_review(review, {"rater": rater})  # now, rather than in the browser
    page = _page(review, rater)
    try:
        _, url, _ = page.launch(
            server_name=host,
            server_port=port,
            share=False,
            ssr_mode=False,
            footer_links=[],
            quiet=True,
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise ReviewError(f"the page cannot be served at {host}:{port or 7860} ({error}): give another --port") from None
    serve_videos(page.app, review.videos)
    print(f"Rate at {url} ; Ctrl-C ends it, what is rated is stored in {review.ratings}", flush=True)
    page.block_thread()


def _page(review: Review, rater: str) -> gr.Blocks:
    """The page, not launched yet; ``rater`` is who rates until another name is typed."""
    functions = [answering(own, review, RatingError) for own in (open_review, show_question, store_rating)]
    page = gr.Blocks(title="R-AVST review", analytics_enabled=False)
    with page:
        gr.HTML(
            {"rater": rater},
            html_template=(HERE / "review_player.html").read_text(encoding="utf-8"),
            css_template=(HERE / "review_player.css").read_text(encoding="utf-8"),
            js_on_load=(HERE / "review_player.js").read_text(encoding="utf-8"),
            apply_default_css=False,
            server_functions=functions,
        )
    return page


# --- what the page asks for; every request is checked, for anybody can send one ---------------------------------------


def open_review(review: Review, request: Mapping[str, Any]) -> View:
    """The first question that ``request["rater"]`` has not rated, or the first one if all are.

    Raises:
        RatingError: the name cannot be that of a rater, or the ratings cannot be read.
    """
    rater = check_rater(request.get("rater"))
    own = _ratings_of(review, rater)
    return _view(review, own, _next_unrated(review, own, 0))


def show_question(review: Review, request: Mapping[str, Any]) -> View:
    """The question at ``request["position"]`` (from 0) for ``request["rater"]``.

    Raises:
        RatingError: the request is not what it should be, or the ratings cannot be read.
    """
    rater, position = check_rater(request.get("rater")), request.get("position")
    if type(position) is not int or not 0 <= position < len(review.questions):
        raise RatingError(f"there is no question at {position!r:.80}; there are {len(review.questions)}")
    return _view(review, _ratings_of(review, rater), position)


def store_rating(review: Review, request: Mapping[str, Any]) -> View:
    """Stores the rating in ``request`` and returns the next question that its rater has not rated.

    Raises:
        RatingError: the rating is not what it should be, or it cannot be stored.
    """
    position = _position(review, request.get("question_id"))
    question = review.questions[position]
    fields = (request.get(name) for name in ("rater", "score", "comment"))
    rating = rating_now(question.question_id, question.shown, *fields)  # type: ignore[arg-type]  # Rating checks its fields
    own = _ratings_of(review, rating.rater)  # first: a file that cannot be read takes no rating
    append_rating(review.ratings, rating)
    own[rating.question_id] = rating
    return _view(review, own, _next_unrated(review, own, position))


def _position(review: Review, question_id: Any) -> int:
    for position, question in enumerate(review.questions):
        if question.question_id == question_id:
            return position
    raise RatingError(f"there is no question {question_id!r:.80} in this review")


def _ratings_of(review: Review, rater: str) -> dict[str, Rating]:
    """A rater's last rating of each question as it is now. The file is read anew: other processes write to it too."""
    if not review.ratings.exists():
        return {}
    rated = {(one.question_id, one.shown): one for one in read_all(review.ratings) if one.rater == rater}
    asked = ((question.question_id, question.shown) for question in review.questions)
    return {question_id: rated[question_id, shown] for question_id, shown in asked if (question_id, shown) in rated}


def _next_unrated(review: Review, own: Mapping[str, Rating], start: int) -> int:
    """The first place from ``start`` on, and then from the first one, that is not rated; ``start`` if there is none."""
    count = len(review.questions)
    places = ((start + step) % count for step in range(count))
    return next((place for place in places if review.questions[place].question_id not in own), start)


# --- what the page shows ----------------------------------------------------------------------------------------------


def _view(review: Review, own: Mapping[str, Rating], position: int) -> View:
    question = review.questions[position]
    rating = own.get(question.question_id)
    return {
        "position": position,
        "total": len(review.questions),
        "rated": len(own),
        "score": rating.score if rating else None,
        "comment": rating.comment if rating else "",
        "video": video_url(question.video_id) if question.video_id in review.videos else None,
        **{name: getattr(question, name) for name in AS_IT_IS},
        "objects": [{"name": track.name, "frames": _boxes_by_time(track)} for track in question.objects],
        "answer": _answer_view(parse_answer(question.answer)),
        "answer_text": question.answer,
    }


def _boxes_by_time(track: ObjectTrack) -> list[tuple[float, list[Sequence[float]]]]:
    """The visible boxes at each time, times ascending; no box: out of sight."""
    boxes: dict[float, list[Sequence[float]]] = {}
    for frame in track.frames:
        boxes.setdefault(frame.time, []).extend(one.box for one in frame.instances if one.visible)
    return sorted(boxes.items())


def _answer_view(parsed: ParsedAnswer) -> View:
    """The answer's names, span and rows by time as the raters read them, and what is wrong with its form."""
    answer = parsed.answer
    rows = [
        {"track": index, "time": row[0], "box": row[1:] if is_visible(row) else None}
        for index, track in enumerate(answer.tracks)
        for row in track.rows
    ]
    return {
        "names": [track.name for track in answer.tracks],
        "span": answer.span,
        "rows": sorted(rows, key=itemgetter("time")),
        "problems": [f"{problem.kind}: {problem.found}" for problem in parsed.problems],
    }
