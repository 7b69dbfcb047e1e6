"""Who pays for a call, which keys may serve it, and what the pool hears of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from keypool.health import KeyEvent
from keypool.keys import Key
from keypool.pool import Ask, Pool
from server.accounting.runtime_config import RuntimeConfig
from server.dispatcher import Dispatcher
from server.ledger.prices import Price, Rates
from server.policy.groups import Group
from server.relay.admission import DISCOVERY_SECONDS, Admission, Bounds
from server.relay.content_rules import ContentRules
from server.relay.context import Call
from server.relay.under_way import UnderWay
from server.store.base import Caller, IssuedObject, StoreError, TokenTerms
from server.wire.anthropic import ANTHROPIC
from server.wire.errors import (
    AccountingUnavailable,
    InvalidValue,
    NoConversations,
    NoKey,
    PermissionDenied,
    PromptRejected,
    Refusal,
    StatefulDisabled,
    UnknownId,
    UnknownModel,
    UnreadableContent,
)
from server.wire.filters import Phrases
from server.wire.openai import OPENAI
from server.wire.stored import Reference, seal_of
from tests.accounting.till import decided
from tests.relay.calls import ADA, MODEL, RESPONSES, a_call, a_key

NOW = 1_800_000_000_000  # UTC milliseconds
BOB = Caller("usr_bob", "bob", "tok_2")
LAB, CLUB = Group(name="lab", models=("gpt-4*",)), Group(name="club", weight=3.0, running=2)
PRICED = Price("p", "*", 0, Rates(input=1))
STATEFUL = Bounds(stateful=True)


@dataclass
class Makers:
    """A store that knows who has made which objects, unless it is away."""

    known: dict[str, IssuedObject] = field(default_factory=dict)
    away: bool = False
    asked: list[str] = field(default_factory=list)

    async def issued(self, names: Collection[str]) -> dict[str, IssuedObject]:
        if self.away:
            raise StoreError("away")
        self.asked += names
        return {each: self.known[each] for each in names if each in self.known}


async def admission_of(
    *keys: Key,
    groups: tuple[Group, ...] = (),
    bounds: Bounds = Bounds(),  # noqa: B008 - immutable
    makers: Makers | None = None,
    under_way: UnderWay | None = None,
    price: Price = PRICED,
) -> Admission:
    """An admission to a pool of these keys at the instant 0, where these groups are decided."""
    decisions: Any = decided((price, *groups))
    guard: Any = makers or Makers()
    config = RuntimeConfig(decisions)
    await config.sync()
    dispatcher = Dispatcher(Pool(keys), lambda: 0.0)
    under_way = under_way or UnderWay(bounds.stateful, lambda: NOW)
    return Admission(dispatcher, guard, config, bounds, lambda: 0.0, lambda: NOW, under_way)


async def asked(admission: Admission, call: Call, tokens: int = 10) -> Ask:
    """What the pool hears of a call that is let in."""
    rights = admission.rights(call.caller)
    return await admission.ask(await admission.admitted(call, rights), rights, 5.0, tokens)


def member(*groups: str, **more: Any) -> Caller:
    return replace(ADA, groups=groups, **more)


# Who pays


OVER = Group(name="course", until=1)
KEY, LABS, CLUBS = a_key(), a_key("labs", groups=("lab",)), a_key("clubs", groups=("club",))

# The groups that are decided, the keys, the caller's groups, the group that is named, the model, and who pays.
PAYERS: dict[str, tuple[tuple[Group, ...], tuple[Key, ...], tuple[str, ...], str | None, str | None]] = {
    "who is in no group": ((), (KEY,), (), None, None),
    "the first label, where no group decides": ((), (KEY,), ("physics", "chess"), None, "physics"),
    "the label that is named": ((), (KEY,), ("physics", "chess"), "chess", "chess"),
    "the first group that allows the model": ((LAB, CLUB), (KEY,), ("lab", "club"), None, "lab"),
    "the group that is named": ((LAB, CLUB), (KEY,), ("lab", "club"), "club", "club"),
    "a group before a label": ((CLUB,), (KEY,), ("physics", "club"), None, "club"),
    "the first that has a key": ((LAB, CLUB), (CLUBS,), ("lab", "club"), None, "club"),
    "who owns the key": ((), (a_key(groups=("person:ada",)),), (), None, None),
}


@pytest.mark.parametrize("name", PAYERS)
@pytest.mark.gen_test
async def test_one_group_pays(name: str) -> None:
    groups, keys, mine, named, payer = PAYERS[name]
    admission = await admission_of(*keys, groups=groups)
    ask = await asked(admission, call := a_call(caller=member(*mine), group=named))
    admitted = await admission.admitted(call, admission.rights(call.caller))
    assert admitted.group == payer
    assert ask.groups == {"person:ada"} | ({payer} if payer else set()), "no other group's keys serve it"


@pytest.mark.gen_test
async def test_a_model_that_the_first_group_does_not_allow_is_paid_by_the_next() -> None:
    admission = await admission_of(a_key(models=("gpt-5",)), groups=(LAB, CLUB))
    call = a_call(caller=member("lab", "club"), model="gpt-5")
    assert (await admission.admitted(call, admission.rights(call.caller))).group == "club"


UNNAMED = a_key(models=())  # its models are not known yet
MESSAGING = a_key("m", dialect="anthropic")

# The groups that are decided, the keys, the call, the refusal, and where its message sends the caller.
NOT_ADMITTED: dict[str, tuple[tuple[Group, ...], tuple[Key, ...], Call, Refusal]] = {
    "a group of others is named": ((LAB,), (KEY,), a_call(group="lab"), InvalidValue("X-Fairgate-Group")),
    "a group is named that does not allow it": (
        (LAB, CLUB),
        (a_key(models=("gpt-5",)),),
        a_call(caller=member("lab", "club"), group="lab", model="gpt-5"),
        InvalidValue("X-Fairgate-Group"),
    ),
    "a group is named that has no key": (
        (LAB, CLUB),
        (LABS,),
        a_call(caller=member("lab", "club"), group="club"),
        UnknownModel(),
    ),
    "no group allows it": ((LAB,), (a_key(models=("o1",)),), a_call(caller=member("lab"), model="o1"), UnknownModel()),
    "the only group is over": ((OVER,), (KEY,), a_call(caller=member("course")), UnknownModel()),
    "the token does not allow it": (
        (),
        (KEY,),
        a_call(caller=replace(ADA, terms=TokenTerms(models=("o1*",)))),
        UnknownModel(),
    ),
    "the key is another person's": ((), (a_key(groups=("person:ada",)),), a_call(caller=BOB), UnknownModel()),
    "no key has it": ((), (KEY,), a_call(model="o1"), UnknownModel()),
    "no key has it, as far as is known": (
        (),
        (KEY, UNNAMED),
        a_call(model="o1"),
        NoKey(retry_after=DISCOVERY_SECONDS),
    ),
    "it speaks messages, for others": (
        (),
        (a_key(groups=("lab",), dialect="anthropic"),),
        a_call(),
        UnknownModel(),
    ),
    "a phrase is rejected": ((), (KEY,), a_call(messages=[{"content": "a secret"}]), PromptRejected(words="No.")),
}


@pytest.mark.parametrize("name", NOT_ADMITTED)
@pytest.mark.gen_test
async def test_who_is_not_let_in_hears_why(name: str) -> None:
    groups, keys, call, refusal = NOT_ADMITTED[name]
    rules = ContentRules(Phrases.of(("secret",)), "No.")
    admission = await admission_of(*keys, groups=groups, bounds=Bounds(rules=rules))
    with pytest.raises(type(refusal)) as refused:
        await asked(admission, call)
    told = refused.value
    assert (told.message, told.param, told.retry_after) == (refusal.message, refusal.param, refusal.retry_after)


@pytest.mark.gen_test
async def test_a_call_that_goes_on_as_it_came_is_the_same_object() -> None:
    admission = await admission_of(KEY)
    assert await admission.admitted(call := a_call(), admission.rights(ADA)) is call


# With a key of one's own


# The caller's groups and token, the group that is named, and the one that it is booked on.
BOOKED: dict[str, tuple[Caller, str | None, str | None]] = {
    "in no group": (ADA, None, None),
    "the first": (member("lab", "club"), None, "lab"),
    "the one that is named": (member("lab", "club"), "club", "club"),
    "any group that is known, where no token is asked for": (replace(ADA, token_id=None), "lab", "lab"),
}


@pytest.mark.parametrize("name", BOOKED)
@pytest.mark.gen_test
async def test_with_ones_own_key_any_model_passes_and_is_booked_on_a_group(name: str) -> None:
    caller, named, booked = BOOKED[name]
    admission = await admission_of(groups=(LAB, CLUB))
    assert (await admission.passing(a_call(caller=caller, model="o1", group=named))).group == booked


@pytest.mark.parametrize("caller", [ADA, member("club"), replace(ADA, token_id=None)])
@pytest.mark.gen_test
async def test_with_ones_own_key_no_group_of_others_is_named(caller: Caller) -> None:
    admission = await admission_of(groups=(CLUB,))
    with pytest.raises(InvalidValue):
        await admission.passing(a_call(caller=caller, group="lab"))


# The list of models, and where a request would stand


# What has been learnt of the only key, and whether its model is listed.
LISTED: dict[str, tuple[tuple[KeyEvent, ...], bool]] = {
    "nothing": ((), True),
    "it rests": ((KeyEvent.RATE_LIMITED,), True),
    "it has no money": ((KeyEvent.OUT_OF_QUOTA,), True),
    "it is refused": ((KeyEvent.KEY_REFUSED,), False),
    "it is paused": ((KeyEvent.PAUSE,), False),
    "it was paused": ((KeyEvent.PAUSE, KeyEvent.RESUME), True),
}


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.gen_test
async def test_models_of_keys_that_come_back_are_listed(name: str) -> None:
    events, listed = LISTED[name]
    key = a_key()
    for event in events:
        key.apply(event, MODEL, 0.0)
    assert (await admission_of(key)).models(ADA, OPENAI) == ([MODEL] if listed else [])


@pytest.mark.gen_test
async def test_only_what_may_be_used_and_paid_is_listed() -> None:
    keys = (a_key(models=("gpt-4o", "gpt-5", "o1")), a_key("labs", models=("gpt-4.1",), groups=("lab",)), MESSAGING)
    admission = await admission_of(*keys, groups=(LAB,), price=Price("p", "gpt-*", 0, Rates(input=1)))
    narrow = TokenTerms(models=("gpt-5*",))
    assert sorted(admission.models(ADA, OPENAI)) == ["gpt-4o", "gpt-5"], "no price, and another group's key"
    assert sorted(admission.models(member("lab"), OPENAI)) == ["gpt-4.1", "gpt-4o"]
    assert admission.models(replace(ADA, terms=narrow), OPENAI) == ["gpt-5"]
    assert admission.models(ADA, ANTHROPIC) == [MODEL]


@pytest.mark.gen_test
async def test_a_forecast_is_made_for_what_may_be_used_only() -> None:
    admission = await admission_of(KEY, groups=(LAB,))
    assert (await admission.forecast(member("lab"), MODEL, OPENAI)).position == 0
    for caller, model in ((ADA, "o1"), (member("lab"), "o1"), (replace(ADA, terms=TokenTerms(models=("o",))), MODEL)):
        with pytest.raises(UnknownModel):
            await admission.forecast(caller, model, OPENAI)


@pytest.mark.gen_test
async def test_something_new_is_kept_with_a_key_that_its_maker_may_use() -> None:
    wide = a_key("wide", models=("gpt-4o", "gpt-5"), groups=("lab",))
    admission = await admission_of(KEY, wide, MESSAGING, groups=(LAB,), bounds=STATEFUL)
    assert (await admission.keeper_for(ADA, (), lambda key: True)).id == KEY.id, "the other one is a group's"
    assert (await admission.keeper_for(member("lab"), (), lambda key: key.id != KEY.id)).id == wide.id
    for caller, able in ((ADA, False), (replace(ADA, terms=TokenTerms(models=("o1",))), True)):
        with pytest.raises(NoConversations):
            await admission.keeper_for(caller, (), lambda key, able=able: able)
    with pytest.raises(UnknownId):
        await admission.keeper_for(ADA, (Reference("file_id", "file-1"),), lambda key: True)


# What the pool hears


@pytest.mark.gen_test
async def test_the_pool_hears_a_callers_share_and_bounds() -> None:
    admission = await admission_of(KEY, groups=(CLUB,), bounds=Bounds(queue_seconds=30.0))
    ask = await asked(admission, a_call(caller=member("club"), max_tokens=70, max_wait=4.0), tokens=9)
    assert (ask.weight, ask.running_cap, ask.deadline, ask.max_wait) == (3.0, 2, 35.0, 4.0)
    assert (ask.input_tokens, ask.most_output, ask.party) == (9, 70, "")
    assert (await asked(admission, a_call())).running_cap is None


@pytest.mark.gen_test
async def test_what_is_not_answered_in_tokens_has_no_output() -> None:
    admission = await admission_of(a_key(models=("e",)))
    assert (await asked(admission, a_call(path="/v1/embeddings", model="e", max_tokens=5))).most_output == 0


@pytest.mark.gen_test
async def test_one_persons_conversation_is_no_one_elses() -> None:
    admission = await admission_of(KEY)
    ada, again, bob = [await asked(admission, a_call(caller=each)) for each in (ADA, ADA, BOB)]
    assert ada.conversation == again.conversation != bob.conversation


@pytest.mark.parametrize(
    ("batch", "wish", "is_batch"),
    [
        (False, None, False),
        (False, "batch", True),
        (False, "interactive", False),
        (True, None, True),
        (True, "batch", True),
        (True, "interactive", None),
    ],
)
@pytest.mark.gen_test
async def test_any_call_may_be_batch_work_and_a_batch_groups_only_that(
    batch: bool, wish: str | None, is_batch: bool | None
) -> None:
    admission = await admission_of(KEY, groups=(Group(name="lab", batch=batch),))
    call = a_call(caller=member("lab"), asked_class=wish)
    if is_batch is None:
        with pytest.raises(PermissionDenied):
            await asked(admission, call)
    else:
        assert (await asked(admission, call)).batch is is_batch


@pytest.mark.parametrize(
    ("fairness", "groups", "party"),
    [
        ("group", ("club",), ("group:club", 3.0, 1.0)),
        ("group", (), ("group:", 1.0, 1.0)),
        ("address", ("club",), ("address:192.0.2.7", 1.0, 3.0)),
    ],
)
@pytest.mark.gen_test
async def test_where_persons_are_cheap_they_share(
    fairness: Any, groups: tuple[str, ...], party: tuple[str, float, float]
) -> None:
    admission = await admission_of(KEY, groups=(CLUB,), bounds=Bounds(fairness=fairness))
    ask = await asked(admission, a_call(caller=member(*groups), address="192.0.2.7"))
    assert (ask.party, ask.party_weight, ask.weight) == party


# Kept objects and encrypted content


MADE = {
    "resp_ada": IssuedObject(ADA.person_id, "k1", NOW),
    "file_ada": IssuedObject(ADA.person_id, "k2", NOW),
    "resp_bob": IssuedObject(BOB.person_id, "k1", NOW),
}
PICTURE = [{"role": "user", "content": [{"type": "input_file", "file_id": "file_ada"}]}]
TWO_KEYS = (a_key(), a_key("k2"))


def following(name: str, **more: Any) -> Call:
    return a_call(path=RESPONSES, previous_response_id=name, **more)


@pytest.mark.gen_test
async def test_a_request_goes_to_the_key_that_made_what_it_follows() -> None:
    admission = await admission_of(*TWO_KEYS, bounds=STATEFUL, makers=Makers(MADE))
    assert (await asked(admission, following("resp_ada"))).bound_to == {"k1"}
    assert (await asked(admission, a_call(path=RESPONSES, input=PICTURE))).bound_to == {"k2"}
    assert (await asked(admission, a_call(path=RESPONSES))).bound_to is None


# What a request follows, how the store is, and the refusal.
NOT_BOUND: dict[str, tuple[Call, Makers, Bounds, Refusal]] = {
    "another person's": (following("resp_bob"), Makers(MADE), STATEFUL, UnknownId("previous_response_id")),
    "unknown": (following("resp_x"), Makers(MADE), STATEFUL, UnknownId("previous_response_id")),
    "of two keys": (following("resp_ada", input=PICTURE), Makers(MADE), STATEFUL, UnknownId()),
    "the store is away": (following("resp_ada"), Makers(MADE, away=True), STATEFUL, AccountingUnavailable()),
    "nothing is kept here": (
        following("resp_ada"),
        Makers(MADE),
        Bounds(),
        StatefulDisabled("previous_response_id"),
    ),
    "nothing may be kept here": (a_call(path=RESPONSES, store=True), Makers(), Bounds(), StatefulDisabled("store")),
}


@pytest.mark.parametrize("name", NOT_BOUND)
@pytest.mark.gen_test
async def test_what_is_not_ones_own_does_not_exist(name: str) -> None:
    call, makers, bounds, refusal = NOT_BOUND[name]
    admission = await admission_of(*TWO_KEYS, bounds=bounds, makers=makers)
    with pytest.raises(type(refusal)) as refused:
        await asked(admission, call)
    assert refused.value.param == refusal.param


@pytest.mark.gen_test
async def test_what_an_answer_under_way_has_made_is_known_without_the_store() -> None:
    context: Any = SimpleNamespace(
        kept=lambda *, stateful: ("resp_new",),
        call=SimpleNamespace(caller=ADA),
        lease=SimpleNamespace(key=SimpleNamespace(id="k2")),
    )
    makers, under_way = Makers(), UnderWay(True, lambda: NOW, {"r0": context})
    admission = await admission_of(*TWO_KEYS, bounds=STATEFUL, makers=makers, under_way=under_way)
    assert (await asked(admission, following("resp_new"))).bound_to == {"k2"}
    assert makers.asked == []
    with pytest.raises(UnknownId):
        await asked(admission, following("resp_new", caller=BOB))


def sealed(text: str = "xyz") -> Call:
    return a_call(path=RESPONSES, input=[{"type": "reasoning", "encrypted_content": text}], store=False)


@pytest.mark.gen_test
async def test_encrypted_content_goes_to_the_organisation_that_made_it_as_long_as_that_lives() -> None:
    one, two, other = a_key("k1"), a_key("k2"), a_key("k3")
    one.organisation = two.organisation = "acme"
    admission = await admission_of(one, two, other)
    assert (await asked(admission, sealed())).bound_to is None, "the provider decides"
    admission.made([seal_of("xyz")], one)
    assert (await asked(admission, sealed())).bound_to == {"k1", "k2"}
    one.apply(KeyEvent.KEY_REFUSED, MODEL, 0.0)
    assert (await asked(admission, sealed())).bound_to == {"k1", "k2"}
    two.apply(KeyEvent.PAUSE, MODEL, 0.0)
    with pytest.raises(UnreadableContent):
        await asked(admission, sealed())


@pytest.mark.gen_test
async def test_encrypted_content_of_a_key_out_of_reach_binds_to_none() -> None:
    labs = a_key("labs", groups=("lab",))
    admission = await admission_of(a_key(), labs)
    admission.made([seal_of("xyz")], labs)
    assert (await asked(admission, sealed())).bound_to is None
