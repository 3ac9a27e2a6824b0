"""The processes: Emitter, Receiver, the session loop, the command line."""
