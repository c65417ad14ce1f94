import json

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.errors import LocalTokenNotFoundError
from huggingface_hub.errors import OfflineModeIsEnabled

from r_avst.model_cards.artefacts import PublishError
from r_avst.model_cards.hub_errors import HubError
from r_avst.model_cards.hub_errors import explained


def answer(status: int, message: str = "as it is") -> HfHubHTTPError:
    response = httpx2.Response(status, request=httpx2.Request("POST", "http://hub/api"))
    return HfHubHTTPError(message, response=response, server_message=message)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (answer(401), "user/name: the Hub does not know this token (401)"),
        (answer(402, "PRO"), "a plan or a payment method for this (402); see its message. The Hub says: PRO"),
        (answer(403), "the token has no right to write to 'user' (403)"),
        (answer(404), "user/name was not found on the Hub (404)"),
        (answer(409), "someone else is changing user/name"),
        (answer(412), "someone else has changed user/name meanwhile (412). Nothing was overwritten"),
        (answer(418, "a {brace}"), "the Hub refuses this (418): a {brace}"),
        (answer(429), "Wait some minutes. Readers of the Hub never find half a version"),
        (answer(503), "the Hub has a fault of its own (503). Try later."),
        (LocalTokenNotFoundError("none"), "there is no token for the Hub: run hf auth login"),
        (OfflineModeIsEnabled("off"), "HF_HUB_OFFLINE is set; publishing needs the Hub: unset it"),
        (json.JSONDecodeError("Expecting value", "<html>", 0), "does not answer as the Hub does (Expecting value"),
        (UnicodeEncodeError("ascii", "hf_\u00e9", 3, 4, "not in range"), "does HF_TOKEN have a letter that no token has?"),
        (httpx2.ConnectError("refused"), "cannot be reached (refused). Is the network up?"),
        (httpx2.ReadTimeout("too slow"), "cannot be reached (too slow)"),
        (PermissionError(13, "Permission denied", "a.bin"), "Permission denied: 'a.bin'"),
    ],
)  # fmt: skip
def test_an_error_of_the_client_says_what_to_do(error: Exception, said: str) -> None:
    with pytest.raises(HubError) as raised, explained("user/name"):
        raise error
    assert said in str(raised.value)


def test_what_goes_wrong_with_one_large_file_is_told_by_its_cause() -> None:
    with pytest.raises(HubError, match=r"the token has no right to write to 'user' \(403\)"), explained("user/name"):
        raise RuntimeError("Error while uploading 'a.bin' to the Hub.") from answer(403)


def test_what_is_explained_already_stays() -> None:
    with pytest.raises(PublishError, match=r"^as it is$"), explained("user/name"):
        raise PublishError("as it is")
