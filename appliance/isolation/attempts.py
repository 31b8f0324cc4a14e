"""The attempts to get out that a worker makes on itself before it is given anything of the site.

Every attempt is a bare system call to this machine alone, so nothing leaves even where a layer is missing.
An attempt that reaches the kernel's network code counts as out: "connection refused" came from a network.
Without the box each counted attempt succeeds against a listener (a test shows it); raw and packet sockets
succeed there for root only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from appliance.isolation.box import ON
from appliance.isolation.kernel import LIBC, SUPPORTED, call, raise_errno
from appliance.isolation.syscalls import NUMBER

_UNIX, _INET, _INET6, _NETLINK, _PACKET, _VSOCK = 1, 2, 10, 16, 17, 40
_STREAM, _DATAGRAM, _RAW = 1, 2, 3
_MPTCP, _ICMP = 262, 1
_FAST_OPEN = 0x20000000
_NEW_USER = 0x10000000
_LOCAL_CID = 1
_DISCARD_PORT = 9
# What only the kernel's network or the other side says; EPIPE and ENOTCONN follow a refused connection.
_ANSWERED = (
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EINPROGRESS,
    errno.EISCONN,
    errno.EPIPE,
    errno.ENOTCONN,
    errno.ENOENT,
)


@dataclass(frozen=True, slots=True)
class Targets:
    """Where the attempts go. The defaults are places on this machine where nobody listens."""

    tcp_port: int = _DISCARD_PORT
    udp_port: int = _DISCARD_PORT
    unix_stream: str = "/dev/shm/gradaudit-nobody"
    unix_datagram: str = "/dev/shm/gradaudit-nobody"
    abstract: str = "gradaudit-nobody"
    outside_file: str = "/etc/hosts"
    outside_folder: str = "/tmp"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way out.

    Attributes:
        go: raises OSError when it was stopped.
        stopped_by: each of these layers stops it alone.
    """

    go: Callable[[Targets], object]
    stopped_by: frozenset[str]


class _Socket:
    """A socket made by the bare call."""

    def __init__(self, family: int, kind: int, protocol: int = 0) -> None:
        self.descriptor = call(NUMBER["socket"], family, kind, protocol)

    def connect(self, address: bytes) -> Self:
        """Connect; a refusal by the other side counts as reached."""
        _reached(lambda: call(NUMBER["connect"], self.descriptor, address, len(address)))
        return self

    def send(self, data: bytes, address: bytes | None = None, flags: int = 0) -> None:
        """Send, to an address of its own where one is given."""
        length = len(address) if address else 0
        _reached(lambda: call(NUMBER["sendto"], self.descriptor, data, len(data), flags, address, length))

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)


