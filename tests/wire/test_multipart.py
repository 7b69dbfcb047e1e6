"""Forms: the fields of honest clients are read, and what two readers might read differently is refused."""

from __future__ import annotations

import httpx2
import pytest

from server.wire.errors import ClientError, InvalidValue, UnsupportedMedia
from server.wire.multipart import MAX_PARTS, media_type, read_fields

FORM = "multipart/form-data; boundary=xx"


def part(disposition: str, content: bytes, more: str = "") -> bytes:
    return f"--xx\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + content + b"\r\n"


MODEL = part('form-data; name="model"', b"whisper-1")
END = b"--xx--\r\n"


def test_a_real_clients_form_is_read_without_its_file() -> None:
    request = httpx2.Request(
        "POST",
        "http://127.0.0.1/",
        data={"model": "whisper-1", "prompt": "Größe", "timestamp_granularities[]": ["word", "segment"]},
        files={"file": ('a"; name="model.wav', b"RIFF\r\n--\r\n\x00\xff" * 100, "audio/wav")},
    )
    fields = read_fields(request.read(), request.headers["content-type"])
    assert fields == {"model": "whisper-1", "prompt": "Größe", "timestamp_granularities[]": "segment", "file": ""}


@pytest.mark.parametrize(
    "content_type",
    [
        FORM,
        'Multipart/Form-Data; BOUNDARY="xx"',
        "multipart/form-data;boundary=xx ",
        FORM + "; charset=UTF-8",
        "multipart/form-data; charset=UTF-8; boundary=xx",
        'multipart/form-data; charset="utf-8" ;boundary="xx" ; x=y',
        FORM + ";",
        FORM + " ; ",
    ],
)
def test_the_boundary_may_be_written_in_every_allowed_way(content_type: str) -> None:
    assert read_fields(MODEL + END, content_type) == {"model": "whisper-1"}


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("multipart/form-data; boundary=xx", "multipart/form-data; boundary=xx"),
        ('MULTIPART/form-data;  BOUNDARY="xx"', "multipart/form-data; boundary=xx"),
        ('multipart/form-data; boundary="a/b:c"', 'multipart/form-data; boundary="a/b:c"'),
        ("multipart/form-data; boundary=a/b:c", 'multipart/form-data; boundary="a/b:c"'),
    ],
)
def test_the_type_goes_upstream_as_it_was_read(said: str, written: str) -> None:
    assert media_type(said) == written


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data boundary=xx",
        "multipart/form-data-x; boundary=xx",
        "multipart/mixed; boundary=xx",
        FORM + "; boundary=yy",
        FORM + '; Boundary="xx"',
        FORM + "; charset",
        FORM + ' "',
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="x',
        "multipart/form-data; boundary=" + "x" * 71,
        'multipart/form-data; boundary="x\\"x"',
        "multipart/form-data; boundary=ü",
    ],
)
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        read_fields(MODEL + END, content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        END,
        MODEL,
        MODEL + b"--xx",
        MODEL + b"--xxyy" + END,
        b"preamble\r\n" + MODEL + END,
        MODEL + END + b"epilogue",
        MODEL + MODEL + END,
        part('form-data; name="model"; name="model"', b"m") + END,
        part("form-data; name*=UTF-8''model", b"m") + END,
        part('form-data; name=""', b"m") + END,
        part("form-data", b"m") + END,
        part('attachment; name="model"', b"m") + END,
        part('form-data; name="mo\\"', b"m") + END,
        part('form-data; name="model"', b"m", 'content-disposition: form-data; name="x"\r\n') + END,
        part('form-data; name="model"', b"\xff") + END,
        part('form-data; name="prompt"', b"x" * 70_000) + END,
        part('form-data; name="model"', b"m", "X-Long: " + "x" * 5_000 + "\r\n") + END,
        b"--xx\r\n\r\nno header\r\n" + END,
        MODEL.replace(b"\r\n", b"\n") + END,
        b"".join(part(f'form-data; name="f{number}"', b"") for number in range(100)) + END,
    ],
)
def test_what_is_malformed_or_ambiguous_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidValue):
        read_fields(body, FORM)


def test_a_refusal_does_not_repeat_a_name_that_the_caller_made_up() -> None:
    strange = part('form-data; name="<script>"', b"m")
    with pytest.raises(ClientError) as refusal:
        read_fields(strange + strange + END, FORM)
    assert refusal.value.param == "body"


@pytest.mark.parametrize(("fields", "fits"), [(1, True), (MAX_PARTS - 1, True), (MAX_PARTS, False), (1_000, False)])
def test_a_form_has_so_many_parts_and_no_more(fields: int, fits: bool) -> None:
    """The end counts as one."""
    body = b"".join(part(f'form-data; name="f{number}"', b"x") for number in range(fields)) + END
    if fits:
        assert len(read_fields(body, FORM)) == fields
    else:
        with pytest.raises(InvalidValue):
            read_fields(body, FORM)
