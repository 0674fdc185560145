"""The settings of the engine, which all commands have that map over items or train cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from abaw.core.errors import ConfigError
from abaw.core.shard import parse_shard
from abaw.engine.engine import Engine, Item
from abaw.engine.local import LocalEngine
from abaw.engine.resources import threads_each, worker_places
from abaw.engine.serial import SERIAL

_LOCAL = "local"
_RAY = "ray"


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Where items (videos, stores, images, training runs) are processed, and how many at a time.

    Args:
        engine: local, for processes of this machine; or ray[:ADDRESS], for a Ray cluster (ray for the one that
            RAY_ADDRESS names, otherwise one on this machine alone; ray:auto for one that runs here; ray:HOST:PORT)
        workers: items processed in parallel, each worker with its own models; results do not depend on it. By default
            one per GPU or usable core, with 1 GB of free memory for each, and never more than there are items; with
            --engine ray as many as fit into the cluster
        cpus_per_item: cores reserved for each worker with --engine ray, a whole number or a fraction of one
        gpus_per_item: GPUs reserved for each worker with --engine ray, a whole number or a fraction of one; without
            them it computes on the processor
    """

    engine: str = _LOCAL
    workers: int | None = None
    cpus_per_item: float = 1.0
    gpus_per_item: float = 0.0

    @property
    def is_local(self) -> bool:
        return self.engine == _LOCAL


@dataclass(frozen=True, kw_only=True)
class BatchSettings(EngineSettings):
    """The engine of commands whose items each have results of their own.

    Args:
        shard: the part of the items that this run processes, such as 3/16 for the third of 16; several runs with
            different parts may write into one --out
    """

    shard: str | None = None

    def of_shard(self, items: Sequence[Item], name: Callable[[Item], str]) -> Sequence[Item]:
        """The items of this run. name: decides which part an item belongs to."""
        return items if self.shard is None else parse_shard(self.shard).of(items, name)


def require_engine(settings: EngineSettings, accelerator: str = "cpu") -> None:
    """Raise ConfigError for settings that are wrong, contradict each other, or need Ray where it is not installed.

    accelerator: auto, cpu or cuda.
    """
    if settings.workers is not None and settings.workers < 1:
        raise ConfigError(f"--workers {settings.workers}: expected at least 1")
    if isinstance(settings, BatchSettings) and settings.shard is not None:
        parse_shard(settings.shard)
    for name, amount in (("cpus_per_item", settings.cpus_per_item), ("gpus_per_item", settings.gpus_per_item)):
        if amount < 0 or (amount > 1 and amount != int(amount)):
            raise ConfigError(f"--{name} {amount:g}: expected a whole number, or a fraction below 1")
    if not settings.cpus_per_item:
        raise ConfigError("--cpus_per_item 0: expected more than 0")
    if settings.is_local:
        if (settings.cpus_per_item, settings.gpus_per_item) != (1.0, 0.0):
            raise ConfigError("--cpus_per_item and --gpus_per_item are for --engine ray; use --workers")
        return
    address = _ray_address(settings.engine)
    if accelerator == "cuda" and not settings.gpus_per_item:
        raise ConfigError("--engine ray with accelerator cuda: reserve a GPU or a part of one: --gpus_per_item")
    # Loaded on use: few need it.
    from abaw.engine.ray_cluster import load_ray

    load_ray(address)


def engine_for(settings: EngineSettings, num_items: int, accelerator: str = "cpu") -> Engine:
    """The engine for items: one worker is this process; more share the cores, and the GPUs if there are.

    accelerator: auto, cpu or cuda.
    """
    if not settings.is_local:
        return _ray_engine(settings, max(1, int(settings.cpus_per_item)))
    if min(settings.workers or num_items, num_items) <= 1:
        return SERIAL
    places = worker_places(settings.workers, accelerator)[:num_items]
    return SERIAL if len(places) == 1 else LocalEngine(places, threads_each(len(places)))


def training_engine(settings: EngineSettings, accelerator: str) -> Engine:
    """The engine for training runs. Each worker has one thread: results do not depend on how many workers there are."""
    if not settings.is_local:
        return _ray_engine(settings, 1)
    return LocalEngine(worker_places(settings.workers, accelerator), threads=1)


def _ray_engine(settings: EngineSettings, threads: int) -> Engine:
    # Loaded on use: few need it.
    from abaw.engine.ray import RayEngine

    address = _ray_address(settings.engine)
    return RayEngine(address, settings.workers, settings.cpus_per_item, settings.gpus_per_item, threads)


def _ray_address(engine: str) -> str | None:
    """The address in `ray:ADDRESS`, None in `ray`. Raises ConfigError for anything else."""
    name, colon, address = engine.partition(":")
    if name != _RAY or (colon and not address):
        raise ConfigError(f"--engine {engine}: expected local, ray or ray:ADDRESS")
    if "://" in address:
        raise ConfigError(
            f"--engine {engine}: clients outside the cluster are not supported; run the command on one of its nodes, "
            "which see the videos and stores, with --engine ray:auto"
        )
    return address or None
