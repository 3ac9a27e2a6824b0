"""The plain peer: one delivery over a ZeroMQ PAIR socket, raw or with CURVE, from input to output.

    peers_zmq.py keys FOLDER
    peers_zmq.py receive|send PORT FRAME_BYTES [KEYS_FOLDER]

It is what somebody would write who needs neither names, receipts nor digests. An empty frame ends the
delivery and an empty frame answers it. With KEYS_FOLDER the traffic is encrypted by CURVE and the sender
knows the receiver's key; the receiver lets anybody in, since that is what CURVE does by itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import zmq

LARGE = 64 << 10
"""Bytes from which a frame is handed over instead of copied, and 8 frames are enough of a queue."""

PATIENCE_MS = 60_000


def open_socket(port: int, frame: int, keys: Path | None, *, listens: bool) -> zmq.Socket[bytes]:
    """A connected PAIR socket that gives up after a minute of silence."""
    pair: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PAIR)
    pair.set_hwm(8 if frame >= LARGE else 1000)
    pair.rcvtimeo = pair.sndtimeo = pair.linger = PATIENCE_MS
    if keys is not None:
        own = "receiver" if listens else "sender"
        pair.curve_publickey = (keys / f"{own}.public").read_bytes()
        pair.curve_secretkey = (keys / f"{own}.secret").read_bytes()
        if listens:
            pair.curve_server = True
        else:
            pair.curve_serverkey = (keys / "receiver.public").read_bytes()
    address = f"tcp://127.0.0.1:{port}"
    pair.bind(address) if listens else pair.connect(address)
    return pair


def send(pair: zmq.Socket[bytes], frame: int) -> None:
    """Standard input in frames, then the end, until it is answered."""
    with open(0, "rb", buffering=max(frame, 1 << 16)) as source:
        while block := source.read(frame):
            pair.send(block, 0, copy=frame < LARGE)
    pair.send(b"")
    pair.recv()


def receive(pair: zmq.Socket[bytes], frame: int) -> None:
    """Frames onto standard output until the end."""
    with open(1, "wb", buffering=1 << 16) as target:
        if frame < LARGE:
            while block := pair.recv():
                target.write(block)
        else:
            while len(message := pair.recv(copy=False)):
                target.write(message.buffer)
    pair.send(b"")


def make_keys(folder: Path) -> None:
    """One CURVE key pair for each side."""
    for side in ("receiver", "sender"):
        public, secret = zmq.curve_keypair()
        (folder / f"{side}.public").write_bytes(public)
        (folder / f"{side}.secret").write_bytes(secret)


def main(verb: str, *words: str) -> None:
    """See the top of this file."""
    if verb == "keys":
        make_keys(Path(words[0]))
        return
    frame = int(words[1])
    keys = Path(words[2]) if len(words) > 2 else None
    pair = open_socket(int(words[0]), frame, keys, listens=verb == "receive")
    receive(pair, frame) if verb == "receive" else send(pair, frame)
    pair.close()
    zmq.Context.instance().term()


if __name__ == "__main__":
    main(*sys.argv[1:])
