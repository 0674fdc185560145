"""The server of the live page: who may use it, what it answers, what it records."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from abaw.inference.video import load_models
from abaw.live.analyser import Analyser
from abaw.video.detecting.registry import open_detector
from tests.video.clips import portraits

aiohttp = pytest.importorskip("aiohttp")

from abaw.live.server import LiveServer  # noqa: E402

Use = Callable[[Any, Any], Awaitable[None]]


@pytest.fixture(scope="module")
def analyser() -> Callable[[], Analyser]:
    detector, models = open_detector("builtin"), load_models(Path("builtin"), accelerator="cpu")
    return lambda: Analyser(detector, models, 0.2)


def serve(server: LiveServer, use: Use) -> None:
    async def all_of_it() -> None:
        await server.start()
        try:
            async with aiohttp.ClientSession() as session:
                await use(server, session)
        finally:
            await server.stop()

    # A thread of its own: the browser's tests leave an event loop in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, all_of_it()).result()


def message(picture: np.ndarray, clock_ms: float) -> bytes:
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
    return struct.pack("<d", clock_ms) + jpeg


def test_nobody_gets_in_without_the_token_or_by_another_name(analyser: Callable[[], Analyser], tmp_path: Path) -> None:
    async def use(server: LiveServer, session: Any) -> None:
        base = f"http://127.0.0.1:{server.port}"
        good = f"token={server.token}"
        tries = [
            (f"{base}/", {}),
            (f"{base}/?token=x", {}),
            (f"{base}/live", {}),
            (f"{base}/?{good}", {"Host": f"evil.example:{server.port}"}),
            (f"{base}/live?{good}", {"Origin": "http://evil.example"}),
        ]
        for address, headers in tries:
            async with session.get(address, headers=headers) as response:
                assert response.status == 403, address
                assert server.token not in await response.text()
        async with session.get(server.address) as response:
            page = await response.text()
            assert response.status == 200 and "Live expressions" in page
            assert server.token not in page and response.headers["Referrer-Policy"] == "no-referrer"

    serve(LiveServer(analyser, True, tmp_path), use)
    assert len(LiveServer(analyser, True, tmp_path).token) >= 32


def test_pictures_are_answered_in_order_and_recorded(analyser: Callable[[], Analyser], tmp_path: Path) -> None:
    lines: list[str] = []

    async def use(server: LiveServer, session: Any) -> None:
        async with session.ws_connect(f"ws://127.0.0.1:{server.port}/live?token={server.token}") as socket:
            await socket.send_str("record")
            assert (await socket.receive_json())["recording"].endswith(".jsonl")
            for index, picture in enumerate(portraits(4, 256)):
                await socket.send_bytes(message(picture, 40.0 * index))
                answer = await socket.receive_json()
                assert answer["frame"] == index + 1 and answer["clock_ms"] == 40 * index
                (person,) = answer["people"]
                assert sum(person["probabilities"].values()) == pytest.approx(1, abs=1e-3)
            for bad in (b"", b"12345678", struct.pack("<d", float("nan")) + message(picture, 0)[8:], b"x" * 100):
                await socket.send_bytes(bad)
                assert await socket.receive_json() == {"error": "expected a picture"}
            await socket.send_str("stop")
            assert (await socket.receive_json())["recording"] is None

    serve(LiveServer(analyser, True, tmp_path / "recordings", report=lines.append), use)
    (file,) = (tmp_path / "recordings").iterdir()
    assert lines == [f"recorded: {file}"]
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [row["frame"] for row in rows] == [1, 2, 3, 4] and rows[3]["time_s"] == 0.12


def test_a_recording_ends_with_its_page(analyser: Callable[[], Analyser], tmp_path: Path) -> None:
    async def use(server: LiveServer, session: Any) -> None:
        async with session.ws_connect(f"ws://127.0.0.1:{server.port}/live?token={server.token}") as socket:
            await socket.send_str("record")
            await socket.receive_json()
        for _ in range(100):
            if [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]:
                return
            await asyncio.sleep(0.05)
        pytest.fail("the recording was not finished")

    serve(LiveServer(analyser, True, tmp_path), use)


def test_a_folder_that_cannot_be_written_is_an_error_on_the_page(
    analyser: Callable[[], Analyser], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")

    async def use(server: LiveServer, session: Any) -> None:
        async with session.ws_connect(f"ws://127.0.0.1:{server.port}/live?token={server.token}") as socket:
            await socket.send_str("record")
            assert "no recording can be written" in (await socket.receive_json())["error"]
            assert (await socket.receive_json())["recording"] is None

    serve(LiveServer(analyser, True, tmp_path / "file"), use)
