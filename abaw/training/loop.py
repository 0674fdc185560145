"""The training loop, for static and temporal models, on a CPU or one or more GPUs (Fabric).

All randomness depends only on the seed and the step: a run that is killed and resumed from its last checkpoint gives
the same result (bit for bit on a CPU). The run folder keeps two checkpoints: `last/`, with the state to resume from,
and, if there are held-out data, `best/`, chosen by a score on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from abaw.core.data_parallel import Part
from abaw.core.errors import ConfigError, DataError
from abaw.core.progress import Progress, silent
from abaw.core.run_folder import RunFolder
from abaw.core.seed import derive_seed
from abaw.learning.batch_norm import share_batch_norm
from abaw.learning.ema import Ema
from abaw.learning.method import Batch, Method, StepResult
from abaw.stores.checkpoints import STATE, load_state, save_state, unusable_state
from abaw.training.clock import Clock
from abaw.training.loggers import Logger, open_logger
from abaw.training.optim import build_optimizer, schedule_factor, set_learning_rate
from abaw.training.prefetch import prefetched
from abaw.training.restore import require_finite_weights, restore_optimizer, saved_progress
from abaw.training.settings import TrainSettings

LAST = "last"
BEST = "best"

Batches = Callable[[int, Part], Batch]
"""(step, part) -> the part of that step's batch for a process; equal arguments give equal batches."""
Evaluate = Callable[[nn.Module], Mapping[str, float]]
"""The model's scores by name. The model is in eval mode and on the device; called without gradients."""
Save = Callable[[Path, nn.Module, Mapping[str, Any]], None]
"""Write a checkpoint of the model to a folder; the mapping has `step` and, if evaluated at that step, `scores`."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Scores of the last and of the best checkpoint on the held-out data, and the steps of both.

    Without held-out data there are no scores, and best_step is 0. step_seconds: wall-clock time of the steps, including
    their batches; evaluation_seconds: of scoring and of saving the best checkpoint. After an interruption both continue
    from the values in the last checkpoint.
    """

    steps: int
    last: Mapping[str, float]
    best_step: int
    best: Mapping[str, float]
    step_seconds: float = field(compare=False)
    evaluation_seconds: float = field(compare=False)


def train(
    fabric: Fabric,
    method: Method[Any, Any],
    batches: Batches,
    run: RunFolder,
    settings: TrainSettings,
    *,
    evaluate: Evaluate | None,
    save: Save,
    select_by: str,
    progress: Progress = silent,
) -> TrainResult:
    """Train `method.model`, or continue where `run` stopped; a finished run returns its result again.

    evaluate: None for no best checkpoint; select_by: the score of `evaluate` that is highest for the best checkpoint.
    Raises DataError that names the step and its samples when the loss or its gradient is not finite, and ConfigError
    when `evaluate` does not return the score `select_by`.
    """
    trainer = _Trainer(fabric, method, run, settings, evaluate, save, select_by)
    done = trainer.resume()
    progress(done, settings.steps)
    steps = range(done, settings.steps)
    with trainer.logging(), trainer.own_randomness():
        clock = trainer.clock
        clock.start()
        part = Part(fabric.global_rank, fabric.world_size)
        for step, batch in prefetched(lambda step: batches(step, part), steps, settings.prefetch):
            logs = trainer.step(step, batch)
            clock.lap("step")
            done = step + 1
            trainer.log(done, logs)
            clock.start()
            trainer.evaluate(done)
            clock.lap("evaluation")
            trainer.checkpoint(done)
            progress(done, settings.steps)
            clock.start()
    return trainer.result()


