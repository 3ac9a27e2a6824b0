#!/usr/bin/env bash
# A tar of this repository goes through `selo emit -`, a session on the loopback, `selo receive -` and tar
# again. Ends with 0 only if both agents and both tars did, and the two trees are the same.
# `selo` is the one on PATH (`make demo-stdin` sees to that).
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
receiver=
cleanup() {
    [ -z "$receiver" ] || kill -- "-$receiver" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/source" "$work/arrived"

echo "1. two identities, each trusting the other"
for agent in emitter receiver; do
    selo --home "$work/$agent" keygen --name "$agent" --quiet >/dev/null
done
selo --home "$work/receiver" id --export | selo --home "$work/emitter" trust add receiver --quiet >/dev/null
selo --home "$work/emitter" id --export | selo --home "$work/receiver" trust add emitter --may-send --quiet >/dev/null

echo "2. the tracked files of this repository"
if ! git archive HEAD 2>/dev/null | tar -x -C "$work/source" 2>/dev/null; then
    tar -c --exclude=./.git --exclude=./.venv --exclude=./.types --exclude=./build --exclude='.*_cache' --exclude=__pycache__ . |
        tar -x -C "$work/source"
fi
count=$(find "$work/source" -type f | wc -l)
[ "$count" -gt 0 ]

echo "3. selo receive - | tar -x"
mkfifo "$work/events"
set -m # a process group of its own, so that cleanup can end all of it
(selo --home "$work/receiver" receive --json --bind tcp://127.0.0.1:0 --from emitter --wait 60s - 2>"$work/events" |
    tar -x -C "$work/arrived") &
receiver=$!
set +m
exec 3<"$work/events"
address=
while read -r event <&3; do
    echo "   $event"
    if [[ $event =~ \"listening\".*(tcp://[^\"]+) ]]; then
        address=${BASH_REMATCH[1]}
        break
    fi
done
[ -n "$address" ] || { echo "the Receiver did not say where it listens" >&2; exit 1; }

echo "4. tar -c | selo emit - (to $address)"
cat <&3 >"$work/rest-of-events" &
tar -c -C "$work/source" . |
    selo --home "$work/emitter" emit --quiet --to receiver --connect "$address" --as repository.tar -
wait "$receiver" # under pipefail: the Receiver's status and tar's
receiver=

echo "5. compare"
diff -r "$work/source" "$work/arrived"
echo "the same $count files on both sides"
