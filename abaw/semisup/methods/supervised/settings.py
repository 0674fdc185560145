"""Settings of `supervised`: those that every method has."""

from __future__ import annotations

from abaw.semisup.settings import LabelledLearning

SETTINGS = LabelledLearning
