"""The box: every attempt is first seen to get out without it, then none gets out of it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from listening import Listeners

from appliance.isolation import LAYERS, ON, broken_promises
from appliance.isolation.attempts import ATTEMPTS
from appliance.isolation.kernel import MACHINE

ROOT = Path(__file__).parent.parent.parent
READABLE = [str(path) for path in (ROOT, Path(sys.prefix), Path(sys.base_prefix))]
CONDITIONS = {  # what an attempt needs to be able to succeed where there is no box
    "tcp over ipv6": "IPv6 on loopback",
    "mptcp": "a kernel with MPTCP",
    "vsock": "a kernel with vsock",
    "raw socket": "root",
    "packet socket": "root",
    "io_uring": "io_uring switched on",
    "user namespace": "user namespaces for all",
}
PROBE = """
import json, sys
from pathlib import Path
from appliance.isolation import close_box, probe
from appliance.isolation.attempts import Targets
order = json.loads(sys.argv[1])
layers = close_box([Path(path) for path in order["read"]]) if order["box"] else {}
print(json.dumps({"layers": layers, "blocked": probe(Targets(**order["targets"]))}))
"""


@dataclass(frozen=True, slots=True)
class Probed:
    """One run of the attempts: layers, attempt -> blocked, and what the listeners heard."""

    layers: dict[str, str]
    blocked: dict[str, bool]
    heard: set[bytes]


def _run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _probe(listeners: Listeners, *, box: bool) -> Probed:
    order = {"box": box, "read": READABLE, "targets": asdict(listeners.targets)}
    answer = json.loads(_run(PROBE, json.dumps(order)))
    return Probed(answer["layers"], answer["blocked"], listeners.heard())


@pytest.fixture(scope="module")
def listeners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listeners]:
    """One set for both runs."""
    made = Listeners(tmp_path_factory.mktemp("out"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def open_run(listeners: Listeners) -> Probed:
    """The attempts of a process without a box."""
    return _probe(listeners, box=False)


@pytest.fixture(scope="module")
def boxed_run(listeners: Listeners, open_run: Probed) -> Probed:
    """The attempts of a boxed process, against the listeners that were just heard."""
    return _probe(listeners, box=True)


@pytest.mark.parametrize("name", [name for name in ATTEMPTS if name != "inherited socket"])
def test_each_attempt_gets_out_without_the_box(name: str, open_run: Probed) -> None:
    """An attempt that fails without the box proves nothing about it."""
    if open_run.blocked[name] and name in CONDITIONS:
        pytest.skip(f"not shown: needs {CONDITIONS[name]} for the attempt '{name}'")
    assert not open_run.blocked[name]


def test_the_listeners_hear_what_got_out(open_run: Probed) -> None:
    """ "Got out" means that the words arrived."""
    sent = {b"tcp", b"fast open", b"mptcp", b"udp", b"unix stream", b"unix datagram", b"pair", b"abstract"}
    if open_run.blocked["mptcp"]:
        sent.remove(b"mptcp")
    assert sent <= open_run.heard
    assert any(b"\x07example\x07invalid" in words for words in open_run.heard)


def test_nothing_gets_out_of_the_box(boxed_run: Probed) -> None:
    """All layers are on, all attempts blocked, and the listeners heard nothing."""
    assert () == broken_promises(boxed_run.layers, boxed_run.blocked)
    missing = {
        layer: state for layer, state in boxed_run.layers.items() if state.startswith("the kernel refused")
    }
    if missing:
        pytest.skip(f"not shown: needs a kernel with all layers ({missing})")
    assert dict.fromkeys(LAYERS, ON) == boxed_run.layers
    assert set() == {name for name, blocked in boxed_run.blocked.items() if not blocked}
    assert set() == boxed_run.heard


def test_an_inherited_socket_is_found() -> None:
    """A socket handed down by a careless parent is reported, although no layer can take it away."""
    code = """
import os, json
from appliance.isolation import close_box, probe, broken_promises
layers = close_box([])
print(json.dumps(broken_promises(layers, probe())))
"""
    one, two = socket.socketpair()
    with one, two:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            pass_fds=[two.fileno()],
            capture_output=True,
            text=True,
            check=True,
        )
    assert ["inherited socket"] == json.loads(done.stdout)


def test_a_layer_that_lies_is_caught(open_run: Probed) -> None:
    """Layers that say "on" in a process without a box break their promises; layers that say no do not."""
    assert {"tcp", "udp", "io_uring"} - set(CONDITIONS) <= set(
        broken_promises(dict.fromkeys(LAYERS, ON), open_run.blocked)
    )
    assert () == broken_promises(dict.fromkeys(LAYERS, "missing"), open_run.blocked)


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_alone_leaks(layer: str, listeners: Listeners, open_run: Probed) -> None:
    """One layer stops exactly what it is said to stop, and never everything."""
    code = PROBE.replace(
        "close_box([Path(path) for path in order['read']])".replace("'", '"'),
        "alone()",
    ).replace(
        "order = ",
        "from appliance.isolation import landlock, namespace, seccomp\n"
        "from appliance.isolation.kernel import PR_SET_NO_NEW_PRIVS, prctl\n"
        "def alone():\n"
        "    prctl(PR_SET_NO_NEW_PRIVS, 1)\n"
        f"    {_ALONE[layer]}\n"
        "    return {}\n"
        "order = ",
        1,
    )
    order = {"box": True, "read": READABLE, "targets": asdict(listeners.targets)}
    blocked = json.loads(_run(code, json.dumps(order)))["blocked"]
    listeners.heard()
    promised = {name for name, attempt in ATTEMPTS.items() if layer in attempt.stopped_by}
    assert set() == {name for name in promised if not blocked[name]}
    assert any(not blocked[name] for name in ATTEMPTS)


_ALONE = {
    "network_namespace": "namespace.enter()",
    "seccomp": "seccomp.install()",
    "landlock": "landlock.restrict([Path(path) for path in order['read']], [])",
}


def test_only_given_files_are_reachable(tmp_path: Path) -> None:
    """The read folder can be read and not written, the write folder both, the rest neither."""
    for name in ("read", "write", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    code = """
