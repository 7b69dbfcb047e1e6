"""Reports of OpenAI and Anthropic, in the shapes that their consoles and admin APIs give."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from server.ledger.provider_report import ReportError, ReportLine, read_report

OPENAI_USAGE = (
    "start_time\tend_time\tstart_time_iso\tend_time_iso\tproject_id\tnum_model_requests\tuser_id\tapi_key_id\tmodel\t"
    "batch\tservice_tier\tinput_tokens\toutput_tokens\tinput_cached_tokens\n"
    "1759622400\t1759708800\t2025-10-05T00:00:00+00:00\t2025-10-06T00:00:00+00:00\tproj_1\t10.0\tuser-1\tkey_1\t"
    "gpt-4o-2024-08-06\tFALSE\tdefault\t59200.0\t10646.0\t5760.0\n"
    "1759708800\t1759795200\t2025-10-06T00:00:00+00:00\t2025-10-07T00:00:00+00:00" + "\t" * 10 + "\n"
)
OPENAI_COSTS = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n"
    '1759622400,1759708800,2025-10-05,2025-10-06,0.1480000000000000,usd,"gpt-4o-2024-08-06, input",proj_1\n'
    '1759622400,1759708800,2025-10-05,2025-10-06,0.01,usd,"assistants api | file search",proj_1\n'
)
ANTHROPIC_USAGE = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed\n"
    "2026-08-05,claude-sonnet-4-5-20250929,lab,Default,standard,\u2264 200k,46981,15969,7,3,16932,0,global,\n"
)
ANTHROPIC_COSTS = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type\n"
    "2026-08-05,Claude Sonnet 4.5,Default,lab,message,\u2264 200k,input_no_cache,0.05,0.05,token\n"
)


def page(results: list[dict[str, Any]], **bucket: Any) -> bytes:
    return json.dumps({"object": "page", "data": [{**bucket, "results": results}], "has_more": False}).encode()


def test_the_files_of_the_consoles_are_read() -> None:
    day = ("openai", "2025-10-05")
    assert read_report("u.tsv", OPENAI_USAGE.encode()).lines == (
        ReportLine(*day, "gpt-4o-2024-08-06", "key_1", 59_200, 10_646),
        ReportLine("openai", "2025-10-06"),
    )
    assert read_report("c.csv", b"\xef\xbb\xbf" + OPENAI_COSTS.encode()).lines == (
        ReportLine(*day, "gpt-4o-2024-08-06", dollars=Decimal("0.148")),
        ReportLine(*day, "assistants api | file search", dollars=Decimal("0.01")),
    )
    day = ("anthropic", "2026-08-05")
    assert read_report("u.csv", ANTHROPIC_USAGE.encode()).lines == (
        ReportLine(*day, "claude-sonnet-4-5-20250929", "lab", 62_960, 16_932),
    )
    assert read_report("c.csv", ANTHROPIC_COSTS.encode()).lines == (
        ReportLine(*day, "Claude Sonnet 4.5", "lab", dollars=Decimal("0.05")),
    )


def test_the_pages_of_the_apis_are_read() -> None:
    seconds = {"object": "bucket", "start_time": 1759622400, "end_time": 1759708800}
    used = {"object": "organization.usage.completions.result", "input_tokens": 7, "output_tokens": 5}
    used |= {"input_cached_tokens": 3, "num_model_requests": 1, "model": "gpt-5", "api_key_id": None}
    cost = {"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}, "line_item": None}
    days = {"starting_at": "2026-08-05T00:00:00Z", "ending_at": "2026-08-06T00:00:00Z"}
    tokens = {"uncached_input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 9, "model": "claude-opus-5"}
    tokens |= {"cache_creation": {"ephemeral_1h_input_tokens": 4, "ephemeral_5m_input_tokens": 8}, "api_key_id": "k"}
    cents = {"amount": "123.45", "currency": "USD", "model": "claude-opus-5", "token_type": "output_tokens"}
    for results, bucket, line in (
        (used, seconds, ReportLine("openai", "2025-10-05", "gpt-5", None, 7, 5)),
        (cost, seconds, ReportLine("openai", "2025-10-05", dollars=Decimal("0.06"))),
        (tokens, days, ReportLine("anthropic", "2026-08-05", "claude-opus-5", "k", 15, 9)),
        (cents, days, ReportLine("anthropic", "2026-08-05", "claude-opus-5", dollars=Decimal("1.2345"))),
    ):
        assert read_report("page.json", page([results], **bucket)).lines == (line,)
    pages = b"[" + page([used], **seconds) + b"," + page([], **seconds) + b"]"
    assert len(read_report("pages.json", pages).lines) == 2
    assert read_report("part.json", page([], **seconds).replace(b"false", b"true")).more


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"name,price\n1,2\n", "f, line 1: no column tells"),
        (b"{", "f, line 1: no valid JSON"),
        (b'{"data": [1e99999999999999999999]}', "f, line 1: no valid JSON"),
        (b"[[]]", "f, page 1: expected a list in `data`"),
        (page([{"amount": {"value": 1, "currency": "eur"}}], start_time=0, end_time=1), "currency"),
        (page([{"input_tokens": -1}], start_time=0, end_time=1), "results 1: `input_tokens` is no count"),
        (page([], start_time=0, end_time=86_401), "more than a day"),
        (page([{"amount": "NaN"}], starting_at="2026-08-05"), "`amount` is beyond"),
        (page([], starting_at="yesterday"), "`starting_at` is no day"),
        (OPENAI_COSTS.replace("0.01,usd", "a lot,usd").encode(), "f, line 3: `amount` is no number"),
        (OPENAI_COSTS.replace(",proj_1", "").encode(), "f, line 2: 7 fields where the first line names 8"),
        (b"[" * 100_000, "no valid JSON"),
        (b"x" * (17 << 20), "larger than 16 MiB"),
    ],
)
def test_a_mistake_names_its_file_its_line_and_its_field(content: bytes, words: str) -> None:
    with pytest.raises(ReportError) as refused:
        read_report("f", content)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("item", "model"),
    [
        ("gpt-4o-2024-08-06, cached input", "gpt-4o-2024-08-06"),
        ("gpt-4o, output", "gpt-4o"),
        ("gpt-4o, a, b input c", "gpt-4o"),
        ("web search calls", "web search calls"),
        ("gpt-4o, inputs", "gpt-4o, inputs"),
        (", input", ", input"),
        (", " * 128, (", " * 128).strip()),
    ],
)
def test_a_line_of_costs_names_its_model_where_it_is_about_tokens(item: str, model: str) -> None:
    table = f'start_time,end_time,amount_value,amount_currency,line_item\n0,1,2,usd,"{item}"\n'
    assert [each.model for each in read_report("f", table.encode()).lines] == [model]
