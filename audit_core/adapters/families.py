"""Which networks are audited, by family: the allow-list of architectures. Torch-free.

What is not listed is refused by name. A row says only what cannot be read from the checkpoint itself.
"""

from __future__ import annotations

from typing import Final

GENERATIVE: Final = "image-text-to-text"
CONTRASTIVE: Final = "contrastive"
MATCHING: Final = "image-text-matching"
FAMILIES: Final = (GENERATIVE, CONTRASTIVE, MATCHING)
