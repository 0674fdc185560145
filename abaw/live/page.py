"""The HTML of the live page."""

from __future__ import annotations

from abaw.page.parts import asset, document, json_island, swatch
from abaw.protocol.classes import EXPRESSION_CLASSES


def render_live(own_camera: bool, server: str) -> str:
    """own_camera: the page sends pictures of the browser's camera; server: `ws://127.0.0.1:PORT`."""
    rows = "\n".join(
        f'<li>{swatch(index, name)}<span class="track"><i></i></span><output>–</output></li>'
        for index, name in enumerate(EXPRESSION_CLASSES)
    )
    camera = '<button type="button" id="camera">start camera</button>' if own_camera else ""
    body = f"""<main>
<h1>Live expressions</h1>
<p id="state" class="soft" role="status">{"Press “start camera”." if own_camera else "Waiting for the first picture …"}
Pictures are analysed on this machine and kept nowhere.</p>
<div class="stage">
<section class="picture">
<canvas id="picture" width="640" height="360" aria-label="the picture with boxes"></canvas>
<p class="controls">{camera}<button type="button" id="record" disabled>record results</button></p></section>
<section><h2 id="who">Nobody in the picture</h2><ol class="bars" id="bars">
{rows}
</ol>
<dl><dt>pictures</dt><dd id="rate">–</dd><dt>latency</dt><dd id="latency">–</dd></dl></section>
</div>
<section><h2>The last 30 seconds</h2>
<canvas id="timeline" height="120" aria-label="expression of each person over time"></canvas></section>
<video id="video" muted playsinline hidden></video>
</main>"""
    settings = {"classes": list(EXPRESSION_CLASSES), "ownCamera": own_camera, "server": server}
    return document(
        "Live expressions",
        [body, json_island("settings", settings)],
        style=asset("abaw.live", "live.css"),
        script=asset("abaw.live", "live.js"),
        policy=f"img-src data: blob:; media-src blob:; connect-src {server}",
    )
