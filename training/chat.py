"""Questions and answers made from docstrings and from the sections of documentation pages."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import PurePath

from training.corpus import Document, digest

FORM = "Question: {question}\nAnswer:"
SHORTEST, LONGEST = 30, 500
ABOUT_CODE = (
    "What does {name} do?",
    "What does {title} of {module} do?",
    "Explain {title}.",
    "Describe {call}.",
    "How does {call} work?",
    "What is {title} for?",
    "In {module}, what is {name}?",
)
ABOUT_TOPIC = ("What is {topic}?", "Tell me about {topic}.", "Explain: {topic}.", "What should I know about {topic}?")
ARGUMENTS = "Which arguments does {title} of {module} take?"
HEADING = re.compile(r"^([^\n]{3,70})\n([=\-~^\"'*#+`])\2{2,}\n+", re.MULTILINE)
ROLE = re.compile(r":[\w:+-]+:`([^`]*)`")
EPYTEXT = re.compile(r"\b[A-Z]\{([^{}]*)\}")
LINK = re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?")


def pairs(document: Document) -> Iterator[Document]:
    """Chat documents made from ``document``; the same file always gives the same ones."""
    found = _from_code(document) if document.kind == "coding" else _from_page(document)
    for question, answer in found:
        text = f"{FORM.format(question=question)} {answer}\n"
        yield Document("chat", document.source, document.path, text)


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _from_code(document: Document) -> Iterator[tuple[str, str]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(document.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    module = ".".join([document.source, *PurePath(document.path).with_suffix("").parts[-1:]])
    for node, owner in _definitions(tree, ""):
        answer = _answer(ast.get_docstring(node) or "")
        if answer:
            yield _question(node, owner, module), answer
        names = [argument.arg for argument in node.args.args] if not isinstance(node, ast.ClassDef) else []
        names = [name for name in names if name not in ("self", "cls")]
        if 2 <= len(names) <= 8 and not owner and digest(node.name + module)[1] < 100:
            listed = ", ".join(names[:-1]) + f" and {names[-1]}"
            title = f"the function {node.name}"
            yield ARGUMENTS.format(title=title, module=module), f"{node.name} takes {len(names)} arguments: {listed}."


def _definitions(tree: ast.AST, owner: str) -> Iterator[tuple[Definition, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node, owner
        elif isinstance(node, ast.ClassDef):
            yield node, owner
            yield from _definitions(node, node.name)


def _question(node: Definition, owner: str, module: str) -> str:
    if isinstance(node, ast.ClassDef):
        title, call = f"the class {node.name}", node.name
    else:
        title = f"the method {node.name} of {owner}" if owner else f"the function {node.name}"
        call = f"{node.name}({', '.join(argument.arg for argument in node.args.args[:6])})"
    name = f"{owner}.{node.name}" if owner else node.name
    form = ABOUT_CODE[digest(f"{module}.{name}")[0] % len(ABOUT_CODE)]
    return form.format(name=name, title=title, call=call, module=module)


def _from_page(document: Document) -> Iterator[tuple[str, str]]:
    pieces = HEADING.split(document.text)
    for topic, body in zip(pieces[1::3], pieces[3::3], strict=True):
        topic = _plain(topic).strip()
        answer = _answer(_plain(body))
        if answer and topic and answer[0].isalpha():
            if topic.endswith("?"):
                yield topic, answer
            else:
                yield ABOUT_TOPIC[digest(topic + answer)[0] % len(ABOUT_TOPIC)].format(topic=topic), answer


def _answer(text: str) -> str:
    """The first paragraph, and the second where both are short prose; empty when there is nothing to tell."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", _plain(textwrap.dedent(text)).strip())]
    answer = paragraphs[0]
    if len(paragraphs) > 1 and paragraphs[1][:1].isupper() and paragraphs[1].endswith(".") and "---" not in paragraphs[1]:
        longer = f"{answer} {paragraphs[1]}"
        answer = longer if len(longer) <= LONGEST else answer
    fits = SHORTEST <= len(answer) <= LONGEST and not answer.startswith((".. ", ">>>", "==", "--"))
    return answer if fits else ""


def _plain(text: str) -> str:
    """``text`` without reStructuredText's roles and links and Epytext's marks."""
    return EPYTEXT.sub(r"`\1`", LINK.sub(r"\1", ROLE.sub(r"\1", text))).replace("``", "`")
