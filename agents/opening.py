"""The source for the paths that a person or a program names."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from selo.agents import events
from selo.agents.sources import Source, open_source
from selo.agents.trees.source import TreeSource


def open_paths(
    paths: Sequence[str],
    *,
    name: str | None = None,
    exclude: Sequence[str] = (),
    ignore_files: Sequence[str] = (),
    warn: Callable[[str], object] = lambda _text: None,
    report: events.Report = events.ignore,
    check: Callable[[], object] = lambda: None,
) -> Source:
    """One file as a file, one special file as a stream, everything else as a tree.

    Args:
        paths: one or more.
        name: what the other side may call it, where it is one.
        exclude: patterns as in .gitignore, for what is below folders.
        ignore_files: names of files that hold such patterns for their folder.
        warn: told what is worth a warning.
        report: told of each item of a tree when it was read.
        check: called now and then while a tree is looked at; what it raises ends that.

    Raises:
        SourceFault: one of them cannot be opened, or cannot travel.
    """
    if len(paths) == 1 and not os.path.isdir(paths[0]):
        return open_source(paths[0], name)

    return TreeSource(
        paths,
        exclude=exclude,
        ignore_files=ignore_files,
        name=name,
        warn=warn,
        on_start=lambda path, size: report(events.ItemStarted.of(path, size)),
        on_item=lambda item: report(events.ItemDone.of(item)),
        check=check,
    )
