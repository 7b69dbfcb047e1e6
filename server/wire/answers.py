"""The shapes of answers: one meter each.

A meter knows where its shape has figures and hands them to `Figures`, which knows what they mean. It also counts the
calls of hosted tools that stand in an answer itself, for providers that report none, and for streams that break off.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from server.wire.figures import ANTHROPIC, tools_in
from server.wire.items import HostedCalls
from server.wire.kept import is_running
from server.wire.meter import DeliveryMeter, json_object
from server.wire.usage import Usage

TEXT_OF_CHAT = frozenset({"role", "content", "reasoning_content", "reasoning", "refusal"})
LONGEST_SOUND = 1_000_000  # seconds: more is no answer to believe


class Choices(DeliveryMeter):
    """The shape of chat and legacy completions: chunks with `choices`, `usage` in any chunk, `[DONE]` at the end.

    The usage stands beside the choices, in one of them (Moonshot) or under `x_groq`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[int, bool] = {}  # choice index -> has it no finish_reason yet?

    def ended(self) -> bool:
        """Some compatible servers close after the last finish_reason without saying `[DONE]`."""
        return self.finished or (bool(self._open) and not any(self._open.values()))

    def _event(self, document: dict[str, Any]) -> bool:
        choices = document.get("choices")
        if (not choices or "error" in document) and self._failed_with(document):
            return False
        if not self.served_model:
            self._served_by(document)
            self.made.whole(document)
        for choice in _objects(choices):
            if "error" in choice:
                self._failed_with(document)
            self._goes_on(choice)
            self._choice(choice)
        self._used(document)
        return choices == [] and type(document.get("usage")) is dict

    def _answer(self, document: dict[str, Any]) -> None:
        self._served_by(document)
        self.made.whole(document)
        for choice in _objects(document.get("choices")):
            self._choice(choice)
        self._used(document)

    def _goes_on(self, choice: dict[str, Any]) -> None:
        """A choice that has finished stays so, whatever comes behind it."""
        index = choice.get("index")
        place = index if type(index) is int else 0
        self._open[place] = self._open.get(place, True) and not choice.get("finish_reason")

    def _used(self, document: dict[str, Any]) -> None:
        groq = document.get("x_groq")
        places = [document.get("usage"), groq.get("usage") if type(groq) is dict else None]
        places += [choice.get("usage") for choice in _objects(document.get("choices"))]
        self._reported(document, *places)

    def _begins(self, document: dict[str, Any]) -> None:
        """A role alone is not the answer yet; the figures at the end, without any choice, are the answer's."""
        choices = document.get("choices")
        if choices == []:
            self.begun = type(document.get("usage")) is dict
        for choice in _objects(choices):
            self.opened = True
            delta = choice.get("delta")
            said = [value for name, value in delta.items() if name != "role"] if type(delta) is dict else []
            said += [choice.get(name) for name in ("text", "message", "finish_reason")]
            self.begun |= any(said)

    def _only_text(self, document: dict[str, Any]) -> bool:
        """One choice, and no figures: those cover the text that came before them (`_reported`)."""
        choices = document.get("choices")
        if not self.begun or "error" in document or document.get("usage") or "x_groq" in document:
            return False
        return type(choices) is list and len(choices) == 1 and self._plain_choice(choices[0])

    def _plain_choice(self, choice: dict[str, Any]) -> bool:
        delta = choice.get("delta")
        plain = type(delta) is dict and delta.keys() <= TEXT_OF_CHAT and "message" not in choice
        return plain and "usage" not in choice and "error" not in choice

    @abstractmethod
    def _choice(self, choice: dict[str, Any]) -> None:
        """Take what a choice delivers."""


class Chat(Choices):
    """`/v1/chat/completions`."""

    def __init__(self) -> None:
        super().__init__()
        self._hosted = HostedCalls()

    def _choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or choice.get("message")
        if type(delta) is not dict:
            return
        if ("tool_calls" in delta or "executed_tools" in delta) and self._hosted.message(delta):
            self.figures.call(self._hosted.calls())
        for name in ("content", "reasoning_content", "reasoning", "refusal"):
            if name in delta:
                self._take(delta[name])
        self.made.kept(delta.get("audio"))
        if "tool_calls" in delta:
            for call in _objects(delta["tool_calls"]):
                self._call(call.get("function"))
        if "function_call" in delta:
            self._call(delta["function_call"])

    def _call(self, function: Any) -> None:
        if type(function) is dict:
            self._take(function.get("name"))
            self._take(function.get("arguments"))


