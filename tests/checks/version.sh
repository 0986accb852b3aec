#!/bin/sh
# SPDX-License-Identifier: MIT
# The version stands in meson.build alone.
. "$(dirname "$0")/lib.sh"

VERSION=$(sed -n "s/^  version: '\(.*\)',$/\1/p" meson.build)
[ -n "$VERSION" ] || echo "meson.build: no version" >"$WRONG"
grep -rnF "$VERSION" include src examples docs README.md | grep -v '^docs/CHANGELOG.md:' >>"$WRONG"
result "take it from STREAMFS_VERSION, or leave it out"
