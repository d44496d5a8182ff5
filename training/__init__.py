"""How the tiny pair was made: a corpus of free text, a target, and a draft taught on what the target writes."""
