"""The answer to an auditor: one file about one model and one span of days."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "answer.by": "{role} {person}",
    "answer.title": "Evidence about {model}, {since} to {until}",
    "answer.kind": "Answer to an auditor",
    "answer.demo": "DEMO. Toy models and a small sample: this says nothing about a real product.",
    "answer.site": "site",
    "answer.model": "model",
    "answer.window": "span of days (UTC, both included)",
    "answer.state": "state of the log",
    "answer.state.of": "{entries} entries, the last one of {moment} UTC",
    "answer.key_words": "signed by",
    "answer.state_words": "words of this state",
    "answer.open": "The span is not over by the log's last entry: more may come.",
    # the one sentence
    "answer.none": (
        "No audit of this model finished in this span. That is not a pass: nothing was measured, and nothing "
        "here says that patients are not exposed."
    ),
    "answer.found": (
        "{number} audit of this model finished in this span: {verdicts}.",
        "{number} audits of this model finished in this span: {verdicts}.",
    ),
    "answer.verdict_of": "{number} {word}",
    "answer.unfinished": (
        "{number} more was begun and has no verdict.",
        "{number} more were begun and have no verdict.",
    ),
    "answer.missed": (
        "{number} scheduled run was late, passed over or failed.",
        "{number} scheduled runs were late, passed over or failed.",
    ),
    "answer.cases_open": (
        "{number} case about this model is open.",
        "{number} cases about this model are open.",
    ),
    "answer.rows": ("{number} row.", "{number} rows."),
    # audits
    "answer.audits": "Audits that finished, each with its own evidence pack",
    "answer.audits.none": "None.",
    "answer.audit": "audit",
    "answer.verdict": "verdict",
    "answer.closed": "closed (UTC)",
    "answer.entry": "log entry",
    "answer.result": "result",
    "answer.pack": "pack in this file",
    "answer.no_pack": (
        "No pack: the log closed this audit, and its result is not stored, or two entries closed it"
    ),
    "answer.unfinished.head": "Audits without a verdict",
    "answer.unfinished.none": "None: every audit that was begun in this span has a verdict.",
    "answer.began": "began (UTC)",
    "answer.tries": "tries",
    "answer.outcome": "last outcome",
    "answer.outcome.begins": "begun, and not ended by this state of the log",
    "answer.outcome.failed": "failed",
    "answer.outcome.cancelled": "cut off by a person",
    "answer.outcome.done": "done, without a verdict in the log",
    "answer.outcome.refused": "refused",
    "answer.closings": (
        "Audits that the log closed in this span: {ours} of this model, {others} of other models, {unknown} "
        "that the catalogue does not know. Each of these entries is in log/entries.jsonl."
    ),
    # schedules
    "answer.schedules": "Scheduled runs",
    "answer.schedules.none": "No schedule names this model: nothing was due by itself.",
    "answer.schedule": "schedule",
    "answer.schedule.begun": "begun",
    "answer.schedule.late": "begun late",
    "answer.schedule.passed": "passed over",
    "answer.schedule.failed": "failed",
    "answer.schedule.partly": "not every audit begun",
    "answer.schedule.waiting": "due and not begun",
    # cases
    "answer.cases": "Cases: what became of a FAIL or REVIEW",
    "answer.cases.none": "None.",
    "answer.case.known": "known since (UTC)",
    "answer.case.state": "state",
    "answer.case.steps": "steps",
    "answer.case.step": "{moment} {what} by {who}",
    "answer.case.answers": "{step}, answers {clocks}",
    "answer.case.no_step": "no step yet",
    "answer.cases.clocks": (
        "The day of discovery is for a person to fix. If it were the day on which a verdict stood in the "
        "log, two limits would run from there: {limits}. Whether anybody has to be notified is a legal "
        "decision; reasons are sealed at the site."
    ),
    "answer.limit": "{name} ({law})",
    # changes and claims
    "answer.changes": "Changes of the model",
    "answer.changes.none": "The watch found none in this span.",
    "answer.change.version": "version",
    "answer.change.replaces": "replaces",
    "answer.change.found": "found",
    "answer.change.parts": "what changed",
    "answer.change.seen": "seen (UTC)",
    "answer.change.answered": "answered",
    "answer.change.announced": "announced before",
    "answer.change.open": "not answered",
    "answer.claims": "What the vendor claims",
    "answer.claims.none": "Nothing is recorded. A claim that nobody recorded is not tested.",
    "answer.claim": "claim",
    "answer.claim.says": "says",
    "answer.claim.added": "recorded (UTC)",
    "answer.claim.withdrawn": "withdrawn (UTC)",
    "answer.claims.packs": "How each stands against an audit is in that audit's pack.",
    # audit controls
    "answer.controls": "Audit controls: how the log was kept and examined (45 CFR 164.312(b))",
    "answer.review": "log entry",
    "answer.review.by": "by",
    "answer.review.window": "entries looked through",
    "answer.review.when": "when (UTC)",
    "answer.reviews": "Reviews of the log",
    "answer.reviews.none": "Nobody reviewed the log in this span.",
    "answer.covered": "Of {entries} entries of this span, {covered} lie in what was reviewed so far.",
    "answer.activity": "What the whole site did, as the log counts it",
    "answer.activity.none": "Nothing: the log holds no entry of this span.",
    "answer.act": "act",
    "answer.act.outcome": "outcome",
    "answer.act.number": "times",
    "answer.extract": (
        "log/entries.jsonl holds {number} entry about this model, or about how the log is kept, with its "
        "proof.",
        "log/entries.jsonl holds {number} entries about this model, or about how the log is kept, each with "
        "its proof.",
    ),
    "answer.versions": "Versions of the model",
    "answer.version": "version",
    "answer.version.digest": "SHA-256 over its files",
    "answer.version.vendor": "vendor",
    "answer.version.released": "released",
    # what it does not show
    "answer.not_shown": "What this does not prove",
    "answer.not_shown.audits": (
        "Each verdict holds for its own cohort, policy and tier, and for no other patients: read each pack's "
        "own page on what it does not prove."
    ),
    "answer.not_shown.complete": (
        "Every entry in here is proven to be in the log. That no entry about this model was left out, and "
        "the counts above, rest on the site's word: identifiers in entries are keyed digests. Whoever has "
        "to know reads the log itself."
    ),
    "answer.not_shown.clock": (
        "Times are what the site's clock said. A witness's cosignature, where there is one, says when the "
        "log was at least as long as it says."
    ),
    "answer.legal": "This supports, and does not certify, compliance. It is not legal advice.",
    "answer.no_patient": "There is no patient, no pseudonym and no score of one in here.",
    "answer.check": "Check it with bare Python: python3 verify_evidence.py ANSWER.zip",
    "answer.readme": """ANSWER TO AN AUDITOR, WITH THE EVIDENCE BEHIND IT

