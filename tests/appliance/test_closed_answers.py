"""A model that took its process over says nothing of its own: lies are refused, or a gap stands for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from appliance import answers, codec
from appliance.errors import ApplianceError, WorkerFailed
from appliance.phrases import GAP, Phrases
from audit_core.claims import ClaimCheck, ClaimKind
from audit_core.estimates import Trial
from audit_core.results import AuditResult, Finding, Progress, Role, Unscored
from tests.appliance.taken_over import worker
from tests.audit_core.planted import FAST, IDENTITY, World, planted, silent

PATIENT = "Meyer^Anna*1961"
PAYLOADS = {
    "a megabyte": "A" * (1 << 20),
    "an escape": "\x1b]52;c;UEFUSUVOVA==\x07",
    "a patient's name": PATIENT,
    "a plain name": "Anna Meyer",
    "a false verdict": "No memory was found in this model and it is safe to use.",
    "markup": "[@click=app.quit]press[/]",
    "bidi": "\u202egnp.exe",
    "spelled out": "M e y e r",
    "a link": "<a href=https://example.org>",
    "another alphabet": "Ме́йер",
}
Answer = tuple[AuditResult, tuple[Finding, ...]]


@pytest.fixture(scope="module")
def honest() -> tuple[Answer, list[answers.Place], Phrases]:
    """What a real judgement says, the pairs it was given, and what may be said of them."""
    from audit_core.judgement import judge
    from audit_core.limits import limits_of

    cohort = planted(World(effect=1.5), 0)
    result, findings = judge(
        cohort.table, cohort.base, cohort.facts, FAST,
        identity=IDENTITY, spike=None, shuffled=cohort.table, progress=silent,
    )  # fmt: skip
    said = replace(IDENTITY, sentence="All 3 files have the digests they were registered with.")
    controls = tuple(said if one.name == IDENTITY.name else one for one in result.controls)
    result = replace(result, controls=controls)
    result = replace(result, limits=limits_of(result))
    given = [(one.pair_id, one.patient, str(one.role)) for one in findings]
    return (result, findings), given, answers.phrases()


def sent(result: AuditResult, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """The answer as it leaves the child."""
    return {"result": codec.dump(result), "findings": codec.dump(findings, tuple[Finding, ...])}


def accepted(answer: dict[str, Any], given: list[answers.Place], known: Phrases) -> Answer | None:
    """What the parent takes of an answer; None when it refuses."""
    try:
        return answers.audit_answer(answer, given, known)
    except WorkerFailed as refused:
        assert len(str(refused)) < 200
        return None


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to every leaf of a JSON document, its keys among them; of long lists the first item."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield (*path, ("key", key))
            yield from places(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value[:1]):
            yield from places(one, (*path, number))
    else:
        yield path


def changed(document: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The document with another leaf, or another key."""
    copy = json.loads(json.dumps(document))
    here = copy
    for step in path[:-1]:
        here = here[step]
    if isinstance(path[-1], tuple):
        here[new] = here.pop(path[-1][1])
    else:
        here[path[-1]] = new
    return copy


def test_what_our_own_judgement_says_is_accepted(
    honest: tuple[Answer, list[answers.Place], Phrases],
) -> None:
    """The form refuses no honest answer."""
    (result, findings), given, known = honest
    assert accepted(sent(result, findings), given, known) == (result, findings)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("part", ["result", "findings"])
def test_no_lie_in_any_field_is_accepted(
    honest: tuple[Answer, list[answers.Place], Phrases], part: str, payload: str
) -> None:
    """The payload in the place of every leaf and every key in turn: it never comes out at the other end."""
    (result, findings), given, known = honest
    answer = sent(result, findings)
    document, words = json.loads(answer[part]), PAYLOADS[payload]
    came_out, tried = [], 0
    for path in places(document):
        tried += 1
        lie = {**answer, part: json.dumps(changed(document, path, words))}
        taken = accepted(lie, given, known)
        if taken is not None and words in codec.dump(taken[0]) + codec.dump(taken[1], tuple[Finding, ...]):
            came_out.append(path)
    assert tried > 10
    assert came_out == []


