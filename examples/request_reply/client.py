"""Ask a server: each line of standard input is a question, each answer is printed."""

import argparse
import sys

import selo


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", help="the home folder (SELO_HOME, else ~/.selo)")
    parser.add_argument("--to", required=True, help="the pinned peer to ask")
    parser.add_argument("--connect", required=True, help="where it listens: tcp://host:7800")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for an answer (30)")
    options = parser.parse_args()
    try:
        with selo.converse(
            identity=selo.load_identity(options.home),
            peers=selo.load_peer(options.to, options.home),
            connect=options.connect,
        ) as talk:
            for line in sys.stdin.buffer:
                talk.send(line.rstrip(b"\n"))
                answer = talk.receive(options.timeout)
                if answer is None:
                    print("client: the server has finished before we had", file=sys.stderr)
                    return 1
                sys.stdout.buffer.write(answer + b"\n")
                sys.stdout.buffer.flush()
    except selo.SeloError as error:
        print(f"client: {error}", error.hint, file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