import json, sys
from pathlib import Path
from appliance.isolation import close_box
root = Path(sys.argv[1])
close_box([root / "read", root / "missing"], [root / "write"])
def may(act):
    try: act(); return True
    except PermissionError: return False
print(json.dumps({
    name: [may((root / name / "file").read_text), may(lambda: (root / name / "new").write_text("y"))]
    for name in ("read", "write", "other")
}))
"""
    assert {"read": [True, False], "write": [True, True], "other": [False, False]} == json.loads(
        _run(code, str(tmp_path))
    )


def test_closing_and_probing_cost_less_than_50_ms() -> None:
    """Processor time of imports, closing and probing, best of five."""
    code = """
import time
start = time.process_time()
from appliance.isolation import close_box, probe
close_box([]); probe()
print(time.process_time() - start)
"""
    assert min(float(_run(code)) for _ in range(5)) < 0.050


def test_a_second_thread_is_said() -> None:
    """Closing too late reports every layer as missing, in words."""
    code = """
import json, threading, time
threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
from appliance.isolation import close_box
print(json.dumps(close_box([])))
"""
    layers = json.loads(_run(code))
    assert set(LAYERS) == set(layers)
    assert all("threads run already" in state for state in layers.values())


def test_threads_started_later_are_inside() -> None:
    """A thread of a numeric library has no way out either."""
    code = """
import _socket, threading
from appliance.isolation import close_box
close_box([])
caught = []
def attempt():
    try: _socket.socket()
    except PermissionError as refused: caught.append(refused)
worker = threading.Thread(target=attempt); worker.start(); worker.join()
print(len(caught))
"""
    assert "1" == _run(code).strip()


def test_numeric_libraries_work_inside() -> None:
    """torch with two threads, its gradients and the model and image libraries load and compute in the box."""
    code = f"""
import json, sys
from pathlib import Path
from appliance.isolation import close_box
layers = close_box([Path(path) for path in {READABLE!r}])
import warnings; warnings.simplefilter("error", UserWarning)
import torch
torch.set_num_threads(2)
weights = torch.ones(600, 600, requires_grad=True)
(weights @ weights).sum().backward()
from transformers import CLIPModel, LlavaForConditionalGeneration
import peft, pydicom, highdicom, scipy.optimize, sklearn.linear_model, monai.transforms
print(float(weights.grad[0, 0]), torch.get_num_threads())
"""
    assert "1200.0 2" == _run(code).splitlines()[-1]


def test_numbers_agree_with_this_machines_headers() -> None:
    """Every system call has the number the kernel's own headers give it, on both machines."""
    from appliance.isolation import syscalls

    headers = (
        Path(f"/usr/include/{MACHINE}-linux-gnu/asm/unistd_64.h"),
        Path("/usr/include/asm-generic/unistd.h"),
    )
    if not all(path.is_file() for path in headers):
        pytest.skip("not shown: needs the kernel's headers (linux-libc-dev)")
    x86, arm = (
        dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())) for path in headers
    )
    table = {**syscalls._REFUSED, **syscalls._OTHERS}
    assert table == {name: (int(x86[name]), int(arm[name])) for name in table}
    assert dict(syscalls._REFUSED_X86_ONLY) == {name: int(x86[name]) for name in syscalls._REFUSED_X86_ONLY}


def test_the_box_needs_no_root() -> None:
    """A plain user gets the same three layers."""
    if os.geteuid() != 0:
        pytest.skip("not shown: needs root to become somebody else (the other tests ran as a plain user)")
    code = """
import json, os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from appliance.isolation import close_box, probe
layers = close_box([]); blocked = probe()
print(json.dumps([layers, [name for name, state in blocked.items() if not state]]))
"""
    done = subprocess.run(
        ["/usr/bin/python3", "-B", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("not shown: needs a system Python that another user can run")
    assert [dict.fromkeys(LAYERS, ON), []] == json.loads(done.stdout)


IMPORTS = """
import json, sys
from pathlib import Path
from appliance.isolation import close_box
close_box([Path(path) for path in json.loads(sys.argv[1])])
import medio.transforms
print("fine")
"""


def test_what_monai_imports_needs_no_folder_to_write_to(tmp_path: Path) -> None:
    """In a home where nothing was ever imported a parser starts, whatever libraries want to write there."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, json.dumps(READABLE)],
        cwd=ROOT,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "fine\n", done.stderr
