"""The bill of an answer whose usage the upstream did not report."""

from __future__ import annotations

import pytest

from server.wire.endpoints import ENDPOINTS
from server.wire.extent import NOTHING, Extent
from server.wire.sound import Sound
from server.wire.speech import Speech
from server.wire.unreported import AT_WORK, completed, hidden, may_be_billed, unreported
from server.wire.usage import Usage

MINUTE = Sound(60_000, 60_000, 60_000)
ASKED = Usage(input=7)


def test_text_is_billed_as_it_was_counted() -> None:
    before = Usage(input=100, cached=40, cache_write=10)
    assert unreported(NOTHING, before, 20) == Usage(100, 40, 10, 20, estimated=True)


def test_a_recording_is_billed_by_its_length_and_by_its_tokens() -> None:
    usage = unreported(Extent(sound=MINUTE), ASKED, 0)
    assert (usage.audio_ms, usage.estimated) == (60_000, True)
    assert usage.input == 7 + 60 * 17
    assert usage.output == 60 * 5


@pytest.mark.parametrize(("counted", "billed"), [(0, 7), (7, 7), (30, 30)])
def test_the_text_that_came_counts_if_it_is_more_than_was_reported_before_it(counted: int, billed: int) -> None:
    usage = unreported(Extent(), Usage(9, cached=3, output=7), counted)
    assert usage == Usage(9, cached=3, output=billed, estimated=True)


def test_the_text_of_a_recording_counts_if_it_is_longer() -> None:
    assert unreported(Extent(sound=MINUTE), ASKED, 1_000).output == 1_000


@pytest.mark.parametrize(
    ("sound", "speed", "ms"),
    [
        (None, 1.0, 20_000),
        (None, 2.0, 10_000),
        (Sound(0, 30_000, 60_000), 1.0, 30_000),
        (Sound(0, 1, 2), 1.0, 10_000),
        (Sound(0, 10**9, 10**9), 1.0, 60_000),
    ],
    ids=["not seen", "quick", "measured", "too short to be it", "too long to be it"],
)
def test_speech_is_billed_by_its_characters_and_by_the_sound_that_came(
    sound: Sound | None, speed: float, ms: int
) -> None:
    usage = unreported(Extent(characters=300, speed=speed), ASKED, 0, sound)
    assert (usage.input, usage.audio_ms) == (75, ms)
    assert usage.output == -(-ms * 21 // 1_000)


def test_pictures_are_billed_by_number_and_size() -> None:
    usage = unreported(Extent(pictures=3, picture_tokens=4_160), ASKED, 0)
    assert (usage.images, usage.output, usage.input) == (3, 12_480, 7)


def test_pictures_that_came_without_their_tokens_have_some() -> None:
    usage = completed(Usage(images=2), Extent(pictures=2, picture_tokens=1_056), 9)
    assert usage == Usage(9, output=2_112, images=2, estimated=True)
    reported = Usage(10, output=272, images=1)
    assert completed(reported, Extent(pictures=1, picture_tokens=1_056), 9) is reported


@pytest.mark.parametrize(("reported", "billed"), [(90_000, 90_000), (60_000, 60_000), (1_000, 60_000), (0, 0)])
def test_a_reported_length_counts_unless_the_recording_cannot_be_so_short(reported: int, billed: int) -> None:
    assert completed(Usage(audio_ms=reported), Extent(sound=MINUTE), 0).audio_ms == billed


@pytest.mark.parametrize(
    ("seconds", "delivered", "most", "expected"),
    [
        (10.0, 0, 9_999, 1_000),
        (10.0, 400, 9_999, 600),
        (10.0, 2_000, 9_999, 0),
        (10.0, 0, 300, 300),
        (10.0, 300, 300, 0),
    ],
)
def test_what_was_reasoned_in_silence_had_its_time_and_its_bound(
    seconds: float, delivered: int, most: int, expected: int
) -> None:
    assert hidden(seconds, delivered, most) == expected


@pytest.mark.parametrize(
    ("began", "gone", "seconds", "billed"),
    [
        (True, False, 0.0, True),
        (True, True, 600.0, True),
        (False, False, 600.0, False),
        (False, True, 0.1, False),
        (False, True, AT_WORK, True),
    ],
)
def test_what_began_may_be_billed_and_who_goes_away_has_done_nothing_at_once(
    began: bool, gone: bool, seconds: float, billed: bool
) -> None:
    assert may_be_billed(began=began, gone=gone, seconds=seconds) == billed


def test_speech_keeps_the_sound_that_came_and_no_error() -> None:
    meter = ENDPOINTS["/v1/audio/speech"].meter()
    assert isinstance(meter, Speech)
    assert meter.answer(b"RIFF....") and meter.spoken == b"RIFF...."
    other = Speech()
    assert other.answer(b'{"error":{"message":"no"}}') and other.spoken == b""
