"""`cli.py check`: the claims of figures are judged."""

from __future__ import annotations

from pathlib import Path

from exps.commands.claims_page import claims_page
from exps.commands.findings import as_document, each, find, show_findings
from exps.commands.planning import plans_with_points
from exps.figures.claims import any_fails
from exps.figures.figure import Options, Selection
from exps.report import Reporter


def check(
    name: str, selection: Selection, options: Options, root: Path, report: Reporter, as_json: bool, as_page: bool = False
) -> bool:
    """Judge the claims on the complete points, printed as tables, JSON or a page of Markdown; True when none fails."""
    found = list(each(find, plans_with_points(name, selection, options, root)))
    if as_json:
        report.json([as_document(item) for item in found])
    elif as_page:
        report.say(claims_page([(item.plan.figure, item.judgements, item.caption) for item in found]))
    else:
        for item in found:
            show_findings(item, report)
    return not any(any_fails(item.judgements) for item in found)
