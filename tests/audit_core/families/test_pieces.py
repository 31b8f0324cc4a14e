"""A `tokenizer.model` without tokenizer.json: read as SentencePiece reads it, else refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_core.adapters.pieces import open_pieces
from audit_core.errors import ModelRefused
from tests.audit_core.families.generative_parts import MISTRAL_CHAT, START, piece_words

TEXTS = ("no acute finding", "is nofinding  acute\n", "x é 肺", " no", "acutefindingno is ac ute")


def _slow(text: str, vocabulary: dict[str, int]) -> list[int]:
    """SentencePiece's own way: join the neighbours that make the best piece, until none is left."""
    pieces = [*("▁" + text.replace(" ", "▁"))]
    while True:
        joined = [(vocabulary.get(a + b, 10**9), i) for i, (a, b) in enumerate(zip(pieces, pieces[1:]))]  # noqa: B905, RUF007
        best, place = min(joined, default=(10**9, 0))
        if best == 10**9:
            break
        pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
    ids = []
    for piece in pieces:
        spelled = [f"<0x{byte:02X}>" for byte in piece.encode()]
        ids += [vocabulary[piece]] if piece in vocabulary else [vocabulary[byte] for byte in spelled]
    return ids


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_sentencepieces(tmp_path: Path, text: str) -> None:
    """Merged pieces, single letters, bytes of unknown letters, runs of spaces; a start token in front."""
    vocabulary = piece_words(tmp_path, MISTRAL_CHAT)
    tokenizer = open_pieces(tmp_path)
    assert tokenizer(text)["input_ids"] == [vocabulary[START], *_slow(text, vocabulary)]
    assert len(tokenizer) == len(vocabulary)


def test_markers_in_a_text_are_markers(tmp_path: Path) -> None:
    """The closing token a template writes is one id, and special."""
    vocabulary = piece_words(tmp_path, MISTRAL_CHAT)
    tokenizer = open_pieces(tmp_path)
    ids = tokenizer("no</s>", add_special_tokens=False)["input_ids"]
    assert ids == [vocabulary["▁no"], vocabulary["</s>"]]
    assert tokenizer.pad_token_id == 0


@pytest.mark.parametrize("cut", [1, 7, 300])
def test_a_damaged_file_is_refused(tmp_path: Path, cut: int) -> None:
    """A copy that ended early."""
    piece_words(tmp_path, MISTRAL_CHAT)
    file = tmp_path / "tokenizer.model"
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(ModelRefused, match=r"tokenizer\.model is not"):
        open_pieces(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"), [(b"\x18\x02\x98\x02\x01", b"\x18\x01\x98\x02\x01"), (b"\x20\x00", b"\x20\x01")]
)
def test_other_kinds_are_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    """A unigram model, and one that takes spaces away, are more than pieces and merges."""
    piece_words(tmp_path, MISTRAL_CHAT)
    file = tmp_path / "tokenizer.model"
    data = file.read_bytes()
    assert data.count(old) == 1
    file.write_bytes(data.replace(old, new))
    with pytest.raises(ModelRefused, match="not of Llama's kind"):
        open_pieces(tmp_path)
