"""Records that the log vouches for: nothing is slipped in, changed, taken away or used twice unnoticed."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import IntegrityError
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify_evidence import canonical
from appliance.evidence.vouched import Fields, Kind, Vouched, not_logged, opened, recorded, salted
from tests.appliance.test_log_segments import in_year

SAY, UNSAY, KEEP = "word.say", "word.unsay", "word.keep"
WORDS = Kind("the word", (SAY, UNSAY), KEEP, dict, lambda fields: str(fields.get("act")), "word/")


class Words:
    """A log, and what lies in a catalogue."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.kept: dict[str, str] = {}
        self.clock = in_year(2026)
        self.log = EvidenceLog.open(directory, clock=self.clock)

    def put(self, content: str) -> str:
        """Keep what is to be vouched for; its digest."""
        digest = sha256(content.encode()).hexdigest()
        self.kept[f"word/{digest}"] = content
        return digest

    def begin(self, word: str, act: str = SAY) -> str:
        """What somebody types, before the log says that it is done; its digest."""
        content, digest = recorded(self.log, "officer", {"act": act, "word": word})
        assert self.put(content) == digest
        self.log.append(act, "", "begins", actor="officer", detail_digest=digest)
        return digest

    def done(self, digest: str, act: str = SAY) -> None:
        """The log's word for it."""
        self.log.append(act, "", "done", actor="officer", detail_digest=digest)

    def say(self, word: str, act: str = SAY) -> str:
        """Both."""
        digest = self.begin(word, act)
        self.done(digest, act)
        return digest

    def told(self) -> tuple[Vouched[Fields], ...]:
        """What the log vouches for."""
        return WORDS.told(self.log, lambda: self.kept)

    def words(self) -> list[str]:
        """Only the words."""
        return [one.record["word"] for one in self.told()]

    def years_later(self) -> None:
        """Vouch again, and prune all but the year that has begun since."""
        self.log = EvidenceLog.open(self.directory, clock=in_year(2028))
        self.log.append("a.b")
        WORDS.vouch_again(self.log, [one.digest for one in self.told()], "officer")
        assert self.log.remove_oldest_year() == "2026"


@pytest.fixture
def words(tmp_path: Path) -> Words:
    return Words(tmp_path / "log")


def alarm(words: Words) -> str:
    """What the alarm says."""
    with pytest.raises(IntegrityError) as caught:
        words.told()
    return str(caught.value)


def test_what_is_written_is_read(words: Words) -> None:
    """All that was typed, by whom and when, under an entry; the bytes are the canonical ones."""
    before = words.log.size
    digest = words.say("one")
    content = words.kept[f"word/{digest}"]
    fields: dict[str, Any] = json.loads(content)
    assert canonical(fields).decode() == content
    assert set(fields) == {"act", "at", "by", "salt", "utc", "v", "word"}
    assert (fields["at"], fields["by"], fields["utc"]) == (before, "officer", "2026-07-01T00:00:00Z")
    assert (fields["v"], len(fields["salt"])) == (1, 32)
    (one,) = words.told()
    assert (one.record, one.act, one.digest, one.at) == (fields, SAY, digest, before)
    assert one.entry is not None and one.entry.outcome == "done"
    assert (one.utc, one.by) == (one.entry.claimed_utc, "officer")


def test_a_record_of_an_earlier_version_is_read(words: Words) -> None:
    """These bytes and this digest are what lies in workspaces; they never change."""
    content = (
        '{"act":"word.say","at":1,"by":"officer","salt":"00112233445566778899aabbccddeeff",'
        '"utc":"2026-07-01T00:00:00Z","v":1,"word":"one"}'
    )
    digest = words.put(content)
    assert digest == "00a9dffc848a1a513c8d82647b6df90a295da56e509f93175dcc6aa5b8b3393c"
    words.done(digest)
    assert words.words() == ["one"]


def test_a_guessed_word_does_not_give_the_digest() -> None:
    """The same words twice are two digests: the salt is not to be known."""
    assert salted({"word": "one"})[1] != salted({"word": "one"})[1]


def test_what_nobody_vouches_for_says_nothing(words: Words) -> None:
    """Cut off before `done`, or put beside the others: it is not there, and no alarm."""
    words.say("one")
    words.begin("cut off")
    content, digest = recorded(words.log, "officer", {"act": SAY, "word": "slipped in"})
    words.put(content)
    words.log.append(SAY, "", "failed", actor="officer", detail_digest=digest)
    assert words.words() == ["one"]


