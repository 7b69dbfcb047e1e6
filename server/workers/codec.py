"""The records that are said between a worker and the pool process, read back from JSON (`frames.packed` writes them).

Both sides are of one version (`frames.VERSION`) and trust each other, so these functions check nothing. No secret is
among these things: a key is an id here, and each worker has the keys' secrets from the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keypool.calibration import ForecastScore
from keypool.domains import Left
from keypool.health import KeyEvent, KeyHealth, KeyState
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.live import LiveRequest
from keypool.messages import Ask, Reason
from keypool.snapshot import DomainSnapshot, KeySnapshot, ModelSnapshot, PoolSnapshot, TallySnapshot
from keypool.trouble import KeyCheck, ModelTrouble, Trouble
from keypool.verdict import Verdict

JSON = Any
GROUPS, CONVERSATION, BOUND_TO = (Ask._fields.index(name) for name in ("groups", "conversation", "bound_to"))


def ask_out(ask: Ask) -> JSON:
    values: list[JSON] = list(ask)
    values[CONVERSATION] = ask.conversation.hex()
    return values


def ask_in(values: list[JSON]) -> Ask:
    values[GROUPS] = frozenset(values[GROUPS])
    values[CONVERSATION] = bytes.fromhex(values[CONVERSATION])
    values[BOUND_TO] = None if values[BOUND_TO] is None else frozenset(values[BOUND_TO])
    return Ask(*values)


def limits_out(limits: Mapping[LimitMeasure, RateWindow]) -> JSON:
    return [[each.value, one.limit, one.remaining, one.refill, one.period] for each, one in limits.items()]


def limits_in(values: Iterable[list[JSON]]) -> dict[LimitMeasure, RateWindow]:
    return {LimitMeasure(measure): RateWindow(*rest) for measure, *rest in values}


def verdict_in(values: dict[str, JSON]) -> Verdict:
    event = values.pop("event")
    return Verdict(None if event is None else KeyEvent(event), **values)


def key_out(key: Key) -> JSON:
    """A key as far as it decides what may be asked for, and how it stands as a whole."""
    sets = [key.dialects, key.models, key.groups]
    return [key.id, key.upstream, key.slots, key.organisation, *map(sorted, sets), *standing_out(key)]


def standing_out(key: Key) -> list[JSON]:
    return [key.whole.state.value, key.whole.since]


def standing_in(state: str, since: float) -> KeyHealth:
    return KeyHealth(KeyState(state), since)


def key_in(values: list[JSON]) -> Key:
    name, upstream, slots, organisation, dialects, models, groups, state, since = values
    return Key(
        id=name,
        upstream=upstream,
        dialects=frozenset(dialects),
        models=frozenset(models),
        slots=slots,
        groups=frozenset(groups),
        organisation=organisation,
        whole=standing_in(state, since),
    )


def live_in(values: dict[str, JSON]) -> LiveRequest:
    return LiveRequest(**values)


def snapshot_in(values: dict[str, JSON]) -> PoolSnapshot:
    return PoolSnapshot(
        models=tuple(map(_model_in, values["models"])),
        keys=tuple(map(_key_in, values["keys"])),
        domains=tuple(map(_domain_in, values["domains"])),
        tally=TallySnapshot(**values["tally"] | {"refusals": _by(Reason, values["tally"]["refusals"])}),
    )


def _key_in(values: dict[str, JSON]) -> KeySnapshot:
    checked = values["checked"]
    read = {
        "state": KeyState(values["state"]),
        "trouble": _trouble_in(values["trouble"]),
        "doubt": _trouble_in(values["doubt"]),
        "checked": None if checked is None else KeyCheck(**checked),
        "resting": tuple(
            ModelTrouble(each["model"], KeyState(each["state"]), each["until"], _trouble_in(each["trouble"]))
            for each in values["resting"]
        ),
        "domains": tuple(values["domains"]),
    }
    return KeySnapshot(**values | read)


def _trouble_in(values: dict[str, JSON] | None) -> Trouble | None:
    return None if values is None else Trouble(**values | {"event": KeyEvent(values["event"])})


def _model_in(values: dict[str, JSON]) -> ModelSnapshot:
    read = {"keys": _by(KeyState, values["keys"]), "waits": tuple(values["waits"])}
    return ModelSnapshot(**values | read | {"forecasts": ForecastScore(**values["forecasts"])})


def _domain_in(values: dict[str, JSON]) -> DomainSnapshot:
    limits = {LimitMeasure(measure): Left(*left) for measure, left in values["limits"].items()}
    return DomainSnapshot(values["id"], limits, values["running"], values["slots"], values["until"])


def _by(kind: type[Any], values: dict[str, JSON]) -> dict[Any, JSON]:
    return {kind(name): value for name, value in values.items()}
