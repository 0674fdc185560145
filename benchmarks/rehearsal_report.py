"""The table of a rehearsal: what was measured, what that means at full size, and which limits are kept."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from abaw.core.artifacts import write_json, write_text

FULL_STEPS = 2000
FULL_SCORINGS = 4
"""Steps of a training run, and scorings of held-out videos in it, to which a rehearsal is extrapolated."""
_MEMORY_GB, _DISK_GB, _NIGHT_HOURS = 16.0, 200.0, 10.0
_VALIDATE_S, _SUBMIT_S, _CELLS = 60.0, 45.0, 1.5

Result = Mapping[str, Any]


def write_report(work: Path, results: Sequence[Result], sizes: Mapping[str, float]) -> None:
    """rehearsal.json and rehearsal.md. sizes: GB at full size of what is not the result of a stage."""
    rows = [{**result, "full": _at_full_size(result, results)} for result in results]
    limits = list(_limits(rows, sizes))
    write_json(work / "rehearsal.json", {"machine": _machine(), "stages": rows, "sizes_gb": sizes, "limits": limits})
    write_text(work / "rehearsal.md", f"{_table(rows, sizes)}\n{_limit_lines(limits)}")


def _machine() -> Mapping[str, Any]:
    # Loaded on use: tests of the table do without.
    import os

    return {"cores": os.cpu_count(), "machine": platform.machine(), "system": platform.release()}


def _at_full_size(result: Result, results: Sequence[Result]) -> dict[str, Any]:
    """hours, processor_hours and disk_gb of the stage at full size; extrapolated: whether they were.

    idle_hours: on a machine without other work, where nothing takes longer than on one core.
    """
    share, seconds = result["share"], result["seconds"]
    longer = _trained(result, results) / seconds if result["cells"] else 1 / share
    hours, processor_hours = seconds * longer / 3600, result["processor_seconds"] * longer / 3600
    return {
        "hours": hours,
        "processor_hours": processor_hours,
        "idle_hours": min(hours, processor_hours),
        "disk_gb": result["disk"] / share,
        "extrapolated": share < 1 or bool(result["cells"]),
    }


def _trained(result: Result, results: Sequence[Result]) -> float:
    """Seconds of a stage that trains. What is not a step grows with the videos; steps and scorings are those of a run.

    `train-temporal` does not record how long its steps took; a cell of `ablate` with the same settings does.
    """
    one = next((each for each in results if each["stage"] == "ablate, 1 cell"), result)
    timed = result if result["step_seconds"] else one
    steps = timed["step_seconds"] * (FULL_STEPS / max(1, timed["steps"]) - 1)
    scorings = timed["evaluation_seconds"] / result["share"] * (FULL_SCORINGS - 1)
    parallel = min(result["workers"], result["cells"])
    seconds: float = (result["seconds"] - timed["step_seconds"] / parallel) / result["share"]
    return seconds + (timed["step_seconds"] + steps + scorings) / parallel


def _limits(rows: Sequence[Mapping[str, Any]], sizes: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    by_name = {row["stage"]: row for row in rows}
    if rows:
        largest = max(rows, key=lambda row: float(row["memory"]))
        yield _limit(f"memory of the largest step, {largest['stage']} (GB)", largest["memory"], _MEMORY_GB)
        longest = max(rows, key=lambda row: float(row["full"]["idle_hours"]))
        yield _limit(f"longest step, {longest['stage']} (hours)", longest["full"]["idle_hours"], _NIGHT_HOURS)
        disk = sum(row["full"]["disk_gb"] for row in rows) + sum(sizes.values())
        yield _limit("disk, all steps together (GB)", disk, _DISK_GB)
    if "validate" in by_name:
        yield _limit("validate (s)", 3600 * by_name["validate"]["full"]["idle_hours"], _VALIDATE_S)
    if {"submit", "check-submission"} <= by_name.keys():
        both = 3600 * sum(by_name[name]["full"]["idle_hours"] for name in ("submit", "check-submission"))
        yield _limit("submit and check-submission (s)", both, _SUBMIT_S)
    if {"ablate, 1 cell", "ablate, 10 cells"} <= by_name.keys():
        for kind, key in (("", "memory"), (", with mapped files", "with_files")):
            ratio = by_name["ablate, 10 cells"][key] / by_name["ablate, 1 cell"][key]
            yield _limit(f"memory of ablate, 10 cells over 1 cell, one worker each{kind}", ratio, _CELLS)


def _limit(what: str, found: float, limit: float) -> dict[str, Any]:
    return {"what": what, "found": found, "limit": limit, "kept": found <= limit}


def _table(rows: Sequence[Mapping[str, Any]], sizes: Mapping[str, float]) -> str:
    heads = ("step", "measured (s)", "processor (s)", "memory (GB)", "with mapped files", "full size (h)")
    heads += ("processor (h)", "disk (GB)")
    lines = [f"| {' | '.join((*heads, 'shortened'))} |", "|---" * (len(heads) + 1) + "|"]
    for row in rows:
        full, about = row["full"], "≈ " if row["full"]["extrapolated"] else ""
        cells = [row["stage"], f"{row['seconds']:.1f}", f"{row['processor_seconds']:.1f}", f"{row['memory']:.2f}"]
        cells += [f"{row['with_files']:.2f}", f"{about}{full['hours']:.2f}"]
        cells += [f"{about}{full['processor_hours']:.2f}", f"{about}{full['disk_gb']:.2f}"]
        lines.append(f"| {' | '.join([*cells, _shortened(row)])} |")
    lines += [f"| {name} (data) | | | | | | | ≈ {size:.2f} | |" for name, size in sizes.items()]
    return "\n".join(lines) + "\n"


def _shortened(row: Mapping[str, Any]) -> str:
    parts = [row["note"]] if row["note"] else []
    if row["share"] < 1:
        parts.append(f"{row['share']:.2%} of the frames")
    if row["cells"]:
        parts.append(f"{row['steps']} of {FULL_STEPS:,} steps per cell")
    return "; ".join(parts)


def _limit_lines(limits: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| limit | found | at most | |", "|---|---|---|---|"]
    for each in limits:
        kept = "kept" if each["kept"] else "missed"
        lines.append(f"| {each['what']} | {each['found']:.2f} | {each['limit']:g} | {kept} |")
    return "\n".join(lines) + "\n"
