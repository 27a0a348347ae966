"""Judging a release by its real requests. The supervisor sees crashes; everything else is the front's numbers."""

from dataclasses import dataclass

from dunlin_contract.settings import Settings
from dunlin_contract.sketch import Sketch

ERROR_SHARE = 0.05
"""More than one request in twenty failing is a broken release ..."""
ERRORS_AT_LEAST = 3
"""... but one unlucky request is not."""
NONFINITE_SHARE = 0.01
PAIRS_AT_LEAST = 20
"""So many requests must have been answered by both releases ..."""
AGREED_SHARE = 0.5
"""... before one that says something else than its predecessor in most of them is taken for broken."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the release did since it began to serve. ``count``: all answers, ``errors`` and ``nonfinite`` among them.

    ``latency_us``: time inside the runtime. ``pairs``: requests that the release before answered, too; ``agreed`` of
    them alike.
    """

    elapsed_s: float
    count: int
    errors: int
    nonfinite: int
    latency_us: Sketch
    pairs: int = 0
    agreed: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """``passed`` is None while it is too early to say."""

    passed: bool | None
    code: str = ""
    text: str = ""


WAIT = Verdict(None)
PASSED = Verdict(True)


def judge_answers(seen: Observed) -> Verdict:
    """Whether the answers alone, as they come, say that the release is broken: it fails, or gives what is no number."""
    if seen.errors >= ERRORS_AT_LEAST and seen.errors > ERROR_SHARE * seen.count:
        return Verdict(False, "errors", f"{seen.errors} of {seen.count} requests failed")
    if seen.nonfinite > NONFINITE_SHARE * seen.count:
        return Verdict(False, "nonfinite", f"{seen.nonfinite} of {seen.count} answers held NaN or infinity")
    return WAIT


def judge(seen: Observed, p95_budget_us: int, settings: Settings) -> Verdict:
    """Whether the release stays, goes, or is watched further.

    Errors, non-finite outputs and disagreement count as they happen; latency needs ``probation_requests`` samples.
    Without enough requests the release stays once ``probation_max_s`` have passed with nothing against it.
    """
    broken = judge_answers(seen)
    if broken.passed is False:
        return broken
    if seen.pairs >= PAIRS_AT_LEAST and seen.agreed < AGREED_SHARE * seen.pairs:
        text = f"{seen.agreed} of {seen.pairs} answers were those of the release before"
        return Verdict(False, "disagreement", text)
    enough = seen.count >= settings.probation_requests
    p95 = seen.latency_us.quantile(0.95)
    if enough and p95 > p95_budget_us:
        return Verdict(False, "latency", f"p95 {p95:.0f} us is over the budget of {p95_budget_us} us")
    if enough and seen.elapsed_s >= settings.probation_s:
        return PASSED
    return PASSED if seen.elapsed_s >= settings.probation_max_s else WAIT
