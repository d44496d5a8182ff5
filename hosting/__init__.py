"""The machine under the kit and its container engines."""
