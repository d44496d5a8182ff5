import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.errors import InputError
from exps.workload.download import SOURCES, download_traces, read_sources

REPOSITORY, COMMIT = "zikun-li/AdaServe-Artifact-Evaluation", "c0ffee"
FILES = {"exps/fig8,9/emission.json": b"[1, 2, 3]", "exps/fig10/a b.json": b"x" * 200_000}


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        assert isinstance(self.server, Server)
        self.server.asked.append(self.path)


class Server(ThreadingHTTPServer):
    def __init__(self, root):
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(root)))
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "served"
    for path, content in FILES.items():
        file = root / REPOSITORY / COMMIT / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    http = Server(root)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def sources(tmp_path):
    def write(repository=REPOSITORY, paths=FILES, **wrong):
        lines = ["github_repository,commit,path,bytes,sha256"]
        for path in paths:
            content = FILES.get(path, b"")
            digest = wrong.get("sha256", hashlib.sha256(content).hexdigest())
            lines.append(f'{repository},{COMMIT},"{path}",{wrong.get("size", len(content))},{digest}')
        file = tmp_path / "sources.csv"
        file.write_text("\n".join(lines) + "\n")
        return file

    return write


def files_below(folder):
    return sorted(file for file in folder.rglob("*") if file.is_file())


def test_downloads_to_the_repositorys_layout_and_reports_progress(tmp_path, server, sources):
    heard = []
    into = tmp_path / "traces"
    paths = download_traces(
        into, sources(), server.url, progress=lambda source, *done: heard.append((source.path, *done))
    )
    assert [path.read_bytes() for path in paths] == list(FILES.values())
    assert paths == [into / "AdaServe-Artifact-Evaluation" / path for path in FILES]
    assert files_below(into) == sorted(paths)
    assert heard == [(path, i, 2) for i, path in enumerate(FILES, start=1)]
    assert any("fig8%2C9" in path for path in server.asked)


def test_complete_files_are_skipped_and_damaged_ones_fetched_again(tmp_path, server, sources):
    into = tmp_path / "traces"
    first, second = download_traces(into, sources(), server.url)
    second.write_bytes(b"y" * 200_000)
    server.asked.clear()
    download_traces(into, sources(), server.url)
    assert len(server.asked) == 1
    assert second.read_bytes() == FILES["exps/fig10/a b.json"]
    assert first.read_bytes() == FILES["exps/fig8,9/emission.json"]


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"size": 5}, {"size": 10**6}])
def test_other_content_than_listed_leaves_nothing(tmp_path, server, sources, wrong):
    into = tmp_path / "traces"
    with pytest.raises(InputError, match="is not the listed file"):
        download_traces(into, sources(**wrong), server.url)
    assert files_below(into) == []


def test_missing_on_the_server_keeps_what_came_before(tmp_path, server, sources):
    into = tmp_path / "traces"
    with pytest.raises(InputError, match=r"absent\.json answered 404"):
        download_traces(into, sources(paths=[*FILES, "absent.json"]), server.url)
    assert len(files_below(into)) == 2


def test_unreachable_server(tmp_path, server, sources):
    server.shutdown()
    server.server_close()
    with pytest.raises(InputError, match="cannot be reached"):
        download_traces(tmp_path / "traces", sources(), server.url)


def test_folder_that_cannot_be_written(tmp_path, server, sources):
    into = tmp_path / "traces"
    into.write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        download_traces(into, sources(), server.url)


def test_papers_choose_repositories(tmp_path, server, sources):
    assert download_traces(tmp_path / "traces", sources(), server.url, papers=["vtc"]) == []
    with pytest.raises(InputError, match="choose from adaserve"):
        download_traces(tmp_path / "traces", sources(), server.url, papers=["adaserv"])


def test_the_shipped_list_is_complete():
    listed = read_sources(SOURCES)
    assert sum("exps/fig8,9/" in source.path for source in listed) == 13
    assert all(len(source.sha256) == 64 and source.size > 0 for source in listed)
