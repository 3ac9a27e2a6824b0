"""Answer a client's questions, each with its text in capitals, until the client has finished."""

import argparse
import sys

import selo


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", help="the home folder (SELO_HOME, else ~/.selo)")
    parser.add_argument("--from", dest="client", required=True, help="the pinned peer who may ask")
    parser.add_argument("--bind", required=True, help="where to listen: tcp://0.0.0.0:7800")
    options = parser.parse_args()
    try:
        with selo.converse(
            identity=selo.load_identity(options.home),
            peers=selo.load_peer(options.client, options.home),
            bind=options.bind,
        ) as talk:
            for question in talk:
                talk.send(question.upper())
    except selo.SeloError as error:
        print(f"server: {error}", error.hint, file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
