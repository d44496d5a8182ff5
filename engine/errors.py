"""The one error a person can cause."""


class InputError(Exception):
    """Bad input: one sentence that says what is wrong, where, and what to type next. Commands print it and exit with 2."""
