# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the checks share. A check prints each thing that is wrong, and at its end how to mend it.

set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.." || exit 2

WRONG=$(mktemp) || exit 2
trap 'rm -f "$WRONG"' EXIT

c_files() { find include src tests examples -name '*.[ch]' | sort; }
shell_files() { { echo .ci/run && find tests examples -name '*.sh'; } | sort; }
doc_files() { { echo README.md && find docs -name '*.md'; } | sort; }

# needs PROGRAM
needs()
{
	command -v "$1" >/dev/null && return
	echo "missing: $1; sh tests/needs.sh checks"
	exit 1
}

# result HOW-TO-MEND: what is in $WRONG is wrong
result()
{
	[ -s "$WRONG" ] || exit 0
	cat "$WRONG"
	echo "To mend: $*"
	exit 1
}
