"""The verdict page, the verdict in lines, and what lies beside them in an evidence pack."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "report.title": "Exposure audit: verdict",
    "report.audit": "audit {audit}",
    "report.version": "version {version}",
    "report.closed": "closed {moment} UTC",
    "report.entry": "log entry {entry}",
    "report.not_legal_advice": (
        "This document supports, and does not certify, compliance. It is not legal advice."
    ),
    "report.no_patient": (
        "No patient, no pseudonym and no score of one is on this page; they stay sealed at the site."
    ),
    "report.withheld": (
        "Withheld in this edition: all that counts or describes patients (reasons, exposure, curves, the "
        "cohort, limits, the site's records and drafts)."
    ),
    "report.elsewhere": "Every number: results.html. How: method.html. Who was chosen: data.html.",
    "report.elsewhere_vendor": "Controls, layers and how it was done: method.html.",
    "report.compare_words": (
        "The ten words name the key that signed this. Compare them with the ones the site gave you."
    ),
    "report.why": "Why · line {line} of 6",
    "report.reasons_withheld": "The reasons count patients and are withheld in this edition.",
    "report.more_reasons": ("{number} more in results.html.", "{number} more in results.html."),
    "report.more_limits": ("{number} more in method.html.", "{number} more in method.html."),
    "report.more_claims": ("{number} more in results.html.", "{number} more in results.html."),
    "report.proves": "How much this proves · {tier}",
    "report.does_not_prove": "It does not prove",
    "report.scores": "Scores",
    "report.threshold": "Dashed: a patient is flagged from {score} on.",
    "report.threshold_about": "Dashed: a patient is flagged from about {score} on.",
    "report.fewer_than": "fewer than {least} {role}",
    "report.few_looked_at": "Fewer than {least} patients were looked at; shares of so few are not told.",
    "report.no_threshold": "Nobody is flagged.",
    "report.deciding": "Detector that decides, named beforehand by the policy: {detector}.",
    "report.auroc": "AUROC {area}",
    "report.roc_file": "The curve's points: results/roc.csv.",
    "report.patients": "patients",
    "report.rank_test": "Rank test, patients in question against controls: {p}.",
    "report.flagged": "Flagged patients, {number}: {expected}.",
    "report.controls_short": "Controls:",
    "report.controls_in_short": "{said}.",
    "report.controls_failed": "Failed: {named}.",
    "report.control_failed": "{name} ({costs})",
    "report.claims": "What the vendor claimed, against this audit",
    "report.limits": "What this audit could not do",
    "report.provenance": "What was audited, and how to check this",
    "report.model_digest": "model digest",
    "report.released": "released",
    "report.cohort_digest": "cohort digest",
    "report.policy": "policy",
    "report.policy_digest": "policy digest",
    "report.isolation": "isolation",
    "report.verifier": "verifier, SHA-256",
    "report.how_to_check": (
        "With this page come the numbers, the policy, the log entries and proofs: {command} checks every "
        "byte with nothing but Python."
    ),
    "report.sign_off": "Sign-off",
    "report.sign_name": "Name and role",
    "report.sign_decision": "Decision: accepted · disputed · referred",
    "report.sign_date": "Date and signature",
    "report.signed_by": "Signed by the log of this site, key {words}; its state then {state}.",
    # the results page
    "report.results": "Exposure audit: results",
    "report.results_of": "Results: {model}",
    "report.points": "Known training patients found, at rates that the controls can resolve",
    "report.points_caption": "Shares found on the references, by detector",
    "report.found": "Found",
    "report.realised": "False alarms among the held-out controls",
    "report.controls": "Controls: runs whose right answer is known beforehand",
    "report.controls_caption": "Each control with its outcome and what follows when it fails",
    "report.outcome": "Outcome",
    "report.control": "Control",
    "report.seen": "What was seen",
    "report.costs": "If it fails",
    "report.detectors": "Detectors",
    "report.detectors_caption": "How well each tells groups apart; 0.50 is guessing",
    "report.detector": "Detector",
    "report.decides": "decides",
    "report.reference_auroc": "AUROC, known training patients against controls",
    "report.target_auroc": "AUROC, patients in question against controls",
    "report.unscored": "Unscored pairs",
    "report.not_possible": "Not possible with this model and cohort: {detectors}.",
    "report.calibration": "Calibration of leak probabilities",
    "report.calibration_caption": "Known pairs whose predicted probability of membership lies together",
    "report.calibration_figure": "On the diagonal, a probability says what happens.",
    "report.predicted": "Predicted",
    "report.members_of": "Members of pairs",
    "report.share_of_members": "Share of members",
    "report.unscored_title": "Pairs without a score",
    "report.unscored_caption": "Pairs without a score, by keyed digest",
    "report.unscored_none": "Every pair of the cohort was scored by every detector that could run.",
    "report.unscored_not_kept": (
        "Which pairs they were was not kept when this audit closed; their number stands with each detector."
    ),
    "report.unscored_keyed": (
        "A digest stands for a pair and hangs on a key of the site: the site can find the pair again, nobody "
        "else can."
    ),
    "report.unscored_pair": "Pair",
    "report.unscored_by": "Detectors without a score",
    "report.unscored_more": "{number} more in data.json.",
    "report.beside": "Beside the verdict, deciding nothing",
    "report.canaries_title": "Canaries",
    "report.canaries_caption": "Planted canaries by number of copies",
    "report.canary_copies": "Copies",
    "report.canary_number": "Canaries",
    "report.canary_p": "Rank test against the never planted",
    "report.layers": "Where memory sits",
    "report.layers_caption": "Audited layers, most sensitive first",
    "report.layers_bare": "Audited layers",
    "report.layer": "Layer",
    "report.layer_gap": "Gap between members and controls",
    "report.layer_slices": "Slices kept / all",
    # the method page
    "report.method_title": "Exposure audit: method",
    "report.method_of": "Method: {model}",
    "report.statement": "Method statement",
    "report.as_published": (
        "This audit ran GradAudit as its authors released it; neither PASS nor FAIL can follow from that."
    ),
    "method.question": (
        "The question: does this model treat pairs of image and report of this hospital's patients as it "
        "treats pairs that it was trained on? The model's weights are at hand; nothing is sent to anybody."
    ),
    "method.capture": (
        "Each pair is run through the model once. The gradient of its loss is read at the audited layers and "
        "summed up there; gradients themselves are never stored."
    ),
    "method.slices": (
        "Rows and columns of each gradient are compared with those of known training pairs, each pair left "
        "out of its own comparison. Slices that tell known members from controls are kept."
    ),
    "method.detectors": (
        "Several detectors score each pair: gradients, likelihoods, norms, and the difference to the base "
        "model where its weights are at hand. The policy named the one that decides before the audit began."
    ),
    "method.judge": (
        "One pair per patient is judged against controls that took no part in fitting. A rank test by "
        "patient decides whether the group is exposed; single patients are flagged at a bounded false "
        "discovery rate."
    ),
    "method.controls": (
        "Controls whose right answer is known run along. One that fails voids the audit, lowers what it can "
        "prove, or bars PASS; one that could not run never counts as passed."
    ),
    "method.decide": (
        "The policy turns these numbers into the verdict by six fixed lines; the first that applies gives it."
    ),
    "report.method": "This audit",
    "report.design": "design",
    "report.references": "references",
    "report.decided_by": "decides",
    "report.weights": "weights",
    "report.slices": "slices",
    "report.slices_kept": "{kept} of {total} kept, {layers} layers audited",
    "report.layers_audited": "layers",
    "report.canaries": "canaries",
    "report.limits_caption": "What could not be done, why, and what would help",
    "report.limit.what": "What",
    "report.limit.why": "Why",
    "report.limit.remedy": "What would help",
    "report.settings": "Settings: the policy in force",
    "report.settings_caption": "Every key of policy.toml",
    "report.settings_unread": "The policy's text is no TOML; it goes along byte for byte as policy.toml.",
    "report.setting": "Key",
    "report.value": "Value",
    "report.model": "The model",
    "report.family": "family",
    "report.architecture": "architecture",
    "report.parameters": "parameters",
    "report.preprocessor": "preprocessor",
    "report.files_caption": "Files as registered, by digest",
    "report.file": "File",
    "report.file_part": "Part",
    "report.part.files": "model",
    "report.part.base_files": "base model",
    "report.part.adapter_files": "adapter",
    "report.software": "Software, machine and isolation",
    "report.code": "code digest",
    "report.appliance": "appliance",
    "report.packages": "packages",
    "report.python": "Python",
    "report.machine": "machine",
    "report.seed": "seed",
    # the data page
    "report.data_title": "Exposure audit: data",
    "report.data_of": "Data: {model}",
    "report.chosen": "How the cohort was chosen",
    "report.cohort": "cohort",
    "report.study_years": "years of studies",
    "report.years": "{first} to {last}",
    "report.committed_design": "commitment",
    "data.chosen": (
        "An audit needs pairs in several roles, and no patient is in two of them. The cohort was frozen "
        "before the model was read; its digest covers who is in which role."
    ),
    "data.roles": "Roles",
    "data.roles_caption": "Patients and pairs by role",
    "data.role": "Role",
    "data.purpose": "What it is for",
    "data.patients": "Patients",
    "data.pairs": "Pairs",
    "data.role.member": "known to be in the training data: what memory looks like in this model",
    "data.role.fitting": "not in the training data: the other side of what is fitted",
    "data.role.calibration": "not in the training data nor in the fit: what scores are judged against",
    "data.role.target": "whose exposure is asked",
    "data.role.bank": "independent pairs that a contrastive loss needs",
    "data.role.post_release": "examined after the model's release: they cannot be in it, and must stay clean",
    "data.modalities": "Patients by modality",
    "data.blind_title": "Could the roles be told without the model?",
    "data.blind": (
        "If scanner, year or wording of a report give a role away, a difference in scores need not be "
        "memory. A blind baseline tries that with the data alone."
    ),
    "data.blind_caption": "What the data alone give away",
    "data.small": (
        "Groups of fewer than five patients are shown as < 5. Where one is not told, such a group would "
        "follow from it. The counts are those of data.json."
    ),
    # drawings
    "plot.scores": "Scores by role",
    "plot.scores_told": "Histogram of scores, larger is more member-like. {told}.",
    "plot.row_told": "{role}: {number}, most of them from {low} to {high}",
    "plot.row_few": "{role}: too few in each place to tell",
    "plot.row_bare": "{role}: most of them from {low} to {high}",
    "plot.few": "dotted: few patients, not told how many",
    "plot.larger": "score → more member-like",
    "plot.roc": "ROC curve of {detector}",
    "plot.roc_told": (
        "Share of patients in question found against share of controls flagged; guessing is the diagonal. "
        "{told}."
    ),
    "plot.at": "at {controls} of controls {patients} of patients",
    "plot.controls": "share of controls flagged",
    "plot.patients": "share of patients found",
    "plot.calibration": "Calibration",
    "plot.calibration_told": "Share of members against predicted probability. {told}.",
    "plot.bin": "{predicted} predicted, {found} found",
    "plot.predicted": "predicted probability",
    "plot.members": "share of members",
    # the same in lines
    "text.verdict": "{word}: {meaning}",
    "text.note": "NOTE: {note}",
    "text.model": "model",
    "text.audit": "audit",
    "text.audit_of": "{audit} of {started}",
    "text.exposure": "exposure",
    "text.share": "share",
    "text.tier": "evidence tier",
    "text.detectable": "detectable",
    "text.cohort": "cohort",
    "text.references": "references",
    "text.policy": "policy",
    "text.reasons": "Reasons (line {line} of the policy's six):",
    "text.controls": "Controls:",
    "text.limits": "What this audit could not do:",
    "text.limit.why": "why",
    "text.limit.remedy": "what would help",
    "text.detectors": "Detectors (patients in question against calibration controls):",
    "text.detector": "{name}: AUROC {area}",
    "text.detector_decides": "{name} (decides): AUROC {area}",
    "text.beside": "Beside the verdict, deciding nothing:",
}
