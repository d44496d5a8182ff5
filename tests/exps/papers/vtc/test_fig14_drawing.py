"""Figure 14's picture: every system without a limit is a line."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from exps.papers.vtc.fig14 import draw


def test_an_added_system_without_a_limit_is_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: drawn.append(figure))
    frame = pl.DataFrame(
        {"system": ["rpm-5", "vtc", "order=mine"], "limit": [5, None, None], "tokens_per_s": [300.0, 700.0, 650.0]}
    )
    draw(frame, lambda rows: "", tmp_path, "test")
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert any(text.startswith("VTC 700") for text in texts)
    assert "order=mine 650" in texts
