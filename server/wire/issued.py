"""The objects of an answer that a later request may name.

These are its own id and its items', objects that the provider keeps beside them, and encrypted content.

Only what stands where the provider writes it is believed. A text of the model may say anything.
"""

from __future__ import annotations

from typing import Any

from server.wire.stored import id_in, seal_of

MOST = 256  # of each kind, of one answer


class Made:
    """The objects of one answer so far. No method raises, whatever its input."""

    def __init__(self) -> None:
        self._answer: dict[str, None] = {}
        self._objects: dict[str, None] = {}
        self._seals: dict[bytes, None] = {}

    @property
    def answer(self) -> tuple[str, ...]:
        """Ids of the answer and its items: they can be named if the provider keeps the answer (`Request.kept`)."""
        return tuple(self._answer)

    @property
    def objects(self) -> tuple[str, ...]:
        """Ids of containers, files and recordings: the provider keeps them for a while, whatever it was asked."""
        return tuple(self._objects)

    @property
    def seals(self) -> tuple[bytes, ...]:
        """The digests of encrypted contents (`stored.seal_of`)."""
        return tuple(self._seals)

    def whole(self, document: dict[str, Any]) -> None:
        """Note the answer itself: a response, a chat completion."""
        self._note(self._answer, document)

    def item(self, item: Any) -> None:
        """Note a complete item of a response."""
        if type(item) is not dict:
            return
        self._note(self._answer, item)
        environment = item.get("environment")
        self._keeps(item.get("container_id"))
        self._keeps(environment.get("container_id") if type(environment) is dict else None)
        if type(encrypted := item.get("encrypted_content")) is str and len(self._seals) < MOST:
            self._seals[seal_of(encrypted)] = None
        for part in _objects(item.get("content")):
            for cited in _objects(part.get("annotations")):
                if cited.get("type") == "container_file_citation":
                    self._keeps(cited.get("file_id"))

    def kept(self, value: Any) -> None:
        """Note an object that is kept beside the answer: a container of Anthropic's, the recording of a chat."""
        if type(value) is dict:
            self._note(self._objects, value)

    def block(self, block: Any) -> None:
        """Note the files that a block of Anthropic's has written."""
        if type(block) is dict and str(block.get("type")).endswith("code_execution_tool_result"):
            result = block.get("content")
            for output in _objects(result.get("content") if type(result) is dict else None):
                self._keeps(output.get("file_id"))

    def _keeps(self, value: Any) -> None:
        self._note(self._objects, {"id": value})

    @staticmethod
    def _note(ids: dict[str, None], document: dict[str, Any]) -> None:
        if (found := id_in(document)) is not None and len(ids) < MOST:
            ids[found] = None


def _objects(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if type(value) is dict] if type(values) is list else []
