"""The server of FairServe's evaluation: what it ran on, and how it took requests in."""

from __future__ import annotations

from exps.figures.figure import Platform, Setting

MODEL, HARDWARE, CALIBRATION = "llama-2-7b", "a100-80g", "recorded-2025"
POOL_TOKENS = 100_000
READS_PER_WAIT = 1.315
"""Requests that the artifact's server read from its socket each time it waited for the model; exps.calibrate.fairserve.fit
finds it on the recorded run ``vtc``. It is what kept the backlog out of the scheduler's sight in every recorded run."""

SERVER = Platform("llama-7b", MODEL, HARDWARE, "Llama-2-7B on A100-80G")
PLATFORMS = (SERVER,)
BURST = Setting("burst", "All requests seen as they are sent", batching="slora")
PACED = Setting("paced", "Requests read at the recorded server's pace", batching="slora",
                policies={"slora": {"reads_per_wait": READS_PER_WAIT}})
SETTINGS = (PACED, BURST)
