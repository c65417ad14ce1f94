"""What a server answers, whatever its status."""

import urllib.error
import urllib.request


def get(url: str, **headers: str) -> tuple[int, bytes]:
    """Status and body."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""