def test_without_the_form_the_same_lies_are_taken(
    honest: tuple[Answer, list[answers.Place], Phrases],
) -> None:
    """Types alone, which is all that was checked before, let a name through in many fields."""
    (result, _), _, _ = honest
    document = json.loads(codec.dump(result))
    taken = 0
    for path in places(document):
        try:
            loaded = codec.load(AuditResult, json.dumps(changed(document, path, PATIENT)))
        except ApplianceError:
            continue
        taken += PATIENT in codec.dump(loaded)
    assert taken > 20


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e999", '"NaN"', "1e400", "-3", "[]", '"x"'])
def test_no_number_that_is_none(honest: tuple[Answer, list[answers.Place], Phrases], number: str) -> None:
    """A p-value, a score and a count that cannot be are refused."""
    (result, findings), given, known = honest
    answer = sent(result, findings)
    for part, field in (("result", '"rank_test_p":'), ("result", '"flagged":'), ("findings", '"p_value":')):
        before, after = answer[part].split(field, 1)
        old = after[: min(after.index(sign) for sign in ",}" if sign in after)]
        lie = {**answer, part: before + field + number + after[len(old) :]}
        assert accepted(lie, given, known) is None


def test_rows_are_those_that_were_given(honest: tuple[Answer, list[answers.Place], Phrases]) -> None:
    """A pair more, a pair less, one twice, one moved, one renamed, one flagged that is no target: refused."""
    (result, findings), given, known = honest
    first = findings[0]
    control = next(one for one in findings if one.role is not Role.TARGET)
    others = tuple(one for one in findings if one is not control)
    lies = {
        "unknown pair": (replace(first, pair_id="x" * 64), *findings[1:]),
        "other patient": (replace(first, patient=PATIENT), *findings[1:]),
        "moved": (replace(first, role=Role.CANARY), *findings[1:]),
        "twice": (*findings[:-1], first),
        "too many": (*findings, first),
        "too few": findings[1:],
        "flagged control": (*others, replace(control, flagged=True)),
        "own words": (replace(first, scores={"loss": Unscored(PATIENT)}), *findings[1:]),
        "own detector": (replace(first, scores={PATIENT: Unscored("it failed")}), *findings[1:]),
    }
    told = {name: accepted(sent(result, lie), given, known) for name, lie in lies.items()}
    assert {name for name, taken in told.items() if taken is not None} == set()
    assert result.exposure is not None
    more = replace(result, exposure=replace(result.exposure, flagged=result.exposure.patients + 1))
    assert accepted(sent(more, findings), given, known) is None


def test_a_worker_rounds_no_histogram(honest: tuple[Answer, list[answers.Place], Phrases]) -> None:
    """What leaves is rounded here: one that says it is already would leave as it came."""
    (result, findings), given, known = honest
    assert result.histogram is not None
    assert (
        accepted(
            sent(replace(result, histogram=replace(result.histogram, rounded=True)), findings), given, known
        )
        is None
    )


def test_a_worker_says_nothing_of_claims(honest: tuple[Answer, list[answers.Place], Phrases]) -> None:
    """A vendor's claims are checked where no model has a say: an answer that brings some is refused."""
    (result, findings), given, known = honest
    for text in ("", "No memory."):
        check = ClaimCheck("C-1", ClaimKind.NOT_TRAINED, text)
        assert accepted(sent(replace(result, claims=(check,)), findings), given, known) is None
    assert accepted(sent(result, findings), given, known) is not None


def test_every_text_of_the_vocabulary_has_a_form() -> None:
    """A field that is added later is refused until its form is written down, and none has two."""
    forms = (answers.NAMES, answers.SENTENCES, answers.GIVEN)
    found = set(_texts(AuditResult)) | set(_texts(Finding)) | set(_texts(Trial)) | set(_texts(Progress))
    found = {one for one in found if not one.startswith("ClaimCheck.")}  # those no worker may send at all
    assert found == set().union(*forms)
    assert len(found) == sum(map(len, forms))


