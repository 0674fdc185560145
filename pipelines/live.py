"""`abaw live`: expressions in video as it comes."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from abaw.core.errors import ConfigError
from abaw.core.extras import load_extra
from pipelines.console import result, say, warn
from pipelines.inputs import CheckpointPath, DetectorName, ExtractorName

if TYPE_CHECKING:
    from collections.abc import Callable

    from abaw.live.analyser import Analyser, LiveFrame
    from abaw.live.latency import Latencies
    from abaw.live.server import LiveServer
    from abaw.live.sources import Picture

_STALL_S = 5.0


@dataclass(frozen=True)
class LiveConfig:
    """Predict expressions in live video, from past frames alone; pictures that come too fast are dropped.

    Args:
        source: number of a camera, address of a stream (rtsp://…), - for standard input, or a video file, which is
            played at its own speed; left out with --page: the browser's camera
        json: print one JSON line per picture, instead of a line whenever an expression changes
        page: serve a page with the picture, boxes, bars and a timeline, on this machine alone
        port: of the page; 0 for any free one
        out: folder for recordings made on the page
        detector: auto, builtin, insightface:PACK, or the path of a SCRFD or YuNet .onnx file
        checkpoint: folder of a static checkpoint, a file of `abaw export`, or builtin, the one of the package; with
            temporal also a network of another project, see `abaw features`
        temporal: folder of a causal temporal checkpoint (train-temporal --model.causal) for that one, or its exported
            file
        smoothing: causal filter, none or exponential:SECONDS (time in which the old level fades to 37 %)
        every_frame: analyse every frame of a file as fast as possible; nothing is dropped
        accelerator: where to compute; auto uses a GPU if there is one

    Examples:
        abaw live --page
        abaw live --source 0 --json
        abaw live --source clip.mp4 --page
    """

    source: str | None = None
    json: bool = False
    page: bool = False
    port: int = 0
    out: Path = Path("recordings")
    detector: DetectorName = "auto"
    checkpoint: ExtractorName = "builtin"
    temporal: CheckpointPath | None = None
    smoothing: str = "exponential:0.2"
    every_frame: bool = False
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"


def run(config: LiveConfig) -> int:
    """Ends with the source, or with Ctrl-C. Exit status 0."""
    if config.source is None and not config.page:
        raise ConfigError(
            "no source given; use `abaw live --source 0` (a camera), or `abaw live --page` (the browser's)"
        )
    if not 0 <= config.port <= 65535:
        raise ConfigError(f"--port {config.port}: expected a number from 0 to 65535")
    analyser = _analyser(config)
    analyser()  # an unsuitable model is reported before anything starts
    try:
        if config.page:
            asyncio.run(_with_page(config, analyser))
        else:
            _without_page(config, analyser())
    except KeyboardInterrupt:
        pass  # the usual end of a camera
    return 0


def _analyser(config: LiveConfig) -> Callable[[], Analyser]:
    """Makes analysers that share the models, which are loaded once."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.inference.video import load_models
    from abaw.live.analyser import Analyser
    from abaw.sequence.causal import parse_causal
    from abaw.video.detecting.registry import open_detector
    from pipelines.extract.command import resolved_detector

    tau_s = parse_causal(config.smoothing)
    models = load_models(config.checkpoint, config.temporal, config.accelerator)
    detector = open_detector(resolved_detector(config.detector))
    return lambda: Analyser(detector, models, tau_s)


class _Account:
    """The time of results, their latency, and the last lines."""

    def __init__(self) -> None:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.live.latency import Latencies

        self.latencies: Latencies = Latencies()
        self.start: float | None = None
        self._first_s: float | None = None
        self._labels: dict[int, str] = {}

    def add(self, picture: Picture) -> dict[str, Any]:
        """Count a result of a picture that is ready now."""
        now = time.monotonic()
        self.start = self.start if self.start is not None else picture.due
        self.latencies.add(now - picture.due)
        return {"latency_ms": round(1000 * (now - picture.due), 1)}

    def time_s(self, picture: Picture) -> float:
        """Since the first picture: in the video's own time if it has one, so that results do not depend on the load."""
        now_s = picture.due if picture.time_s is None else picture.time_s
        self._first_s = now_s if self._first_s is None else self._first_s
        return now_s - self._first_s

    def changes(self, frame: LiveFrame) -> list[str]:
        """A line per person whose expression is another one than before, or who has gone."""
        labels = {one.number: one.label for one in frame.people}
        lines = [
            f"{frame.time_s:8.1f} s  person {one.number}  {one.label} {one.probs.max():.0%}"
            for one in frame.people
            if self._labels.get(one.number) != one.label
        ]
        lines += [f"{frame.time_s:8.1f} s  person {number}  gone" for number in self._labels if number not in labels]
        self._labels = labels
        return lines

    def summary(self, dropped: int) -> str:
        pictures = len(self.latencies)
        if not pictures or self.start is None:
            return "no picture was analysed"
        rate = pictures / max(1e-9, time.monotonic() - self.start)
        p50, p95 = (self.latencies.percentile_ms(share) for share in (0.5, 0.95))
        return f"{pictures} pictures, {dropped} dropped, {rate:.1f} per second; latency {p50} ms, 95 % within {p95} ms"


class _Session:
    """A source that is analysed picture by picture."""

    def __init__(self, config: LiveConfig, analyser: Analyser) -> None:
        # Loaded on use: `--help` and wrong usage are answered without them.
        from abaw.live.newest import Newest
        from abaw.live.sources import parse_source

        assert config.source is not None
        self.account = _Account()
        self._analyser = analyser
        self._newest = Newest(parse_source(config.source, not config.every_frame), config.every_frame, say)

    def next(self) -> tuple[Picture, LiveFrame, dict[str, Any]]:
        """The newest picture, its result, and what else is known of it; waits for one. Raises EOFError at the end."""
        while (picture := self._newest.take(_STALL_S)) is None:
            warn(f"no picture for {_STALL_S:.0f} s; waiting")
        frame = self._analyser.push(picture.image, self.account.time_s(picture))
        return picture, frame, self.account.add(picture) | {"dropped": self._newest.dropped}

    def end(self) -> None:
        self._newest.close()
        say(self.account.summary(self._newest.dropped))


def _without_page(config: LiveConfig, analyser: Analyser) -> None:
    session = _Session(config, analyser)
    try:
        while True:
            _, frame, extra = session.next()
            for line in [_json(frame, extra)] if config.json else session.account.changes(frame):
                result(line)
    except EOFError:
        pass
    finally:
        session.end()


def _json(frame: LiveFrame, extra: dict[str, Any]) -> str:
    return json.dumps(frame.to_plain() | extra)


async def _with_page(config: LiveConfig, analyser: Callable[[], Analyser]) -> None:
    server = _server(config, analyser)
    try:
        await server.start()
    except OSError as error:
        raise ConfigError(f"--port {config.port}: cannot be used ({error.strerror}); choose another") from error
    result(f"page: {server.address}")
    try:
        if config.source is None:
            await asyncio.Event().wait()
        else:
            await _show(config, analyser(), server)
    finally:
        await server.stop()


def _server(config: LiveConfig, analyser: Callable[[], Analyser]) -> LiveServer:
    load_extra("aiohttp", "live")
    # Loaded on use: an extra that other commands do not need.
    from abaw.live.server import LiveServer

    return LiveServer(analyser, config.source is None, config.out, config.port, report=say)


async def _show(config: LiveConfig, analyser: Analyser, server: LiveServer) -> None:
    """Bring the pictures of the source to the page."""
    session = _Session(config, analyser)
    try:
        while True:
            picture, frame, extra = await asyncio.to_thread(session.next)
            await server.show(picture.image, frame, extra)
            if config.json:
                result(_json(frame, extra))
    except EOFError:
        pass
    finally:
        session.end()
