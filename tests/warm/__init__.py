"""Processes of the appliance that cost no import: forked from one that has the libraries loaded.

A worker that opens models spends five processor seconds on imports, a command one. `WARM` in
tests/conftest.py names the files whose subject is what comes after. Else such a process is as in use: its
own address space, pipes, environment, arguments, box, limits. What it does before and while it imports (the
box is closed first, a light command stays light, the child dies with its parent) is for all other files.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from types import SimpleNamespace
from typing import IO, Any, Self

from appliance import worker
from appliance.egress import OFFLINE_ENV
from appliance.runs import launching

MODULES = ("appliance.cli", "appliance.worker", "appliance.runs.runner")
_SERVER = Path(__file__).with_name("server.py")
_PIPES = (subprocess.PIPE, subprocess.DEVNULL)
_given: list[Warm] = []


class Warm:
    """The way to a process that forks others.

    Args:
        control: takes a request, with the three standard files and a socket for pid and exit status.
        server: the process, where it was started here.
    """

    def __init__(self, control: socket.socket, server: subprocess.Popen[bytes] | None = None) -> None:
        self.control = control
        self._server = server

    @classmethod
    def start(cls) -> Self:
        """A server of this process's own; it ends with it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**os.environ, **OFFLINE_ENV, "OMP_NUM_THREADS": "1"}
        server = subprocess.Popen(
            [sys.executable, str(_SERVER), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        return cls(ours, server)

    def stop(self) -> None:
        """End the server that this process has started, and with it all that it has forked for it."""
        self.control.close()
        if self._server is not None:
            self._server.wait()

    def popen(self, command: Sequence[str], **options: Any) -> Process | subprocess.Popen[bytes]:
        """As `subprocess.Popen`; what is none of `MODULES` really is one."""
        if any(options.get(name) not in _PIPES for name in ("stdin", "stdout", "stderr")):
            return subprocess.Popen(command, **options)
        words = [word for word in command[1:] if word != "-P"]
        if command[0] != sys.executable or words[0] != "-m" or words[1] not in MODULES:
            return subprocess.Popen(command, **options)
        return Process(self.control, words[1], words[2:], **options)


class Process:
    """What the appliance uses of a `subprocess.Popen`."""

    def __init__(
        self,
        control: socket.socket,
        module: str,
        arguments: Sequence[str],
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        env: Mapping[str, str],
        cwd: str | None = None,
        start_new_session: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.args = [module, *arguments]
        self.returncode: int | None = None
        theirs: list[int] = []
        self.stdin = self._file(stdin, theirs, "wb")
        self.stdout = self._file(stdout, theirs, "rb")
        self.stderr = self._file(stderr, theirs, "rb")
        self._waiting = threading.Lock()
        self._reply, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wish = {
            "module": module,
            "arguments": list(arguments),
            "environment": dict(env),
            "folder": cwd or str(Path.cwd()),
            "session": start_new_session,
            "numbers": [0, 1, 2, *pass_fds],
        }
        socket.send_fds(control, [json.dumps(wish).encode()], [far.fileno(), *theirs, *pass_fds])
        far.close()
        for descriptor in theirs:
            os.close(descriptor)
        self.pid = int(self._reply.recv(64))

    @staticmethod
    def _file(kind: int, theirs: list[int], mode: str) -> IO[bytes] | None:
        if kind == subprocess.DEVNULL:
            theirs.append(os.open(os.devnull, os.O_RDWR))
            return None
        reading, writing = os.pipe()
        theirs.append(reading if mode == "wb" else writing)
        return os.fdopen(writing if mode == "wb" else reading, mode, buffering=0 if mode == "wb" else -1)

    def poll(self) -> int | None:
        """The exit status, if it has ended."""
        try:
            return self.wait(timeout=0.0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit status.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        if not self._waiting.acquire(timeout=-1 if timeout is None else timeout):  # another thread waits
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        try:
            if self.returncode is None:
                self._reply.settimeout(timeout)
                try:
                    self.returncode = int(self._reply.recv(64))
                except (TimeoutError, BlockingIOError):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
                self._reply.close()
        finally:
            self._waiting.release()
        return self.returncode

    def communicate(self, given: bytes, timeout: float | None = None) -> None:
        """Write what it reads, and wait."""
        assert self.stdin is not None
        self.stdin.write(given)
        self.stdin.close()
        self.wait(timeout)

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended since
                os.kill(self.pid, number)

    def kill(self) -> None:
        """At once."""
        self.send_signal(signal.SIGKILL)


def install(warm: Warm) -> None:
    """From now on workers and runners of this process are forked from the warm one."""
    stand_in = SimpleNamespace(**vars(subprocess)) if not _given else worker.subprocess
    stand_in.Popen = warm.popen
    _given.append(warm)
    worker.subprocess = launching.subprocess = stand_in  # type: ignore[attr-defined,assignment]


def remove() -> None:
    """Undo `install`."""
    _given.pop()
    worker.subprocess = launching.subprocess = subprocess  # type: ignore[attr-defined,assignment]


@contextmanager
def cold() -> Iterator[None]:
    """Inside, commands and workers that this process starts begin with nothing, also in a file of `WARM`."""
    kept = [*_given]
    for _ in kept:
        remove()
    try:
        yield
    finally:
        for one in kept:
            install(one)


def command(
    arguments: Sequence[str | Path],
    environment: Mapping[str, str],
    timeout: float = 300.0,
    pass_fds: Sequence[int] = (),
    typed: str = "",
) -> subprocess.CompletedProcess[str]:
    """One `gradaudit` command without a terminal, in a process of its own: forked in the files of `WARM`."""
    words = [*map(str, arguments)]
    if not _given:
        return subprocess.run(
            [sys.executable, "-m", "appliance.cli", *words],
            capture_output=True,
            text=True,
            input=typed,
            env=environment,
            timeout=timeout,
            pass_fds=pass_fds,
            check=False,
        )
    return _run("appliance.cli", words, environment, timeout, pass_fds, typed)


def begun(
    arguments: Sequence[str | Path], environment: Mapping[str, str]
) -> Process | subprocess.Popen[bytes]:
    """As `command`, but nobody waits for it: what it says on the way is read from its `stderr`."""
    command = [sys.executable, "-m", "appliance.cli", *map(str, arguments)]
    files = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    start = _given[-1].popen if _given else subprocess.Popen
    return start(command, env=environment, **files)


def program(
    text: str, *arguments: str | Path, timeout: float = 300.0, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """As `python -c`: a program of a test's own, in a process of its own: forked in the files of `WARM`."""
    words = [text, *map(str, arguments)]
    known = os.environ if environment is None else environment
    if not _given:
        command = [sys.executable, "-c", *words]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=known,
            timeout=timeout,
            check=False,
        )
    return _run("-c", words, known, timeout)


def program_begun(
    text: str, *arguments: str, environment: Mapping[str, str]
) -> Process | subprocess.Popen[bytes]:
    """As `program`, and not waited for: what it says on stderr can be read."""
    files = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    if not _given:
        return subprocess.Popen([sys.executable, "-c", text, *arguments], env=environment, **files)
    return Process(_given[-1].control, "-c", [text, *arguments], env=environment, **files)


def _run(
    module: str,
    words: Sequence[str],
    environment: Mapping[str, str],
    timeout: float,
    pass_fds: Sequence[int] = (),
    typed: str = "",
) -> subprocess.CompletedProcess[str]:
    files = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = Process(_given[-1].control, module, words, env=environment, pass_fds=pass_fds, **files)
    assert process.stdin is not None
    process.stdin.write(typed.encode())  # a few words: the pipe takes them at once
    process.stdin.close()
    said: dict[IO[bytes], list[bytes]] = {}
    with DefaultSelector() as selector:
        for file in (process.stdout, process.stderr):
            assert file is not None
            said[file] = []
            selector.register(file, EVENT_READ)
        while selector.get_map():
            ready = selector.select(timeout)
            if not ready:
                process.kill()
                raise subprocess.TimeoutExpired(words, timeout)
            for key, _ in ready:
                part = os.read(key.fd, 1 << 16)
                if part:
                    said[key.fileobj].append(part)  # type: ignore[index]
                else:
                    selector.unregister(key.fileobj)
    texts = []
    for file, parts in said.items():
        file.close()
        texts.append(b"".join(parts).decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess(words, process.wait(timeout), *texts)
