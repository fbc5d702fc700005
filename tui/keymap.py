"""A person's own keys: one TOML file that gives actions by name other keys, checked before anything is drawn."""

from __future__ import annotations

import difflib
import os
import string
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from textual.keys import KEY_NAME_REPLACEMENTS, Keys

from engine.errors import UsageError
from tui.key import EVERYWHERE, LIST, LOG, TYPING, Key, label_of
from tui.keytable import KEYS, TITLES

NAME = "keys.toml"
_NAMES = frozenset(key.value for key in Keys) | frozenset(KEY_NAME_REPLACEMENTS.values())
_MODIFIERS = ("ctrl+", "alt+", "shift+")
_WORDS = {sign: unicodedata.name(sign).lower().replace(" ", "_").replace("-", "_") for sign in string.punctuation + " "}
_SIGNS = {sign: KEY_NAME_REPLACEMENTS.get(word, word) for sign, word in _WORDS.items()}


def path() -> Path:
    """$XDG_CONFIG_HOME/paddock/keys.toml, or ~/.config/paddock/keys.toml."""
    config = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(config) if config else Path.home() / ".config") / "paddock" / NAME


def named() -> dict[str, Key]:
    """The keys that can be others, by name."""
    return {key.name: key for key in KEYS if key.action}


def load(file: Path | None = None) -> dict[str, str]:
    """Keys by name, as Textual writes them; {} without a file. Raises UsageError with the first thing that is wrong."""
    file = file or path()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} can't be read: {error}.") from None
    import tomllib  # 8 ms, for those who have such a file

    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is no TOML: {error}. `tui --keys` prints one that is.") from None
    try:
        own = {name: _keys(name, value) for name, value in _flat(read)}
        _check(own)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None
    return own


def _flat(table: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _keys(name: str, value: object) -> str:
    """The keys of one line; a string, with commas between several, or a list of strings."""
    if name not in named():
        raise UsageError(f"no key is called '{name}'.{_nearest(name, named())} `tui --keys` lists them.")
    listed: list[object] = [value]
    if isinstance(value, list):
        listed = value
    elif isinstance(value, str) and value != ",":
        listed = [*value.split(",")]
    found = [key for key in listed if isinstance(key, str) and (key.strip() or key == " ")]
    if not found or len(found) < len(listed):
        raise UsageError(f'{name} = {value!r}: expected a key such as "x", "ctrl+s" or "f5", or a list of them.')
    return ",".join(_key(name, key.strip() or key) for key in found)


def _key(name: str, text: str) -> str:
    """A key as Textual calls it."""
    bare = text
    while bare.lower().startswith(_MODIFIERS) and "+" in bare[:-1]:
        bare = bare.partition("+")[2]
    if len(bare) == 1 and bare.isprintable():
        if bare == text and named()[name].priority:
            raise UsageError(f"{name} = '{text}': it works where one types, so it needs a key such as f6 or ctrl+g.")
        return text[: len(text) - 1] + _SIGNS.get(bare, bare)
    if text.lower() in _NAMES or bare.lower() in _NAMES or bare in _SIGNS.values():
        return text.lower()
    raise UsageError(f"{name} = '{text}': there is no such key.{_nearest(text, _NAMES)}")


def _nearest(name: str, names: Mapping[str, object] | frozenset[str]) -> str:
    close = difflib.get_close_matches(name, list(names), 1, 0.5)
    return f" Did you mean {close[0]}?" if close else ""


def _check(own: Mapping[str, str]) -> None:
    """No key may mean two things in one place; lists and logs take theirs before the screen they are on."""
    for where in dict.fromkeys(place for places, _ in TITLES for place in places):
        taken: dict[str, Key] = {}
        lists = (LIST, LOG) if where not in (*TYPING, LIST, LOG, EVERYWHERE) else ()
        for key in KEYS:
            if not key.action or not {where, EVERYWHERE, *lists} & set(key.where):
                continue
            for one in own.get(key.name, key.keys).split(","):
                other = taken.setdefault(one, key)
                if other is not key and (key.name in own or other.name in own) and not _apart(one, key, other):
                    raise UsageError(
                        f"'{label_of(one)}' is both {other.name} ({other.text}) and {key.name} ({key.text})."
                    )


def _apart(pressed: str, one: Key, other: Key) -> bool:
    """A list and a log never have the focus at the same time; some keys of a screen stand before one of everywhere.

    Where the table itself gives a list or a log a key of its screen, the focus decides.
    """
    focused = {one.where, other.where} & {(LIST,), (LOG,)}
    given = pressed in one.keys.split(",") and pressed in other.keys.split(",")
    return one.before == other.name or other.before == one.name or len(focused) == 2 or (bool(focused) and given)


def default() -> str:
    """keys.toml with every key there is, as a comment: what `tui --keys` prints."""
    lines = [f"# Keys of `tui`: take the # off a line of {NAME} and change it. `tui --keys` prints this table.",
             f"# The file: {path()}", ""]  # fmt: skip
    names = named()
    wide = max(len(name) + len(key.keys) for name, key in names.items()) + 6
    for title, keys in _places():
        lines.append(f"# {title}")
        lines += [f"#{f'{key.name} = {chr(34)}{key.keys}{chr(34)}':<{wide}} # {key.text}" for key in keys]
        lines.append("")
    return "\n".join(lines)


def markdown() -> str:
    """docs/keys.md."""
    lines = [
        "# Keys",
        "",
        "Made from the table in `tui/keytable.py` by `python -m tui --keys=markdown > docs/keys.md`. Every key can be",
        'another: write `name = "key"` into `~/.config/paddock/keys.toml`; `tui --keys` prints such a file with all',
        "of them.",
        "",
    ]
    for title, keys in _places():
        lines += [f"## {title}", "", "| key | what it does | name |", "|---|---|---|"]
        lines += [
            f"| `{' '.join(label_of(k) for k in key.keys.split(','))}` | {key.text} | `{key.name}` |" for key in keys
        ]
        lines.append("")
    return "\n".join(lines)


def _places() -> list[tuple[str, list[Key]]]:
    found = [(title, [key for key in KEYS if key.where == where and key.action]) for where, title in TITLES]
    return [(title, keys) for title, keys in found if keys]
