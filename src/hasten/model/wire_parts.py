"""Parts of a turn's content, from one provider's format into another's.

Owns text, images, files and sound in the formats of OpenAI's two protocols,
Anthropic and Gemini, read by their shape into OpenAI's chat parts and written
from those. Leaves everything else in a turn to the wires. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hasten.errors import ModelRejected
from hasten.model.wire_format import as_dict, given

if TYPE_CHECKING:
    from collections.abc import Callable

Part = dict[str, Any]

_DATA_URL = re.compile(r"^data:(?P<type>[\w.+-]+/[\w.+-]+);base64,(?P<data>.*)$", re.DOTALL)
_TEXTS = ("text", "input_text", "output_text")


def text_of(content: str | list[Part] | tuple[Part, ...] | None) -> str:
    """Return the text in ``content``, in whichever format its parts are."""
    if isinstance(content, str):
        return content
    texts = (part.get("text") for part in content or () if part.get("type", "text") in _TEXTS)
    return "".join(text for text in texts if isinstance(text, str))


def content_of(parts: tuple[Part, ...]) -> list[Part]:
    """Return the parts of content in ``parts``, which may be items of OpenAI's Responses."""
    found: list[Part] = []
    for part in parts:
        inner = part.get("content", part.get("output")) if _is_item(part) else [part]
        found += [{"type": "text", "text": inner}] if isinstance(inner, str) else inner or ()
    return found


def _is_item(part: Part) -> bool:
    return "role" in part or str(part.get("type", "")).endswith("_output")


def to_chat(part: Part) -> Part:
    """Return ``part`` of any format as a chat part.

    Raises ``ModelRejected`` naming what no other provider could read.
    """
    kind = part.get("type") or next((name for name in part if name in _READERS), "")
    reader = _READERS.get(kind)
    made = None if reader is None else reader(part)
    if made is None:
        message = f"content of type {kind or sorted(part)!r} cannot be sent to this provider"
        raise ModelRejected(message)
    return made


def to_responses(part: Part) -> Part:
    """Return ``part`` as a part of OpenAI's Responses."""
    part = to_chat(part)
    if part["type"] == "text":
        return {"type": "input_text", "text": part["text"]}
    if part["type"] == "image_url":
        image = part["image_url"]
        return {
            "type": "input_image",
            "image_url": image["url"],
            "detail": image.get("detail", "auto"),
        }
    if part["type"] == "file":
        return {"type": "input_file", **part["file"]}
    return part


def to_anthropic(part: Part) -> Part:
    """Return ``part`` as a content block of Anthropic's. Raises ``ModelRejected`` for sound."""
    part = to_chat(part)
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]}
    if part["type"] == "image_url":
        return {"type": "image", "source": _source(part["image_url"]["url"])}
    if part["type"] == "file" and "file_data" in part["file"]:
        title = {"title": part["file"]["filename"]} if part["file"].get("filename") else {}
        return {"type": "document", "source": _source(part["file"]["file_data"]), **title}
    message = f"content of type {part['type']!r} cannot be sent to this provider"
    raise ModelRejected(message)


def to_gemini(part: Part) -> Part:
    """Return ``part`` as a part of Gemini's."""
    part = to_chat(part)
    if part["type"] == "text":
        return {"text": part["text"]}
    if part["type"] == "input_audio":
        sound = part["input_audio"]
        return {"inlineData": {"mimeType": f"audio/{sound['format']}", "data": sound["data"]}}
    file = part.get("file", {})
    url = part["image_url"]["url"] if part["type"] == "image_url" else file.get("file_data", "")
    inline = _DATA_URL.match(url)
    if inline:
        return {"inlineData": {"mimeType": inline["type"], "data": inline["data"]}}
    return {"fileData": {"fileUri": url or file.get("file_id", "")}}


def _source(url: str) -> dict[str, Any]:
    inline = _DATA_URL.match(url)
    if inline:
        return {"type": "base64", "media_type": inline["type"], "data": inline["data"]}
    return {"type": "url", "url": url}


def _url(source: Any) -> str | None:
    """Return the URL that an Anthropic source stands for."""
    source = as_dict(source)
    if source.get("type") == "url":
        return str(source.get("url", ""))
    if source.get("type") == "base64":
        return f"data:{source.get('media_type', '')};base64,{source.get('data', '')}"
    return None


def _text(part: Part) -> Part:
    return {"type": "text", "text": str(part.get("text", ""))}


def _image(part: Part) -> Part | None:
    url = _url(part.get("source"))
    return None if url is None else {"type": "image_url", "image_url": {"url": url}}


def _input_image(part: Part) -> Part | None:
    url = part.get("image_url")
    image = given({"url": url, "detail": part.get("detail")})
    return {"type": "image_url", "image_url": image} if isinstance(url, str) else None


def _input_file(part: Part) -> Part:
    return {"type": "file", "file": {name: part[name] for name in part if name != "type"}}


def _document(part: Part) -> Part | None:
    source = as_dict(part.get("source"))
    if source.get("type") == "text":
        return {"type": "text", "text": str(source.get("data", ""))}
    url = _url(source)
    if url is None:
        return None
    return {"type": "file", "file": {"file_data": url, "filename": part.get("title") or "file"}}


def _inline(part: Part) -> Part:
    data = as_dict(part.get("inlineData"))
    kind, encoded = str(data.get("mimeType", "")), str(data.get("data", ""))
    if kind.startswith("audio/"):
        sound = {"format": kind.removeprefix("audio/"), "data": encoded}
        return {"type": "input_audio", "input_audio": sound}
    url = f"data:{kind};base64,{encoded}"
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"file_data": url, "filename": "file"}}


def _file_data(part: Part) -> Part:
    url = str(as_dict(part.get("fileData")).get("fileUri", ""))
    return {"type": "image_url", "image_url": {"url": url}}


def _chat_image(part: Part) -> Part | None:
    image = part.get("image_url")
    if isinstance(image, str):
        image = {"url": image}
    return {"type": "image_url", "image_url": image} if as_dict(image).get("url") else None


def _as_is(part: Part) -> Part | None:
    return part if isinstance(part.get(part["type"]), dict) else None


_READERS: dict[str, Callable[[Part], Part | None]] = {
    **dict.fromkeys(_TEXTS, _text),
    "image_url": _chat_image,
    "input_audio": _as_is,
    "file": _as_is,
    "input_image": _input_image,
    "input_file": _input_file,
    "image": _image,
    "document": _document,
    "inlineData": _inline,
    "fileData": _file_data,
}
