"""Everything that can go wrong in the science, as one small tree.

AuditError
├── ModelRefused        the folder is not a model we can audit rightly
├── CohortTooSmall      fewer pairs in a role than the method can work with
├── BadSample           one pair cannot be scored (becomes Unscored in the pipeline)
├── CohortNotDisjoint   a patient or a pair stands in two roles
├── StaleStep           a kept step belongs to another model, cohort or code
├── NotEnoughMemory     model or pairs do not fit into the memory that is free now
└── PolicyInvalid       a policy says something that has no meaning
"""


class AuditError(Exception):
    """The audit could not be carried out."""

    hint: str = ""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or type(self).hint


class ModelRefused(AuditError):
    """The model folder cannot be audited as it stands."""


class CohortTooSmall(AuditError):
    """There are too few pairs in a role for this audit."""


class CohortNotDisjoint(AuditError):
    """A patient or a pair stands in more than one role of the cohort."""

    hint = "freeze a cohort in which every patient has one role"


class StaleStep(AuditError):
    """What was kept under a step's name is not that step."""

    hint = "give the audit up and run a new one"


class BadSample(AuditError):
    """One pair could not be scored."""


class NotEnoughMemory(AuditError):
    """The audit needs more memory than is free now."""

    hint = "free some memory, or audit on a machine with more"


class PolicyInvalid(AuditError):
    """The policy contains something that has no meaning."""
