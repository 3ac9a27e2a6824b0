"""Selo: two agents, one sealed session."""
