"""Whether a candidate on trial is good enough, and whether that is known at all. Pure.

All devices that have it on trial are the present stage's, and are judged by what they counted together. So that one of
them cannot outvote the others, by its traffic or by a lie, each weighs at most :data:`MOST_REQUESTS` requests, or
`min_pairs` if that is more: what it counted beyond is scaled down in proportion, its latencies likewise.

What a candidate did since its trial began can break the gate at any time. What lets it pass has to be said lately, by
devices that are there: evidence from before an outage is none. A gate that is asked for waits for its own evidence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fleet_server.rollouts.spec import Gate
from fleet_server.rollouts.terms import Compared, Fact, Part, Rollout

MOST_REQUESTS = 1000
"""A share of as many requests is known to about one percent: more would tell little of one device."""


def breach(rollout: Rollout, facts: Mapping[str, Fact], now: float) -> str:
    """Why the candidate on trial is not good enough, or ""."""
    everything, lately = _on_trial(rollout, facts), _evident(rollout, facts, now)
    broken = _verdict(rollout, together(everything, rollout.spec.gate))
    if broken or len(lately) == len(everything):
        return broken
    return _verdict(rollout, together(lately, rollout.spec.gate))


def missing(rollout: Rollout, facts: Mapping[str, Fact], now: float) -> str:
    """What the gate lacks to judge the candidate by, or ""."""
    gate, lately = rollout.spec.gate, _evident(rollout, facts, now)
    seen, least = together(lately, gate), gate.min_pairs
    silent = sum(1 for _ in _on_trial(rollout, facts)) - len(lately)
    away = f"; {silent} devices have said nothing lately" if silent else ""
    if seen.requests < least:
        return f"{seen.requests} of {least} requests were compared{away}"
    if gate.agreement_min is not None and seen.pairs < least:
        return f"{seen.pairs} of {least} requests were answered by both releases{away}"
    if gate.candidate_p95_ratio_max is not None:
        counted, which = min((_count(seen.candidate_us), "candidate"), (_count(seen.serving_us), "release that serves"))
        if counted < least:
            return f"{counted} of {least} latencies of the {which} were counted{away}"
    return ""


def together(each: Iterable[Compared], gate: Gate) -> Compared:
    """What devices counted, added up by weight."""
    pairs = agreed = errors = shed = 0
    candidate: dict[int, int] = {}
    serving: dict[int, int] = {}
    for one in (weighed(one, weight(gate)) for one in each):
        pairs, agreed = pairs + one.pairs, agreed + one.agreed
        errors, shed = errors + one.errors, shed + one.shed
        for to, counts in ((candidate, one.candidate_us), (serving, one.serving_us)):
            for place, count in counts.items():
                to[place] = to.get(place, 0) + count
    return Compared(pairs, agreed, errors, shed, candidate, serving)


def weight(gate: Gate) -> int:
    """How many requests of one device count at most."""
    return max(MOST_REQUESTS, gate.min_pairs)


def weighed(seen: Compared, most: int) -> Compared:
    """What one device counted, scaled down to ``most`` requests and latencies; once more changes nothing."""
    if max(seen.requests, seen.shed, _count(seen.candidate_us), _count(seen.serving_us)) <= most:
        return replace(seen, agreed=min(seen.agreed, seen.pairs))
    total = max(seen.requests, most)
    pairs = _share(seen.pairs, most, total)
    return Compared(
        pairs,
        min(pairs, _share(seen.agreed, most, total)),
        min(seen.requests, most) - pairs,
        min(most, _share(seen.shed, most, total)),
        _scaled(seen.candidate_us, most),
        _scaled(seen.serving_us, most),
    )


def _share(count: int, most: int, total: int) -> int:
    """``count`` of ``total``, as it is of ``most``: rounded, and exact for whole numbers of any size."""
    return (2 * count * most + total) // (2 * total)


def _scaled(counts: Mapping[int, int], most: int) -> Mapping[int, int]:
    """A sketch of at most ``most``: running totals are rounded, so that no quantile moves by more than one count."""
    total = _count(counts)
    if total <= most:
        return counts
    scaled, below, before = {}, 0, 0
    for place in sorted(counts):
        below += counts[place]
        upto = _share(below, most, total)
        if upto > before:
            scaled[place] = upto - before
        before = upto
    return scaled


def _count(counts: Mapping[int, int]) -> int:
    return sum(counts.values())


def _on_trial(rollout: Rollout, facts: Mapping[str, Fact]) -> list[Compared]:
    return [facts[d].compared for d, m in rollout.members.items() if m.part is Part.COMPARING and d in facts]


def _evident(rollout: Rollout, facts: Mapping[str, Fact], now: float) -> list[Compared]:
    """Of devices that are there, and have said lately what they counted."""
    there = (facts[d] for d, m in rollout.members.items() if m.part is Part.COMPARING and d in facts)
    return [fact.compared for fact in there if fact.online and now <= fact.compared_until]


def _verdict(rollout: Rollout, seen: Compared) -> str:
    gate, stage = rollout.spec.gate, f"stage {rollout.stage + 1}: the candidate"
    if seen.requests >= gate.min_pairs and seen.errors > gate.error_share_max * seen.requests:
        return (
            f"{stage} failed at {seen.errors} of {seen.requests} requests, the gate allows {gate.error_share_max:.3g}"
        )
    wanted = gate.agreement_min
    if wanted is not None and seen.pairs >= gate.min_pairs and seen.agreed < wanted * seen.pairs:
        share = seen.agreed / seen.pairs
        return f"{stage} agrees in {share:.3f} of {seen.pairs} requests, the gate asks for {wanted:.3g}"
    ratio = gate.candidate_p95_ratio_max
    if ratio is None or min(_count(seen.candidate_us), _count(seen.serving_us)) < gate.min_pairs:
        return ""
    if seen.candidate_p95_us > ratio * seen.serving_p95_us:
        times = seen.candidate_p95_us / seen.serving_p95_us
        return f"{stage} takes {times:.2f} times as long (95th percentile), the gate allows {ratio:.3g}"
    return ""
