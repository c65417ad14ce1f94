"""What to know of the Hub's client, whatever its version."""

from huggingface_hub.errors import HfHubHTTPError

# httpx's in version 1 of the client, httpx2's in version 2: the base of all that goes wrong with a connection
CONNECTION_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]
