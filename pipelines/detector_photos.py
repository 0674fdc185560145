"""What the commands that train on photos labelled by a teacher share: train-detector and train-landmarks."""

from __future__ import annotations

from pathlib import Path

from abaw.core.errors import ConfigError


def require_shares(holdout: float, set_aside: float) -> None:
    """Raise ConfigError for a share of people held out, or of pictures set aside, that leaves nothing to learn from."""
    if not 0 < holdout < 1:
        raise ConfigError(f"holdout is {holdout}; expected more than 0 and less than 1")
    if not 0 <= set_aside < 0.5:
        raise ConfigError(f"set_aside is {set_aside}; expected at least 0 and less than 0.5")


def labels_folder(out: Path, labels: Path | None) -> Path:
    """Where the teacher's labels are cached: by default next to the run folder, with its name and .labels."""
    return out.with_name(f"{out.name}.labels") if labels is None else labels
