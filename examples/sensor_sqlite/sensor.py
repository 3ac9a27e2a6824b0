"""Send readings in batches, and wait until each batch is committed at the other end.

Reads lines "TIME VALUE" from standard input. A batch has a number; one whose acknowledgement was lost
may be sent again under the same number, and is stored once. Prints each number that is committed.
"""

import argparse
import itertools
import json
import sys

import selo


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", help="the home folder (SELO_HOME, else ~/.selo)")
    parser.add_argument("--to", required=True, help="the pinned peer who stores")
    parser.add_argument("--connect", required=True, help="where it listens: tcp://host:7800")
    parser.add_argument("--batch", type=int, default=100, help="readings in a transaction (100)")
    parser.add_argument("--first", type=int, default=1, help="the first batch's number (1)")
    options = parser.parse_args()
    readings = (line.split() for line in sys.stdin)
    try:
        with selo.converse(
            identity=selo.load_identity(options.home),
            peers=selo.load_peer(options.to, options.home),
            connect=options.connect,
        ) as talk:
            for number in itertools.count(options.first):
                batch = [
                    (float(time), float(value))
                    for time, value in itertools.islice(readings, max(1, options.batch))
                ]
                if not batch:
                    break
                talk.send(json.dumps([number, batch]).encode())
                if talk.receive(60) != b"%d" % number:
                    print(f"sensor: batch {number} was not committed", file=sys.stderr)
                    return 1
                print(number, flush=True)
    except selo.SeloError as error:
        print(f"sensor: {error}", error.hint, file=sys.stderr)
        return error.exit_status
    except ValueError as error:
        print(f"sensor: a line that is no reading: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
