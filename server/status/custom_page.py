"""The operator's own page in place of ours: its tags are filled every few seconds for all who look."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from server.config.settings import Settings
from server.dispatching import Dispatching
from server.ledger.limits import LimitWindow, Scope, Unit
from server.ledger.reports import Sum
from server.policy.page_policy import widened
from server.single_flight import SingleFlight
from server.status.families import families, keys_by_provider, tokens_by_provider
from server.status.leaderboard import Leaderboard
from server.status.snapshot import StatusSnapshot
from server.store.base import StoreError
from web import custom, render
from web.view_public import AliasView, CustomView, Score

FRESH_SECONDS = 2.0
LONG_SECONDS = 60.0  # of the tokens that each provider's models have used


class CustomPage:
    """`policy` is what the page may load. `clock` is monotonic seconds."""

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatching,
        status: StatusSnapshot,
        leaderboard: Leaderboard,
        clock: Callable[[], float],
    ) -> None:
        self._settings, self._dispatcher, self._status, self._leaderboard = settings, dispatcher, status, leaderboard
        self._pages = SingleFlight(self._filled, FRESH_SECONDS, clock)
        self._tokens = SingleFlight(self._used, LONG_SECONDS, clock)
        self._models = SingleFlight(self._by_model, LONG_SECONDS, clock)
        self.policy = widened(render.CONTENT_SECURITY_POLICY, settings.page_csp)

    async def page(self, base_url: str) -> bytes:
        """The page for readers who came under this address, UTF-8."""
        return await self._pages.get(base_url)

    async def _filled(self, base_url: str) -> bytes:
        status, keys = await self._status.view(base_url), list(self._dispatcher.keyring.keys.values())
        view = CustomView(
            status=status,
            build=_build(),
            gatekeeper=self._settings.gatekeeper,
            keys=keys_by_provider(keys),
            families=families(status.models, keys),
            config=self._config(),
            people=await self._people(),
            tokens_by_provider=tokens_by_provider(await self._tokens.get(""), keys),
        )
        return custom.custom_html(self._settings.page, view)

    async def _people(self) -> tuple[AliasView, ...]:
        """Those who chose to be named, the one who used the most first."""
        if self._settings.leaderboard:
            with suppress(StoreError):
                board = await self._leaderboard.board("ever", "tokens")
                models = await self._models.get("")
                return tuple(_alias(score, models.get(person, [])) for person, score in board.people)
        return ()

    async def _by_model(self, _: str) -> dict[str, list[Sum]]:
        """What each person has used ever, by model."""
        found: dict[str, list[Sum]] = {}
        with suppress(StoreError):
            for each in await self._status.usage_totals.by_person_and_model():
                found.setdefault(str(each.key[0]), []).append(each)
        return found

    async def _used(self, name: str) -> dict[str, int]:
        """Tokens by model, ever."""
        with suppress(StoreError):
            sums = await self._status.usage_totals.by_model()
            return {str(each.key[0]): each.input + each.output for each in sums}
        return {}

    def _config(self) -> dict[str, str | int | bool | None]:
        """The settings that a page may show; all others stay here."""
        settings, book = self._settings, self._status.book
        rates = [
            limit.amount
            for limit in book.limits.of(Scope.EVERYONE)
            if (limit.unit, limit.window) == (Unit.REQUESTS, LimitWindow.MINUTE)
        ]
        return {
            "gatekeeper": settings.gatekeeper,
            "modelRateLimit": min(rates, default=0),
            "maxContextTokensOpenAI": settings.max_context_tokens_openai,
            "maxContextTokensAnthropic": settings.max_context_tokens_anthropic,
            "maxOutputTokensOpenAI": settings.max_output_tokens_openai,
            "maxOutputTokensAnthropic": settings.max_output_tokens_anthropic,
            "rejectDisallowed": bool(settings.reject_phrases or settings.reject_phrases_file),
            "rejectMessage": settings.reject_message,
            "promptLogging": any(group.content_days for group in book.groups.values()),
            "queueMode": "fair",
            "turboOnly": False,
        }


def _alias(score: Score, sums: Iterable[Sum]) -> AliasView:
    models = {str(each.key[1]): each for each in sums}
    requests, used, answered = (
        {model: getattr(each, field) for model, each in models.items()} for field in ("requests", "input", "output")
    )
    return AliasView(score.name, score.requests, score.tokens, requests, used, answered)


def _build() -> str:
    try:
        return version("fairgate")
    except PackageNotFoundError:  # it runs from a checkout that was not installed
        return ""
