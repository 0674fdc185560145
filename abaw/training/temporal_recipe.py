"""The settings of a temporal model and its training; reading them must not import torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from abaw.core.config import part_of
from abaw.models.sizes import TransformerSize
from abaw.training.sequence_settings import SequenceLearning
from abaw.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class TemporalRecipe:
    """A temporal model and how it learns.

    Args:
        holdout: share of the training videos held out to choose the best checkpoint; 0 trains on all of them
        sources: which of several --features to use: numbers from 0, or names of the folders, joined by +; by default
            all
        tasks: what is learned per frame: one or more of expression, valence_arousal and action_units
        model: shape of the encoder
        learn: loss, sampling and augmentation
        train: optimiser, schedule, checkpoints
    """

    holdout: float = 0.15
    sources: str | None = None
    tasks: tuple[str, ...] = ("expression",)
    model: TransformerSize = field(default_factory=TransformerSize)
    learn: SequenceLearning = field(default_factory=SequenceLearning)
    train: TrainSettings = field(default_factory=TrainSettings)

    @property
    def cautions(self) -> tuple[str, ...]:
        """Sentences about settings that are allowed and usually a mistake."""
        if "expression" not in self.tasks or (self.learn.sampling, self.learn.balance) != ("class", "logit_adjustment"):
            return ()
        return (
            "learn.sampling class with learn.balance logit_adjustment balances the classes twice: windows drawn by "
            "class are already balanced, and the adjustment is by the class shares of all frames; use sampling frame, "
            "or balance none (flip-book: macro F1 54 with both, 71 with sampling alone)",
        )


def recipe_of(config: TemporalRecipe, seed: int | None = None) -> TemporalRecipe:
    """The recipe without the paths of `config`, which do not belong in a checkpoint. seed: replaces its seed."""
    recipe = part_of(config, TemporalRecipe)
    return recipe if seed is None else replace(recipe, train=replace(recipe.train, seed=seed))
