"""Append the lines that a shipper sends to a file, as they come.

Lines that came before a session was cut stay in the file: a log is worth having in part. The exit
status says whether it was all.
"""

import argparse
import os
import sys

import selo


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", help="the home folder (SELO_HOME, else ~/.selo)")
    parser.add_argument("--from", dest="shipper", required=True, help="the pinned peer who ships")
    parser.add_argument("--bind", required=True, help="where to listen: tcp://0.0.0.0:7800")
    parser.add_argument("file", help="where the lines are appended")
    options = parser.parse_args()
    try:
        with (
            open(options.file, "ab") as log,
            selo.converse(
                identity=selo.load_identity(options.home),
                peers=selo.load_peer(options.shipper, options.home),
                bind=options.bind,
            ) as talk,
        ):
            for lines in talk:
                log.write(lines)
                log.flush()
            os.fsync(log.fileno())  # before the end of the block, which tells the shipper that all is well
    except selo.SeloError as error:
        print(f"collect: {error}", error.hint, file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"collect: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
