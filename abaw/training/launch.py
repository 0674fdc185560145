"""The processes of a training run, and how a run continues with another number of them."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lsf import LSFEnvironment
from lightning_fabric.plugins.environments.mpi import MPIEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import distributed
from torch.distributed import is_torchelastic_launched

from abaw.core.data_parallel import own_part
from abaw.core.errors import ConfigError
from abaw.training.settings import TrainSettings

_WATCH_S: Final = 1.0


def launch(settings: TrainSettings) -> Fabric:
    """Start the processes of a run, or join those that torchrun started.

    A process that another one started, torchrun or the first of the run, ends with it: it would train for nobody, and
    the run would stay locked. Raises ConfigError when the accelerator or the precision is not available, or the number
    of processes is not that of torchrun or of an earlier training of this process.
    """
    _require_started(settings)
    _require_number_of_earlier(settings)
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
    if fabric.world_size > 1:
        # For `is_first_process`: of the launchers, only torchrun sets it.
        os.environ["RANK"] = str(fabric.global_rank)
    return fabric


def _require_started(settings: TrainSettings) -> None:
    """Raise ConfigError unless the settings name the processes that torchrun or another launcher started."""
    requested = (settings.devices, settings.nodes)
    if is_torchelastic_launched():
        local, total = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        started = (local, total // local)
        if requested != started:
            raise ConfigError(
                f"torchrun started {local} processes on each of {started[1]} machines, but train.devices is "
                f"{requested[0]} and train.nodes {requested[1]}; set them to {started[0]} and {started[1]}"
            )
    elif settings.nodes > 1 and not _is_one_of_several_machines():
        raise ConfigError(
            f"train.nodes is {settings.nodes}, but nothing has started processes on other machines; start the command "
            "with torchrun on each of them, see docs/cluster.md"
        )


def _is_one_of_several_machines() -> bool:
    """Whether a launcher that Fabric knows, or someone by hand, set what this machine needs to find the others."""
    by_hand = any(name in os.environ for name in ("MASTER_ADDR", "NODE_RANK", "GROUP_RANK"))
    return by_hand or any(each.detect() for each in (SLURMEnvironment, LSFEnvironment, MPIEnvironment))


def _require_number_of_earlier(settings: TrainSettings) -> None:
    """Raise ConfigError when this process is one of an earlier training's, which had another number of them.

    Each runs the whole script (Fabric starts it again), so each would now train on its own, in one run folder.
    """
    earlier, number = own_part().count, settings.devices * settings.nodes
    if distributed.is_initialized() and earlier != number:
        # Fabric kills the first process, which may be behind, soon after another has ended with an error.
        distributed.barrier()
        raise ConfigError(
            f"an earlier training of this process had {earlier} processes, each of which runs the whole script, and "
            f"this one would have {number}; give both the same train.devices, or put them in two scripts"
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
