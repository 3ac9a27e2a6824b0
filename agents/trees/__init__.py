"""Folders and several items as one stream: what is walked, how it is written down, what names may be."""
