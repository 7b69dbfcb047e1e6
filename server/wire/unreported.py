"""The bill of an answer whose usage the upstream did not report: an estimate, and marked as one.

Text is counted. Sound that was sent is billed by its length, in milliseconds and in tokens, since a model has a price
for one of them. Speech is billed by what was to be spoken and by the sound that came, pictures by number and size.

It is not seen how much a model has reasoned in silence when its stream is left, or breaks off. It cannot have generated
more than it had time for, nor more than it was allowed; so the time stands for it.

An upstream that goes away without a word, or whose gateway gives it up (504, and 524 in front of Cloudflare), says
nothing of what it has done. At once it has done nothing; after `AT_WORK` seconds it may have generated an answer that
only its way to us has lost.
"""

from __future__ import annotations

from dataclasses import replace

from server.wire.extent import CHARACTERS_A_TOKEN, HEARD, SPOKEN, USUAL, WRITTEN, Extent
from server.wire.sound import Sound
from server.wire.usage import Usage

AT_WORK = 5.0  # seconds
GIVEN_UP = frozenset({504, 524})  # statuses
SPEED = 100  # tokens a second that a large model generates
QUICKEST, SLOWEST = 30, 5  # characters a second between which people speak


def unreported(extent: Extent, before: Usage, output: int, sound: Sound | None = None) -> Usage:
    """The estimate. `before` is what is known of the input, and perhaps of how the output began; `output` the text that
    came, counted; `sound` the recording that came.
    """
    output = max(output, before.output)
    usage = replace(before, output=output, estimated=True)
    if extent.sound is not None:
        ms = extent.sound.ms
        heard, written = _tokens(ms, HEARD), _tokens(ms, WRITTEN)
        return replace(usage, input=usage.input + heard, output=max(output, written), audio_ms=ms)
    if extent.characters:
        ms, read = _spoken(extent, sound), max(usage.input, -(-extent.characters // CHARACTERS_A_TOKEN))
        return replace(usage, input=read, output=_tokens(ms, SPOKEN), audio_ms=ms)
    if extent.pictures:
        return replace(usage, output=extent.pictures * extent.picture_tokens, images=extent.pictures)
    return usage


def completed(usage: Usage, extent: Extent, read: int) -> Usage:
    """The reported usage, and what the upstream left out: the tokens of pictures, the whole length of a sound.

    `read` is the input as counted here.
    """
    if usage.images and not usage.output:
        output = usage.images * extent.picture_tokens
        return replace(usage, input=max(usage.input, read), output=output, estimated=True)
    if extent.sound is not None and usage.audio_ms and usage.audio_ms < extent.sound.least_ms:
        return replace(usage, audio_ms=extent.sound.least_ms, estimated=True)
    return usage


def may_be_billed(*, began: bool, gone: bool, seconds: float) -> bool:
    """Whether an upstream may bill an attempt that failed after so many seconds.

    `began`: of its answer something had come, or it had not answered in time. `gone`: nothing was heard of it.
    """
    return began or (gone and seconds >= AT_WORK)


def hidden(seconds: float, delivered: int, most: int) -> int:
    """Tokens that a model may have generated unseen in so many seconds, beside those delivered, of `most` in all."""
    return max(0, min(round(seconds * SPEED), most) - delivered)


def _spoken(extent: Extent, sound: Sound | None) -> int:
    """Milliseconds: those of the sound that came, as far as its text can have them; else those of the text."""
    if sound is None:
        return extent.spoken_ms(USUAL)
    return min(max(sound.ms, extent.spoken_ms(QUICKEST)), extent.spoken_ms(SLOWEST))


def _tokens(ms: int, a_second: int) -> int:
    return -(-ms * a_second // 1000)
