"""The processes of a training run, and how a run continues with another number of them."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch.distributed import is_torchelastic_launched

from abaw.core.errors import ConfigError
from abaw.training.settings import TrainSettings

_WATCH_S: Final = 1.0


def launch(settings: TrainSettings) -> Fabric:
    """Start the processes of a run, or join those that torchrun started.

    A process that another one started, torchrun or the first of the run, ends with it: it would train for nobody, and
    the run would stay locked. Raises ConfigError when the accelerator or the precision is not available, or the number
    of processes is another.
    """
    _require_started(settings)
    if _is_started_by_another():
        threading.Thread(target=_end_after, args=(os.getppid(),), name="abaw-end-with-parent", daemon=True).start()
    try:
        fabric = Fabric(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.nodes,
            precision=settings.precision,
            strategy="auto",
        )
        fabric.launch()
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        requested = (
            f"accelerator {settings.accelerator}, devices {settings.devices}, nodes {settings.nodes}, precision "
            f"{settings.precision}"
        )
        raise ConfigError(f"cannot train with {requested}: {error}") from error
    return fabric


def _require_started(settings: TrainSettings) -> None:
    """Raise ConfigError unless the settings name the processes that torchrun started, if it did."""
    requested = (settings.devices, settings.nodes)
    if is_torchelastic_launched():
        local, total = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        started = (local, total // local)
        if requested != started:
            raise ConfigError(
                f"torchrun started {local} processes on each of {started[1]} machines, but train.devices is "
                f"{requested[0]} and train.nodes {requested[1]}; set them to {started[0]} and {started[1]}"
            )


def _is_started_by_another() -> bool:
    """Whether torchrun or the first process of the run started this one.

    Fabric writes LOCAL_RANK 0 into the environment of a first process that a user started, too.
    """
    return is_torchelastic_launched() or os.environ.get("LOCAL_RANK", "0") != "0"


def _end_after(parent: int) -> None:
    """End this process once its parent has ended, by `kill -9` for instance, which the parent cannot pass on."""
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)


def with_whole_batch(settings: Mapping[str, Any], group: str | None = None) -> dict[str, Any]:
    """Plain settings of a run as they are compared when it is resumed: whatever the number of processes.

    The batch of all processes together replaces that of each, and the numbers of devices and nodes. group: the group of
    settings with the batch size; by default it is in none.
    """
    train, sizes = settings.get("train"), settings if group is None else settings.get(group)
    if not isinstance(train, Mapping) or not isinstance(sizes, Mapping):
        return dict(settings)
    numbers = [train.get("devices", 1), train.get("nodes", 1), sizes.get("batch_size")]
    if not all(isinstance(number, int) for number in numbers):
        return dict(settings)
    train = {name: value for name, value in train.items() if name not in ("devices", "nodes")}
    sizes = {("batch size of all processes" if name == "batch_size" else name): value for name, value in sizes.items()}
    sizes["batch size of all processes"] = math.prod(numbers)
    return {**settings, "train": train, group: sizes} if group else {**sizes, "train": train}
