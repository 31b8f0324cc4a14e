"""What commands say line by line."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "plain.none": "none",
    "plain.yes": "yes",
    "plain.no": "no",
    "plain.one_of": "{name} {number} of {total}",
    "plain.row": "Row {number} of {total}.",
    "plain.empty": "Nothing to list.",
    "plain.numbers": "All facts, one a line.",
    "plain.progress": "{phase}: {percent} percent, {done} of {total} {unit}",
    "plain.verdict": "Verdict: {word}. {meaning}",
    "plain.fact": "{name}: {value}",
    "plain.reason": "Reason {number}: {reason}",
    "plain.control": "Control {name}, {state}: {sentence}",
    "plain.limit": "What this audit could not do, {number}: {limit}",
    "plain.detector": "Detector {name}: AUROC {area}",
    "plain.detector_decides": "Detector {name}, which decides: AUROC {area}",
    "plain.beside": "Beside the verdict, deciding nothing: {name}: {sentence}",
}