Start with index.html (any browser, no network) or index.txt.

CHECK IT. You need Python 3.8 or later and nothing else, no network, no other software:

    python3 verify_evidence.py ANSWER.zip
    python3 verify_evidence.py --key "TEN WORDS" ANSWER.zip

It checks this file, every evidence pack inside it, that all are signed by one key, and that every pack's
state of the log is an earlier one of the state this answer speaks of. It holds the list of audits against
entries and packs. index.html, index.txt and the rest of answer.json are signed by the site and not made anew
from the log: that they say what the log says is the site's word.

Use your own copy of verify_evidence.py where you have one. Exit status: 0 intact, 1 broken (the place is
named), 2 unreadable, 3 intact but signed by another key or, with --witness KEYFILE, not seen by the witness
that you named.
The key that signed it:

    {words}

Compare these words with the ones the site gave you by another way, on paper or by telephone.

WHAT IS IN IT
    index.html, index.txt       what the site's log holds about the model in this span
    answer.json                 the same for programs; every audit with the SHA-256 of its pack
    packs/*.zip                 one whole evidence pack an audit; each verifies alone, too
    log/entries.jsonl           entries about the model and about how the log is kept, one line each
    log/proofs.json             that each is in the log, and that each pack's log grew into this one
    log/checkpoint              the signed state of the log that this answer speaks of
    log/verifier-key            the public key
    log/cosigned.json           only if a witness has seen the log: what it cosigned
    manifest.json, .note        digests of all members, signed by the log's key

An answer without an audit is not a pass: it says that nothing was measured.

This supports, and does not certify, compliance. It is not legal advice.
""",
    # while it is made, and the command line
    "answer.phase.log": "reading the log",
    "answer.phase.packs": "building packs",
    "answer.phase.proofs": "proving entries",
    "answer.unit.entries": "entries",
    "answer.unit.packs": "packs",
    "answer.written": "{file}: {size} bytes, intact, signed by <{words}>",
    "answer.audit_line": "{verdict} {model} {audit}, closed {moment} UTC",
    "answer.at": (
        "As of {number} entry of the log; {extract} go along.",
        "As of {number} entries of the log; {extract} of them go along.",
    ),
    # packs on the command line
    "evidence.written": "{file}: {edition} edition, {size} bytes, intact, signed by <{words}>",
    "evidence.broken_at": "broken: {place}",
    "evidence.how": (
        "Verify anywhere with bare Python: take verify_evidence.py out of it (or your own copy), then "
        "python3 verify_evidence.py {file}"
    ),
    "demo.auditor": (
        "auditor: opens verdict.html of an evidence file first; python3 verify_evidence.py FILE checks it all"
    ),
    # on the screen
    "evidence.title": "Evidence",
    "evidence.column.verdict": "Verdict",
    "evidence.column.model": "Model",
    "evidence.column.audited": "Audited (UTC)",
    "evidence.column.packs": "Packs",
    "evidence.column.last": "Last one (UTC)",
    "evidence.column.written": "Written (UTC)",
    "evidence.column.by": "By",
    "evidence.column.edition": "Edition",
    "evidence.column.entry": "Log entry",
    "evidence.key.export": "Export",
    "evidence.key.verify": "Check",
    "evidence.key.answer": "Answer",
    "evidence.no_audit": "No audit has finished yet: press r to run one",
    "evidence.packs": "Packs of this audit",
    "evidence.no_pack": "No pack of this audit yet: press e to write one",
    "evidence.pack_of": "{model}, audit {audit}",
    "evidence.writing": "writing the evidence pack …",
    "evidence.verifying": "verifying the pack …",
    "evidence.checked.written": "{file} written and verified: {entries} log entries, {whose} ({words})",
    "evidence.checked.verified": "{file} verified: {entries} log entries, {whose} ({words})",
    "evidence.whose.ours": "signed by this workspace",
    "evidence.whose.other": "signed by another key: compare its ten words",
    "evidence.export.title": "Write the evidence pack",
    "evidence.export.note": (
        "One file without patients' data; python3 verify_evidence.py checks it anywhere."
    ),
    "evidence.export.act": "Write",
    "evidence.verify.title": "Verify an evidence pack",
    "evidence.verify.note": (
        "The name of a pack file, of this site or another; nothing in it is believed before it is checked."
    ),
    "evidence.verify.act": "Verify",
    "evidence.dialog.cancel": "Cancel",
    "evidence.edition": "edition",
    "evidence.withhold": "withhold",
    "evidence.withhold.hint": "such as data.json (may stay empty)",
    "evidence.help": (
        "An evidence pack is one file about one audit: verdict, numbers, policy, log extract with proofs, "
        "and the script that checks it. It holds no patients' data. e writes the pack of the audit under "
        "the cursor and checks it at once, whole or in the vendor's edition; v checks any pack or answer, "
        "of this site or another. w answers an auditor: every audit of a model in a span of days, in one "
        "file. Where a file was written to is not kept, only when and by whom: that is an entry of the log. "
        "Whoever gets one compares its ten words with the ones the site gave them."
    ),
    "evidence.export.help": (
        "The full edition holds everything but patients: for a regulator. The vendor edition says nothing "
        "about patients, counts included, and nothing of the site; what it withholds is shown as withheld, "
        "and provably was there. Withhold names members to leave out besides, or parts of them."
    ),
    "evidence.lacking": "{said}; {number} members withheld or left out, each proven to be there",
    "evidence.no_paper": "{said}. {why}",
    "evidence.answer.title": "Answer an auditor",
    "evidence.answer.note": (
        "Every audit of a model in a span of days with its pack, what was missed, and the log's entries: "
        "one file without patients' data."
    ),
    "evidence.answer.act": "Write",
    "evidence.answer.work": "answer",
    "evidence.answer.help": (
        "A name is a line with all its versions, NAME@2 one of them. Days are UTC, both included; an audit "
        "belongs to the span in which the log closed it. Enter writes the file from any field. Audits "
        "without a verdict, scheduled runs that were missed, cases, changes, claims and reviews of the log "
        "are said openly; a span without an audit is no pass. python3 verify_evidence.py checks the file "
        "and every pack inside it."
    ),
    "evidence.answer.model": "model",
    "evidence.answer.from": "from",
    "evidence.answer.to": "to",
    "evidence.answer.file": "file",
    "evidence.answer.lacks": "model, days and file are needed",
    "evidence.answer.lacks.hint": "fill in what is empty",
}
