"""The completions of bash, zsh and fish; shtab writes them, and here stands what completes which value."""

from __future__ import annotations

import argparse
from typing import Any, Final

import shtab
from grammar_tree import Command, command_tree

from selo.config.catalogue import CATALOGUE, DIGESTS
from selo.config.home import HOME_VARIABLE
from selo.config.policy import Names, Overwrite
from selo.crypto.suites import SUITES

SCRIPTS = {"bash": "selo", "zsh": "_selo", "fish": "selo.fish"}
"""Each shell finds its script under exactly this name."""

# The names of the files of the trust store: no process is started, and the home need not be whole.
_PREAMBLE: Final = {
    "bash": f"""\
_selo_files() {{ compgen -f -- "${{1//\\\\/}}"; }}
_selo_dirs() {{ compgen -d -- "${{1//\\\\/}}"; }}
_selo_peers() {{
  local file
  for file in "${{{HOME_VARIABLE}:-$HOME/.selo}}"/peers/*.json; do
    [[ -e $file ]] && file=${{file##*/}} && compgen -W "${{file%.json}}" -- "$1"
  done
}}
""",
    "zsh": f"""\
_selo_peers() {{ compadd -- ${{{HOME_VARIABLE}:-$HOME/.selo}}/peers/*.json(N:t:r) }}
""",
    "fish": f"""\
function _selo_peers
  set -l home ~/.selo
  test -n "${HOME_VARIABLE}"; and set home ${HOME_VARIABLE}
  for file in $home/peers/*.json
    string replace -r '.*/(.*)\\.json$' '$1' -- $file
  end
end
""",
}

# bash splits a line at `:` and `=` as well; the grammar knows tcp://host:7800 and --option=value.
_BASH_WORDS: Final = """
_selo() {
  local words=() glued= word raw=${COMP_WORDS[COMP_CWORD]}
  for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    if [[ $word == = && ${words[*]: -1} == --* ]]; then
      words+=("") glued=1
    elif [[ $word == [:=] && ${#words[@]} -gt 0 ]]; then
      words[${#words[@]}-1]+=$word glued=1
    elif [[ $glued ]]; then
      words[${#words[@]}-1]+=$word glued=
    else
      words+=("$word")
    fi
  done
  [[ $raw == [:=] ]] && raw=
  local COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1))
  local before=${COMP_WORDS[COMP_CWORD]}
  _shtab_selo
  COMPREPLY=("${COMPREPLY[@]#"${before%"$raw"}"}")
}

complete -o bashdefault -F _selo selo
"""

FILE: Final = {**shtab.FILE, "bash": "_selo_files"}
FOLDER: Final = {**shtab.DIRECTORY, "bash": "_selo_dirs"}
PEER: Final = {"bash": "_selo_peers", "zsh": "_selo_peers", "fish": "(_selo_peers)"}
ANYTHING: Final = None

BY_METAVAR: Final[dict[str, Any]] = {
    "CMD": ANYTHING,
    "DIGEST": list(DIGESTS),
    "DIR": FOLDER,
    "DURATION": ANYTHING,
    "F": FILE,
    "FILE": FILE,
    "HOW": list(Overwrite),
    "N": ANYTHING,
    "PATH": FILE,
    "PATTERN": ANYTHING,
    "RATE": ANYTHING,
    "RULE": list(Names),
    "SIZE": ANYTHING,
    "SUITE": list(SUITES),
    "URL": ANYTHING,
}
# A NAME is that of many things: by command and argument.
BY_PLACE: Final[dict[tuple[str, str], Any]] = {
    ("config", "names"): list(CATALOGUE),
    ("doctor", "peer_name"): PEER,
    ("emit", "emit_to"): PEER,
    ("emit", "ignore_files"): ANYTHING,
    ("emit", "stream_name"): ANYTHING,
    ("keygen", "name"): ANYTHING,
    ("receive", "receive_from"): PEER,
    ("trust add", "name"): ANYTHING,
    ("trust allow", "name"): PEER,
    ("trust deny", "name"): PEER,
    ("trust policy", "name"): PEER,
    ("trust remove", "name"): PEER,
    ("trust rename", "name"): PEER,
    ("trust rename", "new_name"): ANYTHING,
    ("trust rotate", "name"): PEER,
    ("trust show", "name"): PEER,
}


def completion_scripts() -> dict[str, str]:
    """The text of every script, by its path in docs/.

    Raises:
        LookupError: the grammar has a value of which nothing is said here.
    """
    selo = command_tree()
    for command in selo.walk():
        for action in (*command.general, *command.own):
            if action.nargs != 0 and not action.choices:
                _complete(command, action)
    texts = {shell: shtab.complete(selo.parser, shell, preamble=_PREAMBLE[shell]) for shell in SCRIPTS}
    texts["bash"] += _BASH_WORDS
    # What shtab writes for an argument that repeats lets zsh complete the first alone.
    texts["zsh"] = texts["zsh"].replace('"(*)::', '"*:')
    return {f"completions/{SCRIPTS[shell]}": f"{text.strip()}\n" for shell, text in texts.items()}


def _complete(command: Command, action: argparse.Action) -> None:
    place = (" ".join(command.path), action.dest)
    metavar = str(action.metavar)
    if place not in BY_PLACE and metavar not in BY_METAVAR:
        raise LookupError(f"docs/completion_scripts.py does not say what completes {metavar} of {place}")
    completion = BY_PLACE.get(place, BY_METAVAR.get(metavar))
    if isinstance(completion, list):
        action.choices = completion
    elif completion is not None:
        action.complete = completion  # type: ignore[attr-defined]  # shtab's own convention
