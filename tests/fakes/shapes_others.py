"""The shapes that only some providers have: edited pictures, rerankers, and Anthropic's completions of before."""

from __future__ import annotations

import base64
from dataclasses import replace

from server.wire.usage import Usage
from tests.fakes.fates import Content
from tests.fakes.model import Asked, Json, Reply, count, dump, named_event, think
from tests.fakes.shapes_openai import CREATED, ERROR_EVENT

PICTURE = base64.b64encode(b"\x89PNG fake").decode()


def edits(form: Json, _content: Content) -> Reply:
    """POST /v1/images/edits: 65 input tokens for the pictures, and `n` pictures of 100 output tokens each."""
    n, tokens = int(form.get("n", 1)), count(form["prompt"])
    usage = {
        "input_tokens": tokens + 65,
        "input_tokens_details": {"text_tokens": tokens, "image_tokens": 65},
        "output_tokens": 100 * n,
        "total_tokens": tokens + 65 + 100 * n,
    }
    billed = Usage(tokens + 65, output=100 * n, images=n, input_image=65)
    early = {"type": "image_edit.partial_image", "b64_json": PICTURE, "partial_image_index": 0, "created_at": CREATED}
    ready = {"type": "image_edit.completed", "b64_json": PICTURE, "created_at": CREATED, "usage": usage}
    events = (named_event(early), named_event(ready, 100 * n)) if form.get("stream") == "true" else ()
    return Reply(dump({"created": CREATED, "data": [{"b64_json": PICTURE}] * n, "usage": usage}), billed, events)


def variations(form: Json, _content: Content) -> Reply:
    """POST /v1/images/variations: `n` pictures, of which nothing is reported but that they are there."""
    n = int(form.get("n", 1))
    return Reply(dump({"created": CREATED, "data": [{"b64_json": PICTURE}] * n}), Usage(images=n))


def rerank(body: Json, _content: Content) -> Reply:
    """POST /v1/rerank, as vLLM answers it: each document with a score, and the tokens that were read."""
    documents = body["documents"]
    tokens = count(body["query"]) * len(documents) + count(documents)
    results = [
        {"index": index, "document": {"text": text}, "relevance_score": 1 / (index + 1)}
        for index, text in enumerate(documents)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Reply(dump({"id": "rerank-fake", "model": body["model"], "results": results, "usage": usage}), Usage(tokens))


def complete(body: Json, content: Content) -> Reply:
    """POST /v1/complete: text without any figures."""
    thought = think(Asked(count(body["prompt"]), body["prompt"], body["max_tokens_to_sample"]), content)
    frame = {"type": "completion", "id": "compl_fake", "model": body["model"], "stop_reason": None}
    whole = frame | {"completion": thought.text, "stop_reason": "stop_sequence"}
    events = [named_event(frame | {"completion": piece}, 1) for piece in thought.pieces]
    events.append(named_event(frame | {"completion": "", "stop_reason": "stop_sequence"}))
    usage = replace(thought.usage, estimated=True)
    return Reply(dump(whole), usage, tuple(events) if body.get("stream") else (), ERROR_EVENT)
