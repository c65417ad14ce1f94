"""What the Hub's client raises, in words that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.errors import HFValidationError
from huggingface_hub.errors import LocalTokenNotFoundError
from huggingface_hub.errors import OfflineModeIsEnabled

from ..dataset_builder.hub_client import CONNECTION_ERROR
from .artefacts import PublishError

NO_TOKEN = "there is no token for the Hub: run hf auth login, or set HF_TOKEN to one that writes (hf.co/settings/tokens)"
# True whether a version was there before or not, and before and after the commit.
NO_HALF = "Readers of the Hub never find half a version; the same command goes on where it stopped"
_ANSWERS = {
    401: "the Hub does not know this token (401). It may have expired: run hf auth login, or set HF_TOKEN anew",
    402: "the Hub asks for a plan or a payment method for this (402); see its message",
    403: (
        "the token has no right to write to {namespace!r} (403). Give a --repo-id of yours, or a token that may write there "
        "(hf.co/settings/tokens)"
    ),
    404: "{repo_id} was not found on the Hub (404); it may have been deleted or renamed meanwhile",
    409: "the Hub reports a conflict (409): someone else is changing {repo_id}; run the same command again",
    412: "someone else has changed {repo_id} meanwhile (412). Nothing was overwritten; run the same command again",
    413: "the Hub finds this too large (413); see its message",
    429: "the Hub is asked too much (429). Wait some minutes. " + NO_HALF,
}


class HubError(PublishError):
    """The Hub did not do what it was asked for; the message says why, and what to do."""


@contextmanager
def explained(repo_id: str) -> Iterator[None]:
    """Turns what the client raises into a `HubError`.

    Raises:
        HubError: with what happened and what to do.
    """
    try:
        yield
    except PublishError:
        raise
    except (CONNECTION_ERROR, OSError, RuntimeError, HFValidationError, JSONDecodeError, UnicodeEncodeError) as error:
        raise HubError(f"{repo_id}: {_explanation(error, repo_id)}") from error


def _explanation(error: BaseException, repo_id: str) -> str:
    # The client wraps what goes wrong with one large file: the reason is the cause.
    reasons = [own for own in (error, error.__cause__) if isinstance(own, HfHubHTTPError)]
    if reasons:
        return _of_answer(reasons[0], repo_id)
    if isinstance(error, LocalTokenNotFoundError):
        return NO_TOKEN
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set; publishing needs the Hub: unset it"
    if isinstance(error, JSONDecodeError):
        return f"{constants.ENDPOINT} does not answer as the Hub does ({error}). Is HF_ENDPOINT right? Is a proxy between?"
    if isinstance(error, UnicodeEncodeError):
        return f"a text cannot be sent ({error.reason}); does HF_TOKEN have a letter that no token has? Copy it anew"
    if any(isinstance(own, CONNECTION_ERROR | ConnectionError) for own in (error, error.__cause__)):
        return f"the Hub at {constants.ENDPOINT} cannot be reached ({error}). Is the network up? {NO_HALF}"
    return f"{error}"


def _of_answer(error: HfHubHTTPError, repo_id: str) -> str:
    status = error.response.status_code
    told = f" The Hub says: {error.server_message}" if error.server_message else ""
    if status >= 500:
        return f"the Hub has a fault of its own ({status}). Try later. {NO_HALF}.{told}"
    if status not in _ANSWERS:
        return f"the Hub refuses this ({status}): {error}"
    return _ANSWERS[status].format(repo_id=repo_id, namespace=repo_id.split("/")[0]) + "." + told
