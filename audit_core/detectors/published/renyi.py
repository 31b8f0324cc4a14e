"""Max-Rényi-K% and ModRényi (Li 2024, VL-MIA), and the modified entropy (Song & Mittal 2021).

renyi_SLICE_K_α: −mean of the K % largest H_α(p_t); SLICE is text, image or both, K is max (the largest), 10
or 100, α is half, 1, 2 or inf. modrenyi_α and modified_entropy, its limit at α = 1, also know the true token.
Formulas: `readings.entropies`.
"""

from __future__ import annotations

from itertools import product

from audit_core.detectors.seam import one_scalar, register

SLICES = {"text": "renyi", "image": "renyi_image", "both": "renyi_image"}
SHARES, ORDERS = ("max", "10", "100"), ("half", "1", "2", "inf")
OF_IMAGE = "only models that predict a token at the image's positions have it"

for _slice, _share, _order in product(SLICES, SHARES, ORDERS):
    _name = f"renyi_{_slice}_{_share}_{_order}"
    _where = "" if _slice == "text" else OF_IMAGE
    register(__name__, one_scalar(_name, _name, "Li 2024", _where, (SLICES[_slice],)))

for _order in ("half", "2"):
    register(
        __name__,
        one_scalar(f"modrenyi_{_order}", f"modrenyi_{_order}", "Li 2024", readings=("renyi",)),
    )
register(__name__, one_scalar("modified_entropy", "modrenyi_1", "Song & Mittal 2021", readings=("renyi",)))
