"""The README of an evidence pack, and what is said of packs themselves."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "pack.readme": """EVIDENCE PACK OF A GRADAUDIT EXPOSURE AUDIT

{start}

CHECK IT. You need Python 3.8 or later and nothing else, no network, no other software:

    python3 verify_evidence.py PACK.zip
    python3 verify_evidence.py --key "TEN WORDS" PACK.zip

Use your own copy of verify_evidence.py where you have one; the copy in here is a convenience. Its answer
has three parts: is the pack intact, which key signed it (ten words), is that the key you know (with --key).
Exit status: 0 intact, 1 broken (the place is named), 2 unreadable, 3 intact but signed by another key
or, with --witness KEYFILE, not seen by the witness that you named.

The key that signed this pack:

    {words}

Compare these words with the ones the site gave you by another way, on paper or by telephone. Whoever holds
the site's disk can write with its key; only that comparison, and earlier checkpoints in other hands, tell.

WHAT IS IN IT
{members}

What a pack withholds is listed in disclosure.json: of each file that the log committed to, how much is shown.
What is withheld was committed to when the audit closed, and cannot be changed since. Parts of a file are in a
file whose name ends in .disclosed.json.

HOW IT HANGS TOGETHER. The last entry of log/entries.jsonl closed the audit. Its "result" is a digest over
data.json, model.json, policy.toml, results.json and, where they were kept, records.json: the log stood by
these before there was a pack. manifest.json lists the digest of every other file; manifest.note is its
signature.
Identifiers in entries are keyed digests. There is no patient and no pseudonym in this pack.
{pdf}
WHAT IT DOES NOT PROVE. {open}

This pack supports, and does not certify, compliance. It is not legal advice.
""",
    "pack.withheld": "withheld: it speaks of patients",
    "pack.start": "Start with verdict.html (any browser, no network) or verdict.txt.",
    "pack.start_vendor": (
        "VENDOR EDITION: nothing in it counts or describes patients.\n\n"
        "Start with verdict.html (any browser, no network) or verdict.txt."
    ),
    "pack.no_pdf": "\nThere is no verdict.pdf: {why}\nverdict.html prints on one sheet.\n",
    "pack.no_pdf.pango": "verdict.pdf was not made: Pango is not on this machine.",
    "pack.no_pdf.weasyprint": "verdict.pdf was not made: WeasyPrint is not on this machine.",
    "pack.about.verdict": "the verdict on one sheet, its reasons, and what it does not prove",
    "pack.about.verdict_vendor": "the verdict on one sheet, and what it does not prove; reasons are withheld",
    "pack.about.pdf": "the same sheet as PDF/A, made on the site's machine",
    "pack.about.results": "the numbers as a page: curves, intervals, controls, calibration",
    "pack.about.method": "how the audit was done, its settings and limits, and the model's files",
    "pack.about.data": "how members, controls and patients in question were chosen, in counts",
    "pack.about.results_json": "every number of the audit; fractions are decimal strings",
    "pack.about.results_disclosed": "what a vendor is shown of results.json, with proof of what is withheld",
    "pack.about.policy": "the policy in force, byte for byte",
    "pack.about.model_json": "which model: digests of its files, base, vendor",
    "pack.about.data_json": "how patients were chosen and counted",
    "pack.about.records_json": "the site when the audit closed: log reviews, roles, encryption, retention",
    "pack.about.disclosure": "what is shown of these files, what is withheld, and the seeds to check it",
    "pack.about.records": "the same records, one file each; retention.note is signed by the log's key",
    "pack.about.tables": "curve, detectors and controls as CSV, for a spreadsheet",
    "pack.about.figures": "the drawings of the pages, one file each",
    "pack.about.cdx": "the model as CycloneDX ML-BOM: the vendor's claims against measurement",
    "pack.about.intoto": "how the audit was run: in-toto statement in DSSE, signed by the log's key",
    "pack.about.crosswalk": "clause by clause: covered, in part, or out of scope, by which file",
    "pack.about.oscal": "the same as OSCAL assessment results",
    "pack.about.drafts": "prefilled drafts; every decision is left blank",
    "pack.about.manifest": "digests of all files; how it was run; signed by the log's key",
    "pack.about.entries": "the log's entries about this audit, one line each",
    "pack.about.fhir": "the same entries as FHIR AuditEvents (R4B)",
    "pack.about.proofs": "that each is in the log (inclusion, RFC 6962) and that the log only grew",
    "pack.about.checkpoints": "the log's signed state when the audit began, and when it closed",
    "pack.about.key": "the public key",
    "pack.about.cosigned": "only if a witness has seen the log since: what it cosigned",
    "pack.about.verifier": "checks this pack; use a copy of your own where you have one",
}
