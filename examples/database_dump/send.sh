#!/usr/bin/env bash
# Send a SQLite database as SQL. pipefail: a dump that fails is no delivery that succeeded, here.
set -euo pipefail
if [ "${1:-}" = --help ] || [ $# -ne 3 ]; then
    echo "usage: send.sh DATABASE PEER URL     send DATABASE to PEER, who listens at URL" >&2
    [ "${1:-}" = --help ] && exit 0 || exit 2
fi
[ -r "$1" ] || { echo "send.sh: cannot read $1" >&2; exit 1; }
# sqlite3 ends with 0 even when it could not read all: only a dump whose last line is COMMIT is whole.
sqlite3 -readonly -bail "$1" .dump | LC_ALL=C awk '{ print; last = $0 } END { exit last != "COMMIT;" }' |
    selo emit --to "$2" --connect "$3" -
