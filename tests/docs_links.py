#!/usr/bin/env python3
"""Do the links of pages lead somewhere?  docs_links.py SOURCE

Every link and picture of every Markdown page below SOURCE that names a file must name one that is there, relative to the page;
behind # there must be a heading of that page, spelt as GitHub spells its anchors.  Addresses with a scheme are left alone.
Prints PAGE:LINE: LINK for each that leads nowhere, then how many were looked at; exit status 1 when one leads nowhere."""
import os
import re
import sys
from urllib.parse import unquote

LEFT_OUT = {".git", "autom4te.cache", "demo-out"}
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")


def pages_below(top):
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(f for f in folders if f not in LEFT_OUT and not f.startswith("build") or f == "build-aux")
        for name in sorted(files):
            if name.endswith(".md"):
                yield os.path.join(folder, name)


def lines_of(page):
    """Lines outside of blocks of code, with their numbers; code within a line is blanked for links, kept for headings."""
    inside = None
    with open(page, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            fence = re.match(r"\s*(```+|~~~+)", line)
            if fence and (inside is None or line.strip().startswith(inside)):
                inside = fence.group(1) if inside is None else None
            elif inside is None:
                yield number, line.rstrip("\n")


def anchors_of(page):
    found, seen = set(), {}
    for _, line in lines_of(page):
        heading = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if heading:
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1))
            slug = re.sub(r"[^\w\- ]", "", text.lower(), flags=re.UNICODE).replace(" ", "-")
            seen[slug] = seen.get(slug, -1) + 1
            found.add(slug if seen[slug] == 0 else "%s-%d" % (slug, seen[slug]))
        found.update(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", line))
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    top, anchors, looked, bad = os.path.realpath(sys.argv[1]), {}, 0, 0
    for page in pages_below(top):
        for number, line in lines_of(page):
            for link in LINK.findall(re.sub(r"`[^`]*`", "``", line)):
                if re.match(r"[a-z][a-z0-9+.-]*:", link):
                    continue
                looked += 1
                path, _, anchor = unquote(link).partition("#")
                target = os.path.join(os.path.dirname(page), path) if path else page
                fine = os.path.exists(target)
                if fine and anchor:
                    if target not in anchors:
                        anchors[target] = anchors_of(target) if target.endswith(".md") else set()
                    fine = anchor in anchors[target]
                if not fine:
                    bad += 1
                    print("%s:%d: %s" % (os.path.relpath(page, top), number, link))
    print("%d links" % looked)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
