"""What clients print of a build, shortened, hosts made up: recorded of Docker 20.10 and Podman 4.3, else composed."""

from __future__ import annotations

OLD_BUILDKIT = """\
#1 [internal] load build definition from Dockerfile
#1 sha256:d791adb29a8ac1dfa15bc37b531aa36526d0ac7d16b75667b36f48c9c311ba88
#1 DONE 0.0s

#4 [cpu-packages 1/4] FROM registry.example/python:3.11-slim-bookworm
#4 sha256:d03bee8a3fa76c34b8ad34dcbb708e083fc32904e85f138dc9aa96af893c98ca
#4 CACHED

#6 [cpu-packages 2/4] RUN --mount=type=bind,source=docker/prepare,target=/run/prepare sh /run/prepare cpu
#6 sha256:f685bf642196a7fda51d3b65859c8d9054cf5a9ccabaa6ed8e963a307807e5b2
#6 ...

#12 [kit 3/5] COPY hosting /hosting
#12 sha256:e3395850ad8f9958a772bfe4df679db7d0262b7cc1501ea34cf8dd0879d4f691
#12 DONE 0.0s

#6 [cpu-packages 2/4] RUN --mount=type=bind,source=docker/prepare,target=/run/prepare sh /run/prepare cpu
#6 sha256:f685bf642196a7fda51d3b65859c8d9054cf5a9ccabaa6ed8e963a307807e5b2
#6 0.678 [notice] the environment is made
#6 DONE 3.0s
"""
NEW_BUILDKIT = """\
#0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 4.49kB done
#1 DONE 0.0s

#5 [cpu-packages 1/4] FROM registry.example/python:3.11@sha256:0123456789abcdef
#5 resolve registry.example/python:3.11@sha256:0123456789abcdef 0.0s done
#5 CACHED

#12 [cpu-packages 3/4] RUN --mount=type=bind,source=install,target=/i --mount=type=cache,target=/c sh /i -r /run/cpu.lock
#12 1.234 Collecting numpy==2.4.6
#12 DONE 3.2s

#13 exporting to image
#13 exporting layers 0.1s done
#13 DONE 0.1s
"""
PODMAN_LINES = """\
[2/3] STEP 1/5: FROM registry.example/python:3.11-slim-bookworm AS cpu-packages
[2/3] STEP 2/5: RUN --mount=type=bind,source=docker/prepare,target=/run/prepare sh /run/prepare cpu
--> Using cache 5507f866c84077b36d38e320f92f5fa0e314073f153644038e6741ec63cd5014
--> 5507f866c84
STEP 1/1: LABEL servelab.kit=cpu
COMMIT servelab:cpu
"""

NAMELESS = "dial tcp: lookup registry.example on 192.0.2.53:53: no such host"
BAD_CERTIFICATE = (
    "#7 0.9 WARNING: Retrying (Retry(total=0, connect=None, read=None)) after connection broken by"
    " 'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get"
    " local issuer certificate (_ssl.c:992)'))': /simple/numpy/\n"
)
NOTHING_FOUND = (
    "#7 8.2 ERROR: Could not find a version that satisfies the requirement numpy==2.4.6 (from versions: {})\n"
    "#7 8.2 ERROR: No matching distribution found for numpy==2.4.6\n"
    "#7 ERROR: executor failed running [/bin/sh -c sh /run/install -r /run/cpu.lock]: exit code: 1\n"
)


def unreached(reason: str, versions: str) -> str:
    """What pip says of an index that it cannot connect to."""
    return (
        "0.7 WARNING: Retrying (Retry(total=0, connect=None, read=None)) after connection broken by 'NewConnectionError("
        f"'<HTTPSConnection object at 0x7f8>: Failed to establish a new connection: [Errno {reason}')': /simple/numpy/\n"
        f"{NOTHING_FOUND.format(versions)}"
    )


NO_BASE = "the base image local/nothing:1 is neither here nor to be had; "
NO_INDEX = "the package index cannot be reached; "
FULL = "the disk of the engine is full; "
LOST = "the docker engine stopped answering; start it"
CAUSES = {
    "base, BuildKit of 20.10": (
        f'#3 ERROR: failed to do request: Head "https://registry.example/v2/local/nothing/manifests/1": {NAMELESS}',
        NO_BASE,
    ),
    "base, newer BuildKit without a network": (
        "ERROR: failed to build: failed to solve: local/nothing:1: failed to resolve source metadata for"
        f' registry.example/local/nothing:1: failed to do request: Head "https://registry.example/v2/x": {NAMELESS}',
        NO_BASE,
    ),
    "base, newer BuildKit and a registry that refuses": (
        'ERROR: failed to solve: local/nothing:1: failed to do request: Head "https://192.0.2.1/v2/": dial tcp 192.0.2.1:443:'
        " connect: connection refused",
        NO_BASE,
    ),
    "base, newer BuildKit and a registry that has none": (
        "ERROR: failed to solve: local/nothing:1: pull access denied, repository does not exist or may require authorization:"
        " server message: insufficient_scope: authorization failed",
        NO_BASE,
    ),
    "base, podman without a short name": (
        'Error: creating build container: short-name "local/nothing:1" did not resolve to an alias and no unqualified-search'
        ' registries are defined in "/etc/containers/registries.conf"',
        NO_BASE,
    ),
    "base, podman without a network": (
        "Error: creating build container: initializing source docker://local/nothing:1: pinging container registry"
        f' registry.example: Get "https://registry.example/v2/": {NAMELESS}',
        NO_BASE,
    ),
    "index, no names": (unreached("-3] Temporary failure in name resolution", "none"), NO_INDEX),
    "index, refused": (unreached("111] Connection refused", "none"), NO_INDEX),
    "index, nothing said but that there is nothing": (NOTHING_FOUND.format("none"), NO_INDEX),
    "index, away, with another version's wheel here": (unreached("101] Network is unreachable", "2.0.0"), NO_INDEX),
    "index of Debian, no names": ("E: Failed to fetch Temporary failure resolving 'mirror.example'", NO_INDEX),
    "certificate, pip": (BAD_CERTIFICATE + NOTHING_FOUND.format("none"), "name your bundle with --ca"),
    "certificate, apt": (
        "#6 1.2 Certificate verification failed: The certificate is NOT trusted. The certificate issuer is unknown.",
        "name your bundle with --ca",
    ),
    "disk, BuildKit": ("write /var/lib/docker/overlay2/x/diff/y: no space left on device", FULL),
    "disk, pip": ("#7 9.1 ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", FULL),
    "hashes": ("#7 ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "other than the lock says"),
    "Python too old, said": (
        "#7 ERROR: Package 'numpy' requires a different Python: 3.9.2 not in '>=3.11'",
        "one of Python 3.10 or newer with --base",
    ),
    "Python too old, not said": (NOTHING_FOUND.format("1.3.0, 1.4.1"), "one of Python 3.10 or newer with --base"),
    "no Python": ("#6 0.3 /run/prepare: 4: python3: not found", "no python3"),
    "no venv": ("created successfully because ensurepip is not available.", "no python3 with venv"),
    "daemon killed, 20.10": ("#7 5.1   Downloading polars-2.1.0-py3-none-any.whl (911 kB)\nunexpected EOF", LOST),
    "daemon killed, newer": (
        "ERROR: failed to build: failed to receive status: rpc error: code = Unavailable desc = error reading from"
        " server: EOF",
        LOST,
    ),
    "daemon stopped": ("rpc error: code = Unavailable desc = transport is closing", LOST),
    "daemon gone before": (
        "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", LOST,
    ),
}
