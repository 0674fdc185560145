"""Sessions of onnxruntime: their options, and the provider that computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import onnxruntime

from abaw.core.text import one_line

_CPU: Final = "CPUExecutionProvider"
_CUDA: Final = "CUDAExecutionProvider"


def session_options(threads: int | None, spinning: bool = False) -> onnxruntime.SessionOptions:
    """Without onnxruntime's warnings. threads: CPU threads, None for all.

    spinning: threads wait for the next operation in a loop. A large network that has the processor for itself is a
    tenth faster with it; a small one between other work is slower, because the loop goes on after each run.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def has_cuda() -> bool:
    """Whether this onnxruntime was built with CUDA; whether its libraries load is found on use."""
    return _CUDA in onnxruntime.get_available_providers()


def start_session(source: str | bytes, threads: int | None, spinning: bool = False) -> onnxruntime.InferenceSession:
    """A session on the processor. source: the path of a file, or its content; threads, spinning: as for the options."""
    return onnxruntime.InferenceSession(source, session_options(threads, spinning), providers=[_CPU])


def start_on_cuda(
    source: str | bytes, threads: int | None, try_out: Callable[[onnxruntime.InferenceSession], object]
) -> tuple[onnxruntime.InferenceSession | None, str]:
    """A session that has computed on the GPU, or the reason why there is none. try_out: computes something with it."""
    if not has_cuda():
        return None, "this onnxruntime is without CUDA"
    try:
        session = onnxruntime.InferenceSession(source, session_options(threads), providers=[_CUDA, _CPU])
        if session.get_providers()[0] != _CUDA:
            return None, "its CUDA libraries do not load"
        try_out(session)
    except Exception as error:  # why a provider does not work can be anything; the processor is tried next
        return None, one_line(error)
    return session, ""


def on_the_processor(name: str, reason: str) -> str:
    """The note that a network does not compute on the GPU."""
    return f"{name}: computed on the processor, as onnxruntime cannot use the GPU ({reason}); see `abaw doctor`"
