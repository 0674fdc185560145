"""Sound of any length as overlapping blocks that fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from abaw.audio.decode import Chunk, Samples


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A stretch of sound with its surroundings.

    samples: (N,); begin: number of the first sample; core_begin, core_end: the samples that this block stands for; the
    others are context, and belong to the core of another block.
    """

    samples: Samples
    begin: int
    core_begin: int
    core_end: int


def blocks(chunks: Iterable[Chunk], length: int, context: int) -> Iterator[Block]:
    """Blocks whose cores are `length` samples long, with `context` samples on either side as far as there is sound.

    The cores of one continuous stretch of sound follow one another; the last one has another length, at most
    length + context.
    """
    held: list[Samples] = []
    begin = end = core = 0
    for chunk in chunks:
        if held and chunk.begin != end:
            yield Block(np.concatenate(held), begin, core, end)
            held = []
        if not held:
            begin = core = chunk.begin
        held.append(chunk.samples)
        end = chunk.end
        while end - core > length + context:
            joined = np.concatenate(held)
            stop = core + length
            yield Block(joined[: stop + context - begin], begin, core, stop)
            core, kept = stop, max(begin, stop - context)
            held, begin = [joined[kept - begin :]], kept
    if held:
        yield Block(np.concatenate(held), begin, core, end)
