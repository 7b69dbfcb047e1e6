"""How long a recording is: what its head says, within what its bytes allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire.mpeg import MOST_FRAMES, walked
from server.wire.sound import HIGHEST_RATE, LOWEST_RATE, Sound, sound_of
from tests.wire.sounds import claims, mp3, opus, slow_mp3, wav


@pytest.mark.parametrize(
    "data",
    [
        wav(60),
        wav(60, rate=100),
        wav(60, rate=44_100, channels=2, bits=16),
        wav(60, length=8),
        wav(60, length=0xFFFFFFFF),
        wav(60, bytes_a_second=1),
        wav(60, bytes_a_second=10**9),
        wav(60, before=1),
    ],
    ids=["plain", "slow", "stereo", "short claim", "no claim", "slow claim", "quick claim", "another head in front"],
)
def test_plain_wav_is_as_long_as_its_bytes_whatever_it_claims(data: bytes) -> None:
    assert sound_of(data) == Sound(60_000, 60_000, 60_000)


def test_an_hour_at_a_hundred_samples_a_second_is_an_hour() -> None:
    assert sound_of(wav(3_600, rate=100)).ms == 3_600_000


@pytest.mark.parametrize(
    "data",
    [
        mp3(60),
        slow_mp3(60),
        b"ID3\x04\0\0\0\0\x01\x00" + bytes(128) + mp3(60),
        claims(1) + mp3(60),
        claims(10**9) + slow_mp3(60),
        mp3(30) + slow_mp3(30),
        mp3(30) + b"noise" + mp3(30),
    ],
    ids=["quick", "slow", "with a tag", "claims little", "claims much", "both", "with a gap"],
)
def test_frames_of_mpeg_are_counted_whatever_the_first_one_claims(data: bytes) -> None:
    sound = sound_of(data)
    assert sound.ms == pytest.approx(60_000, abs=100)
    assert sound.most_ms == pytest.approx(60_000, abs=100)


@pytest.mark.slow
def test_behind_the_frames_that_are_walked_bytes_count() -> None:
    slow, longest = sound_of(slow_mp3(MOST_FRAMES * 0.072 + 60)), MOST_FRAMES * 72
    assert slow.ms == slow.most_ms == pytest.approx(longest + 60_000, rel=0.001)
    assert slow.least_ms == longest


def test_a_claim_of_a_container_is_held_within_what_its_bytes_allow() -> None:
    honest = sound_of(opus(10, padding=20_000))
    assert honest.ms == pytest.approx(10_000, rel=0.01)
    too_short = sound_of(opus(1, padding=4_000_000))
    assert too_short.ms == too_short.least_ms > 60_000
    too_long = sound_of(opus(100_000))
    assert too_long.ms == too_long.most_ms < 1_000


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\0\0\0\0WAVEfmt ", b"\x1a\x45\xdf\xa3" + bytes(999), b"OggS"])
def test_what_cannot_be_read_is_as_long_as_the_lowest_rate_allows(data: bytes) -> None:
    sound = sound_of(data)
    assert sound.ms == sound.most_ms == -(-len(data) * 8_000 // LOWEST_RATE)


HEADS = st.sampled_from([b"", b"RIFF\0\0\0\0WAVE", b"OggS", b"ID3", b"fLaC", b"\xff\xfb", b"\0\0\0\x20ftypM4A "])


@pytest.mark.slow
@given(HEADS, st.binary(max_size=400))
def test_no_bytes_make_it_fail_or_claim_less_than_the_highest_rate(head: bytes, rest: bytes) -> None:
    data = head + rest
    sound = sound_of(data)
    assert 0 <= sound.least_ms <= sound.ms <= sound.most_ms
    if not data.startswith(b"RIFF"):
        assert sound.ms >= len(data) * 8_000 // HIGHEST_RATE


def flac(samples: int, padding: int) -> bytes:
    """A FLAC file whose head claims so many samples at 8 kHz."""
    rate_channels_bits = (8_000 << 44) | (0 << 41) | (15 << 36) | samples
    info = b"\x10\x00\x10\x00" + bytes(6) + rate_channels_bits.to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80" + len(info).to_bytes(3, "big") + info + bytes(padding)


def test_a_claim_of_no_length_is_no_claim() -> None:
    assert sound_of(flac(0, 50_000)) == sound_of(b"fLaC" + flac(0, 50_000)[4:].replace(b"\x80", b"\x00", 1))
    assert sound_of(flac(0, 50_000)).ms > sound_of(flac(1, 50_000)).ms


@pytest.mark.parametrize("rate", [0, 15])
def test_a_frame_without_a_rate_that_there_is_is_none(rate: int) -> None:
    data = (b"\xff\xfb" + bytes([rate << 4]) + bytes(414)) * 20
    assert walked(data) is None
    assert sound_of(data).ms > 0
