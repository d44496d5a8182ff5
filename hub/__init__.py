"""Models from the hub: access, disk, download that goes on where it was, verification, and what cleanup may remove.

Importing this needs nothing beyond the standard library; ``huggingface_hub`` is imported when something is downloaded.
"""

from hub.downloads import Download, downloads, remove
from hub.models import download_models, models_of, needs_token
from hub.token import read_token

__all__ = ["Download", "download_models", "downloads", "models_of", "needs_token", "read_token", "remove"]
