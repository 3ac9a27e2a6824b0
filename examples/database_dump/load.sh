#!/usr/bin/env bash
# Take a database's SQL and load it: NEW appears whole, or not at all.
set -euo pipefail
if [ "${1:-}" = --help ] || [ $# -ne 3 ]; then
    echo "usage: load.sh NEW PEER URL     listen at URL for PEER's dump and load it into NEW" >&2
    [ "${1:-}" = --help ] && exit 0 || exit 2
fi
[ ! -e "$1" ] || { echo "load.sh: $1 exists already" >&2; exit 1; }
draft=$(mktemp -d "$(dirname -- "$1")/.load-XXXXXX")
trap 'rm -rf -- "$draft"' EXIT
# --hold: the pipe carries nothing before the authenticated end. A dump that
# sqlite3 could not finish there does not end with COMMIT.
selo receive --bind "$3" --from "$2" --hold - | cat >"$draft/sql"
[ "$(tail -n 1 "$draft/sql")" = "COMMIT;" ] || { echo "load.sh: the dump was cut short" >&2; exit 1; }
sqlite3 -bail "$draft/new" <"$draft/sql"
ln -T -- "$draft/new" "$1" # not mv, which would replace what appeared meanwhile
