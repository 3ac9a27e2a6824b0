"""Writes the man pages and the shell completions: docs/man/ and docs/completions/.

    python docs/make_manual.py            writes them
    python docs/make_manual.py --check    names those that would change; exit status 1 if any

They are made of the command line's grammar (agents/cli/parser.py), the catalogue of settings
(config/catalogue.py) and the README's table of exit statuses, and of nothing else: no date, no path of
this machine, no width of a terminal.
"""

from __future__ import annotations

import sys
from pathlib import Path

from completion_scripts import completion_scripts
from man_pages import man_pages

HERE = Path(__file__).resolve().parent
FOLDERS = ("man", "completions")


def main(arguments: list[str]) -> int:
    files = {HERE / name: text for name, text in {**man_pages(), **completion_scripts()}.items()}
    stale = [path for folder in FOLDERS for path in (HERE / folder).glob("*") if path not in files]
    if arguments == ["--check"]:
        changed = [path for path, text in files.items() if not path.is_file() or path.read_text() != text]
        for path in sorted(stale + changed):
            print(f"{path.relative_to(HERE)} is not what make_manual.py makes; `make docs` makes it again")
        return 1 if stale or changed else 0
    for path in stale:
        path.unlink()
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
