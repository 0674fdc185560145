"""Files of the Hugging Face hub: from its cache, or downloaded where there is a network."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from abaw.core.errors import ConfigError
from abaw.core.extras import load_extra
from abaw.core.text import one_line

_SECONDS = 5.0


def hub_is_reachable() -> bool:
    """Whether a download can be tried. The hub's own client would retry for most of a minute without a network."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    if getproxies():
        return True
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        socket.create_connection((address.hostname or "", address.port or 443), _SECONDS).close()
    except OSError:
        return False
    return True


def hub_file(repository: str, names: Sequence[str], advice: str) -> Path:
    """The first of these files that a repository of the hub has, from the cache or downloaded.

    advice: what to do when neither works. Raises ConfigError then.
    """
    hub = load_extra("huggingface_hub", "hf")
    offline = not hub_is_reachable()
    reason = ""
    for name in names:
        try:
            return Path(hub.hf_hub_download(repository, name, local_files_only=offline))
        except (OSError, ValueError, RuntimeError) as error:  # the hub's errors and those of its HTTP client
            reason = "no network" if offline else one_line(error)
    raise ConfigError(
        f"{names[0]} of {hub_page(repository)} is not in the cache ({hub_cache()}) and cannot be downloaded "
        f"({reason}); {advice}"
    )


def hub_page(repository: str) -> str:
    return f"https://huggingface.co/{repository}"


def hub_cache() -> Path:
    """The folder of the files downloaded so far."""
    return Path(load_extra("huggingface_hub.constants", "hf").HF_HUB_CACHE)
