"""A process that has loaded the project and forks a child per run of a command, so that each starts at once.

Requests and answers are lines of JSON on standard input and output.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
from contextlib import suppress
from typing import Any

_PR_CAPBSET_DROP = 24
_CAPABILITY_VERSION_3 = 0x20080522


_LEFT_OUT = ("onnxruntime", "mlflow", "opensmile", "ray", "timm", "transformers", "wandb")


def _load() -> None:
    """Import every module of the project, and with it torch and the like.

    Libraries that start threads are left to the children that use them: a forked process has only its first thread.
    """
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    sys.modules.update(dict.fromkeys(_LEFT_OUT))  # type: ignore[arg-type]
    for name in ("abaw", "pipelines"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            with suppress(ImportError):  # it needs one of them
                importlib.import_module(module.name)
    for name in _LEFT_OUT:
        del sys.modules[name]
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a library started a thread; only a process with one thread can be forked")


def _answer(value: int) -> None:
    print(json.dumps(value), flush=True)


def serve() -> int | None:
    """Answer requests until there are no more. In a child, returns the exit status of its command."""
    _load()
    _answer(os.getpid())
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "wait" in request:
            _answer(os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1]))
        elif pid := os.fork():
            _answer(pid)
        else:
            return _run(request)
    return None


def _run(request: dict[str, Any]) -> int:
    from pipelines.cli import main

    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, name in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(opened, stream)
        os.close(opened)
    os.umask(0o022)
    if request["without_privileges"]:
        drop_privileges()
    status = main([os.fsdecode(bytes.fromhex(word)) for word in request["words"]])
    # The command is done. What is left is the end of Python, which with all of the project loaded takes long.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    return status


def drop_privileges() -> None:
    """Take every capability from this process and from all that it starts: root becomes an ordinary user.

    It stays the owner of its own files (Python may be in root's home), but not those of other users.
    """
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "cannot drop the capabilities")


if __name__ == "__main__":
    sys.exit(serve())
