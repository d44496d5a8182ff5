"""Why claims of dLoRA fail in this engine, and the commands that show it."""

from __future__ import annotations

SKEWED = (
    "the popularity that is drawn is more skewed at stride 4 than the artifact's seems to be, so that merging pays earlier;"
    " at stride 32 the few requests of other adapters interrupt the one that has nearly all (`cli.py run dlora/fig10a"
    " --seed 1`)."
)
SOON = (
    "at 12 and 16 requests/s both wait alike in this draw of the popularity; in others dLoRA waits less at every rate"
    " (`cli.py run dlora/fig11a --seed 1`), and in this one when it looks at its replicas every two seconds instead of every"
    " ten (`cli.py run dlora/fig11a --with \"dlora,place=migrating(period_s=2)\"`)."
)
UNLOADED = (
    "at 8 requests/s hardly anybody waits here at ratio 1, where the published server was overloaded; at 24, where requests"
    " wait at every ratio, it holds (`cli.py run dlora/fig11b-busy`)."
)
DRAWN = (
    "which functions share a replica decides how much the busiest one has to do, and that is drawn with each number of"
    " adapters anew (`cli.py run dlora/fig12 --seed 2`)."
)