class _Trainer:
    """The state of a run between its steps. `done` is the number of finished steps."""

    def __init__(
        self,
        fabric: Fabric,
        method: Method[Any, Any],
        run: RunFolder,
        settings: TrainSettings,
        evaluate: Evaluate | None,
        save: Save,
        select_by: str,
    ) -> None:
        self._fabric = fabric
        self._method = method
        self._run = run
        self._settings = settings
        self._score = evaluate
        self._save = save
        self._select_by = select_by
        if method.has_follow_up and fabric.world_size > 1:
            raise ConfigError(
                "this form of the method takes two steps per batch, on one device; set train.devices and train.nodes "
                "to 1"
            )
        if fabric.world_size > 1:
            share_batch_norm(method, fabric.device)
        optimizer = build_optimizer(method, settings.lr, settings.weight_decay)
        self._forward, self._optimizer = fabric.setup(method, optimizer)
        self._forward.mark_forward_method("follow_up")
        self._ema = Ema(method.model, settings.ema_decay) if settings.ema_decay > 0 else None
        if self._ema is not None:
            method.use_average(self._ema.model)
        self._logger: Logger | None = None
        self.clock = Clock()
        self._resumed_at = 0
        self._scores: dict[str, float] = {}
        self._scored_at = 0
        self._best: dict[str, float] = {}
        self._best_at = 0

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """One step of the optimiser, or two if the method has a follow-up; returns what to log."""
        self._method.train()
        # Here and for the views: equal in all processes, each of which uses its part of what is drawn for all.
        torch.manual_seed(derive_seed(self._settings.seed, "train", step, 0))
        set_learning_rate(self._optimizer, self._factor(step))
        views = self._views(step, self._fabric.to_device(batch))
        result: StepResult = self._forward(views)
        logs = {"loss": result.loss, "gradient_norm": self._descend(step, batch, result.loss), **result.logs}
        second: StepResult | None = self._forward.follow_up(views) if self._method.has_follow_up else None
        if second is not None:
            self._descend(step, batch, second.loss)
            logs |= second.logs
        with torch.no_grad():
            self._method.update(views)
        if self._ema is not None:
            self._ema.update(self._method.model)
        return logs

    def _descend(self, step: int, batch: Batch, loss: Tensor) -> Tensor:
        """One step of the optimiser against the gradient of `loss`; returns its norm before clipping, a scalar."""
        self._fabric.backward(loss)
        norm = self._clip_gradients()
        self._require_finite(step, batch, loss, norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return norm

    def _clip_gradients(self) -> Tensor:
        """Clip the gradients; returns their norm before clipping, a scalar."""
        norm = self._fabric.clip_gradients(
            self._forward, self._optimizer, max_norm=self._settings.clip_norm, error_if_nonfinite=False
        )
        assert norm is not None  # None only when clipping by value
        return norm

    @torch.no_grad()
    def _views(self, step: int, batch: Batch) -> Batch:
        generator = torch.Generator(self._fabric.device)
        generator.manual_seed(derive_seed(self._settings.seed, "views", step, 0))
        views: Batch = self._method.views(batch, generator)
        return views

    def _require_finite(self, step: int, batch: Batch, loss: Tensor, norm: Tensor) -> None:
        """With 16-mixed an overflowing gradient is normal: the loss scale is reduced and the step is skipped."""
        checked = loss if self._settings.precision == "16-mixed" else loss + norm
        if bool(torch.isfinite(checked)):
            return
        ids = ", ".join(map(str, list(batch.ids)[:8]))
        raise DataError(
            f"step {step}: loss {float(loss.detach()):g}, gradient norm {float(norm):g}: not finite. Batch of "
            f"{len(batch.ids)}: {ids}, … Check these samples, or lower the learning rate ({self._settings.lr:g})"
        )

    def _factor(self, step: int) -> float:
        return schedule_factor(step, self._settings.steps, self._settings.warmup_steps)

    def _due(self, done: int, every: int) -> bool:
        return done % every == 0 or done == self._settings.steps

    def log(self, done: int, logs: Mapping[str, Tensor]) -> None:
        if self._due(done, self._settings.log_every):
            values = {name: float(value.detach()) for name, value in logs.items()}
            self._write(done, {**values, "lr": self._settings.lr * self._factor(done - 1)})

    def _write(self, done: int, values: Mapping[str, float]) -> None:
        if self._logger is None:
            return
        self._run.log(done, values)
        self._logger.scalars(done, values)

    def evaluate(self, done: int) -> None:
        """Score the model if an evaluation is due, and save it if it is the best so far."""
        if self._score is None or not self._due(done, self._settings.evaluate_every):
            return
        scores: dict[str, float] = {}
        if self._fabric.is_global_zero:
            with torch.no_grad():
                scores = dict(self._score(self._kept_model().eval()))
        self._scores, self._scored_at = self._fabric.broadcast(scores), done
        if self._select_by not in self._scores:
            raise ConfigError(f"no score '{self._select_by}' to select by; expected one of {', '.join(self._scores)}")
        self._write(done, {f"eval/{name}": value for name, value in self._scores.items()})
        if not self._best or self._scores[self._select_by] > self._best[self._select_by]:
            self._best, self._best_at = self._scores, done
            self._save_model(BEST, done)

    def _kept_model(self) -> nn.Module:
        return self._method.model if self._ema is None else self._ema.model

    def _save_model(self, name: str, done: int) -> None:
        if self._fabric.is_global_zero:
            self._run.require_owned()
            scores = {"scores": dict(self._scores)} if self._scored_at == done else {}
            self._save(self._run.path / name, self._kept_model(), {"step": done, "chosen": name == BEST, **scores})

    def checkpoint(self, done: int) -> None:
        """Write the last model, then the state to resume from; a kill in between only repeats some steps."""
        if not self._due(done, self._settings.checkpoint_every):
            return
        self._save_model(LAST, done)
        if self._fabric.is_global_zero:
            save_state(self._state_path, self._state(done))
        self._fabric.barrier()

    @property
    def _state_path(self) -> Path:
        return self._run.path / LAST / STATE

    def _state(self, done: int) -> dict[str, Any]:
        return {
            "done": done,
            "method": self._method.state_dict(),
            "ema": self._ema.state_dict() if self._ema is not None else None,
            "optimizer": self._optimizer.state_dict(),
            "precision": self._fabric.strategy.precision.state_dict(),
            "scores": self._scores,
            "scored_at": self._scored_at,
            "best": self._best,
            "best_at": self._best_at,
            "seconds": dict(self.clock.seconds),
        }

    def resume(self) -> int:
        """Restore the state of the last checkpoint; returns the number of finished steps.

        Raises CheckpointError when the state is not one of this run.
        """
        state = load_state(self._state_path)
        if state is not None:
            try:
                self._restore(state)
            except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
                raise unusable_state(self._state_path, error) from error
        return self._resumed_at

    def _restore(self, state: Mapping[str, Any]) -> None:
        saved = saved_progress(state, self._settings.steps, ["method", "optimizer"] + ["ema"] * (self._ema is not None))
        self._method.load_state_dict(state["method"])
        restore_optimizer(self._optimizer.optimizer, state["optimizer"])
        self._fabric.strategy.precision.load_state_dict(state["precision"])
        if self._ema is not None:
            self._ema.load_state_dict(state["ema"])
        require_finite_weights(self._kept_model())
        self._scores, self._scored_at = saved.scores, saved.scored_at
        self._best, self._best_at = saved.best, saved.best_at
        self.clock.seconds.update(saved.seconds)
        self._resumed_at = saved.done

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Log to the run folder and the logger; entries after the restored state are dropped."""
        if not self._fabric.is_global_zero:
            yield
            return
        self._run.rewind(self._resumed_at)
        with closing(open_logger(self._settings.logger, self._run.path, self._resumed_at + 1)) as logger:
            self._logger = logger
            yield
            self._logger = None

    @contextmanager
    def own_randomness(self) -> Iterator[None]:
        """Each step seeds torch's global generators, from which dropout draws; restore their state afterwards."""
        device = self._fabric.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield

    def result(self) -> TrainResult:
        seconds = self.clock.seconds
        return TrainResult(
            self._settings.steps,
            self._scores,
            self._best_at,
            self._best,
            step_seconds=seconds["step"],
            evaluation_seconds=seconds["evaluation"],
        )
