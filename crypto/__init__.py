"""The pure protocol: identities, handshake, key schedule, records.

Nothing here opens a socket or a file, reads a clock, starts a thread or asks for
random bytes: all of that comes in through arguments, so every step can be
replayed. The specification is docs/PROTOCOL.md.
"""
