"""Patterns for layer names: as Python matches them, and never for long."""

from __future__ import annotations

import re

import pytest

from audit_core.adapters.patterns import Pattern
from audit_core.errors import ModelRefused

NAMES = [
    "", "q_proj", "model.layers.0.self_attn.q_proj", "model.layers.10.mlp.fc1", "visual.merger.mlp.0",
    "model.language_model.layers.1.self_attn.q_proj", "model.vision_tower.encoder.layers.23.mlp.fc2",
    "language_model", "aaaa", "aab", "layers.x", "lm_head",
]  # fmt: skip
OF_TRAINERS = (
    r"(?:.*?(?:vision|image|visual|patch|language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)"
    r".*?(?:k_proj|v_proj|q_proj|out_proj|fc1|fc2).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:q_proj))"
)
TAKEN = [
    OF_TRAINERS,
    r"^(model\.language_model(?=\.).*\.(q_proj|fc1))$",
    r"^(?!.*vision).*\.(?:q_proj|fc[12])",
    r".*layers\.(0|1[0-9]|2\d)\..*",
    r"model\.[^.]+\.layers\.\d+\.\w+\.\S*",
    "a?a?a?b?", "a{2}b", "a{2,}", "a{,3}.?", "(a|aa|ab)*", "(?:a*)*b", "(a|b|ab)?x*", "()*", "(|a){3}b",
    "a+?", r"\D+", r"\W*\w+", r".*\b0\b.*", "q_proj|", ".*",
]  # fmt: skip
ENDLESS = [
    ".*" * 8 + "!", ".*" * 90 + "!", "(.*a)*!", ".?" * 60 + "!", "(.|..)" * 40 + "!", "((.*)*)*!",
    "(|.)" * 60,
]  # fmt: skip


@pytest.mark.parametrize("text", TAKEN)
def test_names_are_matched_as_python_matches_them(text: str) -> None:
    """The same names as `re.fullmatch` finds."""
    assert Pattern(text).among(NAMES) == tuple(name for name in NAMES if re.fullmatch(text, name))


@pytest.mark.parametrize("text", ENDLESS)
def test_no_pattern_takes_for_ever(text: str) -> None:
    """What Python's own matcher would be busy with for hours is answered, over 300 long names."""
    names = [f"model.vision_tower.vision_model.encoder.layers.{n}.self_attn.out_proj" for n in range(300)]
    assert Pattern(text).among(names) == ()


@pytest.mark.parametrize("text", [".*(?=" * 9 + "!" + ")" * 9, "((((){99}){99}){99}){99}"])
def test_what_takes_too_long_is_refused(text: str) -> None:
    """Looking ahead from everywhere and loops in loops are cut off after a counted number of steps."""
    with pytest.raises(ModelRefused, match="takes too long"):
        Pattern(text).among(["a" * 200] * 300)


@pytest.mark.parametrize("text", [
    "", "(", "a**", r"(a)\1", "(?i)a", "(?i:a)", "(?<=a)b", "(?>a)", "a*+", "(?(1)a|b)",
    "(" * 3000 + ")" * 3000, "a" * 4001,
])  # fmt: skip
def test_what_no_pattern_of_names_needs_is_refused(text: str) -> None:
    """Broken patterns, flags, looking back and references; nothing but a refusal."""
    with pytest.raises(ModelRefused, match="for layer names is not known") as caught:
        Pattern(text)
    assert caught.value.hint
