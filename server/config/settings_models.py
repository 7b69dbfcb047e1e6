"""The setting of names for models. It stands among the others in front of "The queue"."""

from __future__ import annotations

from dataclasses import dataclass

from server.config.setting import row
from server.config.settings_languages import LanguageRows
from server.policy.aliases import Alias, parse_aliases


@dataclass(frozen=True, kw_only=True)
class ModelRows(LanguageRows):
    """Those that are decided at run time hold beside it (`alias set`)."""

    aliases: tuple[Alias, ...] = row(
        "", parse_aliases, "Names for models: name=model; -name=model is one that no list shows, as a retired one.",
        example="main=gpt-5,-gpt-4=gpt-5", section="Names of models",
    )  # fmt: skip
