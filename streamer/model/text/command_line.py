"""A command line as pages show it: the words of a command without passwords and tokens. Runs nothing; no I/O."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

from streamer.model.text.secrets import HIDDEN, LEAST, is_secret_name, secret_parts, without_secrets

#: How deep a command may stand inside another's words: ``ssh host "sh -c '…'"``. Beyond it a word is hidden as a whole.
_DEPTH: Final = 6
#: An option: its name, and its value where it is in the same word. A slash begins options of Windows.
_OPTION: Final = re.compile(
    r"(?P<dashes>--?|/(?=[\w.-]+[=:]))(?P<name>[A-Za-z][\w.-]*)(?P<joint>[=:]?)(?P<value>.*)", re.DOTALL
)
#: The tokens of a shell's text, and the blanks between them.
_TOKENS: Final = re.compile(r"""\s+|[;&|()]|(?:[^\s'"\\;&|()]|\\.|'[^']*'|"(?:\\.|[^"\\])*")+|.""", re.DOTALL)
#: Stands for `HIDDEN` while a command is quoted: a word of letters needs no quotes.
_MARK: Final = "HIDDENbyPANELstreamer"

_MYSQL: Final = frozenset(
    {
        *(
            "mariadb",
            "mariadb-admin",
            "mariadb-dump",
            "mycli",
            "mysql",
            "mysqladmin",
            "mysqlcheck",
            "mysqldump",
        ),
        *("mysqlimport", "mysqlpump", "mysqlshow", "mysqlslap", "mysqlsh", "mydumper", "myloader"),
    }
)
#: Short options whose value is a password, by program: ``-pX`` in one word, ``-p X`` in two. A program of more purposes
#: has them after the command "login" alone.
_ATTACHED: Final = {
    **dict.fromkeys(_MYSQL, "p"),
    **dict.fromkeys(("7z", "7za", "7zr", "rar", "unrar", "sshpass"), "p"),
    **dict.fromkeys(("redis-cli", "valkey-cli"), "a"),
    **dict.fromkeys(("ldapadd", "ldapdelete", "ldapmodify", "ldappasswd", "ldapsearch", "ldapwhoami"), "w"),
    **dict.fromkeys(("sqlcmd", "bcp", "zip", "unzip"), "P"),
    **dict.fromkeys(("mongo", "mongosh", "mongodump", "mongoexport", "mongoimport", "mongorestore"), "p"),
    **dict.fromkeys(("ipmitool", "smtp-cli"), "P"),
}
_SEPARATE: Final = {
    name: letter for name, letter in _ATTACHED.items() if letter != "p" or name not in _MYSQL
} | {
    "curl": "b",
    **dict.fromkeys(("twine", "hydra", "xfreerdp", "cqlsh", "influx", "isql", "snmpget", "smbmap"), "p"),
}
_LOGINS: Final = frozenset(
    {"az", "buildah", "cf", "crane", "docker", "helm", "nerdctl", "oc", "oras", "podman", "skopeo"}
)
#: Options whose value is a name and a password.
_USERS: Final = frozenset({"-u", "-U", "--user", "--proxy-user", "--login", "--userpwd"})
#: Programs with an option of their own for a name and a password.
_USER_OF: Final = {
    **dict.fromkeys(("http", "https", "httpie", "xh"), "-a"),
    **dict.fromkeys(("wrk", "ab"), "-A"),
}
#: Programs whose argument is ``name/password@database``.
_ORACLE: Final = frozenset({"expdp", "impdp", "rman", "sqlcl", "sqlldr", "sqlplus"})
_ORACLE_LOGIN: Final = re.compile(r"(?P<before>[\w$#.]+/)(?P<password>[^@]+)(?P<after>@.*)?", re.DOTALL)
_ASSIGNED: Final = re.compile(r"(?P<name>[\w.-]+)=.+", re.DOTALL)
#: The option of a shell or a language before a text to execute.
_SCRIPT: Final = re.compile("-[a-zA-Z]*[ce]")
_LITERAL: Final = re.compile(r"(?P<before>--from-literal=[^=]*=).+", re.DOTALL)
_KNOWN: Final = {*_ATTACHED, *_SEPARATE, *_LOGINS, *_USER_OF, *_ORACLE, "vault"}
_USER: Final = re.compile(r"(?P<before>[^:%/\\]*(?:[/\\][^:%]*)?[:%])(?P<password>.+)", re.DOTALL)


def shown_command(command: Sequence[str]) -> str:
    """Return a command as one line for people, quoted as for a shell, with an ellipsis for each secret.

    Args:
        command: The words of the command.

    Returns:
        The line; see `hidden_words`.

    """
    return shlex.join(word.replace(HIDDEN, _MARK) for word in hidden_words(command)).replace(_MARK, HIDDEN)


