"""Runs of the papers' own servers, recorded request by request: read, replayed, repeated under small doubts."""
