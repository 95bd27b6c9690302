"""Reading the forms in which files come (``multipart/form-data``, RFC 7578)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .dialect import Asked, Refusal

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;]+))')
_NAME = re.compile(rb'content-disposition:[^\r\n]*?[; ]name="([^"]*)"([^\r\n]*)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, and how long its files are, in bytes."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[int] = field(default_factory=list)

    def required(self, name: str) -> str:
        """A field; raises `Refusal` if there is none."""
        if name not in self.fields:
            raise Refusal(400, f"Missing required field `{name}`.", param=name)
        return self.fields[name]

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A number from `least` to `most`; raises `Refusal` if it is anything else."""
        text = self.fields.get(name, str(default))
        if not text.isdecimal() or not least <= int(text) <= most:
            raise Refusal(400, f"{name} has to be a number from {least} to {most}.", param=name)
        return int(text)

    def flag(self, name: str) -> bool:
        """Whether a field says yes."""
        return self.fields.get(name, "").lower() in ("true", "1")


def read_form(asked: Asked) -> Form:
    """The form that a request's body is; raises `Refusal` if it is none."""
    found = _BOUNDARY.search(asked.content_type)
    if not asked.content_type.lower().startswith("multipart/form-data") or found is None:
        raise Refusal(400, "The request has to be multipart/form-data, with a boundary.")
    delimiter = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
    form = Form()
    for part in (b"\r\n" + asked.body).split(delimiter)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if name is None:
            continue
        if b"filename" in head:
            form.files.append(len(content))
        else:
            form.fields.setdefault(
                name[1].decode("utf-8", "replace"), content.decode("utf-8", "replace")
            )
    return form