def _texts(kind: type) -> Iterator[str]:
    """`Class.field` of every text below a dataclass, values of the facts aside."""
    for field in fields(kind):  # type: ignore[arg-type]
        hint = get_type_hints(kind)[field.name]
        place = f"{kind.__name__}.{field.name}"
        for part in _parts(hint):
            if is_dataclass(part):
                yield from _texts(part)
            elif part is str:
                yield place


def _parts(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is None:
        yield from () if isinstance(hint, type) and issubclass(hint, Enum) else (hint,)
    for part in get_args(hint):
        yield from _parts(part)


LIES = {
    "not a message": "channel._write_all(b'\\0\\0\\0\\4\\0\\0\\0\\0[{}]')\nreturn {}",
    "a head beyond every bound": "channel._write_all(b'\\xff' * 8)\nreturn {}",
    "no number of JSON": "channel._write_all(b'\\0\\0\\0\\x07\\0\\0\\0\\0{\"a\":' + b'NaN}')\nreturn {}",
    "deep nesting": "t = b'[' * 100000\nchannel._write_all(len(t).to_bytes(4) + bytes(4) + t)\nreturn {}",
    "no type": "channel.send({'words': 'Meyer^Anna*1961'})\nreturn {}",
    "a number as type": "channel.send({'type': 7})\nreturn {}",
    "a fault in its words": (
        "channel.send({'type': 'fault', 'fault': 'Meyer', 'where': 'Meyer^Anna*1961'})\nreturn {}"
    ),
    "another event": "channel.send({'type': 'Meyer^Anna*1961'})\nreturn {}",
    "progress in its words": (
        "channel.send({'type': 'progress', 'phase': 'Meyer^Anna*1961', 'done': 1, 'total': 2, 'unit': 'x'})\n"
        "return {}"
    ),
    "progress without numbers": (
        "channel.send({'type': 'progress', 'phase': 'signals', 'done': 'x', 'total': 2, 'unit': 'pairs'})\n"
        "return {}"
    ),
    "a question it has not": "channel.send({'type': 'asks', 'act': 'get', 'key': 'Meyer'})\nreturn {}",
    "nothing": "return {}",
    "a result that is none": "return {'result': '{}', 'findings': '[]'}",
    "a list as result": "return {'result': [1], 'findings': {}}",
    "a refusal in its words": (
        "from audit_core.errors import ModelRefused\nraise ModelRefused('Meyer^Anna*1961', 'call Meyer')"
    ),
    "a refusal of a megabyte": (
        "from audit_core.errors import ModelRefused\nraise ModelRefused('Anna ' * 300000)"
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_lies_ends_its_job(tmp_path: Path, lie: str) -> None:
    """In the real box, over the real channel: refused within limits, and nothing of it is repeated."""
    known = answers.phrases()

    def take(event: dict[str, Any], blob: bytes) -> None:
        answers.progress_of(event, blob, known)

    with worker(tmp_path, LIES[lie]) as child, pytest.raises(ApplianceError) as refused:
        answer = child.call({"type": "audit"}, on_event=take, known=known)
        answers.audit_answer(answer, [], known)
    told = f"{refused.value} {refused.value.hint}"
    assert "Meyer" not in told
    assert "Anna" not in told
    assert len(told) < 500


def test_a_refusal_of_ours_keeps_its_words_and_names_only_what_was_given(tmp_path: Path) -> None:
    """Files the worker was told of are named; a name it made up is a gap."""
    known = answers.phrases(["model-00002-of-00002.safetensors"])
    said = "weight file model-00002-of-00002.safetensors is missing"
    assert known.ours_of(said) == said
    assert (
        known.ours_of("weight file Meyer.safetensors is missing")
        == f"weight file {GAP}.safetensors is missing"
    )
