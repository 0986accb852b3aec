#!/bin/sh
# SPDX-License-Identifier: MIT
# The tree of a mount is the same wherever it stands: docs/semantics.md has the original.
. "$(dirname "$0")/lib.sh"

# tree_of FILE: its lines from MOUNTPOINT/ on, without the margin and what C and troff add
tree_of()
{
	sed -e 's/\\n"$//; s/^[[:space:]]*"//; s/\\-/-/g' "$1" |
		awk '/^ *MOUNTPOINT\/$/ { match($0, /^ */); margin = RLENGTH; inside = 1 }
			inside && (/^ *$/ || /^\./ || /^```/) { exit }
			inside { print substr($0, margin + 1) }'
}

WANT=$(tree_of docs/semantics.md)
[ -n "$WANT" ] || echo "docs/semantics.md has no tree" >"$WRONG"
for file in README.md docs/man/streamfs.1 src/fs/tree/generated.c; do
	[ "$(tree_of "$file")" = "$WANT" ] && continue
	echo "$file has another tree than docs/semantics.md:"
	tree_of docs/semantics.md >"$WRONG.want"
	tree_of "$file" | diff "$WRONG.want" -
	rm -f "$WRONG.want"
done >>"$WRONG"
result "copy the tree of docs/semantics.md"
