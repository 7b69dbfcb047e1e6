"""The names under which people stand on the leaderboard, if they want to. Pure."""

from __future__ import annotations

import re
from unicodedata import normalize

from web.wording import Wording

LONGEST = 32

# Letters and digits of any script, `_`, dots, dashes and blanks; nothing that is not seen or turns the text around.
_NICKNAME = re.compile(rf"[\w .\-]{{1,{LONGEST}}}")


def nickname_of(text: str) -> str:
    """A nickname as it is kept: composed (NFC), without blanks around it.

    Raises `ValueError`, whose text is for people, if the nickname is not allowed.
    """
    nickname = normalize("NFC", text).strip(" ")
    if not _NICKNAME.fullmatch(nickname) or not any(map(str.isalnum, nickname)):
        raise ValueError(Wording("a nickname has 1 to %(longest)s letters, digits, blanks and . - _", longest=LONGEST))
    return nickname
