"""The report of an experiment: as markdown, and as one page of HTML that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from mahavishnu.jobs.experiments.report_sections import Section, Table, sections, title_of
from mahavishnu.model.experiment import ExperimentRun
from mahavishnu.model.reading import Reading

_MEANS_SOMETHING = re.compile(r"([\\`*_\[\]<>|#~&])")

_STYLE = """\
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --rule: #d0d7de; --code: #f3f5f7;
  --worse: #b42318; --better: #12703b; --ratio: #8a5a00; --seen: #1f5fae; --expected: #57606a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --paper: #0f1317; --rule: #333b44;
  --code: #1a2027; --worse: #ff8a7a; --better: #5fd08d; --ratio: #e6b35a; --seen: #7fb3ff; --expected: #9aa5b1; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #333; --paper: #fff; --rule: #999; --code: #fff;
  --worse: #8a1408; --better: #0b5228; --ratio: #6b4500; --seen: #14467f; --expected: #444; }
  section { break-inside: avoid; } }
body { margin: 2rem auto; max-width: 56rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-top: 1px solid var(--rule);
  padding-top: 1rem; }
p { margin: .4rem 0; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
pre { background: var(--code); border: 1px solid var(--rule); padding: .8rem; font-size: .8rem; white-space: pre-wrap; }
svg { display: block; width: 100%; height: auto; margin: 1rem 0; font-size: 12px; }
svg text { fill: var(--ink); } svg path, svg polyline { fill: none; stroke-width: 1.5; }
.axis { stroke: var(--ink); } .grid { stroke: var(--rule); stroke-width: .7; }
.line { stroke-width: 2; } .span { stroke: var(--seen); stroke-width: 6; } .level { stroke-dasharray: 2 4; }
.worse { stroke: var(--worse); } .better { stroke: var(--better); } .ratio { stroke: var(--ratio); }
.seen { stroke: var(--seen); } .expected { stroke: var(--expected); }
svg .line.better, svg .line.expected { stroke-dasharray: 7 4; } svg .line.ratio { stroke-dasharray: 2 3; }
"""


def report_md(run: ExperimentRun, reading: Reading | None) -> str:
    """What people wrote stands in it as they wrote it, and means nothing to whatever shows the page."""
    parts = [f"# {_plain(title_of(run))}"]
    for each in sections(run, reading):
        parts += [f"## {each.title}", *(_plain(words) for words in each.words)]
        if each.table is not None:
            parts.append("\n".join(_rows(each.table)))
        parts += [f"```\n{code}\n```" for code in each.code]
    return "\n\n".join(parts) + "\n"


def report_html(run: ExperimentRun, reading: Reading | None) -> str:
    """One file, without a script or anything from elsewhere; light or dark as its reader has it, and on paper."""
    title = escape(title_of(run))
    body = "\n".join(_section(each) for each in sections(run, reading))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>\n{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _plain(text: str) -> str:
    r"""Text as one line of markdown that means nothing but itself.

    >>> _plain("a|b\n<i>rolled_back</i>")
    'a\\|b \\<i\\>rolled\\_back\\</i\\>'
    """
    return _MEANS_SOMETHING.sub(r"\\\1", " ".join(text.split()))


def _rows(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(_plain(each) for each in table.columns)} |"
    yield f"| {' | '.join('---' for _ in table.columns)} |"
    for row in table.rows:
        yield f"| {' | '.join(_plain(each) for each in row)} |"


def _section(section: Section) -> str:
    parts = ["<section>", f"<h2>{escape(section.title)}</h2>"]
    parts += [f"<p>{escape(words)}</p>" for words in section.words]
    if section.table is not None:
        parts.append(_table(section.table))
    parts += [plot for plot in section.plots if plot]
    parts += [f"<pre><code>{escape(code)}</code></pre>" for code in section.code]
    return "\n".join([*parts, "</section>"])


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in table.columns)
    rows = "\n".join(f"<tr>{''.join(f'<td>{escape(each)}</td>' for each in row)}</tr>" for row in table.rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
