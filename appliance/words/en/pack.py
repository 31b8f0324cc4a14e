"""The README of an evidence pack."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "pack.readme": """EVIDENCE PACK OF A GRADAUDIT EXPOSURE AUDIT

Start with verdict.html (any browser, no network) or verdict.txt.

CHECK IT. You need Python 3.8 or later and nothing else, no network, no other software:

    python3 verify_evidence.py PACK.zip
    python3 verify_evidence.py --key "TEN WORDS" PACK.zip

Use your own copy of verify_evidence.py where you have one; the copy in here is a convenience. Its answer
has three parts: is the pack intact, which key signed it (ten words), is that the key you know (with --key).
Exit status: 0 intact, 1 broken (the place is named), 2 unreadable, 3 intact but signed by another key.

The key that signed this pack:

    {words}

Compare these words with the ones the site gave you by another way, on paper or by telephone. Whoever holds
the site's disk can write with its key; only that comparison, and earlier checkpoints in other hands, tell.

WHAT IS IN IT
    verdict.html, verdict.txt   the verdict, its reasons, and what it does not prove
    results.json                every number of the audit; fractions are decimal strings
    policy.toml                 the policy in force, byte for byte
    model.json                  which model: digests of its files, base, vendor
    data.json                   how patients were chosen and counted
    manifest.json, .note        digests of all members; how it was run; signed by the log's key
    log/entries.jsonl           the log's entries about this audit, one line each
    log/proofs.json             that each is in the log (inclusion, RFC 6962) and that the log only grew
    log/opening, log/checkpoint the log's signed state when the audit began, and when it closed
    log/verifier-key            the public key
    log/cosigned.json           only if a witness has seen the log since: what it cosigned

The last entry closed the audit. Its "result" is the SHA-256 over the canonical JSON (RFC 8785) of the digests
of data.json, model.json, policy.toml and results.json: the log stood by these four before there was a pack.
Identifiers in entries are keyed digests. There is no patient and no pseudonym in this pack.

This pack supports, and does not certify, compliance. It is not legal advice.
"""
}