def _reached(attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except OSError as answer:
        if answer.errno not in _ANSWERED:
            raise


def _loopback(port: int) -> bytes:
    return struct.pack("=H", _INET) + struct.pack("!H4B8x", port, 127, 0, 0, 1)


def _loopback6(port: int) -> bytes:
    return struct.pack("=H", _INET6) + struct.pack("!HI", port, 0) + bytes(15) + b"\x01" + bytes(4)


def _unix_address(path: str) -> bytes:
    return struct.pack("=H", _UNIX) + os.fsencode(path) + b"\0"


def _abstract_address(name: str) -> bytes:
    return struct.pack("=H", _UNIX) + b"\0" + os.fsencode(name)


def _tcp(targets: Targets) -> None:
    with closing(_Socket(_INET, _STREAM)) as socket:
        socket.connect(_loopback(targets.tcp_port)).send(b"tcp")


def _tcp6(targets: Targets) -> None:
    with closing(_Socket(_INET6, _STREAM)) as socket:
        socket.connect(_loopback6(targets.tcp_port))


def _tcp_fast_open(targets: Targets) -> None:
    with closing(_Socket(_INET, _STREAM)) as socket:
        socket.send(b"fast open", _loopback(targets.tcp_port), _FAST_OPEN)


def _mptcp(targets: Targets) -> None:
    with closing(_Socket(_INET, _STREAM, _MPTCP)) as socket:
        socket.connect(_loopback(targets.tcp_port)).send(b"mptcp")


def _udp(targets: Targets) -> None:
    with closing(_Socket(_INET, _DATAGRAM)) as socket:
        socket.send(b"udp", _loopback(targets.udp_port))


def _dns(targets: Targets) -> None:
    """A name query as a resolver sends it: a connected datagram socket and a plain write."""
    query = struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + b"\x07example\x07invalid\0" + struct.pack("!2H", 1, 1)
    with closing(_Socket(_INET, _DATAGRAM)) as socket:
        socket.connect(_loopback(targets.udp_port))
        os.write(socket.descriptor, query)


def _unix_stream(targets: Targets) -> None:
    with closing(_Socket(_UNIX, _STREAM)) as socket:
        socket.connect(_unix_address(targets.unix_stream)).send(b"unix stream")


def _unix_datagram(targets: Targets) -> None:
    with closing(_Socket(_UNIX, _DATAGRAM)) as socket:
        socket.send(b"unix datagram", _unix_address(targets.unix_datagram))


def _socket_pair(targets: Targets) -> None:
    """A connected pair of datagram sockets may still name another receiver."""
    pair = (ctypes.c_int * 2)()
    call(NUMBER["socketpair"], _UNIX, _DATAGRAM, 0, ctypes.byref(pair))
    address = _unix_address(targets.unix_datagram)
    try:
        _reached(lambda: call(NUMBER["sendto"], pair[0], b"pair", 4, 0, address, len(address)))
    finally:
        os.close(pair[0])
        os.close(pair[1])


def _unix_abstract(targets: Targets) -> None:
    with closing(_Socket(_UNIX, _STREAM)) as socket:
        socket.connect(_abstract_address(targets.abstract)).send(b"abstract")


def _vsock(_: Targets) -> None:
    """Sockets between a guest and its host; having one counts as out, since the host is not ours to call."""
    with closing(_Socket(_VSOCK, _STREAM)):
        pass


def _raw(_: Targets) -> None:
    with closing(_Socket(_INET, _RAW, _ICMP)) as socket:
        socket.send(struct.pack("!BBHHH", 8, 0, 0xF7FF, 0, 0), _loopback(0))


def _packet(_: Targets) -> None:
    """Frames straight to a card: refused before there is a socket, or out."""
    with closing(_Socket(_PACKET, _RAW)):
        pass


def _io_uring(_: Targets) -> None:
    parameters = ctypes.create_string_buffer(120)
    os.close(call(NUMBER["io_uring_setup"], 1, parameters))


def _in_child(act: Callable[[], object]) -> object:
    """Run what cannot be undone in a forked child and report its errno; here, where no child is allowed.

    Should it succeed here, this process is another one afterwards, or none: it gets no job.
    """
    try:
        child = os.fork()
    except OSError:
        return act()
    if child == 0:
        try:
            act()
        except OSError as refused:
            os._exit(refused.errno or 1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0:
        raise OSError(abs(code), os.strerror(abs(code)))
    return None


def _second_process(_: Targets) -> None:
    """A process beside this one would have limits of its own."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _netlink(_: Targets) -> None:
    """The kernel's own network configuration; having a socket for it counts as out."""
    with closing(_Socket(_NETLINK, _RAW)):
        pass


def _nested_user_namespace(_: Targets) -> None:
    _in_child(lambda: call(NUMBER["unshare"], _NEW_USER))


def _execute(_: Targets) -> None:
    _in_child(lambda: os.execv("/bin/true", ["true"]))


def _trace(_: Targets) -> None:
    _in_child(lambda: call(NUMBER["ptrace"], 0, 0, 0, 0))


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def _read_memory(_: Targets) -> None:
    """Read a process's memory by its id; our own serves as the victim."""
    source, sink = ctypes.create_string_buffer(b"x"), ctypes.create_string_buffer(2)
    there, here = _Vector(ctypes.addressof(source), 1), _Vector(ctypes.addressof(sink), 1)
    call(NUMBER["process_vm_readv"], os.getpid(), ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


def _steal_descriptor(_: Targets) -> None:
    handle = call(NUMBER["pidfd_open"], os.getpid(), 0)
    try:
        os.close(call(NUMBER["pidfd_getfd"], handle, handle, 0))
    finally:
        os.close(handle)


def _signal_parent(_: Targets) -> None:
    os.kill(os.getppid(), 0)


def _limits_of_parent(_: Targets) -> None:
    """Who may read another process's limits may also set them to nothing; here they are only read."""
    limits = ctypes.create_string_buffer(16)
    call(NUMBER["prlimit64"], os.getppid(), 0, None, limits)


def _shared_memory(_: Targets) -> None:
    """A segment that vanishes with its last user, so nothing stays behind."""
    segment = call(NUMBER["shmget"], 0, 1, 0o600)
    if LIBC.shmctl(segment, 0, None) != 0:
        raise_errno()


def _keyring(_: Targets) -> None:
    call(NUMBER["keyctl"], 0, -3, 0)  # the id of the session keyring; nothing is written


def _inherited_socket(_: Targets) -> None:
    """A socket handed down by the parent needs no new call to speak: plain write suffices."""
    for link in list(Path("/proc/self/fd").iterdir()):
        try:
            if stat.S_ISSOCK(os.fstat(int(link.name)).st_mode):
                return
        except OSError:
            continue  # the descriptor that listed the folder
    raise OSError(errno.EBADF, "no inherited socket")


def _read_outside(targets: Targets) -> None:
    os.close(os.open(targets.outside_file, os.O_RDONLY))


def _write_outside(targets: Targets) -> None:
    os.close(os.open(targets.outside_folder, os.O_WRONLY | os.O_TMPFILE, 0o600))


_NET = frozenset({"network_namespace", "seccomp"})
_FILTER = frozenset({"seccomp"})
_FILES = frozenset({"landlock"})

ATTEMPTS: Mapping[str, Attempt] = {
    "tcp": Attempt(_tcp, _NET | _FILES),
    "tcp over ipv6": Attempt(_tcp6, _NET | _FILES),
    "tcp fast open": Attempt(_tcp_fast_open, _NET),
    "mptcp": Attempt(_mptcp, _NET),
    "udp": Attempt(_udp, _NET),
    "dns": Attempt(_dns, _NET),
    "unix stream": Attempt(_unix_stream, _FILTER),
    "unix datagram": Attempt(_unix_datagram, _FILTER),
    "socket pair": Attempt(_socket_pair, _FILTER),
    # In an empty network nobody listens, which cannot be told from a refusal: only the filter counts.
    "abstract unix": Attempt(_unix_abstract, _FILTER),
    "vsock": Attempt(_vsock, _FILTER),
    "raw socket": Attempt(_raw, _NET),
    "packet socket": Attempt(_packet, _FILTER),
    "netlink": Attempt(_netlink, _FILTER),
    "io_uring": Attempt(_io_uring, _FILTER),
    "user namespace": Attempt(_nested_user_namespace, _FILTER),
    "second process": Attempt(_second_process, _FILTER),
    "new program": Attempt(_execute, _FILTER | _FILES),
    "ptrace": Attempt(_trace, _FILTER),
    "memory of a process": Attempt(_read_memory, _FILTER),
    "stolen descriptor": Attempt(_steal_descriptor, _FILTER),
    "signal to parent": Attempt(_signal_parent, _FILTER),
    "limits of parent": Attempt(_limits_of_parent, _FILTER),
    "shared memory": Attempt(_shared_memory, _FILTER),
    "keyring": Attempt(_keyring, _FILTER),
    "inherited socket": Attempt(_inherited_socket, frozenset()),
    "file outside, read": Attempt(_read_outside, _FILES),
    "file outside, write": Attempt(_write_outside, _FILES),
}


def probe(targets: Targets | None = None) -> dict[str, bool]:
    """Try every way out, in this process.

    Args:
        targets: where to; left out, nobody listens and nothing is sent off this machine.

    Returns:
        Attempt -> True when it was blocked.
    """
    if not SUPPORTED:
        return dict.fromkeys(ATTEMPTS, False)
    aim = targets or Targets()
    return {name: _blocked(attempt, aim) for name, attempt in ATTEMPTS.items()}


def _blocked(attempt: Attempt, targets: Targets) -> bool:
    try:
        attempt.go(targets)
    except OSError:
        return True
    return False


def broken_promises(layers: Mapping[str, str], blocked: Mapping[str, bool]) -> tuple[str, ...]:
    """Attempts that got out although a layer reported as on should have stopped them, or an inherited socket.

    A missing layer is the policy's business; a layer that lies is a reason to stop in any case.
    """
    on = {layer for layer, state in layers.items() if state == ON}
    return tuple(
        name
        for name, attempt in ATTEMPTS.items()
        if not blocked[name] and (attempt.stopped_by & on or not attempt.stopped_by)
    )
