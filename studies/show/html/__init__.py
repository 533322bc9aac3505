"""The parts of a page: one HTML document that asks for nothing outside itself.

Every text that is given is escaped. What the page may do is fixed by its content security policy: no request at all, and of
scripts and styles only `page.js` and `page.css` beside this file, told by their hashes.
"""

import base64
import hashlib
import struct
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

import pandas as pd

FILTERED = 20  # rows that a reader finds without a filter
_FILES = Path(__file__).parent


def document(title: str, body: str) -> str:
    """A whole document around a body of the parts below."""
    script, style = ((_FILES / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    template = Template((_FILES / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title), style=style, script=script, body=body, style_hash=_hash(style), script_hash=_hash(script)
    )


def _hash(content: str) -> str:
    """Name of an inline script or style in a content security policy: its hash."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def heading(title: str, facts: Iterable[str]) -> str:
    """The top of the page: its title, and what to know at once."""
    return f"<header><h1>{escape(title)}</h1>{''.join(paragraph(fact) for fact in facts)}</header>"


def contents(sections: Iterable[tuple[str, str]]) -> str:
    """Links to sections, given as (id, title)."""
    items = "".join(f'<li><a href="#{escape(name)}">{escape(title)}</a>' for name, title in sections)
    return f'<nav aria-label="Contents"><ul>{items}</ul></nav>'


def section(name: str, title: str, parts: Iterable[str]) -> str:
    """A section of parts, under its title."""
    return f'<section id="{escape(name)}"><h2>{escape(title)}</h2>\n{"".join(parts)}</section>\n'


def paragraph(text: str) -> str:
    """A sentence or more."""
    return f"<p>{escape(text)}</p>\n"


def bullets(texts: Iterable[str], *, large: bool = False) -> str:
    """A list; `large`: of what a reader should not miss."""
    return f"<ul{' class=large' if large else ''}>{''.join(f'<li>{escape(text)}' for text in texts)}</ul>\n"


def folded(title: str, text: str) -> str:
    """A text as it stands, out of sight until it is asked for."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>\n"


def table(title: str, texts: pd.DataFrame, left: int, note: str = "") -> str:
    """A table of texts, under a title and a note on how to read it, that can be sorted by any column, and filtered if long.

    The first `left` columns name the row; the others are numbers. Closing tags that HTML leaves optional are left out: of
    2,600 rows they would be a tenth of the page.
    """
    heads = "".join(
        f"<th scope=col{' class=name' if place < left else ''} aria-sort=none><button type=button>{escape(str(name).strip())}"
        "</button></th>"
        for place, name in enumerate(texts.columns)
    )
    rows = "\n".join(f"<tr>{_cells(row, left)}" for row in texts.astype(str).itertuples(index=False, name=None))
    explained = f"<div class=note>{escape(note)}</div>" if note else ""
    tools = (
        "<div class=tools><label>Filter <input type=search autocomplete=off></label> <output></output> "
        "<button type=button class=all>Show all</button></div>"
    )
    return (
        f"<div class=table><div class=title>{escape(title)}</div>{explained}{tools if len(texts) > FILTERED else ''}"
        f'<div class=box><table aria-label="{escape(title)}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        "</div>\n"
    )


def _cells(row: Sequence[str], left: int) -> str:
    return "".join(f"<th scope=row>{escape(cell)}" for cell in row[:left]) + "".join(
        f"<td>{escape(cell)}" for cell in row[left:]
    )


def picture(png: bytes, alt: str, caption: str) -> str:
    """A picture inside the page, in a box of its own that scrolls where the page is narrow."""
    width, height = struct.unpack(">II", png[16:24])
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return (
        f'<figure><div class=box tabindex=0 role=group aria-label="{escape(caption)}">'
        f'<img src="{source}" width={width} height={height} alt="{escape(alt)}"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>\n"
    )
