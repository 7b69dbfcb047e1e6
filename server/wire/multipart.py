"""The text fields of a `multipart/form-data` body (RFC 7578), read strictly.

Only the fields are wanted; the recording itself is forwarded unread. As with JSON, a kinder reader than the upstream's
is a hole, so what is ambiguous is refused: a field named twice, `name*=` encodings, parts without a name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from server.wire.errors import InvalidValue, UnsupportedMedia

MAX_PARTS = 64
MAX_HEAD = 4 * 1024  # bytes of one part's headers
MAX_TEXT = 64 * 1024  # bytes of one text field: prompts for transcriptions are a sentence or two

_MEDIA = re.compile(r"multipart/form-data[ \t]*(?=;)", re.IGNORECASE)
_MEDIA_PARAMETER = re.compile(r'[ \t]*;[ \t]*(?:([\w-]+)=(?:"([^"\\]*)"|([^\s";]+)))?[ \t]*', re.ASCII)
_BOUNDARY = re.compile(r"[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]", re.ASCII)
_TOKEN = re.compile(r"[\w'+.-]+", re.ASCII)  # what needs no quotes
_VALUE = rb'(?:"((?:[^"\\\r\n]|\\.)*+)"|([^\s";]++))'
_PARAMETER = re.compile(rb";[ \t]*([\w*-]+)=" + _VALUE)
_DISPOSITION = re.compile(
    rb"(?:\A|\r\n)content-disposition:[ \t]*form-data((?:;[ \t]*[\w*-]+=" + _VALUE + rb")++)[ \t]*(?:\r\n|\Z)",
    re.IGNORECASE,
)


def read_fields(body: bytes, content_type: str) -> dict[str, str]:
    """Return the text fields; a file appears as an empty text under its field's name.

    Raises `UnsupportedMedia` for another content type, `InvalidValue` for a body that is malformed or ambiguous.
    """
    boundary = _boundary(content_type)
    if boundary is None:
        raise UnsupportedMedia
    fields: dict[str, str] = {}
    for part in _parts(body, boundary):
        name, text = _read_part(part)
        if name in fields and not name.endswith("[]"):
            raise InvalidValue(_safe(name))
        fields[name] = text
    return fields


def file_in(body: bytes, content_type: str, name: str) -> bytes:
    """Return what the part of this name carries, of a form that was read before; empty if there is none."""
    boundary = _boundary(content_type)
    assert boundary is not None, "it has been read"
    for part in _parts(body, boundary):
        if _read_part(part)[0] == name:
            return part.partition(b"\r\n\r\n")[2]
    return b""


def files_in(body: bytes, content_type: str, names: tuple[bytes, ...]) -> int:
    """Return how many files a form has that was read before.

    A part whose name begins with one of `names` is one, also where it does not say so.
    """
    boundary = _boundary(content_type)
    assert boundary is not None, "it has been read"
    heads = map(_parameters, _parts(body, boundary))
    return sum(_is_file(each) or each[b"name"].startswith(names) for each in heads)


def media_type(content_type: str) -> str:
    """The type of a form that was read before, written anew: what was read is what the upstream reads."""
    boundary = _boundary(content_type)
    assert boundary is not None, "it has been read"
    name = boundary.decode()
    return (
        f"multipart/form-data; boundary={name}" if _TOKEN.fullmatch(name) else f'multipart/form-data; boundary="{name}"'
    )


def renamed(body: bytes, content_type: str, names: Collection[str], value: str | None) -> bytes:
    """Return a form that was read before, with this value in the fields of these names; None leaves the fields out."""
    boundary = _boundary(content_type)
    assert boundary is not None, "it has been read"
    delimiter = b"\r\n--" + boundary
    preamble, *parts, end = (b"\r\n" + body).split(delimiter)
    kept = [preamble]
    for part in parts:
        if _read_part(part[2:])[0] not in names:
            kept.append(part)
        elif value is not None:
            kept.append(part.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + value.encode())
    return delimiter.join([*kept, end])[2:]


def naming(body: bytes, content_type: str, name: str, value: str) -> bytes:
    """Return a form with this value in the field of this name, which it may lack. Raises as `read_fields`."""
    fields, boundary = read_fields(body, content_type), _boundary(content_type)
    if name in fields or boundary is None:
        return body if fields.get(name) == value else renamed(body, content_type, (name,), value)
    part = f'\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
    return b"--" + boundary + part.encode() + body.removeprefix(b"\r\n")


def _boundary(content_type: str) -> bytes | None:
    """The boundary, wherever it stands among the parameters; None if this is no form, or names one twice."""
    text = content_type.strip()
    media = _MEDIA.match(text)
    at, found = (media.end() if media else -1), dict[str, str]()
    while 0 <= at < len(text):
        parameter = _MEDIA_PARAMETER.match(text, at)
        if parameter is None or str(parameter[1]).lower() in found:
            return None
        at = parameter.end()
        if parameter[1]:
            found[parameter[1].lower()] = parameter[3] or parameter[2] or ""
    boundary = found.get("boundary", "")
    return boundary.encode() if _BOUNDARY.fullmatch(boundary) and boundary.isascii() else None


def _parts(body: bytes, boundary: bytes) -> list[bytes]:
    delimiter = b"\r\n--" + boundary
    preamble, *parts = (b"\r\n" + body).split(delimiter, MAX_PARTS + 1)
    if preamble not in (b"", b"\r\n") or len(parts) < 2 or len(parts) > MAX_PARTS:
        raise InvalidValue("body")
    if parts.pop().strip() != b"--" or not all(part.startswith(b"\r\n") for part in parts):
        raise InvalidValue("body")
    return [part[2:] for part in parts]


def _read_part(part: bytes) -> tuple[str, str]:
    """The name of a part, and its text; the text of a file is empty."""
    parameters = _parameters(part)
    try:
        name = parameters[b"name"].decode()
        return name, "" if _is_file(parameters) else _text(part.partition(b"\r\n\r\n")[2])
    except UnicodeDecodeError:
        raise InvalidValue("body") from None


def _is_file(parameters: Mapping[bytes, bytes]) -> bool:
    return b"filename" in parameters or b"filename*" in parameters


def _parameters(part: bytes) -> dict[bytes, bytes]:
    """What the head of a part says of it. Raises InvalidValue."""
    head, gap, _ = part.partition(b"\r\n\r\n")
    if not gap or len(head) > MAX_HEAD or head.lower().count(b"content-disposition") != 1:
        raise InvalidValue("body")
    disposition = _DISPOSITION.search(head)
    if not disposition:
        raise InvalidValue("body")
    found = _PARAMETER.findall(disposition[1])
    parameters = {name.lower(): quoted or bare for name, quoted, bare in found}
    if not parameters.get(b"name") or b"name*" in parameters or len(found) > len(parameters):
        raise InvalidValue("body")
    return parameters


def _text(content: bytes) -> str:
    if len(content) > MAX_TEXT:
        raise InvalidValue("body")
    return content.decode()


def _safe(name: str) -> str:
    """A caller's own name for a field is not repeated in a message, unless it is a plain word."""
    return name if re.fullmatch(r"[a-z_]{1,32}", name) else "body"
