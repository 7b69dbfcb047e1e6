"""The data of the models to choose from: the public list at `/models`, and a person's home page.

Units as in `view.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from web.listing import Listing
from web.view import Frame, ModelView
from web.view_me import LimitView, RequestView


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model or another name of one. Prices are micro-USD for a million tokens; None is not known."""

    name: str
    model: ModelView
    micro_usd_in: int | None = None
    micro_usd_out: int | None = None
    window: int | None = None  # tokens of the context
    reads: tuple[str, ...] = ()  # "text", "image", "audio", ...
    writes: tuple[str, ...] = ()
    chats: bool = True

    @property
    def uptime(self) -> float | None:
        """Of the last 30 days, as far as they are on record."""
        known = next((each for each in reversed(self.model.periods)), None)
        return known.uptime if known else None

    @property
    def speed(self) -> float | None:
        """Tokens per second of one answer, over the last day."""
        day = self.model.over("24h")
        return day.tokens_per_second if day else None


@dataclass(frozen=True, slots=True)
class ModelsView:
    """`/models?q=&reads=&sort=`: what can be asked for here, and at what price. `kinds` are what the models read."""

    frame: Frame
    rows: tuple[ModelRow, ...]
    listing: Listing
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HomeView:
    """`/me`: what is left, the models that the person may use, the chat, and the latest requests."""

    frame: Frame
    groups: tuple[str, ...]
    limits: tuple[LimitView, ...]
    models: tuple[ModelRow, ...]
    requests: tuple[RequestView, ...]
    base_url: str
    micro_usd_month: int = 0
    content_days: int = 0  # so long prompts and answers are kept because a group wishes it; 0: they are not
    content_group: str = ""

    @property
    def tightest(self) -> LimitView | None:
        """The budget of which the least is left, as a share; limits per minute are none."""
        budgets = [each for each in self.limits if each.window != "minute"]
        return max(budgets, key=lambda it: it.taken / it.most if it.most else float("inf"), default=None)

    @property
    def chatting(self) -> tuple[ModelRow, ...]:
        """The models that answer a chat, those that serve now first."""
        return tuple(sorted((it for it in self.models if it.chats), key=lambda it: not it.model.answers))
