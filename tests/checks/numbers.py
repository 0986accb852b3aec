#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A number that stands in a page and in the code is the same: tests/checks/numbers.txt."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def value(text):
    text = re.sub(r"/\*.*", "", text)
    text = re.sub(r"UINT64_C\((\w+)\)", r"\1", text).replace(",", "").strip()
    unit = re.fullmatch(r"(\d+)\s+(KiB|MiB|GiB)", text)
    if unit:
        return int(unit[1]) * UNITS[unit[2]]
    if re.fullmatch(r"\d+(\.\d+)+", text):
        return text
    if not re.fullmatch(r"[\dxa-fA-F <*+()-]+", text):
        raise ValueError(f"no number: {text}")
    return eval(text)  # digits and operators alone


def find(path, pattern):
    match = re.search(pattern, (TOP / path).read_text())
    if not match:
        raise ValueError(f"{path}: nothing matches {pattern}")
    return value(match[1])


def main():
    wrong = 0
    for line in (TOP / "tests/checks/numbers.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        page, said, file, meant = (part.strip() for part in re.split(r"(?<!\\)\|", line))
        try:
            a, b = find(page, said), find(file, meant)
            if a != b:
                raise ValueError(f"{page}: {a}, but {file}: {b} ({said})")
        except (OSError, ValueError) as error:
            print(error)
            wrong += 1
    if wrong:
        print("To mend: correct the page, or the line of tests/checks/numbers.txt")
    return wrong > 0


sys.exit(main())
