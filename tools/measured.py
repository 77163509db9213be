"""What the writers of measured numbers share: the machine's name, and where in a page they write.

Numbers stand between two comments of a page, <!-- NAME: begin --> and <!-- NAME: end -->, so that
they can be written again and nothing else changes.
"""

import pathlib
import re


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else "unknown processor"


def with_block(text, name, block):
    """The page's text with `block` between the comments of that name. ValueError without them."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"needs one line {begin} and behind it one line {end}")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"
