"""Names of repositories on the Hugging Face Hub."""

import re

HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
"""``user/name``, each of at most 96 characters."""
