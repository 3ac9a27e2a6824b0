"""Follow a growing log file and ship its lines as they come.

Begins at the file's start. Ends in order when the file called FILE.done appears (by then everything
must have been written), and with an error when the log is rotated or truncated: what was written in
between might be lost, and this does not guess.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator

import selo


class Rotated(Exception):
    """The name stands for another file now, or for less of the same one."""


def lines_of(path: str, interval: float) -> Iterator[bytes]:
    """Whole lines of the file as they appear; at the end also a last one without its newline."""
    with open(path, "rb") as log:
        begun = os.fstat(log.fileno())
        rest = b""
        while True:
            finished = os.path.exists(path + ".done")  # looked at first: what is read after it is all
            while block := log.read(65536):
                lines, newline, rest = (rest + block).rpartition(b"\n")
                if newline:
                    yield lines + newline
            now = os.stat(path)
            if (now.st_dev, now.st_ino) != (begun.st_dev, begun.st_ino) or now.st_size < log.tell():
                raise Rotated
            if finished:
                if rest:
                    yield rest
                return
            time.sleep(interval)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", help="the home folder (SELO_HOME, else ~/.selo)")
    parser.add_argument("--to", required=True, help="the pinned peer who collects")
    parser.add_argument("--connect", required=True, help="where it listens: tcp://host:7800")
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between two looks (0.2)")
    parser.add_argument("file")
    options = parser.parse_args()
    try:
        with selo.converse(
            identity=selo.load_identity(options.home),
            peers=selo.load_peer(options.to, options.home),
            connect=options.connect,
        ) as talk:
            for lines in lines_of(options.file, options.interval):
                talk.send(lines)
    except selo.SeloError as error:
        print(f"ship: {error}", error.hint, file=sys.stderr)
        return error.exit_status
    except (OSError, Rotated) as error:  # out of the `with` block: the collector was told
        print(f"ship: {options.file} was rotated or cannot be read: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
