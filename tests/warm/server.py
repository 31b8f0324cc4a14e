"""The process that others are forked from: it imports, then does nothing but fork and wait.

One thread, and no work of its own: what a child inherits is what it would have imported.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

LOADED = (
    "appliance.cli",
    "appliance.api",
    "appliance.worker",
    "appliance.isolation",
    "appliance.pipeline",
    "appliance.runs.runner",
    "audit_core.adapters.image_text_to_text",
    "audit_core.adapters.processors",
    "audit_core.audit",
    "audit_core.spike_in",
    "medio.ingest",
    "medio.export",
    "medio.transforms",
    "opacus.accountants",
    "sklearn.feature_extraction.text",
    "sklearn.isotonic",
    "transformers.models.auto.processing_auto",
    "transformers.models.clip.image_processing_pil_clip",
    "transformers.models.clip.modeling_clip",
    "transformers.models.llama.modeling_llama",
    "transformers.models.llava.modeling_llava",
    "tests.warm",
)
WORKER = "appliance.worker"
PROGRAM = "-c"
_MOST = 1 << 20  # bytes of a request: mostly environment
_MOST_FILES = 32


class Server:
    """Who asks, and whom it has forked."""

    def __init__(self, control: socket.socket) -> None:
        self._selector = DefaultSelector()
        self._control = control
        self._asking = {control}
        self._working: dict[int, tuple[int, socket.socket]] = {}  # by file descriptor of the process
        self._selector.register(control, EVENT_READ, self._request)

    def serve(self) -> None:
        """Until whoever started it has gone."""
        while self._control in self._asking:
            for key, _ in self._selector.select():
                if self._selector.get_map().get(key.fd) == key:  # none that has gone since
                    key.data(key.fileobj)

    def _request(self, asking: socket.socket) -> None:
        data, files, _, _ = socket.recv_fds(asking, _MOST, _MOST_FILES)
        if not data:
            self._forget(asking)
            return
        wish = json.loads(data)
        reply = socket.socket(fileno=files.pop(0))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = os.fork()
        if process == 0:
            self._close([ours, reply])
            if wish["module"] == WORKER:  # which starts nobody and inherits no socket: its box is tried out
                theirs.close()
            become(wish, files, theirs)
        for descriptor in files:
            os.close(descriptor)
        theirs.close()
        self._asking.add(ours)
        self._selector.register(ours, EVENT_READ, self._request)
        handle = os.pidfd_open(process)
        self._working[handle] = (process, reply)
        self._selector.register(handle, EVENT_READ, self._ended)
        self._selector.register(reply, EVENT_READ, lambda _: self._abandoned(handle))
        self._tell(reply, process)

    def _forget(self, asking: socket.socket) -> None:
        self._asking.discard(asking)
        self._selector.unregister(asking)
        asking.close()

    def _abandoned(self, handle: int) -> None:
        """Whoever started it has gone: so does it, as the kernel would see to."""
        process, reply = self._working[handle]
        self._selector.unregister(reply)
        os.kill(process, signal.SIGKILL)

    def _ended(self, handle: int) -> None:
        process, reply = self._working.pop(handle)
        _, status = os.waitpid(process, 0)
        self._selector.unregister(handle)
        os.close(handle)
        if reply.fileno() in self._selector.get_map():
            self._selector.unregister(reply)
            self._tell(reply, os.waitstatus_to_exitcode(status))
        reply.close()

    @staticmethod
    def _tell(reply: socket.socket, number: int) -> None:
        """Whoever asked may have been killed meanwhile."""
        with suppress(BrokenPipeError):
            reply.send(str(number).encode())

    def _close(self, more: list[socket.socket]) -> None:
        """What a child must not hold: the ends of others."""
        self._selector.close()
        for one in (*self._asking, *(reply for _, reply in self._working.values()), *more):
            one.close()
        for handle in self._working:
            os.close(handle)


def become(wish: dict[str, Any], files: list[int], control: socket.socket) -> NoReturn:
    """In the child: what was asked for, to its end."""
    code: object = 1
    try:
        _as_if_new(wish, files)
        if wish["module"] != WORKER:
            from tests import warm

            warm.install(warm.Warm(control))
        if wish["module"] == PROGRAM:
            text, *given = wish["arguments"]
            sys.argv = [PROGRAM, *given]
            exec(compile(text, "<string>", "exec"), {"__name__": "__main__"})
            code = 0
        else:
            module = importlib.import_module(wish["module"])
            sys.argv = [str(module.__file__), *wish["arguments"]]
            code = module.main()
    except SystemExit as left:
        code = left.code
    except BaseException as error:  # noqa: BLE001 - as an interpreter's: its hook says what there is to say
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _as_if_new(wish: dict[str, Any], files: list[int]) -> None:
    if wish["session"]:
        os.setsid()
    above = max(wish["numbers"]) + 1
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, above) for descriptor in files]
    for number, given, descriptor in zip(wish["numbers"], files, aside, strict=True):
        if given not in wish["numbers"]:
            os.close(given)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, buffering, "utf-8", errors, closefd=False)  # noqa: SIM115 - for good
        for number, mode, buffering, errors in (
            (0, "r", -1, "strict"),
            (1, "w", -1, "strict"),
            (2, "w", 1, "backslashreplace"),  # line by line, as an interpreter's
        )
    )
    os.environ.clear()
    os.environ.update(wish["environment"])
    os.chdir(wish["folder"])
    time.tzset()
    tempfile.tempdir = None
    random.seed()


def main() -> None:
    """Import, then serve."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    Server(control).serve()


if __name__ == "__main__":
    main()
