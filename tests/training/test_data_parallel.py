from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import json, sys, torch
from pathlib import Path
from abaw.core.run_folder import RunFolder
from abaw.training.launch import launch
from abaw.training.loop import train
from abaw.training.settings import TrainSettings
from tests.training.toy import ToyMethod, toy_batch, toy_save, toy_scores

plan = TrainSettings(steps=6, lr=0.03, warmup_steps=2, accelerator="cpu", devices=2, ema_decay=0.9,
                     evaluate_every=3, checkpoint_every=3)
fabric = launch(plan)
with fabric.rank_zero_first():
    run = RunFolder(Path(sys.argv[1]), {})
seen = []
def batches(step, part):
    seen.append([step, part.index])
    return toy_batch(step, part)
method = ToyMethod()
result = train(fabric, method, batches, run, plan, evaluate=toy_scores, save=toy_save, select_by="accuracy")
weight = method.model[0].weight.detach().sum().item()
facts = {"seen": seen, "weight": weight, "last": dict(result.last)}
Path(sys.argv[1] + f".{fabric.global_rank}.json").write_text(json.dumps(facts))
"""


@pytest.mark.slow
def test_two_processes_learn_from_their_own_batches_and_agree(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(
        [*command, str(tmp_path / "run")], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (json.loads((tmp_path / f"run.{rank}.json").read_text()) for rank in (0, 1))
    assert [rank for _, rank in first["seen"]] == [0] * 6
    assert [rank for _, rank in second["seen"]] == [1] * 6
    assert first["weight"] == second["weight"]
    assert first["last"] == second["last"]
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if "eval/accuracy" in line] == [3, 6]
