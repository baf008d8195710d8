"""Shell completion: the script of each shell, its installation, and the words that may come next. Runs no command."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from streamer.cli.errors import UsageError
from streamer.model.events import OUTCOMES, STATUSES, TERMINAL, UNDER_WAY
from streamer.protocol.run_filter import SORTS

#: The variable by which a shell asks for words; its value is the number of the word that is being typed.
ASKED: Final = "_STREAMER_COMPLETE"
#: Seconds that the streamer may take to name pipelines and runs.
_SECONDS: Final = 1.0
_RUNS: Final = 50
#: The shell splits at these characters; words are handed over one a line.
_SCRIPTS: Final = {
    "bash": """\
_streamer_completion() {
    local IFS=$'\\n'
    COMPREPLY=( $(_STREAMER_COMPLETE=$COMP_CWORD streamer "${COMP_WORDS[@]}" 2>/dev/null) )
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _streamer_completion streamer
""",
    "zsh": """\
#compdef streamer
_streamer() {
    local -a found
    found=("${(@f)$(_STREAMER_COMPLETE=$((CURRENT - 1)) streamer "${words[@]}" 2>/dev/null)}")
    if [[ -n ${found[1]} ]]; then compadd -Q -- "${found[@]}"; else _files; fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _streamer "$@"; else compdef _streamer streamer; fi
""",
    "fish": """\
function __streamer_completion
    set -l words (commandline -opc) (commandline -ct)
    _STREAMER_COMPLETE=(math (count $words) - 1) streamer $words 2>/dev/null
end
complete -c streamer -a '(__streamer_completion)'
""",
}


class Completion(argparse.Action):
    """The options ``--show-completion`` and ``--install-completion``, each with a shell or for that of ``SHELL``."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Print the script or install it, and exit."""
        try:
            shell = shell_of(str(values or ""), os.environ)
            if option_string == "--show-completion":
                print(_SCRIPTS[shell], end="")
            else:
                print(install(shell, os.environ))
        except (OSError, UsageError) as error:
            parser.error(str(error))
        parser.exit()


def shell_of(name: str, environment: Mapping[str, str]) -> str:
    """Return the shell that is meant.

    Args:
        name: Its name; empty: that of the variable ``SHELL``.
        environment: The environment.

    Returns:
        bash, zsh or fish.

    Raises:
        UsageError: It is none of them.

    """
    shell = name or Path(environment.get("SHELL", "")).name
    if shell not in _SCRIPTS:
        raise UsageError(f"expected one of {', '.join(_SCRIPTS)}, received {shell or 'no shell'!r}")
    return shell


def install(shell: str, environment: Mapping[str, str]) -> str:
    """Write a shell's script where the shell looks for it.

    Args:
        shell: bash, zsh or fish.
        environment: The environment, with HOME, XDG_DATA_HOME, XDG_CONFIG_HOME and ZDOTDIR.

    Returns:
        A sentence about what was installed, and the next step for the user.

    Raises:
        OSError: The file cannot be written.

    """
    home = Path(environment.get("HOME") or Path.home())
    match shell:
        case "bash":
            data = Path(environment.get("XDG_DATA_HOME") or home / ".local/share")
            path = data / "bash-completion/completions/streamer"
            left = f"Without the package bash-completion, add to ~/.bashrc: source {path}"
        case "fish":
            path = (
                Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
                / "fish/completions/streamer.fish"
            )
            left = ""
        case _:
            path = home / ".zfunc/_streamer"
            left = _tell_zsh(Path(environment.get("ZDOTDIR") or home) / ".zshrc")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_SCRIPTS[shell])
    done = f"Completion for {shell} is in {path}; it begins with the next shell."
    return f"{done}\n{left}" if left else done


def _tell_zsh(settings: Path) -> str:
    line = "fpath+=~/.zfunc; autoload -Uz compinit; compinit"
    text = settings.read_text() if settings.exists() else ""
    if line in text:
        return ""
    settings.write_text(f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n")
    return f"This line was added to {settings}: {line}"


def complete(parser: argparse.ArgumentParser, words: Sequence[str], number: int) -> list[str]:
    """Return the words that may stand at a place of a command line.

    Args:
        parser: The parser of the command line.
        words: The words after the program's name.
        number: The place of the word that is being typed, from 0.

    Returns:
        The words, in the order in which they are shown; none where a file may stand.

    """
    before, typed = list(words[:number]), words[number] if number < len(words) else ""
    return [word for word in _candidates(parser, before, typed) if word.startswith(typed)]


def _candidates(parser: argparse.ArgumentParser, before: list[str], typed: str) -> Iterable[str]:
    commands = _commands(parser)
    name = next((word for word in before if word in commands), "")
    if not name:
        return [*commands, *_options(parser)] if not typed.startswith("-") else _options(parser)
    sub, rest = commands[name], before[before.index(name) + 1 :]
    if name == "exec" and ("--" in rest or any(not word.startswith("-") for word in rest)):
        return []
    previous = rest[-1] if rest else ""
    action = sub._option_string_actions.get(previous)
    if action is not None and action.nargs != 0:
        return _values(action.dest, rest)
    if typed.startswith("-"):
        return _options(sub)
    if any(not word.startswith("-") for word in _positional(sub, rest)):
        return []
    return _named(name)


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [
        option for action in parser._actions for option in action.option_strings if option.startswith("--")
    ]


def _positional(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """Return the words that are neither options nor their values."""
    found, skip = [], False
    for word in words:
        if skip:
            skip = False
            continue
        action = parser._option_string_actions.get(word)
        skip = action is not None and action.nargs != 0
        if action is None:
            found.append(word)
    return found


def _values(option: str, words: Sequence[str]) -> list[str]:
    match option:
        case "status":
            return list(STATUSES)
        case "outcome":
            return list(OUTCOMES)
        case "sort":
            return list(SORTS)
        case "pipeline":
            return _asked("pipelines", "")
        case "param":
            pipeline = next((word for word in words if not word.startswith("-")), "")
            return [f"{name}=" for name in _asked("parameters", pipeline)]
    return []


def _named(command: str) -> list[str]:
    match command:
        case "run":
            return _asked("pipelines", "")
        case "watch":
            return _asked("runs", "")
        case "cancel":
            return _asked("runs", ",".join(UNDER_WAY))
        case "retry":
            return _asked("runs", ",".join(sorted(TERMINAL)))
    return []


def _asked(what: str, which: str) -> list[str]:
    """Return names that the streamer knows; none when it does not answer at once."""
    from streamer.client.client import Client, StreamerError

    async def ask() -> list[str]:
        async with asyncio.timeout(_SECONDS), Client() as client:
            if what == "runs":
                return [run.run for run in (await client.runs(status=which or None, limit=_RUNS)).runs]
            offers = (await client.pipelines()).pipelines
            if what == "pipelines":
                return [offer.name for offer in offers]
            return [
                name for offer in offers if offer.name == which for name in offer.schema.get("properties", {})
            ]

    with suppress(StreamerError, TimeoutError, ValueError, OSError):
        return asyncio.run(ask())
    return []
