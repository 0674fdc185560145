"""Which frames the packets of a stream promise, and which are missing because the stream is damaged."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

UNDECODABLE: Final = "its packet could not be decoded"
NO_REFERENCE: Final = "nothing to decode it from: packets before it are damaged"
NO_PACKET: Final = "no packet came for it: the stream is damaged here"


@dataclass(frozen=True, slots=True)
class Missing:
    """A frame that was not decoded. pts: its time stamp in ticks of the stream, None if unknown; reason: why."""

    pts: int | None
    reason: str


class Ledger:
    """Compares the time stamps of packets sent to the decoder with those of the frames that it returns.

    A decoder returns frames in presentation order. So once a frame is returned, nothing promised for an earlier time
    will follow. That alone is no damage: with some codecs, packets do not always become a separate frame (fields,
    invisible reference frames), nor do the frames around a cut in an open group of pictures. So a frame counts as
    missing only with evidence: its packet was refused, or packets since the last key frame were refused or marked as
    corrupt by the container. If whole packets are missing, such evidence together with a gap in an otherwise constant
    frame rate shows how many.

    from_key: nothing is promised before the first key frame, as in a broadcast whose recording starts at any moment.
    """

    def __init__(self, from_key: bool) -> None:
        self._promised: dict[int, str] = {}
        self._one_to_one = True
        self._started = not from_key
        self._damaged = False
        self._given_up: set[int] = set()
        self._half: int | None = None
        self._last: int | None = None
        self._step: int | None = None
        self._constant = True

    def sent(self, pts: int | None, is_key: bool, refused: bool, corrupt: bool) -> list[Missing]:
        """Note a packet sent to the decoder. refused: with an error; corrupt: marked so by the container.

        Returns what is missing at this place: the frame of a refused packet without a time stamp.
        """
        self._started |= is_key
        if not self._started:
            return []
        self._damaged |= refused or corrupt
        self._half = pts if refused and corrupt else None
        if pts is not None:
            self._promised[pts] = UNDECODABLE if refused else NO_REFERENCE if self._damaged else ""
        return [Missing(None, UNDECODABLE)] if refused and pts is None else []

    def came(self, pts: int | None, is_key: bool) -> list[Missing] | None:
        """The frames missing before this one, in order; None if this one was given up already."""
        if pts is None:
            return []
        self._promised.pop(pts, None)
        if pts in self._given_up:
            return None
        missing = self._give_up([other for other in self._promised if other < pts])
        missing |= self._without_packet([*([] if self._last is None else [self._last]), *sorted(missing), pts])
        self._given_up |= missing.keys()
        self._last = pts
        if is_key:
            self._damaged = any(self._promised.values())
        return _in_order(missing)

    def ended(self) -> list[Missing]:
        """The frames missing after the last one returned.

        Not that of a truncated last packet: in the whole file, packets for earlier times may have followed it.
        """
        if self._half is not None:
            self._promised.pop(self._half, None)
        return _in_order(self._give_up(list(self._promised)))

    def _give_up(self, times: list[int]) -> dict[int, str]:
        found = {}
        for pts in times:
            reason = self._promised.pop(pts)
            if not self._damaged:
                self._one_to_one = False
            elif reason or self._one_to_one:
                found[pts] = reason or NO_REFERENCE
        return found

    def _without_packet(self, times: list[int]) -> dict[int, str]:
        """Frames that fit into the gaps between these times."""
        found = {}
        for before, after in pairwise(times):
            if not self._damaged:
                self._note_step(after - before)
            elif self._constant and self._step:
                absent = round((after - before) / self._step) - 1
                found.update({before + k * self._step: NO_PACKET for k in range(1, absent + 1)})
        return found

    def _note_step(self, step: int) -> None:
        """The frame rate is constant as long as all steps are equal up to rounding."""
        if self._step is None:
            self._step = step
        elif abs(step - self._step) > 1:
            self._constant = False


def _in_order(missing: dict[int, str]) -> list[Missing]:
    return [Missing(pts, missing[pts]) for pts in sorted(missing)]
