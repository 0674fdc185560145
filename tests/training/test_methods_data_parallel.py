"""Every method in two processes: equal weights and equal other state, whatever faces each process draws."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.faces import still_store

_SCRIPT = """
import json, sys
from pathlib import Path
import torch
from abaw.data.face_set import labelled_stills
from abaw.semisup.image_method import ImageMethod
from abaw.semisup.registry import method_names
from abaw.semisup.methods.spatial.settings import SpatialSettings
from abaw.training.settings import TrainSettings
from abaw.training.static import train_static_on
from abaw.training.static_recipe import StaticRecipe

folder, rank = Path(sys.argv[1]), int(__import__("os").environ["RANK"])
made = []
remember = ImageMethod.__init__
def note(self, *arguments):
    remember(self, *arguments)
    made.append(self)
ImageMethod.__init__ = note
faces = labelled_stills(folder / "faces.arrow")
shape = {"accelerator": "cpu", "devices": 2, "evaluate_every": 4, "checkpoint_every": 4}
plan = TrainSettings(steps=4, lr=0.003, warmup_steps=1, **shape)
found = {}
for name in [*method_names(), "spatial with fine-tuning", "spatial without feedback"]:
    method = name.split()[0]
    without, finetune = name.endswith("without feedback"), 0.25 * name.endswith("fine-tuning")
    settings = {"spatial": SpatialSettings(feedback=not without, finetune=finetune)} if name != method else {}
    recipe = StaticRecipe(method=method, size=16, batch_size=8, train=plan, **settings)
    train_static_on(recipe, faces, faces, faces.without_labels(), folder / name)
    found[name] = {key: value.double().sum().item() for key, value in made[-1].state_dict().items()}
(folder / f"{rank}.json").write_text(json.dumps(found))
"""


@pytest.mark.slow
def test_two_processes_keep_the_same_weights_and_thresholds(tmp_path: Path) -> None:
    still_store(tmp_path / "faces.arrow", [index % 8 for index in range(64)])
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run([*command, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert len(first) >= 7
    for name, state in first.items():
        # Batch norm keeps each process's own statistics until the next forward pass synchronises them.
        differing = {key for key, value in state.items() if abs(value - second[name][key]) > 1e-6 * (1 + abs(value))}
        assert not {key for key in differing if "running_" not in key}, name
