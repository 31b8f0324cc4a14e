"""Opacus' accountants: published numbers, the exact Gaussian mechanism, and what they cannot tell."""

from __future__ import annotations

import math

import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from audit_core import accountants
from audit_core.accountants import REASONS, accounts, missing_parameters
from audit_core.claims import Account, Budget


def found(noise: float, rate: float, steps: int, delta: float) -> tuple[Account, Account]:
    """PRV and RDP on these parameters."""
    prv, rdp = accounts(Budget(1.0, delta, noise, rate, steps))
    assert (prv.accountant, rdp.accountant) == ("PRV", "RDP")
    return prv, rdp


def exact(noise: float, steps: int, delta: float) -> float:
    """ε of so many Gaussian steps on everybody: Balle & Wang 2018, Theorem 8, of one step of noise/√steps."""
    mu = math.sqrt(steps) / noise

    def excess(epsilon: float) -> float:
        return float(
            norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu) - delta
        )

    return float(brentq(excess, 0.0, 100.0))


def test_opacus_own_published_number() -> None:
    """Noise 1.5 at a rate of 0.04 for 90 epochs at δ = 1e-5: ε = 7.32911117143 by RDP, in opacus' tests."""
    prv, rdp = found(1.5, 0.04, 2250, 1e-5)
    assert rdp.upper == pytest.approx(7.32911117143, abs=1e-9)
    assert prv.upper is not None and prv.upper < 7.3291


def test_the_moments_accountants_published_number_is_an_upper_bound() -> None:
    """Abadi et al. 2016, Figure 2: q = 0.01, σ = 4, 10,000 steps give ε = 1.26; later proofs are tighter."""
    prv, rdp = found(4.0, 0.01, 10_000, 1e-5)
    assert prv.lower is not None and prv.upper is not None and rdp.upper is not None
    assert 0.9 < prv.lower < prv.upper < rdp.upper < 1.26


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (5.0, 100), (10.0, 1), (30.0, 400)])
def test_both_hold_for_the_exact_gaussian_mechanism(noise: float, steps: int) -> None:
    """Where everybody is in every step ε is known in closed form: PRV encloses it, RDP is above it."""
    truth = exact(noise, steps, 1e-5)
    prv, rdp = found(noise, 1.0, steps, 1e-5)
    assert prv.lower is not None and prv.upper is not None and rdp.upper is not None
    assert prv.lower <= truth <= prv.upper <= rdp.upper
    assert prv.upper - prv.lower < 0.03


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ((0.3, 0.1, 10_000, 1e-5), "more memory"),
        ((1.0, 0.001, 1000, 1e-20), "did not converge"),
        ((1.1, 0.01, 1000, 0.0), "delta of 0"),
    ],
)
def test_a_failure_is_no_number(parameters: tuple[float, float, int, float], why: str) -> None:
    """Too large, too small a δ, none at all: a reason of our own, and never a number."""
    prv, rdp = found(*parameters)
    assert (prv.upper, prv.lower) == (None, None) and why in prv.why and prv.why in REASONS
    assert (rdp.upper is None) == (parameters[3] == 0.0)


def test_a_prv_above_rdp_is_not_believed() -> None:
    """A lower bound above what another accountant proves is an upper bound: floating point got lost."""
    wrong = accountants._believed(Account("PRV", 5.0, 4.9), Account("RDP", 4.0, None))
    assert wrong == Account("PRV", None, None, accountants.MORE_THAN_RDP)


def test_what_is_missing_is_named() -> None:
    """Recomputing takes noise, rate and steps; each that the vendor keeps to itself is named."""
    assert missing_parameters(Budget(1.0, 1e-5, noise=1.0)) == ("the sampling rate", "the number of steps")
    assert missing_parameters(Budget(1.0, 1e-5, 1.0, 0.1, 10)) == ()
