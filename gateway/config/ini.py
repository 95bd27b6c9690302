"""INI text to sections and entries, each with the line on which it stands.

`configparser` reads the grammar: full-line comments, ``key = value``, indented lines that continue
a value.  What it does not do is tell lines, and it gives up at the first doubled name.  Here every
section and key carries its line number as part of its name while it is inside the parser, so that
doubled ones stay apart and the layers above can name each of them.

Nothing is known here of which sections and keys exist: `tables` judges that.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .problem import Report

_HEADER = re.compile(r"(?P<indent>\s*)\[(?P<title>[^\[\]]*)\]\s*(?P<rest>.*)")
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_INLINE_COMMENT = re.compile(r"(?:^|\s)[#;]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value, line by line and without empty lines.

    `sound` is False if a problem with the text of the value has been reported already.
    """

    line: int
    key: str
    value: tuple[tuple[int, str], ...]
    sound: bool


@dataclass(frozen=True, slots=True)
class Section:
    """A header, white space in its title made single, and what stands under it."""

    line: int
    title: str
    entries: tuple[Entry, ...]


class _LineParser(configparser.RawConfigParser):
    """A parser whose names of keys begin with the number of their line.

    `optionxform` is configparser's own hook for names of keys; it runs when a key's line is read.
    """

    def __init__(self) -> None:
        # Titles come in with a number in front, so that no header is this default section.
        super().__init__(interpolation=None, default_section="no defaults")
        self._line = 0

    def optionxform(self, optionstr: str) -> str:
        return f"{self._line} {optionstr}"

    def read_lines(self, lines: Sequence[str]) -> None:
        """Parse; raises `configparser.ParsingError`, with all lines that do not parse."""
        self.read_file(self._counted(lines))

    def _counted(self, lines: Sequence[str]) -> Iterator[str]:
        for self._line, line in enumerate(lines):
            yield line


def read(data: bytes, report: Report) -> list[Section]:
    """The sections of a file; what is wrong with its text goes into `report`."""
    # The header at index 0 takes the keys that stand before the first one; every other line has
    # its number as its index.
    lines = ["[0 ]", *_decoded(data, report)]
    for number, line in enumerate(lines[1:], 1):
        lines[number] = _tagged(number, line, report)
    parser = _LineParser()
    try:
        parser.read_lines(lines)
    except configparser.ParsingError as error:
        for number, _ in error.errors:
            _unreadable(number - 1, report)
    sections = []
    for tagged in parser.sections():
        number, title = _untagged(tagged)
        entries = [
            Entry(line, key, value, _is_sound(title, key, value, report))
            for line, key, value in _entries(parser, tagged, lines)
            if _is_key(line, key, report)
        ]
        if number:
            sections.append(Section(number, title, tuple(entries)))
            continue
        for entry in entries:
            what = "stands before the first section, put it under a header such as [gateway]"
            report.add(entry.line, "", entry.key, what)
    return sections


def _decoded(data: bytes, report: Report) -> Iterator[str]:
    """The lines as text; one that is not UTF-8 is reported and left empty."""
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            report.add(number, "", "", "this line is not UTF-8, save the file as UTF-8")
            yield ""


def _tagged(number: int, line: str, report: Report) -> str:
    """A header with its line's number in front of its title; any other line as it is."""
    header = _HEADER.fullmatch(line)
    if not header:
        return line
    title = " ".join(header["title"].split())
    title = "".join(character if character.isprintable() else "?" for character in title)
    if header["rest"]:
        what = "text follows the section's name, put keys and comments on lines of their own"
        report.add(number, title, "", what)
    return f"{header['indent']}[{number} {title}]"


def _untagged(name: str) -> tuple[int, str]:
    number, _, rest = name.partition(" ")
    return int(number), rest


def _entries(
    parser: _LineParser, tagged: str, lines: Sequence[str]
) -> Iterator[tuple[int, str, tuple[tuple[int, str], ...]]]:
    """Line, key and the value's lines, of each key of a section."""
    for name, text in parser.items(tagged):
        start, key = _untagged(name)
        first, *continued = text.split("\n")
        value = [(start, first)]
        at = start
        for part in filter(None, continued):
            # The parser has only dropped comments and empty lines on its way to this one.
            at = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == part)
            value.append((at, part))
        yield start, key, tuple((line, part) for line, part in value if part)


def _is_key(line: int, key: str, report: Report) -> bool:
    if _KEY.fullmatch(key):
        return True
    if key:  # an empty one is among the lines that did not parse
        _unreadable(line, report)
    return False


def _unreadable(line: int, report: Report) -> None:
    # Without the line itself: whatever was pasted there may be a secret.
    what = "this line cannot be read, write [section], key = value or a comment that begins with #"
    report.add(line, "", "", what)


def _is_sound(section: str, key: str, value: Sequence[tuple[int, str]], report: Report) -> bool:
    """Whether a value is plain text that means what it seems to mean."""
    for line, text in value:
        if text.startswith("["):
            what = "an indented header continues the value, start headers at the line's beginning"
        elif _INLINE_COMMENT.search(text):
            what = "a comment stands behind the value, put comments on lines of their own"
        elif not text.replace("\t", " ").isprintable():
            what = "there is a control character in the value, write visible characters only"
        else:
            continue
        report.add(line, section, key, what)
        return False
    return True
