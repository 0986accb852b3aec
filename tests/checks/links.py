#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every relative link between the pages leads to a file, and its anchor to a heading."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def without_code(text):
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.sub(r"^(    |\t).*$", "", text, flags=re.M)


def anchors(path):
    names = set()
    for heading in re.findall(r"^#+ (.*)$", without_code(path.read_text()), flags=re.M):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        while name in names:
            name += "-1"
        names.add(name)
    return names


def main():
    wrong = 0
    for page in [TOP / "README.md", *sorted((TOP / "docs").glob("**/*.md"))]:
        for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                reason = "no such file"
            elif anchor and anchor not in anchors(file):
                reason = "no such heading"
            else:
                continue
            print(f"{page.relative_to(TOP)}: {target}: {reason}")
            wrong += 1
    if wrong:
        print("To mend: correct the link")
    return wrong > 0


sys.exit(main())
