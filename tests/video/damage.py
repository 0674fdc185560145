"""Damage to video files, placed on packets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av


@dataclass(frozen=True, slots=True)
class PacketPlace:
    """Where a packet is in the file.

    number: in order of decoding, from 0; frame: in order of presentation, from 1.
    """

    number: int
    frame: int
    position: int
    size: int
    is_key: bool


def packet_places(path: Path) -> list[PacketPlace]:
    """The packets of a video whose packets each are one frame with a time."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        order = sorted(packet.pts for packet in packets)
        return [
            PacketPlace(number, order.index(packet.pts) + 1, packet.pos, packet.size, packet.is_keyframe)
            for number, packet in enumerate(packets)
        ]


def flip(source: Path, target: Path, places: Sequence[PacketPlace], at: float, length: int) -> Path:
    """Turn all bits of `length` bytes of these packets round. at: part of the packet, 0 for its start."""
    content = bytearray(source.read_bytes())
    for place in places:
        first = place.position + int(place.size * at)
        for position in range(first, min(first + length, place.position + place.size)):
            content[position] ^= 0xFF
    target.write_bytes(content)
    return target


def drop_blocks(source: Path, target: Path, first: int, end: int) -> Path:
    """An MPEG transport stream without some of its blocks of 188 bytes, as after bad reception."""
    content = source.read_bytes()
    target.write_bytes(content[: first * 188] + content[end * 188 :])
    return target
