"""Entropy of the predictions, negated (Salem 2019 line; Song & Mittal 2021): members leave less doubt.

Generative: −mean_t H(p_t) over the vocabulary. Contrastive: −H of the softmax over the bank, mean of both
directions (SigLIP: of its decisions, one for every pair it could be). Matching: −H of match and no match.
"""

from __future__ import annotations

from audit_core.detectors.seam import one_scalar, register

register(__name__, one_scalar("entropy", "neg_entropy", "Song & Mittal 2021"))
