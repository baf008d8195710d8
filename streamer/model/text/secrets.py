"""Secrets by their names and their shapes: which names stand for one, and a text without those that it holds. No I/O.

A rule that hides too much costs a reader a word. A rule that hides too little shows a password to everybody. So rules
are wide; names of lengths, files and modes are left out of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

#: Stands where a secret stood.
HIDDEN: Final = "…"
#: The shortest secret that is looked for in other texts: a shorter one stands in too many words.
LEAST: Final = 4

#: In a name written without separators: each says enough wherever it stands.
_STRONG: Final = re.compile(
    "password|passwd|passphrase|passwort|kennwort|passcode|passkey|secret|credential|apikey|privatekey|accesskey"
    "|authkey|authtoken|accesstoken|bearertoken|refreshtoken|connectionstring|storepass|keypass|rootpw"
)
#: Ends of a word that is written without separators, and words that end so and are none.
_ENDS: Final = re.compile(
    "(?:pass|pwd)$|(?:admin|bind|db|ftp|http|login|my|proxy|root|smtp|ssh|sudo|user)pw$"
)
_OTHERS: Final = re.compile(
    "(?:all|band|by|com|first|high|last|low|multi|n|over|single|sur|tres|two|under)pass$"
)
#: Words of a name, each a secret wherever it stands.
_ANYWHERE: Final = frozenset({"jwt", "pwd", "token"})
#: Words that end the name of a secret.
_WORDS: Final = frozenset(
    {
        *(
            "auth",
            "authorization",
            "bearer",
            "cookie",
            "cookies",
            "cred",
            "creds",
            "jwt",
            "otp",
            "totp",
            "pass",
        ),
        *(
            "passw",
            "passwds",
            "pat",
            "pin",
            "psw",
            "pswd",
            "pw",
            "pwd",
            "sas",
            "sig",
            "signature",
            "token",
            "userpwd",
        ),
    }
)
#: Words before "key" that make it one.
_KEYS: Final = frozenset(
    {
        *("access", "account", "api", "app", "auth", "client", "consumer", "crypt", "decryption", "deploy"),
        *(
            "encryption",
            "gpg",
            "hmac",
            "host",
            "ingest",
            "integration",
            "license",
            "licence",
            "master",
            "pgp",
        ),
        *(
            "private",
            "priv",
            "secret",
            "server",
            "service",
            "session",
            "shared",
            "signing",
            "ssh",
            "ssl",
            "storage",
        ),
        *("subscription", "tls", "vault", "write"),
    }
)
#: Last words of names that tell of a secret, and are none.
_ABOUT: Final = frozenset(
    {
        *(
            "algorithm",
            "budget",
            "class",
            "cmd",
            "column",
            "command",
            "count",
            "delimiter",
            "dir",
            "directory",
            "endpoint",
        ),
        *(
            "env",
            "expires",
            "expiry",
            "fd",
            "field",
            "file",
            "filename",
            "folder",
            "format",
            "header",
            "helper",
        ),
        *(
            "hint",
            "host",
            "id",
            "ids",
            "issuer",
            "length",
            "limit",
            "limits",
            "location",
            "manager",
            "max",
            "method",
        ),
        *(
            "methods",
            "min",
            "mode",
            "name",
            "names",
            "path",
            "plugin",
            "policy",
            "port",
            "prompt",
            "protocol",
        ),
        *(
            "provider",
            "region",
            "required",
            "rotation",
            "scheme",
            "scope",
            "server",
            "service",
            "size",
            "source",
        ),
        *(
            "stdin",
            "store",
            "strategy",
            "timeout",
            "ttl",
            "type",
            "types",
            "uri",
            "url",
            "user",
            "username",
            "version",
        ),
    }
)
#: First words of names of switches and bounds.
_SWITCHES: Final = frozenset(
    {"allow", "ask", "disable", "enable", "has", "max", "min", "n", "no", "num", "prompt", "skip"}
)
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

#: Values that are secrets by their shape, whatever stands before them.
_SHAPES: Final = re.compile(
    r"""
    -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----(?:.*?-----END\ [A-Z ]*PRIVATE\ KEY-----|.*)
    | \b(?:gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,} | xox[abeoprs]-[\w-]{10,}
      | sk-[\w-]{20,} | hf_[A-Za-z0-9]{20,} | npm_[A-Za-z0-9]{30,} | pypi-[\w-]{30,} | AIza[\w-]{30,} | dop_v1_\w{30,}
      | (?:sk|rk|pk)_(?:live|test)_\w{16,} | SG\.[\w-]{16,}\.[\w-]{16,} | hvs\.[\w-]{20,} | ya29\.[\w.-]{20,})
    | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*
    | (?<=hooks\.slack\.com/services/)[\w/]+
    | (?<=[?&]key=)[^&\s'"]+
    """,
    re.VERBOSE | re.DOTALL,
)
#: The password of a URL. It may hold an "@" or, unlike a port, a "/".
_URL: Final = re.compile(
    r"""(?P<before>[A-Za-z][\w+.-]*://[^\s/:@?\#'"]*:)(?:[^\s/?\#'"]*@|(?!\d+(?:[/?\#]|\s|$))[^\s'"]*@)""",
    re.VERBOSE,
)
#: The password of a driver of Oracle.
_THIN: Final = re.compile(r"(?P<before>:(?:thin|oci):[^/\s@]+/)[^@\s]+@")
#: A URL whose user is a token: long, without a password after it.
_URL_TOKEN: Final = re.compile(r"(?P<before>\bhttps?://)[\w.~%+-]{16,}@")
#: A name and what joins it to its value, as in assignments, headers, JSON and connection strings.
_NAMED: Final = re.compile(
    r"""(?<![A-Za-z0-9_.\-])(?P<name>[A-Za-z0-9_.\-]++)(?P<joint>["']?\]?\s*(?:=>|:=|=|:)\s*)"""
)
_QUOTED: Final = re.compile(r"""\\?(["'])(?P<inside>(?:\\.|(?!\1).)*)\1?""", re.DOTALL)
#: The value of a header goes to the end of the line; its scheme is no secret.
_HEADER: Final = re.compile(
    r"(?P<scheme>(?:apikey|aws4-hmac-sha256|basic|bearer|digest|dpop|negotiate|ntlm|token)\s+)?[^\r\n\"']+",
    re.IGNORECASE,
)
#: A value ends before the next name, also where a comma or an ampersand separates them.
_VALUE: Final = re.compile(r"""(?:(?!,\s*[\w.-]+=)[^\s;&"'}\]])+""")


def is_secret_name(name: str) -> bool:
    """Return whether a name is that of a secret, in any spelling.

    Args:
        name: The name of an option, a variable, a header or a parameter: ``api-key``, ``PGPASSWORD``, ``dbPassword``.

    Returns:
        True for passwords, tokens, keys and their kin; False for what tells of one: ``token-limit``, ``password_file``.

    """
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[0] in _SWITCHES:
        return False
    if words[-1] in _ABOUT and words[-2:] != ["secret", "id"]:
        return False
    joined = "".join(words)
    if (
        _STRONG.search(joined)
        or joined.endswith("token")
        or words[-1] in _WORDS
        or _ANYWHERE.intersection(words)
    ):
        return True
    if _ENDS.search(words[-1]) and not _OTHERS.search(words[-1]):
        return True
    if words[-1] in ("key", "keys"):
        return bool(_KEYS.intersection(words[:-1]))
    return joined.endswith("key") and joined[:-3] in _KEYS


def without_secrets(text: str) -> str:
    """Return a text with `HIDDEN` in place of each secret that its name or its shape tells.

    Args:
        text: A word of a command line, a part of a program, a URL, a header; of any length.

    Returns:
        The text; the same when it holds no such secret.

    """
    text = _SHAPES.sub(HIDDEN, text)
    text = without_url_passwords(text)
    return "".join(_without_named(text))


def without_url_passwords(text: str) -> str:
    """Return a text with `HIDDEN` in place of the passwords and tokens before the hosts of URLs.

    Args:
        text: The text, of any length.

    """
    if "@" not in text:
        return text
    text = _THIN.sub(rf"\g<before>{HIDDEN}@", text)
    text = _URL.sub(rf"\g<before>{HIDDEN}@", text)
    return _URL_TOKEN.sub(rf"\g<before>{HIDDEN}@", text)


def secret_parts(text: str, shown: str) -> tuple[str, ...]:
    """Return what `HIDDEN` stands for; nothing when it cannot be told.

    Args:
        text: The text.
        shown: The same with `HIDDEN` in place of its secrets.

    """
    if text == shown:
        return ()
    pattern = "(.+)".join(re.escape(part) for part in shown.split(HIDDEN))
    found = re.fullmatch(pattern, text, re.DOTALL)
    return () if found is None else found.groups()


def _without_named(text: str) -> Iterable[str]:
    at = 0
    for found in _NAMED.finditer(text):
        if found.start() < at or not is_secret_name(found["name"]):
            continue
        begin = found.end()
        yield text[at:begin]
        at = begin
        is_colon = found["joint"].strip("\"' ") == ":"
        value = text[begin:]
        if value.startswith(("//", HIDDEN)):
            # The scheme of a URL is no name; and a value may be hidden already.
            continue
        quoted = _QUOTED.match(value)
        if quoted is not None:
            yield value[: quoted.start("inside")] + HIDDEN
            at = begin + quoted.end("inside")
            continue
        in_json = found["joint"][0] in "\"'"
        pattern = _HEADER if is_colon and not in_json else _VALUE
        bare = pattern.match(value)
        if bare is None:
            continue
        scheme = bare.groupdict().get("scheme") or ""
        yield scheme + HIDDEN
        at = begin + bare.end()
    yield text[at:]
