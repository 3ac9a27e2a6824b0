"""The program `selo`, and `python -m selo`: nothing here is slow to import."""

from signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal
from typing import NoReturn

# While the rest is imported nothing needs to be put in order: Ctrl-C ends the process without a word.
if getsignal(SIGINT) is default_int_handler:
    signal(SIGINT, SIG_DFL)


def entry() -> NoReturn:
    """The console script."""
    from selo.agents.cli.main import entry as run

    if getsignal(SIGINT) is SIG_DFL:
        signal(SIGINT, default_int_handler)
    run()


if __name__ == "__main__":
    entry()