class Completions(Choices):
    """`/v1/completions`."""

    def _choice(self, choice: dict[str, Any]) -> None:
        self._take(choice.get("text"))

    def _plain_choice(self, choice: dict[str, Any]) -> bool:
        return choice.keys() <= {"index", "text", "logprobs", "finish_reason"}


class Responses(DeliveryMeter):
    """`/v1/responses`: typed events; the last one carries the whole response with its usage."""

    _TERMINAL = frozenset({"response.completed", "response.failed", "response.incomplete"})
    _OPENINGS = frozenset({"response.created", "response.queued", "response.in_progress"})

    def __init__(self) -> None:
        super().__init__()
        self._hosted = HostedCalls()  # of the items that are done

    def _event(self, document: dict[str, Any]) -> bool:
        kind = document.get("type")
        if type(kind) is not str:
            return False
        if kind.endswith(".delta"):
            if not kind.endswith("audio.delta"):  # base64, not text
                self._take(document.get("delta"))
            return False
        if kind in ("error", "response.failed"):
            self._failed_with(document)
        if kind == "response.output_item.done":
            self.made.item(document.get("item"))
            self._done(document.get("item"))
        response = document.get("response")
        if type(response) is dict:
            self._response(response)
        if kind in self._TERMINAL:
            self.finished = True
        return False

    def _begins(self, document: dict[str, Any]) -> None:
        kind = document.get("type")
        if type(kind) is str:
            self.opened |= kind in self._OPENINGS
            self.begun = kind not in self._OPENINGS and kind != "keepalive"

    def _answer(self, document: dict[str, Any]) -> None:
        self._response(document)
        for item in _objects(document.get("output")):
            for part in (*_objects(item.get("content")), *_objects(item.get("summary"))):
                self._take(part.get("text"))
            self._take(item.get("name"))
            self._take(item.get("arguments"))

    def _done(self, item: Any) -> None:
        if type(item) is dict and self._hosted.item(item):
            self.figures.call(self._hosted.calls())

    def _response(self, response: dict[str, Any]) -> None:
        self._served_by(response)
        self.made.whole(response)
        self.running = is_running(response)
        for item in _objects(response.get("output")):
            self.made.item(item)
        self._called(response)
        self._reported(response, response.get("usage"))

    def _called(self, response: dict[str, Any]) -> None:
        whole = HostedCalls()
        for item in _objects(response.get("output")):
            whole.item(item)
        self.figures.call(whole.calls())
        if type(used := response.get("tool_usage")) is dict:
            self.figures.call(tools_in(used))


class Messages(DeliveryMeter):
    """`/v1/messages`: input figures come with `message_start`, cumulative output figures with `message_delta`."""

    places = ANTHROPIC

    def __init__(self) -> None:
        super().__init__()
        self._hosted = HostedCalls()

    def _event(self, document: dict[str, Any]) -> bool:
        kind = document.get("type")
        if kind == "content_block_delta":
            self._content(document.get("delta"))
        elif kind == "content_block_start":
            self._block(document.get("content_block"))
        elif kind == "message_start":
            self._start(document.get("message"))
        elif kind == "message_delta":
            delta = document.get("delta")
            self.made.kept(delta.get("container") if type(delta) is dict else None)
            self._reported(document, document.get("usage"))
        elif kind == "message_stop":
            self.finished = True
        elif kind == "error":
            self._failed_with(document)
        return False

    def _begins(self, document: dict[str, Any]) -> None:
        """An empty block is opened at once, long before the model has said a word."""
        kind = document.get("type")
        block = document.get("content_block")
        empty = type(block) is dict and block.get("text", block.get("thinking")) == ""
        self.opened |= kind == "message_start" or empty
        self.begun = type(kind) is str and kind not in ("message_start", "ping") and not empty

    def _only_text(self, document: dict[str, Any]) -> bool:
        return document.get("type") == "content_block_delta"

    def _answer(self, document: dict[str, Any]) -> None:
        self._served_by(document)
        self.made.kept(document.get("container"))
        for block in _objects(document.get("content")):
            self._block(block)
        self._reported(document, document.get("usage"))

    def _start(self, message: Any) -> None:
        if type(message) is dict:
            self._served_by(message)
            self.made.kept(message.get("container"))
            self.figures.add(message.get("usage"))
            self.opening = self.figures.input_usage()

    def _block(self, block: Any) -> None:
        self._content(block)
        if type(block) is dict and self._hosted.block(block):
            self.figures.call(self._hosted.calls())

    def _content(self, content: Any) -> None:
        if type(content) is dict:
            for name in ("text", "thinking", "name", "partial_json"):
                if name in content:
                    self._take(content[name])
            self.made.block(content)


