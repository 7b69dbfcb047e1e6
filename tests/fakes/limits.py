"""The rate limits of one organisation at its provider: two token buckets, and the headers that tell of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.fakes.http1 import Headers


class Bucket:
    """A bucket that holds a minute's worth and is refilled continuously."""

    def __init__(self, per_minute: float, now: float) -> None:
        self.size = per_minute
        self.level = per_minute
        self._at = now

    def refill(self, now: float) -> None:
        """Let the time pass until `now` (seconds, monotonic)."""
        self.level = min(self.size, self.level + (now - self._at) * self.size / 60)
        self._at = now

    def seconds_until(self, amount: float) -> float:
        """How long until so much is there (what exceeds the bucket counts as the bucket)."""
        return max(0.0, (min(amount, self.size) - self.level) * 60 / self.size)


class Limits:
    """Requests and tokens per minute, shared by all keys of an organisation."""

    def __init__(self, rpm: float, tpm: float, now: float, silent: bool = False) -> None:
        self._silent = silent
        self.buckets = {"requests": Bucket(rpm, now), "tokens": Bucket(tpm, now)}

    def take(self, tokens: int, now: float) -> tuple[str, float] | None:
        """Take one request and its tokens, or tell what ran out and for how many seconds."""
        needs = {"requests": 1, "tokens": tokens}
        for name, bucket in self.buckets.items():
            bucket.refill(now)
            if wait := bucket.seconds_until(needs[name]):
                return name, wait
        for name, bucket in self.buckets.items():
            bucket.level -= needs[name]
        return None

    def headers(self, dialect: str) -> Headers:
        """What the provider tells about them with every answer."""
        if self._silent:
            return []
        if dialect == "anthropic":
            return [header for name in self.buckets for header in self._anthropic(name)]
        return [header for name in self.buckets for header in self._openai(name)]

    def _openai(self, name: str) -> Headers:
        bucket = self.buckets[name]
        return [
            (f"x-ratelimit-limit-{name}", f"{bucket.size:.0f}"),
            (f"x-ratelimit-remaining-{name}", f"{max(0, int(bucket.level))}"),
            (f"x-ratelimit-reset-{name}", go_duration(bucket.seconds_until(bucket.size))),
        ]

    def _anthropic(self, name: str) -> Headers:
        bucket = self.buckets[name]
        reset = datetime.now(UTC) + timedelta(seconds=bucket.seconds_until(bucket.size))
        return [
            (f"anthropic-ratelimit-{name}-limit", f"{bucket.size:.0f}"),
            (f"anthropic-ratelimit-{name}-remaining", f"{max(0, int(bucket.level))}"),
            (f"anthropic-ratelimit-{name}-reset", reset.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ]


def go_duration(seconds: float) -> str:
    """Seconds as OpenAI writes them: `17ms`, `1s`, `6m0s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
