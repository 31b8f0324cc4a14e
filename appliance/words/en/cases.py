"""Cases, their clocks and decisions."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "clock.running": "{span} left",
    "clock.overdue": "overdue by {span}",
    "clock.answered": "answered in {span}",
    "clock.late": "answered late, after {span}",
    "clock.limit": "limit {moment} UTC",
    "clock.days": "{days} d",
    "clock.days_hours": "{days} d {hours} h",
    "clock.hours": "{hours} h",
    "clock.minutes": "{minutes} min",
    "case.legal": (
        "The clocks say since when this was known here, and how much time has passed. They do not say that "
        "there was a breach, or that one has to be notified: that is a legal decision."
    ),
    "case.lost": "The result was not kept: resume the audit, or run it again.",
    "case.owner_left": "{owner} is no user any more: give the case another owner.",
    "case.no_entry": "The log does not hold the entry of this verdict: the time is the catalogue's.",
    "case.earlier": (
        "This model has a case since {moment} UTC ({audit}): what was known then does not become known again."
    ),
    "case.set_back": (
        "The machine's clock was set back meanwhile (log entry {entry}): the clocks here went on."
    ),
    "case.state.open": "open",
    "case.state.accepted": "accepted",
    "case.state.disputed": "disputed",
    "case.state.referred": "referred",
    "case.state.closed": "closed",
    "case.step.assigned": "assigned {owner}",
    "case.step.reopened": "reopened",
    "case.step.accepted": "accepted",
    "case.step.disputed": "disputed",
    "case.step.referred": "referred",
    "case.step.closed": "closed",
    "case.answers": "answers {clocks}",
    "case.by": "{moment} UTC by {who}",
    "case.head": "case {audit}: {verdict} of {model}, {state}",
    "case.known": "{moment} UTC, audit {audit}",
    "case.known.entry": "{moment} UTC, log entry {entry}, audit {audit}",
    "case.fact.why": "why    {why}",
    "case.fact.known": "known  {known}",
    "case.fact.owner": "owner  {owner}",
    "case.fact.policy": "policy {policy} ({digest})",
    "case.closed": "{number} closed, listed with --all",
    # the screen
    "cases.help": (
        "A FAIL or REVIEW is a case from the moment its entry stands in the log: first knowledge. Two clocks "
        "run from there: 72 hours (GDPR Art. 33) and 60 days (45 CFR 164.404). All times are UTC. Overdue "
        "cases come first, closed ones last. enter opens the verdict's result, and a leads back. o names an "
        "owner, d writes down a decision with its reason, u takes one back. The log has an entry of every "
        "step; reasons are sealed. A clock stops when a decision answers it: closed answers both. A clock "
        "says when this was known, not whether anybody has to be notified: that is a legal decision."
    ),
    "cases.none": "No case: a FAIL or REVIEW is one. Press r to run an audit.",
    "cases.which": "Case under the cursor",
    "cases.count": "{open} of {all} not closed",
    "cases.fact.why": "why",
    "cases.fact.known": "known",
    "cases.fact.policy": "policy",
    "cases.fact.owner": "owner",
    "cases.fact.state": "state",
    "cases.fact.step": "step",
    "cases.fact.note": "note",
    "cases.press": "nobody yet: press o",
    "cases.written": "written down: {model} is {state}",
    "cases.subject": "{verdict}, {state}; {clocks}",
    "cases.reason": "why, in a sentence; no patient's name",
    "cases.cancel": "Cancel",
    "cases.owner.title": "Who owns this case",
    "cases.owner.act": "Assign",
    "cases.decide.title": "Decide about this case",
    "cases.decide.list": "Decision",
    "cases.decide.answers": "It answers",
    "cases.decide.act": "Write down",
    "cases.means.accepted": "The finding is taken as true. No clock stops but one that this answers.",
    "cases.means.disputed": "You or the vendor doubt it. It is known all the same: no clock stops by that.",
    "cases.means.referred": "Handed to privacy officer or counsel. That moves work, and stops no clock.",
    "cases.means.closed": "Nothing is left to do: both clocks are answered, whatever stands on the right.",
    "cases.answers.none": "neither clock",
    "cases.answers.72h": "72 h (GDPR)",
    "cases.answers.60d": "60 days (HIPAA)",
    "cases.answers.both": "both clocks",
    "cases.reopen.title": "Take the decision back",
    "cases.reopen.act": "Reopen",
    "cases.reopen.note": (
        "Both clocks run again, from the same first knowledge, also those that were answered."
    ),
    # the first screen
    "overview.help": (
        "Cases that are not closed stand first, the most urgent on top: since a FAIL or REVIEW was "
        "known, two clocks run, 72 hours and 60 days. Below is every registered model with its last "
        "verdict, why, when, and when the next audit is due; the line under the table says in full why "
        "the model under the cursor stands where it stands. tab goes from table to table; enter opens "
        "the case, or the model's last result. All times are UTC."
    ),
}
