"""Every page in three situations: nothing there yet, an ordinary day, and more than anybody expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

from web import render, render_admin, render_me
from web.explanations import of_refusal
from web.listing import Listing
from web.view import (
    Flash,
    Frame,
    HourView,
    IncidentView,
    KeyView,
    Ladder,
    ModelView,
    NoticeView,
    PeriodView,
    StatusView,
    TotalsView,
    Visitor,
)
from web.view_admin import (
    AdminGroupsView,
    AdminTokensView,
    AdminUsageView,
    AdminView,
    AuditRow,
    AuditView,
    GatewayView,
    GroupRow,
    ImportView,
    InvitationRow,
    KeyRow,
    KeysView,
    LimitRow,
    LimitsView,
    LiveView,
    MissingJournalView,
    NoticeRow,
    NoticesView,
    PeopleView,
    PersonRow,
    PersonView,
    PriceRow,
    PricesView,
    QueueView,
    UsageSum,
)
from web.view_bill import BillRow, BillView
from web.view_me import (
    Cell,
    CourseView,
    ExplainView,
    Fact,
    GroupsView,
    KeptView,
    LimitView,
    LoginSession,
    MembershipView,
    MemberView,
    MeView,
    NewSecret,
    PassView,
    PrivacyView,
    RequestsView,
    RequestView,
    SpentView,
    TokensView,
    TokenView,
)
from web.view_messages import MessageRow, MessagesView
from web.view_models import HomeView, ModelRow, ModelsView
from web.view_public import DocsView, InvitationView, LeaderboardView, LoginView, MessageView, QueuePlace, Score
from web.view_texts import TextsView, TextView
from web.wording import Wording

NOW = 1_790_000_000_000
HOUR, DAY = 3_600_000, 86_400_000
BERLIN = ZoneInfo("Europe/Berlin")

ME = Frame("Library gateway", NOW, BERLIN, Visitor("Ada Lovelace"), xsrf="x" * 43, login=True, leaderboard=True)
OPERATOR = replace(ME, visitor=Visitor("Grace Hopper", admin=True))
STRANGER = replace(ME, visitor=None)

Pages = Iterator[tuple[str, Callable[[], bytes]]]


def pages(text: Callable[[str], str] = str, many: int = 1) -> Pages:
    """(name, how to make it) of every page on an ordinary day. All texts from outside go through `text`."""
    status = busy_status(text, many)
    yield "status", lambda: render.status_html(status)
    yield from _public(text, many)
    yield from _mine(text, many)
    yield from _admin(text, many)


def empty_pages() -> Pages:
    """The same where nothing has happened yet."""
    first, last, nothing = "2026-09-01", "2026-09-21", SpentView("Today", 0, 0, 0, 0)
    person, total = PersonRow("p1", "Ada"), UsageSum("all", 0, 0, 0, 0)
    yield "status-empty", lambda: render.status_html(empty_status())
    yield "leaderboard-empty", lambda: render.leaderboard_html(LeaderboardView(STRANGER, "day", "tokens", ()))
    yield "docs-empty", lambda: render.docs_html(DocsView(Frame("fairgate", NOW), "http://127.0.0.1:8080"))
    yield "login-empty", lambda: render.login_html(LoginView(STRANGER))
    yield "home-empty", lambda: render_me.home_html(HomeView(ME, (), (), (), (), "https://llm.example.edu"))
    yield "models-empty", lambda: render.models_html(ModelsView(STRANGER, (), Listing("/models")))
    yield "me-empty", lambda: render_me.me_html(MeView(ME, (), (nothing,), first, last, (), ()))
    nothing_found = RequestsView(ME, (), Listing("/me/requests"), (), (), ())
    yield "requests-empty", lambda: render_me.requests_html(nothing_found)
    yield "explain-empty", lambda: render_me.explain_html(ExplainView(ME, None, "req_1", "It is still waiting."))
    yield "tokens-empty", lambda: render_me.tokens_html(TokensView(ME, (), "https://llm.example.edu"))
    yield "groups-empty", lambda: render_me.groups_html(GroupsView(ME, ()))
    yield (
        "course-empty",
        lambda: render_me.course_html(CourseView(ME, MembershipView("Physics"), nothing, (), first, last, ())),
    )
    yield "privacy-empty", lambda: render_me.privacy_html(PrivacyView(ME, (), None, "Ada"))
    yield "admin-empty", lambda: render_admin.admin_html(AdminView(OPERATOR, (), ()))
    yield "people-empty", lambda: render_admin.people_html(PeopleView(OPERATOR, (), 0))
    yield "person-empty", lambda: render_admin.person_html(PersonView(OPERATOR, person))
    yield "import-empty", lambda: render_admin.import_html(ImportView(OPERATOR))
    yield "admin-groups-empty", lambda: render_admin.admin_groups_html(AdminGroupsView(OPERATOR, ()))
    yield "admin-tokens-empty", lambda: render_admin.admin_tokens_html(AdminTokensView(OPERATOR, ()))
    yield "keys-empty", lambda: render_admin.keys_html(KeysView(OPERATOR, (), (), may_add=False))
    texts = (TextView("req_1", NOW - DAY, "a question", "an answer"),)
    yield "texts", lambda: render_me.texts_html(TextsView(OPERATOR, "lab", True, "ada", texts))
    yield "texts-empty", lambda: render_me.texts_html(TextsView(OPERATOR, "lab", False))
    yield "messages-empty", lambda: render_admin.messages_html(MessagesView(OPERATOR))
    yield "bill-empty", lambda: render_admin.bill_html(BillView(OPERATOR))
    yield "prices-empty", lambda: render_admin.prices_html(PricesView(OPERATOR, ()))
    yield "limits-empty", lambda: render_admin.limits_html(LimitsView(OPERATOR, ()))
    yield "notices-empty", lambda: render_admin.notices_html(NoticesView(OPERATOR, ()))
    yield (
        "usage-empty",
        lambda: render_admin.usage_html(AdminUsageView(OPERATOR, first, last, "model", "cost", (), total, ())),
    )
    yield "audit-empty", lambda: render_admin.audit_html(AuditView(OPERATOR, ()))


# --- the public ones


def empty_status() -> StatusView:
    """A gateway in its first minute."""
    return StatusView(
        title="fairgate",
        state="up",
        demo=False,
        uptime_seconds=42,
        now_ms=NOW,
        models=(),
        requests_today=0,
        tokens_in_today=0,
        tokens_out_today=0,
        base_url="http://127.0.0.1:8080",
    )


def young_status() -> StatusView:
    """A gateway in its second hour."""
    model = replace(
        a_model("gpt-5.2", 0, 1),
        periods=(PeriodView("24h", 12, 0, 1.0, 0.06, Ladder(12, 0.02, 0.1, 0.4), Ladder(12, 0.4, 0.9, 1.4)),),
        uptime_days=(None,) * 29 + (1.0,),
    )
    hours = (HourView(NOW - NOW % HOUR - HOUR, 9, 0.1), HourView(NOW - NOW % HOUR, 3, 0.02))
    return replace(
        empty_status(),
        models=(model,),
        keys=(KeyView("openai", "ready", NOW - 2 * HOUR, 1),),
        hours=hours,
        requests_today=12,
        history_since_ms=NOW - 2 * HOUR,
        people_online=1,
    )


def busy_status(text: Callable[[str], str] = str, many: int = 1) -> StatusView:
    """An ordinary working day at a university."""
    models = tuple(
        a_model(text(name), waiting, running)
        for name, waiting, running in (
            ("gpt-5.2", 14, 16),
            ("claude-sonnet-4-5", 0, 3),
            ("gpt-5-mini", 0, 0),
            ("qwen3-235b-a22b-instruct-2507", 0, 0),
        )
        * many
    )
    broken = replace(models[3], keys={"revoked": 1}, uptime_days=(1.0,) * 20 + (0.4, 0.0) + (1.0,) * 7 + (0.2,))
    hours = tuple(
        HourView(NOW - NOW % HOUR - back * HOUR, int(900 * load), None if back == 19 else load)
        for back, load in zip(range(23, -1, -1), _DAYLONG, strict=True)
    )
    return StatusView(
        title=text("Library gateway"),
        state="degraded",
        demo=False,
        uptime_seconds=273_900.5,
        now_ms=NOW,
        models=(*models[:3], broken, *models[4:]),
        requests_today=4821,
        tokens_in_today=12_345_678,
        tokens_out_today=987_654,
        base_url=text("https://llm.example.edu"),
        cost_today_micro_usd=23_410_000,
        month=TotalsView(81_204, 231_000_000, 19_400_000, 512_030_000),
        ever=TotalsView(1_204_881, 4_310_000_000, 301_000_000, 8_120_440_000),
        people_online=37,
        keys=tuple(
            KeyView(text(provider), state, NOW - hours * HOUR, 3)
            for provider, state, hours in (
                ("anthropic", "ready", 70),
                ("anthropic", "ready", 70),
                ("openai", "ready", 70),
                ("openai", "cooling", 0),
                ("openai", "exhausted", 31),
                ("local", "revoked", 5),
            )
            * many
        ),
        hours=hours,
        history_since_ms=NOW - 120 * DAY,
        incidents=tuple(
            IncidentView(
                text(title), NOW - ago * HOUR, None if lasts is None else NOW - (ago - lasts) * HOUR, text(why)
            )
            for title, ago, lasts, why in (
                ("qwen3-235b-a22b-instruct-2507 does not answer", 5, None, "The provider refuses its only key."),
                ("The store was away", 213, 1, "Requests went on and were booked afterwards."),
                ("gpt-5.2 did not answer", 540, 2, ""),
            )
            * many
        ),
        notices=(
            NoticeView("announcement", text("New in October: gpt-5-mini for all."), NOW - DAY),
            NoticeView("maintenance", text("We move to the new machine."), NOW + 2 * DAY, NOW + 2 * DAY + HOUR),
        ),
        zone=BERLIN,
        login=True,
        leaderboard=True,
    )


_DAYLONG = (
    0.04, 0.02, 0.01, 0.0, 0.0, 0.01, 0.03, 0.12, 0.35, 0.62, 0.81, 0.93,
    0.7, 0.88, 1.0, 0.97, 0.74, 0.5, 0.38, 0.33, 0.41, 0.3, 0.16, 0.09,
)  # fmt: skip


def a_model(name: str, waiting: int, running: int) -> ModelView:
    """A model with a month behind it."""
    periods = (
        PeriodView("24h", 1_204, 3, 0.99931, 1.0, Ladder(1204, 0.02, 3.1, 14.2), Ladder(1190, 0.61, 4.2, 18.5)),
        PeriodView("7d", 8_021, 31, 0.9987, 1.0, Ladder(8021, 0.02, 1.9, 11.0), Ladder(7990, 0.58, 3.3, 15.1)),
        PeriodView("30d", 31_877, 90, 0.99962, 1.0, Ladder(31877, 0.01, 1.1, 9.4), Ladder(31700, 0.55, 2.7, 12.8)),
    )
    return ModelView(
        name,
        waiting=waiting,
        running=running,
        slots=16,
        keys={"ready": 5, "cooling": 1, "exhausted": 2} if waiting else {"ready": 2},
        wait_p50_seconds=0.25,
        wait_p99_seconds=12.3,
        jain=0.998,
        gap=1.2 if waiting else 0.0,
        gap_bound=33.0 if waiting else 0.0,
        wait_seconds=12.4 if waiting else 0.0,
        demand="high" if waiting else "low",
        periods=periods,
        uptime_days=(1.0,) * 11 + (0.93,) + (1.0,) * 18,
    )


def _public(text: Callable[[str], str], many: int) -> Pages:
    names = ("night owl", "Théo", "lab-3", "λambda", "Grace.H", "x", "the_quiet_one")
    scores = tuple(
        Score(rank, text(name), 1200 // rank, 4_000_000 // rank, 31_000_000 // rank, 900.0 / rank, own=rank == 3)
        for rank, name in enumerate(names * many, 1)
    )
    groups = (Score(1, text("Physics"), 4000, 9_000_000, 80_000_000, 2300.0, people=61),)
    place = QueuePlace(8, 211, text("lab-3"))
    formula = "1 Wh for 3,000 generated tokens, a tenth of that for those read."
    yield (
        "leaderboard",
        lambda: render.leaderboard_html(
            LeaderboardView(ME, "week", "tokens", scores, groups, NOW - 4 * DAY, place, formula)
        ),
    )
    models = tuple(text(name) for name in ("gpt-5.2", "gpt-5-mini", "claude-sonnet-4-5") * many)
    yield "docs", lambda: render.docs_html(DocsView(ME, text("https://llm.example.edu"), models, text("gpt-5.2")))
    yield "invitation", lambda: render.invitation_html(InvitationView(STRANGER, text("Ada"), "fg_code"))
    welcome = InvitationView(STRANGER, text("Ada"), secret="fg_" + "Zz9" * 12, base_url="https://gate.example.edu/v1")
    yield "invitation-used", lambda: render.invitation_html(welcome)
    wrong = InvitationView(STRANGER, problem="This invitation has been used.")
    yield "invitation-wrong", lambda: render.invitation_html(wrong)
    yield "login", lambda: render.login_html(LoginView(STRANGER, text("Example University"), next=text("/me")))
    yield (
        "login-failed",
        lambda: render.login_html(LoginView(STRANGER, failed="This opens nothing here. Please check it.")),
    )
    yield "message", lambda: render.message_html(MessageView(ME, "404", "Not Found", text("There is nothing here.")))
    yield "young", lambda: render.status_html(young_status())


# --- one's own


def cells(text: Callable[[str], str], many: int) -> tuple[Cell, ...]:
    names = ("gpt-5.2", "claude-sonnet-4-5", "gpt-5-mini", "o3", "qwen3", "mistral-large", "text-embedding-3-small")
    return tuple(
        Cell(f"2026-09-{day:02d}", text(name), 3 + day % 5, 9000 * place, 800 * day, 41_000 * ((day * place) % 17))
        for day in range(1, 22)
        if day % 7 not in (5, 6)
        for place, name in enumerate(names * many, 1)
    )


def limits(text: Callable[[str], str]) -> tuple[LimitView, ...]:
    return (
        LimitView(
            "Yours",
            "usd",
            "month",
            20_000_000,
            3_204_000,
            resets_at_ms=NOW + 9 * DAY,
            of_one=True,
            raise_until="2026-11-30",
        ),
        LimitView("Yours", "usd", "day", 2_500_000, 2_100_000, extra=500_000, extra_until_ms=NOW + DAY),
        LimitView(
            text("Shared budget of Physics 101"), "usd", "term", 200_000_000, 200_000_000, resets_at_ms=NOW + 99 * DAY
        ),
        LimitView(
            "Yours", "usd", "term", 10_000_000, 4_000_000, of_one=True, raise_until="2026-12-31", group=text("physics")
        ),
        LimitView("Yours", "requests", "minute", 60, 2, text("gpt-5*")),
    )


def requests(text: Callable[[str], str], many: int, person: str = "") -> tuple[RequestView, ...]:
    return tuple(
        RequestView(
            f"req_{number:04x}", NOW - number * HOUR, text("gpt-5.2"), status, 0.02 * number, 0.4, 3.2, 1200, 310,
            8_100, number == 2, text("laptop"), text(person),
        )
        for number, status in enumerate(("completed", "completed", "cancelled", "failed", "rejected") * many)
    )  # fmt: skip


def passes(text: Callable[[str], str]) -> tuple[PassView, ...]:
    """One that is good, and one that was revoked."""
    good = PassView("0123abcd", text("students"), 2_000_000, NOW + DAY, (text("gpt-5*"),))
    return good, PassView("89ef4567", "", 500_000, NOW + HOUR, revoked=True)


def tokens(text: Callable[[str], str], owner: str = "") -> tuple[TokenView, ...]:
    return (
        TokenView("t1", text("laptop"), "fg_…x7Qa", "normal", NOW - 90 * DAY, last_used_ms=NOW - HOUR, owner=owner),
        TokenView(
            "t2", text("nightly job"), "fg_…p0Lk", "temporary", NOW - 9 * DAY, NOW + 30 * DAY, models=(text("gpt-5*"),),
            networks=("10.0.0.0/8",), addresses=2, limit=LimitView("Its own", "usd", "ever", 5_000_000, 1_250_000),
            owner=owner,
        ),
        TokenView("t3", text("old phone"), "fg_…m1Zz", "special", NOW - 400 * DAY, revoked_ms=NOW - DAY, owner=owner),
        TokenView("t4", text("workshop"), "fg_…k2Kk", "temporary", NOW - 40 * DAY, NOW - DAY, owner=owner),
    )  # fmt: skip


def model_rows(text: Callable[[str], str], many: int) -> tuple[ModelRow, ...]:
    """Models with all that is known, and one of which nothing is."""
    status = busy_status(text, many)
    known = (("text", "image"), ("text",))
    return (
        *(ModelRow(it.name, it, 1_250_000, 10_000_000, 400_000, *known) for it in status.models),
        ModelRow(text("new"), status.models[0], chats=False),
    )


def _mine(text: Callable[[str], str], many: int) -> Pages:
    spent = (
        SpentView("Today", 41, 121_000, 20_100, 2_100_000),
        SpentView("This month", 803, 2_310_000, 310_000, 3_204_000),
        SpentView(text("Winter term"), 2310, 9_120_000, 870_000, 14_880_000),
    )
    me = MeView(
        ME,
        (text("students"), text("Physics 101")),
        spent,
        "2026-08-23",
        "2026-09-21",
        cells(text, many),
        requests(text, many),
        older=text("1790000000000 req_0004"),
    )
    yield "me", lambda: render_me.me_html(me)
    rows = model_rows(text, many)
    home = HomeView(
        ME, (text("students"),), limits(text), rows, requests(text, many), "https://llm.example.edu",
        content_days=30, content_group=text("Physics 101"),
    )  # fmt: skip
    yield "home", lambda: render_me.home_html(home)
    listing = Listing("/models", {"q": text("gpt"), "reads": ""}, "-speed")
    yield "models", lambda: render.models_html(ModelsView(STRANGER, rows, listing, ("image", "text")))
    facts = (Fact("Before it in the queue", "3 requests"), Fact("Sent upstream", "twice: the first key was busy"))
    sentence = "It waited 4.1 s behind 3 requests and was answered in 2.2 s."
    one = replace(requests(text, 1)[0], wait_seconds=4.1, first_byte_seconds=4.9, duration_seconds=6.3)
    denied = RequestView(
        "req_00ff", NOW, text("gpt-9"), "refused", 0.0, None, 0.0, 0, 0, 0, token=text("laptop"), person=text("Ada"),
        why=of_refusal("model_not_found", "").what, count=37,
    )  # fmt: skip
    listing = Listing(
        "/me/requests", {"status": "refused", "model": text("gpt-9"), "token": "", "first": "", "last": ""}
    )
    shown = (("completed", "refused"), (text("gpt-5.2"),), (("t1", text("laptop")),))
    mine = RequestsView(ME, (denied, *requests(text, many)), listing, *shown, "cursor")
    yield "requests", lambda: render_me.requests_html(mine)
    why = ExplainView(ME, denied, denied.id, denied.why, facts, of_refusal("model_not_found", "").advice)
    yield "explain-refused", lambda: render_me.explain_html(why)
    yield "explain", lambda: render_me.explain_html(ExplainView(ME, one, one.id, sentence, facts))
    made = NewSecret("token", text("laptop"), "fg_" + "aB3dE6gH9" * 4)
    yield (
        "tokens",
        lambda: render_me.tokens_html(
            TokensView(ME, tokens(text) * many, "https://llm.example.edu", 50, made, 10_000_000, passes(text))
        ),
    )
    groups = (
        MembershipView(text("students"), note=text("All people with a student card.")),
        MembershipView(text("Physics 101"), "", NOW - 9 * DAY, NOW + 99 * DAY, limits(text)[2:3], leave=True),
        MembershipView(text("Compilers"), "", NOW, NOW + 99 * DAY, teaches=True),
    )
    code = NewSecret("join code", text("Compilers"), "K7QX-M4PD-9R")
    flash = replace(ME, flash=Flash("good", "You are in now."))
    yield "groups", lambda: render_me.groups_html(GroupsView(flash, groups * many, True, code))
    members = tuple(MemberView(text(name), 31, 90_000, 310_000, "2026-09-20") for name in ("Ada", "Edsger") * many)
    course = CourseView(
        ME,
        replace(groups[2], limits=limits(text)[2:3]),
        spent[2],
        members,
        "2026-08-23",
        "2026-09-21",
        cells(text, many),
        True,
        "ABCD-EFGH-JKMN",
    )
    yield "course", lambda: render_me.course_html(course)
    kept = (
        KeptView("Name", text("Ada Lovelace"), "To greet you.", "Until you erase it."),
        KeptView("Login", text("ada@example.edu"), "So that you are the same person tomorrow.", "Until you erase it."),
        KeptView("Requests", "803 rows of figures", "For the bill and these charts.", "400 days."),
    )
    sessions = (LoginSession("a1", NOW - HOUR, NOW + 11 * HOUR, True), LoginSession("b2", NOW - DAY, NOW + HOUR))
    yield (
        "privacy",
        lambda: render_me.privacy_html(
            PrivacyView(
                ME,
                kept * many,
                text("night owl"),
                text("Ada"),
                text("ada@example.org"),
                True,
                sessions,
                languages=("en", "de"),
            )
        ),
    )


# --- the administrators'


def _admin(text: Callable[[str], str], many: int) -> Pages:
    spent = (SpentView("Today", 4821, 12_345_678, 987_654, 23_410_000),)
    live = (
        LiveView(
            *("req_1", text("Ada Lovelace"), text("gpt-5.2"), "waiting", NOW - 12_000, 1, 3.0, "", 81_000),
            person_id=text("usr 1"),
            many=12,
        ),
        LiveView("req_2", text("Edsger Dijkstra"), text("gpt-5.2"), "running", NOW - 70_000, upstream=text("openai")),
    )
    queues = (QueueView(text("gpt-5.2"), 14, 16, 16, 9), QueueView(text("claude-sonnet-4-5"), 0, 3, 16, 0))
    alerts = ("One key is revoked: the provider refuses it.",)
    yield "admin", lambda: render_admin.admin_html(AdminView(OPERATOR, queues * many, live * many, alerts, spent))
    gateways = (
        GatewayView("1f2e3d4c", text("gate-1:8080"), "0.1.0", NOW - DAY, 0.0, 12, 3, True),
        GatewayView("5b6a7988", text("gate-2:8080"), "0.1.0", NOW - HOUR, 1.2, 0, 0, False),
    )
    missing = (MissingJournalView("99887766", text("gate-3:8080"), NOW - HOUR),)
    yield (
        "admin-gateways",
        lambda: render_admin.admin_html(
            AdminView(OPERATOR, queues, live, gateways=gateways * many, missing=missing * many)
        ),
    )
    people = (
        PersonRow(
            "p1",
            text("Ada Lovelace"),
            (text("students"), text("Physics 101")),
            False,
            False,
            False,
            NOW,
            3_204_000,
            803,
            2,
        ),
        PersonRow("p2", text("Grace Hopper"), (text("staff"),), True, False, False, NOW - DAY, 0, 0, 1),
        PersonRow("p3", text("Mallory"), (), False, True, False, None, 0, 0, 0),
        PersonRow("p4", text("Edsger Dijkstra"), (text("alumni"),), False, False, True, NOW - 400 * DAY, 0, 0, 1),
    )
    yield "people", lambda: render_admin.people_html(PeopleView(OPERATOR, people * many, 211, text("50")))
    person = PersonView(
        OPERATOR,
        people[0],
        text("ada@example.edu"),
        text("https://id.example.edu ada"),
        (text("students"),),
        text("Asked for more in May."),
        NOW - 200 * DAY,
        tokens(text, text("Ada")),
        limits(text),
        (text("students"),),
        requests(text, many),
        NewSecret("token", text("loan"), "fg_" + "Zz9" * 12),
        passes(text),
    )
    person = replace(person, invited_ms=NOW + DAY)
    yield "person", lambda: render_admin.person_html(person)
    closed = replace(people[1], disabled=True)
    yield "person-closed", lambda: render_admin.person_html(PersonView(OPERATOR, closed))
    faults = ((3, "name: expected 1 to 128 printable characters"), (9, "groups: there is no such group"))
    yield "import", lambda: render_admin.import_html(ImportView(OPERATOR, 0, 0, faults * many))
    link = "https://gate.example.edu/invitation?code=fg_" + "Zz9" * 16
    invited = (InvitationRow(text("Ada Lovelace"), text("ada@example.edu"), link, NOW + 14 * DAY),) * many
    yield (
        "imported",
        lambda: render_admin.import_html(ImportView(OPERATOR, 30, 2, (), invited, "name,email,link", True)),
    )
    rows = (
        GroupRow(text("students"), members=812),
        GroupRow(
            text("Physics 101"),
            2.0,
            (text("gpt-5*"),),
            4,
            True,
            30,
            NOW,
            NOW + 99 * DAY,
            (text("Ada"),),
            True,
            text("Lab"),
            61,
        ),
    )
    yield "admin-groups", lambda: render_admin.admin_groups_html(AdminGroupsView(OPERATOR, rows * many, rows[1]))
    yield (
        "admin-tokens",
        lambda: render_admin.admin_tokens_html(AdminTokensView(OPERATOR, tokens(text, text("Ada")) * many, text("x"))),
    )
    keys = (
        KeyRow(
            "3f9a1c", "x7Qa", text("openai"), "ready", NOW - 70 * HOUR, (text("gpt-5.2"),), 3, 16, added=True,
            owner=text("Chair of Logic"), kind="openai", address=text("https://api.openai.com/v1"),
            why=("The provider accepts it.",), next=("The next test is in 12 min.",),
            check=("Tested 3 min ago: the provider accepts it.",),
            left=("Today $3.12 for 812 requests.", "$16.88 of $20.00 left under the cap of its upstream."),
            terms={"slots": "16", "rpm": "500", "models": text("gpt-5.2"), "groups": text("students, staff"),
                   "owner": text("Chair of Logic"), "organisation": "", "monthly_cap_usd": "20.00"},
        ),
        KeyRow(
            "77b0e2", "p0Lk", text("openai"), "exhausted", NOW - 31 * HOUR, (), 0, 16, added=True,
            why=("Its quota or its money is used up.", text("31 h ago, it said so (429): “Check your plan”.")),
            next=("One request tries it in 28 min.", "If it has been topped up, test it: then it is used at once."),
            check=(text("Tested 3 min ago. It said: “You exceeded your quota”."),),
        ),
        KeyRow(
            "c41d55", "m1Zz", text("anthropic"), "paused", NOW - HOUR, (text("claude-sonnet-4-5"),), 0, 8, paused=True,
            why=("An administrator has paused it.",), next=("It serves again when it is resumed.",),
        ),
        KeyRow("c41d56", "m1Zy", text("local"), "revoked", NOW - HOUR, (), 0, 8),
    )  # fmt: skip
    each_once = tuple(replace(key, id=f"{key.id}{number}") for number in range(many) for key in keys)
    upstreams = (text("openai"), text("anthropic"))
    aliases = ((text("main"), text("gpt-5.2"), True), (text("gpt-3.5-turbo"), text("gpt-5-mini"), False))
    yield (
        "keys",
        lambda: render_admin.keys_html(
            KeysView(OPERATOR, each_once, upstreams, kinds=("openai", "azure"), aliases=aliases * many)
        ),
    )
    prices = (
        PriceRow("a", text("gpt-5.2"), NOW - 90 * DAY, 1_250_000, 10_000_000, 125_000),
        PriceRow("b", text("qwen3*"), NOW - DAY, 75_000, 300_000, request=100, own=True, holds=False),
        PriceRow("c", text("claude-sonnet-4-5"), NOW - 300 * DAY, 3_000_000, 15_000_000, 300_000, 3_750_000, own=False),
    )
    figures = (10**9, 5), (0, 7), (10**9, 2 * 10**9)
    drift = BillRow("openai", "2026-11-30", text("gpt-5"), text("1a2b3c4d"), *figures, False)
    agrees = BillRow("anthropic", "2026-11-30", "", "", None, None, (1, 1), True)
    bill = BillView(OPERATOR, (drift, agrees) * many, (text("The bill names key_1."),), (2, 1), 3)
    yield "bill", lambda: render_admin.bill_html(bill)
    yield "prices", lambda: render_admin.prices_html(PricesView(OPERATOR, prices * many, (text("mystery-1"),)))
    rules = (
        LimitRow("l1", "everyone", "", "usd", "month", 20_000_000),
        LimitRow(
            "l2", "person", text("Ada Lovelace"), "usd", "month", 20_000_000, extra=10_000_000, extra_until_ms=NOW + DAY
        ),
        LimitRow("l3", "group", text("Physics 101"), "usd", "term", 200_000_000, since_ms=NOW, until_ms=NOW + 99 * DAY),
        LimitRow("l4", "everyone", "", "requests", "minute", 60, text("gpt-5* o3")),
    )
    yield "limits", lambda: render_admin.limits_html(LimitsView(OPERATOR, rules * many))
    notices = (
        NoticeRow("n1", NoticeView("announcement", text("gpt-5-mini is for all people now."), NOW - DAY), True),
        NoticeRow("n2", NoticeView("incident", text("The provider is slow."), NOW - 9 * DAY, NOW - 8 * DAY), False),
    )
    messages = (
        MessageRow(NOW, Wording("a budget"), 80, "mail", text("Ada Lovelace"), "sent", 1, ""),
        MessageRow(
            NOW,
            Wording("a key is lost"),
            0,
            "webhook",
            Wording("the operator"),
            "failed",
            8,
            Wording("the receiver wants no more messages"),
        ),
    )
    ways = (text("mail.example.org, port 587, STARTTLS"), text("llm@example.org"), text("ops@example.org"))
    told = MessagesView(OPERATOR, *ways, text("hooks.example.org"), (50, 80, 95, 100), messages * many)
    yield "messages", lambda: render_admin.messages_html(told)
    yield "notices", lambda: render_admin.notices_html(NoticesView(OPERATOR, notices * many, True))
    sums = tuple(UsageSum(text(name), 4000, 9_000_000, 800_000, 81_000_000) for name in ("gpt-5.2", "o3") * many)
    everyones = RequestsView(
        OPERATOR, requests(text, many, "Ada"), Listing("/admin/requests", {"q": text("Ada")}, "-cost"), ("failed",),
        (text("gpt-5.2"),), (), since_ms=NOW - DAY, of_all=True,
        files=((Wording("Export CSV"), "/admin/requests.csv"),),
    )  # fmt: skip
    yield "admin-requests", lambda: render_admin.requests_html(everyones)
    usage = AdminUsageView(
        OPERATOR,
        "2026-08-23",
        "2026-09-21",
        "model",
        "cost",
        sums,
        UsageSum("all", 8000, 18_000_000, 1_600_000, 162_000_000),
        cells(text, many),
        requests(text, many, "Ada"),
        hours=tuple((NOW - NOW % HOUR - age * HOUR, text("gpt-5.2"), 7 * age % 50) for age in range(1, 30)),
    )
    yield "usage", lambda: render_admin.usage_html(usage)
    audits = (
        AuditRow(
            NOW - HOUR, text("Grace Hopper"), "limit.raise", text("l2"), (text("extra: 0.00"),), (text("extra: 10.00"),)
        ),
        AuditRow(
            NOW - DAY, "operator", "group.set", text("Physics 101"), (), (text("weight: 2.0"), text("models: gpt-5*"))
        ),
        AuditRow(NOW - DAY, "operator", "limit.remove", text("l2"), (text("extra: 0.00"),), id="aud_1"),
        AuditRow(NOW - DAY, "operator", "limit.remove", text("l3"), (text("extra: 0.00"),), outcome="made in part"),
    )
    yield "audit", lambda: render_admin.audit_html(AuditView(OPERATOR, audits * many, text("1790000000000 a1")))
