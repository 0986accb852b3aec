#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Finds what this machine lacks, and installs it where there is apt and the right to use it.
#
#   tests/needs.sh build    what a build needs, and examples/quickstart.sh
#   tests/needs.sh test     what the tests need on top of that
#   tests/needs.sh checks   what tests/checks needs on top of that
#
# The exit status is 0 if nothing is missing any more. Otherwise one line names what is missing.

set -u

# A line each: how to look for it, its name, and the package of Debian 12 and 13 that brings it.
BUILD_NEEDS='
command   meson        meson
command   ninja        ninja-build
command   cc           gcc
header    stdio.h      libc6-dev
command   pkg-config   pkg-config
library   fuse3        libfuse3-dev
command   fusermount3  fuse3
library   liblz4       liblz4-dev
library   jansson      libjansson-dev
library   libbsd       libbsd-dev
library   libmd        libmd-dev
library   libxxhash    libxxhash-dev
library   libsubunit   libsubunit-dev
library   check        check
command   lz4          lz4
command   jq           jq
'
TEST_NEEDS='
command   ps           procps
command   setpriv      util-linux
command   umount       mount
command   python3      python3
command   rsync        rsync
command   less         less
command   tmux         tmux
command   vim          vim
command   getfattr     attr
command   strace       strace
'
CHECK_NEEDS='
command   c++              g++
command   clang-format-19  clang-format-19
command   clang-tidy-19    clang-tidy-19
command   cppcheck         cppcheck
command   shellcheck       shellcheck
command   mandoc           mandoc
'

# has KIND NAME
has()
{
	case $1 in
	command) command -v "$2" ;;
	header) echo "#include <$2>" | cc -E - ;;
	library) pkg-config --exists "$2" ;;
	esac >/dev/null 2>&1
}

# missing FIELD: of what is not there, field 2 is the name, field 3 the package
missing()
{
	echo "$NEEDS" | while read -r kind name package; do
		[ -n "$kind" ] || continue
		has "$kind" "$name" || echo "$kind $name $package"
	done | cut -d ' ' -f "$1" | sort -u | tr '\n' ' '
}

install()
{
	root=
	[ "$(id -u)" -eq 0 ] || root=sudo
	if [ -n "$root" ] && ! command -v sudo >/dev/null; then
		echo "no sudo" >"$LOG"
		return 1
	fi
	# shellcheck disable=SC2046,SC2086 # words
	$root apt-get update -q >"$LOG" 2>&1 &&
		$root env DEBIAN_FRONTEND=noninteractive apt-get install -qy \
			--no-install-recommends $(missing 3) >>"$LOG" 2>&1
}

case ${1:-} in
build) NEEDS=$BUILD_NEEDS ;;
test) NEEDS=$BUILD_NEEDS$TEST_NEEDS ;;
checks) NEEDS=$BUILD_NEEDS$TEST_NEEDS$CHECK_NEEDS ;;
*)
	echo "usage: $0 build | test | checks" >&2
	exit 2
	;;
esac
LOG=$(mktemp) || exit 2
trap 'rm -f "$LOG"' EXIT

[ -n "$(missing 2)" ] || exit 0
if command -v apt-get >/dev/null; then
	echo "installing $(missing 3)"
	install || tail -n 5 "$LOG" >&2
fi
[ -n "$(missing 2)" ] || exit 0
echo "missing: $(missing 2)- install it and start again (Debian: apt-get install $(missing 3))" >&2
exit 1
