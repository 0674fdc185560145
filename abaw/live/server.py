"""The live page: served on the loopback interface alone, to browsers that know the token.

The page sends pictures of the browser's own camera and gets the people in them; or it shows a source of the server.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import secrets
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from aiohttp import WSMsgType, web
from numpy.typing import NDArray

from abaw.core.errors import AbawError
from abaw.live.analyser import Analyser, LiveFrame
from abaw.live.page import render_live
from abaw.live.recording import Recording

LOOPBACK = "127.0.0.1"
_MOST_BYTES = 16 * 2**20
_MOST_WAITING = 2**20
_CLOCK = struct.Struct("<d")
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 80)


@dataclass(slots=True)
class LiveServer:
    """The page and its connections.

    analyser: makes one per connection; own_camera: the browser's camera is the source, otherwise `show` brings the
    pictures; recordings: folder; port: 0 for any free one; token: whoever has it may use the page; report: gets a line
    for the user.
    """

    analyser: Callable[[], Analyser]
    own_camera: bool
    recordings: Path
    port: int = 0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    report: Callable[[str], None] = lambda line: None
    _viewers: dict[web.WebSocketResponse, asyncio.WriteTransport | None] = field(default_factory=dict)
    _recording: Recording | None = None
    # One thread: pictures are analysed one after the other, while the loop answers.
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "abaw-live-analyser"))
    _runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/?token={self.token}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        app = web.Application(middlewares=[self._guarded], client_max_size=_MOST_BYTES)
        app.add_routes([web.get("/", self._page), web.get("/live", self._live)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close all connections and the recording."""
        for viewer in list(self._viewers):
            await viewer.close()
        self._stop_recording()
        if self._runner is not None:
            await self._runner.cleanup()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def show(self, image: NDArray[np.uint8], result: LiveFrame, extra: dict[str, Any]) -> None:
        """Send a picture of the server's source and its result to everybody who watches, and record it."""
        plain = result.to_plain() | extra
        self._record(plain)
        if not self._viewers:
            return
        _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _JPEG)
        text = json.dumps(plain | {"jpeg": base64.b64encode(data.tobytes()).decode("ascii")})
        for viewer, transport in list(self._viewers.items()):
            # Somebody who is slow misses pictures instead of delaying the others.
            if transport is not None and transport.get_write_buffer_size() < _MOST_WAITING:
                await _send(viewer, text)

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
        """Only with the token, and only by the address of this machine: a page elsewhere may not reach in by a name."""
        hosts = {f"{name}:{self.port}" for name in (LOOPBACK, "localhost")}
        origin = request.headers.get("Origin")
        known = request.host in hosts and (origin is None or origin.removeprefix("http://") in hosts)
        given = request.query.get("token", "")
        if not known or not hmac.compare_digest(given.encode(), self.token.encode()):
            return web.Response(status=403, text="This page needs the address with the token that abaw live printed.\n")
        response: web.StreamResponse = await handler(request)
        return response

    async def _page(self, request: web.Request) -> web.Response:
        page = render_live(self.own_camera, f"ws://{request.host}")
        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def _live(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=_MOST_BYTES, heartbeat=30)
        await socket.prepare(request)
        self._viewers[socket] = request.transport
        try:
            analyser = self.analyser() if self.own_camera else None
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    await self._asked(message.data)
                elif message.type == WSMsgType.BINARY and analyser is not None:
                    await self._answer(socket, analyser, message.data)
        finally:
            del self._viewers[socket]
            if self.own_camera and not self._viewers:
                self._stop_recording()
        return socket

    async def _answer(self, socket: web.WebSocketResponse, analyser: Analyser, data: bytes) -> None:
        """One picture of the browser: its clock in ms (float64), then a JPEG."""
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._pool, _analysed, analyser, data)
        except ValueError as error:
            await _send(socket, json.dumps({"error": str(error)}))
            return
        self._record({key: value for key, value in result.items() if key != "clock_ms"})
        await _send(socket, json.dumps(result))

    async def _asked(self, text: str) -> None:
        """`record` or `stop`; everybody who watches learns of it."""
        try:
            if text == "record" and self._recording is None:
                self._recording = Recording(self.recordings)
            elif text == "stop":
                self._stop_recording()
        except AbawError as error:
            await self._tell({"error": str(error)})
        await self._tell({"recording": None if self._recording is None else self._recording.path.name})

    def _record(self, plain: dict[str, Any]) -> None:
        if self._recording is not None:
            try:
                self._recording.add(plain)
            except AbawError as error:
                self.report(str(error))
                self._recording = None

    def _stop_recording(self) -> None:
        if self._recording is not None:
            path = self._recording.close()
            self._recording = None
            self.report(f"recorded: {path}")

    async def _tell(self, news: dict[str, Any]) -> None:
        for viewer in list(self._viewers):
            await _send(viewer, json.dumps(news))


def _analysed(analyser: Analyser, data: bytes) -> dict[str, Any]:
    """Raises ValueError for anything but a clock and a picture."""
    start = time.monotonic()
    if len(data) <= _CLOCK.size:
        raise ValueError("expected a picture")
    (clock_ms,) = _CLOCK.unpack_from(data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8, offset=_CLOCK.size), cv2.IMREAD_COLOR)
    if image is None or not np.isfinite(clock_ms):
        raise ValueError("expected a picture")
    rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    result = analyser.push(rgb, clock_ms / 1000)
    return result.to_plain() | {
        "clock_ms": clock_ms,
        "size_wh": [rgb.shape[1], rgb.shape[0]],
        "analysis_ms": round(1000 * (time.monotonic() - start), 1),
    }


async def _send(socket: web.WebSocketResponse, text: str) -> None:
    with suppress(ConnectionError):  # the browser is gone; its handler ends by itself
        await socket.send_str(text)
