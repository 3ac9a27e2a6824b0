"""The command line's grammar as a tree of commands, for the man pages and the completions."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from selo.agents.cli.grammar import general_options
from selo.agents.cli.parser import make_parser

GENERAL: str = str(general_options()._action_groups[-1].title)


@dataclass(frozen=True)
class Command:
    """One command: ``path`` is () for `selo` itself, ("trust", "add") for an action of `trust`."""

    path: tuple[str, ...]
    summary: str
    parser: argparse.ArgumentParser
    actions: tuple[Command, ...]

    @property
    def own(self) -> list[argparse.Action]:
        """What the command takes beside --help, the general options and its actions, in order."""
        others = [*self.help, *self.general]
        return [
            action
            for action in self.parser._actions
            if action not in others and not isinstance(action, argparse._SubParsersAction)
        ]

    @property
    def help(self) -> list[argparse.Action]:
        """--help, which every command has."""
        return [action for action in self.parser._actions if isinstance(action, argparse._HelpAction)]

    @property
    def general(self) -> list[argparse.Action]:
        """The options that every command takes."""
        groups = [group for group in self.parser._action_groups if group.title == GENERAL]
        return [action for group in groups for action in group._group_actions]

    def walk(self) -> Iterator[Command]:
        """The command, and all below it."""
        yield self
        for action in self.actions:
            yield from action.walk()

    def help_of(self, action: argparse.Action) -> str:
        """The help text of one argument."""
        return self.parser._get_formatter()._expand_help(action) if action.help else ""


def command_tree() -> Command:
    """`selo`, with all that it can do."""
    return _command((), "", make_parser())


def _command(path: tuple[str, ...], summary: str, parser: argparse.ArgumentParser) -> Command:
    below = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    actions = [
        _command((*path, choice.dest), choice.help or "", each.choices[choice.dest])
        for each in below
        for choice in each._choices_actions
    ]
    return Command(path, summary, parser, tuple(actions))