@pytest.mark.parametrize("stored", [None, "", "{}", "changed"])
def test_gone_or_changed_is_an_alarm(words: Words, stored: str | None) -> None:
    """It names what and which entry, also when another record is whole."""
    words.say("one")
    digest = words.say("two")
    key = f"word/{digest}"
    if stored is None:
        del words.kept[key]
    else:
        words.kept[key] = words.kept[key].replace("two", "too") if stored == "changed" else stored
    assert f"the word in entry {words.log.size - 1} is not the one that was logged" in alarm(words)


def test_another_record_in_its_place_is_an_alarm(words: Words) -> None:
    """Two whole records that were exchanged."""
    one, two = (f"word/{words.say(word)}" for word in ("one", "two"))
    words.kept[one], words.kept[two] = words.kept[two], words.kept[one]
    assert alarm(words)


def test_an_entry_that_repeats_anothers_is_an_alarm(words: Words) -> None:
    """Whoever can append to the log cannot use a record a second time."""
    digest = words.say("one")
    words.say("two", UNSAY)
    words.done(digest)
    assert f"entry {words.log.size - 1} " in alarm(words)


@pytest.mark.parametrize("vouching", [UNSAY, KEEP])
def test_a_record_of_another_act_is_an_alarm(words: Words, vouching: str) -> None:
    """An entry vouches for records of its own act; the one that vouches again, for those of the kind."""
    act = SAY if vouching == UNSAY else "other.say"
    digest = words.put(recorded(words.log, "officer", {"act": act, "word": "one"})[0])
    words.log.append(vouching, "", "done", actor="officer", detail_digest=digest)
    assert alarm(words)


def test_a_record_is_looked_for_after_its_entry(words: Words) -> None:
    """One that comes while the log is read is seen whole or not at all."""
    words.say("one")

    def later() -> dict[str, str]:
        found = dict(words.kept)
        words.say("two")
        return found

    assert [one.record["word"] for one in WORDS.told(words.log, later)] == ["one"]
    assert words.words() == ["one", "two"]


def test_they_are_told_in_the_order_in_which_they_were_begun(words: Words) -> None:
    """Not by act nor by end; of two begun on the same entry, the one done first is first."""
    first = recorded(words.log, "officer", {"act": UNSAY, "word": "first"})[0]
    second = recorded(words.log, "officer", {"act": SAY, "word": "second"})[0]
    words.done(words.put(first), UNSAY)
    words.done(words.put(second))
    slow = words.begin("slow")
    words.say("quick")
    words.done(slow)
    assert words.words() == ["first", "second", "slow", "quick"]


def test_they_outlive_the_years_of_their_entries(words: Words) -> None:
    """Pruned twice: the same records in the same order, without an entry, then those that came after."""
    slow = words.begin("slow")
    words.say("quick", UNSAY)
    words.done(slow)
    before = words.told()
    words.years_later()
    assert not words.log.acts(SAY) and not words.log.acts(UNSAY)
    WORDS.vouch_again(words.log, [one.digest for one in words.told()], "officer")
    words.say("new")
    after = words.told()
    assert [one.record for one in after[:2]] == [one.record for one in before]
    assert [one.entry is None for one in after] == [True, True, False]
    assert [(one.utc, one.by) for one in after[:2]] == [("2026-07-01T00:00:00Z", "officer")] * 2
    assert [one.record["word"] for one in after] == ["slow", "quick", "new"]


def test_what_is_vouched_for_again_is_still_held_to_its_digest(words: Words) -> None:
    """After the year has gone the record is as little to be changed as before."""
    digest = words.say("one")
    words.years_later()
    words.kept[f"word/{digest}"] = words.kept[f"word/{digest}"].replace("one", "won")
    assert alarm(words)


def test_vouching_again_changes_nothing_while_the_entry_stands(words: Words) -> None:
    """A record counts once, and under the entry that says by whom and when."""
    digest = words.say("one")
    before = words.told()
    WORDS.vouch_again(words.log, [digest], "officer")
    WORDS.vouch_again(words.log, [digest], "officer")
    assert words.told() == before


def test_vouching_again_for_nothing_writes_nothing(words: Words) -> None:
    """A log has no entry without a reason."""
    before = words.log.size
    WORDS.vouch_again(words.log, [], "officer")
    assert words.log.refresh() == before


def test_what_is_kept_under_a_digest_opens_under_no_other() -> None:
    """Also for kinds that read their entries in a way of their own."""
    content, digest = salted({"word": "one"})
    fields = opened(content, digest)
    assert fields is not None and fields["word"] == "one"
    assert opened(None, digest) is None
    assert opened(content + " ", digest) is None
    assert opened(content, salted({"word": "one"})[1]) is None
    assert "the word is not the one that was logged" in str(not_logged("the word"))
