"""The pure protocol: identities, handshake, key schedule, records."""
