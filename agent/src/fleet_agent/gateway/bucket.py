"""A token bucket: so much at once, so much a second in the long run."""


class Bucket:
    """Starts full. Times are the caller's, in seconds."""

    def __init__(self, capacity: float, per_s: float) -> None:
        self._capacity = capacity
        self._per_s = per_s
        self._level = capacity
        self._at = 0.0

    def level(self, now: float) -> float:
        """What may be taken now."""
        self._level = min(self._capacity, self._level + max(0.0, now - self._at) * self._per_s)
        self._at = now
        return self._level

    def take(self, amount: float, now: float) -> bool:
        """Take ``amount`` if all of it is there."""
        if self.level(now) < amount:
            return False
        self._level -= amount
        return True

    def charge(self, amount: float, now: float) -> None:
        """Take ``amount``, if need be on credit; a negative amount gives back."""
        self._level = min(self._capacity, self.level(now) - amount)

    def wait_s(self, amount: float, now: float) -> float:
        """How long until ``amount`` can be taken."""
        return max(0.0, (amount - self.level(now)) / self._per_s)
