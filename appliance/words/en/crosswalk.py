"""The crosswalk from clauses to items of a pack, and what its records leave open."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "record.leaves_open.access": "Who a person is behind a role; accounts of the machine itself; who may "
    "enter the room.",
    "record.leaves_open.egress": "Attempts of the job itself are refused by the kernel and not counted. "
    "Nothing is said of other processes, of the administrator, or of what was carried out by hand.",
    "record.leaves_open.encryption": "Whether a passphrase was guessed, copied or shared; what lies outside "
    "the workspace.",
    "record.leaves_open.log_review": "What the reviewers found stays at the site; `record` is its digest.",
    "record.leaves_open.retention": "That the disk survives, or that copies elsewhere are kept. A later "
    "policy may keep it longer.",
    "crosswalk.title": "From clauses to items",
    "crosswalk.window": "Crosswalk: {model}",
    "crosswalk.note": "What of this pack speaks to which clause. It supports, does not certify, compliance; "
    "not legal advice. Clauses are named by number; what they say stands with their sources. The words here "
    "say what the item shows, not what the clause asks.",
    "crosswalk.states": "Covered: the items show what this product can show for the clause, and nothing of "
    "it is missing here; the clause may still ask for acts of people. Partial: something is missing, and it "
    "is said what. Out of scope: nothing in this pack speaks to it; whose it is is said.",
    "crosswalk.open": "A state is about evidence in this pack and about this system alone, not about the "
    "site and its other systems: nobody complies by a table.",
    "crosswalk.counts_caption": "Clauses by state",
    "crosswalk.framework": "Framework",
    "crosswalk.clause": "Clause",
    "crosswalk.state": "State",
    "crosswalk.shows": "What the items show, and what is missing",
    "crosswalk.items": "Items",
    "crosswalk.compared.lists": "Source: {source}. Numbers compared on {checked} with public lists of its "
    "numbers and titles; the text itself was not at hand.",
    "crosswalk.compared.nothing": "Source: {source}. Numbers not compared.",
    "crosswalk.compared.text": "Source: {source}. Numbers compared on {checked} with public copies of the "
    "text.",
    "crosswalk.state.covered": "✓ covered",
    "crosswalk.state.partial": "• partial",
    "crosswalk.state.out of scope": "– out of scope",
    "crosswalk.uncertain": "Uncertain, to be checked: {doubt}",
    "crosswalk.support": "Items that serve all clauses",
    "crosswalk.support_caption": "Items that no clause names, and what they are for",
    "crosswalk.member": "Item",
    "crosswalk.digest": "SHA-256",
    "crosswalk.digests": "Digests of the items",
    "crosswalk.digests_caption": "Every item by name; manifest.json signs the same digests",
    "crosswalk.role": "What it is for",
    "crosswalk.unassigned": "no clause names it",
    "crosswalk.not_here": "Not in this pack: {names}.",
    "crosswalk.withheld": "Withheld from this pack, provably there: {names}.",
    "crosswalk.withheld_part": "Shown in part: {names}.",
    "crosswalk.unmet.answer": "This audit ended without an answer that counts ({word}): it shows that it was "
    "tried, and nothing about exposure in either direction.",
    "crosswalk.unmet.approval": "No officer of the site approved the policy: it came with the product, or "
    "from a file.",
    "crosswalk.unmet.autolock": "An unlocked workspace did not lock itself.",
    "crosswalk.unmet.backup": "No backup had been made when the audit closed.",
    "crosswalk.unmet.box": "A layer of the box was missing when the audit ran.",
    "crosswalk.unmet.claims": "The vendor's claims were not recorded for this audit.",
    "crosswalk.unmet.keys": "A passphrase was kept by a derivation below the floor.",
    "crosswalk.unmet.not_kept": "The record that it rests on was not kept when this audit closed.",
    "crosswalk.unmet.review": "Nobody had reviewed the log when the audit closed.",
    "crosswalk.unmet.withheld": "The record that it rests on is withheld from this pack.",
    "crosswalk.unmet.witness": "No witness has cosigned the log since the audit closed.",
    "crosswalk.unmet.years": "A policy in force could not be read, so no year was promised.",
    "crosswalk.later": "Without a digest here, since they are made after this table: {names}.",
    "crosswalk.of": "another form of {name}",
    "crosswalk.docs_needs": "Needs: {needs}.",
    "crosswalk.need.answer": "a verdict other than VOID or INCONCLUSIVE",
    "crosswalk.need.approval": "an approved policy",
    "crosswalk.need.autolock": "a lock that closes by itself",
    "crosswalk.need.backup": "a backup",
    "crosswalk.need.box": "all three layers of the box",
    "crosswalk.need.claims": "recorded claims",
    "crosswalk.need.keys": "no derivation below the floor",
    "crosswalk.need.review": "a review of the log",
    "crosswalk.need.witness": "a witness",
    "crosswalk.need.years": "a known retention",
    "crosswalk.docs": """# Crosswalk

Which clause is supported by which item of an evidence pack, at best. Written from
`appliance/pack/crosswalk/clauses.toml` by `python -m appliance.pack.crosswalk.docs docs/crosswalk.md`. A pack
has the same as `crosswalk.json` and `crosswalk.html`, with the digest of each item and with the state that
its audit reaches: an item that is missing or withheld makes a covered clause partial, and so does a need that
is not met.

{note}

{states}

{open}
""",
}
