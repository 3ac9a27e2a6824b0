"""Store a sensor's batches in SQLite, one transaction each; the answer to a batch leaves after its commit."""

import argparse
import json
import sqlite3
import sys
from contextlib import closing

import selo

TABLES = """
CREATE TABLE IF NOT EXISTS batches (sensor TEXT, number INTEGER, PRIMARY KEY (sensor, number));
CREATE TABLE IF NOT EXISTS readings (sensor TEXT, time REAL, value REAL);
"""


def store(database: sqlite3.Connection, sensor: str, message: bytes) -> int:
    """Commit one batch, unless it was committed already; its number."""
    number, batch = json.loads(message)
    with database:  # one transaction: all of it or nothing
        new = database.execute("INSERT OR IGNORE INTO batches VALUES (?, ?)", (sensor, int(number))).rowcount
        if new:
            rows = [(sensor, float(time), float(value)) for time, value in batch]
            database.executemany("INSERT INTO readings VALUES (?, ?, ?)", rows)
    return int(number)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", help="the home folder (SELO_HOME, else ~/.selo)")
    parser.add_argument(
        "--from", dest="sensor", required=True, help="the pinned peer whose readings these are"
    )
    parser.add_argument("--bind", required=True, help="where to listen: tcp://0.0.0.0:7800")
    parser.add_argument("database")
    options = parser.parse_args()
    try:
        with closing(sqlite3.connect(options.database)) as database:
            database.executescript(TABLES)
            with selo.converse(
                identity=selo.load_identity(options.home),
                peers=selo.load_peer(options.sensor, options.home),
                bind=options.bind,
            ) as talk:
                for message in talk:
                    talk.send(b"%d" % store(database, talk.session.peer, message))
    except selo.SeloError as error:
        print(f"store: {error}", error.hint, file=sys.stderr)
        return error.exit_status
    except (sqlite3.Error, ValueError, TypeError) as error:  # out of the `with` block: the sensor was told
        print(f"store: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
