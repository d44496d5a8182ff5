"""Downloads as the command does, in a process of its own: driver.py MODELS [TOKEN_FILE]."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.errors import InputError
from exps.report import Reporter
from hosting.storage import models_folder
from hub import download_models, needs_token, read_token


def main(models: str, token_file: str = "") -> int:
    names = models.split(",")
    try:
        token = read_token(Path(token_file) if token_file else None, ask=needs_token(names, models_folder()))
        download_models(names, token, Reporter())
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
