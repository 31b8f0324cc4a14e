"""Over sixty hostile model folders: nothing of them runs, each is refused in words or does no harm."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import hostile_models
import intake
import pytest
import torch

from audit_core.adapters import prompts


def careless(folder: Path) -> None:
    """What a loader without these rules does: unpickle, import what lies there, fill templates in freely."""
    from jinja2 import Environment

    for path in folder.rglob("*"):
        if path.suffix in (".bin", ".ckpt"):
            torch.load(path, weights_only=False)
        elif path.suffix == ".py":
            runpy.run_path(str(path))
        elif path.name == "tokenizer_config.json":
            template = json.loads(path.read_text()).get("chat_template")
            if template and "globals" in template:
                Environment(autoescape=False).from_string(template).render()


def test_nothing_runs_and_every_refusal_has_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """No box around this process: a gadget that ran would leave its mark."""
    monkeypatch.setattr(prompts, "TEMPLATE_S", 0.2)
    found = intake.run()
    assert found["tried"] >= 40
    assert (found["executed"], found["unexplained"]) == ([], 0), found["outcomes"]
    assert found["refused"] + found["harmless"] == found["tried"]
    assert found["harmless"] <= 1
    assert all(what.isprintable() and len(what) < 400 for what in found["outcomes"].values())


@pytest.mark.filterwarnings("ignore")
def test_a_careless_loader_runs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the gadgets work, so their silence says something."""
    kinds = ("os.system", "os.system, unzipped", "eval", "exec", "open", "shutil.copy", "Path.touch", "INST")
    others = ("STACK_GLOBAL", "auto_map", "a Python file", "template that calls os", "a checkpoint")
    chosen = {name: hostile_models.BUNDLES[name] for name in (*kinds, *others)}
    monkeypatch.setattr(intake, "BUNDLES", chosen)
    found = intake.run(len(chosen), take_in=careless)
    assert set(found["executed"]) == set(chosen)


def test_a_template_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops within loops stop after the processor time a template may take."""
    monkeypatch.setattr(prompts, "TEMPLATE_S", 0.1)
    with pytest.raises(TimeoutError), prompts._bounded(0.1):
        while True:
            pass
    with prompts._bounded(60.0):
        assert sum(range(1000)) == 499500
