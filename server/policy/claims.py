"""From what an identity provider says of a person to groups here.

`CLAIMS_FILE` is YAML:

    rules:
      - when:
          affiliation: ["student@fb-in.*", "member@fb-in.*"]    # one of these; a * stands for any text
        groups: [students]
      - when:                                                   # all claims of a rule must fit
          realm_access.roles: "llm-*"                           # a dot leads into a claim
          email_verified: "true"
        groups: [staff, "{value}"]                              # what fitted, as a group of that name

A claim is a text, a number, true or false, or a list of these; of a list one must fit. `OIDC_ADMIN` is one such
condition: `groups=llm-admins`. The file is read strictly, and every mistake is reported with its place.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from server.policy.groups import NAME

Claims = Mapping[str, Any]

SAME = "{value}"
MOST_GROUPS = 100  # of one person, by claims
LONGEST = 1024  # characters of a value that is looked at
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Condition:
    """One claim, and the patterns of which one must fit."""

    claim: str
    patterns: tuple[str, ...]

    def fitting(self, claims: Claims) -> list[str]:
        """The values that fit, in their order."""
        return [value for value in texts(found(claims, self.claim)) if any(_fits(p, value) for p in self.patterns)]


@dataclass(frozen=True, slots=True)
class Rule:
    """A person who meets all conditions is in all groups; `SAME` is a group for each value that met the first one."""

    when: tuple[Condition, ...]
    groups: tuple[str, ...]

    def gives(self, claims: Claims) -> Iterator[str]:
        fitting = [condition.fitting(claims) for condition in self.when]
        if all(fitting):
            for group in self.groups:
                yield from (value.strip("/") for value in fitting[0]) if group == SAME else (group,)


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """All rules of a file."""

    rules: tuple[Rule, ...] = ()

    def groups(self, claims: Claims) -> tuple[str, ...]:
        """The groups of a person with these claims, in the order of the rules."""
        given = dict.fromkeys(group for rule in self.rules for group in rule.gives(claims) if NAME.fullmatch(group))
        return tuple(given)[:MOST_GROUPS]

    @property
    def claims(self) -> frozenset[str]:
        """The claims that the rules ask about."""
        return frozenset(condition.claim for rule in self.rules for condition in rule.when)


def found(claims: Claims, path: str) -> object:
    """The value of a claim: of one whose name has dots in it, else of one inside another; None if there is none."""
    if path in claims:
        return claims[path]
    outer, _, inner = path.partition(".")
    inside = claims.get(outer) if inner else None
    return found(inside, inner) if isinstance(inside, Mapping) else None


def withheld(claims: Claims, path: str) -> bool:
    """Whether the provider says that a person has this claim, but not its value.

    OpenID Connect names such claims in `_claim_names` (section 5.6.2). Entra ID does so for people in more than 200
    groups, or says `hasgroups`. Where they are to be asked for is not followed: that needs rights of another kind.
    """
    name, names = path.partition(".")[0], claims.get("_claim_names")
    elsewhere = isinstance(names, Mapping) and (name in names or path in names)
    return found(claims, path) is None and (
        elsewhere or (path == "groups" and claims.get("hasgroups") in (True, "true"))
    )


def texts(value: object) -> list[str]:
    """The values of a claim, as texts; a value that is no scalar is left out."""
    values = value if isinstance(value, list) else [value]
    said = (str(each).lower() if isinstance(each, bool) else each for each in values)
    return [str(each) for each in said if isinstance(each, (str, int)) and len(str(each)) <= LONGEST]


def condition(text: str) -> Condition | None:
    """`claim=pattern`; empty is no condition. `ValueError` for anything else."""
    if not text:
        return None
    claim, equals, pattern = (part.strip() for part in text.partition("="))
    if not claim or not equals or not pattern:
        raise ValueError("expected a claim and a pattern such as groups=llm-admins")
    return Condition(claim, (pattern,))


def lapsed(last_login_at: int | None, login: str | None, now: int, days: int) -> bool:
    """Whether a person's last login at the provider is more than so many days ago; 0 days is no such rule.

    `login` None: the person never logged in by a provider, so the rule does not hold for them. Times are UTC
    milliseconds.
    """
    if not days or login is None:
        return False
    return last_login_at is None or now - last_login_at > days * DAY_MS


@lru_cache(1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def _fits(pattern: str, value: str) -> bool:
    return _pattern(pattern).fullmatch(value) is not None


# --- the file


class _Loader(yaml.BaseLoader):
    """Every scalar stays the text that it is. A field that stands twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        if len(names) != len(set(names)):
            raise yaml.constructor.ConstructorError(None, None, "a field stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_claims(path: Path) -> tuple[ClaimRules, list[str]]:
    """The rules of the file that can be used, and the mistakes."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - it builds nothing but texts
    except (OSError, UnicodeDecodeError):
        return ClaimRules(), ["CLAIMS_FILE: expected a readable text file in UTF-8"]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        return ClaimRules(), [f"CLAIMS_FILE{line}: expected YAML, and no field twice"]
    entries = document.get("rules") if isinstance(document, dict) and set(document) == {"rules"} else None
    if not isinstance(entries, list):
        return ClaimRules(), ["CLAIMS_FILE: expected one field `rules` with a list"]
    mistakes: list[str] = []
    rules = [_rule(f"rules[{number}]", entry, mistakes) for number, entry in enumerate(entries)]
    return ClaimRules(tuple(rule for rule in rules if rule)), mistakes


def _rule(place: str, entry: object, mistakes: list[str]) -> Rule | None:
    """One entry of the list; None if it cannot be used, and then `mistakes` says why."""
    if not isinstance(entry, dict) or set(entry) != {"when", "groups"}:
        mistakes.append(f"{place}: expected the fields when and groups, and no other")
        return None
    when, groups = entry["when"], _words(entry["groups"])
    before = len(mistakes)
    conditions = []
    if not isinstance(when, dict) or not when:
        mistakes.append(f"{place}.when: expected claims with their patterns")
    else:
        conditions = [Condition(str(claim), _words(patterns)) for claim, patterns in when.items()]
        mistakes += [
            f"{place}.when[{number}]: expected a claim with a pattern, or with a list of them"
            for number, each in enumerate(conditions)
            if not each.claim or not each.patterns
        ]
    if not groups or not all(group == SAME or NAME.fullmatch(group) for group in groups):
        mistakes.append(f"{place}.groups: expected names of 1 to 64 letters, digits, blanks and .@+/-_, or {SAME}")
    return Rule(tuple(conditions), groups) if len(mistakes) == before else None


def _words(value: object) -> tuple[str, ...]:
    """A text or a list of texts; nothing if it is anything else, or one of them is empty."""
    values: list[object] = value if isinstance(value, list) else [value]
    words = tuple(each for each in values if isinstance(each, str) and each)
    return words if len(words) == len(values) else ()
