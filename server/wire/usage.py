"""The usage of one answer, by kind."""

from __future__ import annotations

from dataclasses import dataclass

from server.wire.records import made_quickly


@made_quickly
@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; and, where a provider bills those, its pictures, its milliseconds of sound and its tools.

    `input` includes what was read from a prompt cache (`cached`) and what was written to one (`cache_write`, of which
    `cache_write_1h` is kept for an hour), and sound and pictures. `output` includes `reasoning`, sound and pictures;
    `output_text` is what a provider says is text, where it says so. OpenAI counts this way; Anthropic's three input
    figures are added up where they are read.

    `tools` are the calls of the provider's own tools by name, as `called` writes them. `tier` and `geo` are the service
    and the place that served, in the provider's words; empty where it says nothing. `estimated` says that some figure
    was counted here and not reported by the upstream.
    """

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False
    images: int = 0
    audio_ms: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    input_image: int = 0
    output_text: int = 0
    output_audio: int = 0
    output_image: int = 0
    tools: str = ""
    tier: str = ""
    geo: str = ""

    def with_tokens(self, input: int, output: int) -> Usage:
        """An estimate: so many tokens of no special kind, and the tools and the service of this usage."""
        return Usage(input, output=output, estimated=True, tools=self.tools, tier=self.tier, geo=self.geo)

    @property
    def nothing(self) -> bool:
        """Whether nothing was used that can be billed."""
        return not (self.input or self.output or self.images or self.audio_ms or self.tools)