def hidden_values(command: Sequence[str]) -> frozenset[str]:
    """Return the secrets of a command that `hidden_words` hides, where they are long enough to be found again.

    Args:
        command: The words of the command.

    Returns:
        The values, each of `LEAST` characters or more.

    """
    values: set[str] = set()
    for word, shown in zip(command, hidden_words(command), strict=True):
        values.update(secret_parts(word, shown))
    return frozenset(value for value in values if len(value) >= LEAST)


def hidden_words(command: Sequence[str], depth: int = 0) -> Iterator[str]:
    """Yield the words of a command with an ellipsis for each secret: more people see the page than start the command.

    Args:
        command: The words of the command. A word may be a command itself, as that of ``sh -c``.
        depth: How many commands it stands in.

    Yields:
        As many words.

    """
    place = _Place()
    # The kind of value that the word before asks for: a secret, a user with a password, or a script.
    pending = ""
    for word in command:
        kind, pending = pending, ""
        option = _OPTION.fullmatch(word)
        if option is not None and (kind != "secret" or _is_secret_option(option)):
            shown, pending = _option(word, option, place, depth)
        elif kind == "secret":
            shown = HIDDEN
        elif kind == "user":
            shown = _without_password(word)
        elif (
            kind != "script" and (assigned := _ASSIGNED.fullmatch(word)) and is_secret_name(assigned["name"])
        ):
            shown = f"{assigned['name']}={HIDDEN}"
        else:
            shown = (
                _ORACLE_LOGIN.sub(rf"\g<before>{HIDDEN}\g<after>", word)
                if place.is_oracle
                else _text(word, depth)
            )
            pending = place.take(word)
        yield shown


class _Place:
    """The program whose words are being read, as far as it has rules of its own."""

    def __init__(self) -> None:
        self.program = ""
        self.is_login = False
        self.is_oracle = False
        self._sets = False

    def take(self, word: str) -> str:
        """Take note of a word that is no option; return the kind of value that the next word is."""
        name = PurePath(word).name.removesuffix(".exe")
        if name in _KNOWN:
            self.program, self.is_login, self.is_oracle = name, False, name in _ORACLE
        elif word == "login":
            self.is_login = self.program in _LOGINS
            return "secret" if self.program == "vault" else ""
        elif word in ("config", "set"):
            self._sets = True
        elif self._sets and re.search("[_.-]", word) and is_secret_name(word):
            # ``aws configure set aws_secret_access_key X``
            return "secret"
        return ""


def _option(word: str, option: re.Match[str], place: _Place, depth: int) -> tuple[str, str]:
    """Return an option as it is shown, and the kind of value that the next word is."""
    dashes, name, joint, value = option.group("dashes", "name", "joint", "value")
    letter = name[0]
    if dashes == "-" and len(word) > 2 and letter == _ATTACHED.get(place.program):
        return f"-{letter}{HIDDEN}", ""
    if (
        dashes == "-"
        and len(word) == 2
        and (letter == _SEPARATE.get(place.program) or (place.is_login and letter == "p"))
    ):
        return word, "secret"
    if dashes == "-" and letter == "u" and joint == ":":
        return f"-u{_without_password(word[2:])}", ""
    if f"{dashes}{name}" in _USERS or word == _USER_OF.get(place.program):
        if joint == "=":
            return f"{dashes}{name}={_without_password(value)}", ""
        return (word, "user") if not joint else (_text(word, depth), "")
    if _is_secret_option(option):
        if not joint:
            return word, "secret"
        return f"{dashes}{name}{joint}{HIDDEN if value else ''}", ""
    pending = "script" if _SCRIPT.fullmatch(word) else ""
    return _LITERAL.sub(rf"\g<before>{HIDDEN}", _text(word, depth)), pending


def _is_secret_option(option: re.Match[str]) -> bool:
    # -p is the port of one program, and the password of another: single letters are left to the program's own rule.
    return len(option["name"]) > 1 and is_secret_name(option["name"])


def _without_password(word: str) -> str:
    found = _USER.fullmatch(word)
    # Numbers are a user and a group, as in ``docker run -u 1000:1000``.
    if found is None or re.fullmatch(r"\d+:\d+", word):
        return without_secrets(word)
    return f"{found['before']}{HIDDEN}"


def _text(word: str, depth: int) -> str:
    """Return a word without secrets; one with blanks may be a command of its own."""
    if not re.search(r"\s", word):
        # Inside another word this one was read with it.
        return word if depth else without_secrets(word)
    if depth >= _DEPTH:
        return HIDDEN
    word = without_secrets(word)
    tokens = _TOKENS.findall(word)
    places = [place for place, token in enumerate(tokens) if not token.isspace()]
    plain = [_unquoted(tokens[place]) for place in places]
    for place, before, after in zip(places, plain, hidden_words(plain, depth + 1), strict=True):
        if after != before:
            quote = tokens[place][0] if tokens[place][0] in "\"'" else ""
            tokens[place] = f"{quote}{after}{quote}"
    return "".join(tokens)


def _unquoted(token: str) -> str:
    try:
        return "".join(shlex.split(token))
    except ValueError:
        return token
