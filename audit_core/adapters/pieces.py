"""A `tokenizer.model` of Llama's and Mistral's kind, read without the package that trains them.

The file is a protobuf message (sentencepiece_model.proto): field 1 repeats a piece with its text (1), score
(2) and type (3); field 2 says how it was trained, field 3 how text is normalised. Only byte-pair models that
fall back to bytes and leave the text as it is are read: those are what a list of merges can stand for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

from tokenizers import normalizers
from transformers import AddedToken
from transformers.models.llama.tokenization_llama import LlamaTokenizer

from audit_core.adapters.networks import read_json
from audit_core.errors import ModelRefused

PIECES_FILE: Final = "tokenizer.model"
MAX_BYTES: Final = 64 * 1024 * 1024
_BPE: Final = 2  # TrainerSpec.ModelType
_HINT: Final = "ask the vendor for tokenizer.json, which says the same"
_NAMED: Final = ("bos_token", "eos_token", "unk_token", "pad_token")


class _Kind(IntEnum):
    """SentencePiece.Type."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    score: float
    kind: _Kind


def open_pieces(path: Path) -> Any:
    """The tokenizer of a folder that has a `tokenizer.model` and no tokenizer.json.

    Raises:
        ModelRefused: the file is damaged, or of a kind that needs more than pieces and merges.
    """
    try:
        data = (path / PIECES_FILE).read_bytes()
        if len(data) > MAX_BYTES:
            raise ValueError("too large")
        pieces, spelled = _model(data)
    except (ValueError, IndexError, struct.error) as error:
        raise ModelRefused(f"{PIECES_FILE} is not a readable SentencePiece model", _HINT) from error
    if not spelled:
        raise ModelRefused(f"{PIECES_FILE} is not of Llama's kind (byte pairs, bytes, text as it is)", _HINT)
    vocabulary = {piece.text: number for number, piece in enumerate(pieces)}
    said = read_json(path / "tokenizer_config.json")
    named = {role: _text(said[role]) for role in _NAMED if said.get(role)}
    tokenizer = LlamaTokenizer(
        vocab=vocabulary,
        merges=_merges(pieces, vocabulary),
        legacy=bool(said.get("legacy", True)),
        add_bos_token=bool(said.get("add_bos_token", True)),
        add_eos_token=bool(said.get("add_eos_token", False)),
        **named,
    )
    if tokenizer.legacy:  # a space goes in front whatever the text starts with, as SentencePiece does it
        core = tokenizer.backend_tokenizer
        core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        core.pre_tokenizer = None
    for piece in pieces:
        if piece.kind in (_Kind.CONTROL, _Kind.USER_DEFINED):
            special = piece.kind is _Kind.CONTROL
            tokenizer.add_tokens([AddedToken(piece.text, special=special, normalized=False)], special)
    tokenizer.chat_template = said.get("chat_template")
    return tokenizer


def _text(said: Any) -> str:
    return str(said["content"] if isinstance(said, dict) else said)


def _merges(pieces: list[_Piece], vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """Every way to make a piece of two others, best score first: the best pair in sight is merged."""
    found = []
    for piece in pieces:
        if piece.kind is not _Kind.NORMAL:
            continue
        for cut in range(1, len(piece.text)):
            left, right = piece.text[:cut], piece.text[cut:]
            if left in vocabulary and right in vocabulary:
                found.append((-piece.score, vocabulary[left], vocabulary[right], left, right))
    return [(left, right) for *_, left, right in sorted(found)]


def _model(data: bytes) -> tuple[list[_Piece], bool]:
    """The pieces, and whether merges over the text as it is stand for the whole model."""
    pieces: list[_Piece] = []
    kind, falls_back, charsmap, squeezes = 1, False, b"", True  # the format's defaults
    for field, value in _fields(data):
        if field == 1:
            said = dict(_fields(value))
            score = struct.unpack("<f", said.get(2, bytes(4)))[0]
            pieces.append(_Piece(said[1].decode(), score, _Kind(said.get(3, 1))))
        elif field == 2:
            trained = dict(_fields(value))
            kind, falls_back = trained.get(3, kind), bool(trained.get(35, falls_back))
        elif field == 3:
            normal = dict(_fields(value))
            charsmap, squeezes = normal.get(2, b""), bool(normal.get(4, True))
    if len({piece.text for piece in pieces}) != len(pieces) or not pieces:
        raise ValueError("pieces")
    return pieces, kind == _BPE and falls_back and not charsmap and not squeezes


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a protobuf message: whole numbers, raw 4 or 8 bytes, or bytes."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        wire = tag & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield tag >> 3, value
            continue
        length, place = _varint(data, place) if wire == 2 else ({1: 8, 5: 4}.get(wire, -1), place)
        if length < 0 or place + length > len(data):
            raise ValueError("length")
        yield tag >> 3, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if not byte & 128:
            return value, place
        if shift > 63:
            raise ValueError("number")
