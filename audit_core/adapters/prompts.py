"""What the model is asked and how its answer ends: its own chat template, or a plain prompt.

The user's turn holds the image and one instruction, the assistant's turn is the report. What stands between
prompt and report, and the token that closes the assistant's turn, are read off the template by letting it
write a whole conversation.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from audit_core.adapters.networks import read_json
from audit_core.adapters.processors import INSTRUCTION
from audit_core.errors import ModelRefused

REPORT: Final = "Report"  # stands for the report while the template is looked at
TEMPLATE_S: Final = 10.0
_PLACEHOLDER: Final = "<image>"
_NO_PLACE: Final = "the model's chat template does not place exactly one image"


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything of a conversation but the report.

    Attributes:
        text: up to where the assistant's answer starts; the image's placeholder stands in it once, or not at
            all where the processor puts the image in front by itself.
        between: follows the text before the report.
        closing: id of the token that ends the answer; None where the model has none.
    """

    text: str
    between: str
    closing: int | None

    @property
    def identity(self) -> str:
        """The parts, spelled out."""
        return json.dumps([self.text, self.between, self.closing])


def folder_template(path: Path, tokenizer: Any) -> str | None:
    """The chat template of a folder: the tokenizer's, or one beside the processor."""
    if isinstance(tokenizer.chat_template, str) and tokenizer.chat_template:
        return str(tokenizer.chat_template)
    for name in ("chat_template.json", "processor_config.json"):
        said = read_json(path / name).get("chat_template")
        if isinstance(said, str) and said:
            return said
    return None


def plain_prompt(text: str, tokenizer: Any, image_token: str) -> Prompt:
    """A prompt for models without a template; `<image>` stands for the image."""
    text = text.replace(_PLACEHOLDER, image_token)
    return Prompt(text, "" if text[-1].isspace() else " ", tokenizer.eos_token_id)


def chat_prompt(tokenizer: Any, image_token: str) -> Prompt:
    """The tokenizer's chat template around one image, one instruction and a report.

    Raises:
        ModelRefused: the template fails, or does not place exactly one image.
    """
    structured = [{"type": "image"}, {"type": "text", "text": INSTRUCTION}]
    answer: Any = [{"type": "text", "text": REPORT}]
    for content, reply in ((structured, answer), (f"{image_token}\n{INSTRUCTION}", REPORT)):
        user = {"role": "user", "content": content}
        try:
            text = _rendered(tokenizer, [user], add_generation_prompt=True)
        except Exception as error:
            if content is structured:
                continue  # older templates take plain strings only
            raise ModelRefused(
                "the model's chat template cannot be used", "ask the vendor for a working one"
            ) from error
        if text.count(image_token) == 1:
            whole = _conversation(tokenizer, user, reply)
            between, rest = _around(text, whole)
            return Prompt(text, between, _closing(tokenizer, rest))
    raise ModelRefused(_NO_PLACE)


def _conversation(tokenizer: Any, user: dict[str, Any], reply: Any) -> str:
    try:
        return _rendered(tokenizer, [user, {"role": "assistant", "content": reply}])
    except Exception:  # noqa: BLE001 - a template for prompts alone: what it cannot write it cannot tell
        return ""


def _rendered(tokenizer: Any, messages: list[dict[str, Any]], **more: Any) -> str:
    with _bounded(TEMPLATE_S):
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **more))


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Processor time that a vendor's template may take: its loops have no end of their own."""
    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread alone
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise TimeoutError("the template takes too long")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _around(text: str, whole: str) -> tuple[str, str]:
    """What stands before and after the report in a conversation that goes on from the prompt."""
    usual = "" if text[-1].isspace() else " "
    if not whole.startswith(text) or REPORT not in whole[len(text) :]:
        return usual, ""
    between, _, rest = whole[len(text) :].partition(REPORT)
    return (between, rest) if not between.strip() else (usual, rest)


def _closing(tokenizer: Any, rest: str) -> int | None:
    """The first token after the report if it is a special one; else the tokenizer's end."""
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    found = tokenizer(rest.lstrip(), add_special_tokens=False)["input_ids"] if rest.strip() else []
    return int(found[0]) if found and found[0] in special else tokenizer.eos_token_id
