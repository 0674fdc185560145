"""Which process of a training this is."""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Whether this is the first process of a training, or the only one.

    Fabric and torchrun number the processes that they start, on each machine and over all; `launch` those of others.
    """
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "RANK"))