class Complete(DeliveryMeter):
    """`/v1/complete`, Anthropic's API of before: pieces of text, the last one with a `stop_reason`, and no figures."""

    places = ANTHROPIC

    def _event(self, document: dict[str, Any]) -> bool:
        if not self._failed_with(document):
            self._answer(document)
            self.finished |= bool(document.get("stop_reason"))
        return False

    def _begins(self, document: dict[str, Any]) -> None:
        self.opened = self.begun = document.get("type") != "ping"

    def _answer(self, document: dict[str, Any]) -> None:
        self._served_by(document)
        self._take(document.get("completion"))


class Opaque(DeliveryMeter):
    """Answers which are relayed unread: audio, pictures. Their usage counts if they report one."""

    def _event(self, document: dict[str, Any]) -> bool:
        if self._failed_with(document):
            return False
        self._answer(document)
        kind = document.get("type")
        if kind == "transcript.text.delta":  # the deltas of sounds and pictures are no text
            self._take(document.get("delta"))
        elif type(kind) is str and kind.endswith((".done", ".completed")):
            self.finished = True
        return False

    def _answer(self, document: dict[str, Any]) -> None:
        self._served_by(document)
        self._reported(document, document.get("usage"))


class Pictures(Opaque):
    """`/v1/images/...`: some models are paid for by the token, some by the picture, so both are counted."""

    _READY = frozenset({"image_generation.completed", "image_edit.completed"})

    def __init__(self) -> None:
        super().__init__()
        self._images = 0

    def _answer(self, document: dict[str, Any]) -> None:
        super()._answer(document)
        made = document.get("data")
        if type(made) is list:
            self._images = max(self._images, len(made))
        elif type(kind := document.get("type")) is str and kind in self._READY:
            self._images += 1
        if self._images:
            self.usage = replace(self.usage or Usage(), images=self._images)


class Free(Opaque):
    """Answers for which no provider charges, complete or not: verdicts on a text, counts of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.opening = Usage()

    def _answer(self, document: dict[str, Any]) -> None:
        super()._answer(document)
        self.usage = self.usage or Usage()


class Media(Opaque):
    """Answers which need not be JSON: speech is audio, a transcription may be plain text or subtitles.

    Models that are paid for by the time say how much of that there was.
    """

    def _answer(self, document: dict[str, Any]) -> None:
        super()._answer(document)
        figures = document.get("usage")
        seconds = figures.get("seconds") if type(figures) is dict else document.get("duration")
        if not isinstance(seconds, int | float) or not 0 < seconds < LONGEST_SOUND:
            return
        if self.usage is None or self.usage.audio_ms:
            before = self.usage.audio_ms if self.usage else 0
            self.usage = Usage(audio_ms=max(before, round(seconds * 1000)))

    def answer(self, body: bytes) -> bool:
        super().answer(body)
        self.finished = True
        return True


class Embeddings(DeliveryMeter):
    """`/v1/embeddings`: megabytes of numbers with the usage at the end."""

    BIG = 256 * 1024
    _TAIL = re.compile(rb'"usage"\s*:\s*(\{[^{}]*\})\s*(?:,[^{}\[\]]*)?\}\s*\Z')

    def answer(self, body: bytes) -> bool:
        """Of a big answer only the tail is parsed: the numbers would keep the event loop busy."""
        if len(body) > self.BIG and body.startswith(b"{") and (tail := self._TAIL.search(body, len(body) - 1024)):
            self.finished = True
            self._read(json_object(tail[1]))
            return True
        return super().answer(body)

    def _event(self, document: dict[str, Any]) -> bool:
        self._failed_with(document)
        return False

    def _answer(self, document: dict[str, Any]) -> None:
        self._served_by(document)
        self._read(document.get("usage"))

    def _read(self, figures: Any) -> None:
        self.figures.add(figures)
        self.usage = self.figures.input_usage()


def _objects(values: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list, nothing if it is none."""
    if type(values) is list:
        for value in values:
            if type(value) is dict:
                yield value
