"""Which frames the packets of a stream promise, and which are missing because the stream is damaged."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

UNDECODABLE: Final = "its packet could not be decoded"
NO_REFERENCE: Final = "nothing to decode it from: packets before it are damaged"
NO_PACKET: Final = "no packet came for it: the stream is damaged here"


@dataclass(frozen=True, slots=True)
class Missing:
    """A frame that was not decoded. pts: its time stamp in ticks of the stream, None if unknown; reason: why."""

    pts: int | None
    reason: str


class Before(NamedTuple):
    """What a frame that came says of those before it. missing: in order; retracted: reported missing earlier, but it is
    this very frame, which came late."""

    missing: list[Missing]
    retracted: Missing | None = None


class Ledger:
    """Compares the time stamps of packets sent to the decoder with those of the frames that it returns.

    It never judges a frame that came: it only says which frames are missing before it. A decoder returns frames in
    order of presentation, so when a frame comes, no frame promised for an earlier time will follow. That alone is no
    damage: some packets never become a frame of their own (fields, invisible reference frames), nor do the frames
    around a cut in an open group of pictures. A frame is reported missing only on evidence: its packet was refused, or
    packets since the last key frame were refused or marked as corrupt by the container. Where packets went missing
    altogether, that evidence and a gap in an otherwise constant frame rate say how many.

    Where decoding times jump back, another recording begins (streams that were joined): its times are compared among
    themselves only. A frame that comes out of order, without having been reported missing, proves that the times are
    wrong; from then on only refused packets count.

    from_key: nothing is promised before the first key frame, as in a broadcast recorded from some moment on.
    """

    def __init__(self, from_key: bool) -> None:
        self._promised: dict[tuple[int, int], str] = {}
        self._given_up: dict[tuple[int, int], Missing] = {}
        self._sent_part = self._came_part = 0
        self._last_dts: int | None = None
        self._last_pts: int | None = None
        self._untimed = 0
        self._unanswered = 0
        self._any_damage = False
        self._damaged = False
        self._one_to_one = True
        self._in_order = True
        self._started = not from_key
        self._half: tuple[int, int] | None = None
        self._step: int | None = None
        self._constant = True

    @property
    def pictureless(self) -> int:
        """Packets that the decoder accepted and that never became a frame, in a stream without damage."""
        return 0 if self._any_damage else self._unanswered + max(0, self._untimed)

    def sent(
        self, pts: int | None, is_key: bool, refused: bool, corrupt: bool, dts: int | None = None
    ) -> list[Missing]:
        """A packet that went into the decoder. refused: with an error; corrupt: the container says so.

        Returns what is missing at this place: the frame of a refused packet without a time stamp.
        """
        self._started |= is_key
        if not self._started:
            return []
        if dts is not None:
            self._sent_part += self._last_dts is not None and dts < self._last_dts
            self._last_dts = dts
        self._damaged |= refused or corrupt
        self._any_damage |= refused or corrupt
        if pts is None:
            self._half = None
            self._untimed += not refused
            return [Missing(None, UNDECODABLE)] if refused else []
        key = (self._sent_part, pts)
        self._half = key if refused and corrupt else None
        self._promised[key] = UNDECODABLE if refused else NO_REFERENCE if self._damaged else ""
        return []

    def came(self, pts: int | None, is_key: bool) -> Before:
        """A frame that came out of the decoder."""
        if pts is None:
            self._untimed -= 1
            return Before([])
        part = self._part_of(pts)
        self._promised.pop((part, pts), None)
        missing = self._enter(part)
        if retracted := self._given_up.pop((part, pts), None):
            return Before(missing, retracted)
        if self._last_pts is not None and pts < self._last_pts:
            self._in_order = False
            return Before(missing)
        lost = self._give_up([key for key in self._promised if key[0] == part and key[1] < pts])
        places = [self._last_pts, *(found.pts for found in lost), pts]
        lost += self._without_packet([place for place in places if place is not None])
        self._given_up.update({(part, found.pts): found for found in lost if found.pts is not None})
        self._last_pts = pts
        if is_key:
            self._damaged = any(self._promised.values())
        return Before(missing + sorted(lost, key=lambda found: found.pts or 0))

    def _enter(self, part: int) -> list[Missing]:
        """Go on to another part of joined streams; what the parts before it still promise does not come any more."""
        if part == self._came_part:
            return []
        self._came_part, self._last_pts, self._in_order = part, None, True
        self._given_up.clear()
        return self._give_up([key for key in self._promised if key[0] < part])

    def ended(self) -> list[Missing]:
        """The frames missing after the last one returned.

        Not that of a truncated last packet: in the whole file, packets for earlier times may have followed it.
        """
        if self._half is not None:
            self._promised.pop(self._half, None)
        return self._give_up(list(self._promised))

    def _part_of(self, pts: int) -> int:
        """The part of joined streams that a frame belongs to: the first that still promises its time."""
        parts = range(self._came_part, self._sent_part + 1)
        return next((part for part in parts if (part, pts) in self._promised), self._came_part)

    def _give_up(self, keys: list[tuple[int, int]]) -> list[Missing]:
        """Those of the promised frames, in order of their times, that are missing by the evidence."""
        found = []
        for key in sorted(keys):
            reason = self._promised.pop(key)
            if reason == UNDECODABLE or (self._damaged and self._in_order and (reason or self._one_to_one)):
                found.append(Missing(key[1], reason or NO_REFERENCE))
            elif not self._damaged:
                self._one_to_one = False
                self._unanswered += 1
        return found

    def _without_packet(self, times: list[int]) -> list[Missing]:
        """Frames that fit into the gaps between these."""
        found = []
        for before, after in pairwise(times):
            if not self._damaged:
                self._note_step(after - before)
            elif self._constant and self._step and self._in_order:
                absent = round((after - before) / self._step) - 1
                found += [Missing(before + k * self._step, NO_PACKET) for k in range(1, absent + 1)]
        return found

    def _note_step(self, step: int) -> None:
        """The frame rate is constant while all steps are equal but for rounding."""
        if self._step is None:
            self._step = step
        elif abs(step - self._step) > 1:
            self._constant = False
