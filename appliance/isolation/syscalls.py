"""The system calls the box refuses, with their numbers on x86-64 and on 64-bit ARM.

Numbers are part of the kernel's stable interface (asm/unistd_64.h, asm-generic/unistd.h); from 424 on
both machines share them. A test compares the tables with the machine's own headers where those exist.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.isolation.kernel import MACHINE

# name -> (x86-64, aarch64). One paragraph per reason.
_REFUSED: Mapping[str, tuple[int, int]] = {
    # Sockets of every family: IP, Unix paths, vsock, packet, netlink. A datagram socketpair may send to any
    # Unix path, so pairs are refused too; numeric libraries need none.
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "recvmmsg": (299, 243),
    # io_uring runs socket calls inside the kernel, past any filter.
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # Other processes: their memory, descriptors, signals.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    # Files in memory, which no limit counts.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # Memory and queues shared by name.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    # New programs: nothing the worker needs is another program.
    "execve": (59, 221),
    "execveat": (322, 281),
    # New namespaces and file trees.
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "mknodat": (259, 33),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # Kernel features with a long record of holes, and none of a worker's business.
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "lookup_dcookie": (212, 18),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
}
_REFUSED_X86_ONLY: Mapping[str, int] = {
    "mknod": 133,
    "iopl": 172,
    "ioperm": 173,
    "fork": 57,  # 64-bit ARM has clone alone
    "vfork": 58,
}

# Looked at by their arguments, or used by the box itself.
_OTHERS: Mapping[str, tuple[int, int]] = {
    "ioctl": (16, 29),
    "clone": (56, 220),
    "prlimit64": (302, 261),
    "clone3": (435, 435),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "seccomp": (317, 277),
    "pidfd_open": (434, 434),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}

NEWEST_KNOWN = 466
"""Highest number looked at when the list was written; what came later is refused as "not there"."""

_COLUMN = 0 if MACHINE == "x86_64" else 1

REFUSED: Mapping[str, int] = {
    **{name: numbers[_COLUMN] for name, numbers in _REFUSED.items()},
    **(_REFUSED_X86_ONLY if MACHINE == "x86_64" else {}),
}
NUMBER: Mapping[str, int] = {
    **REFUSED,
    **{name: numbers[_COLUMN] for name, numbers in _OTHERS.items()},
}
