"""`python -m selo` is the program `selo`."""

from selo.agents.cli.main import entry

entry()
