#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds streamfs and runs every test: units, then real mounts, then both again under the address
# and undefined-behaviour sanitizers and under the thread sanitizer. The last line is
# "N passed, N failed"; the exit status is 0 if none failed.
#
#   tests/run.sh [--quick] [--long]
#     --quick   leave the sanitizers out
#     --long    long crash and soak runs (sets STREAMFS_LONG=1)
#
# Wants Debian 12, and root or sudo: to mount as several users and to install what is missing.

set -u

QUICK=
for argument in "$@"; do
	case $argument in
	--quick) QUICK=1 ;;
	--long) export STREAMFS_LONG=1 ;;
	*)
		echo "usage: $0 [--quick] [--long]" >&2
		exit 2
		;;
	esac
done

TOP=$(cd "$(dirname "$0")/.." && pwd) || exit 2
cd "$TOP" || exit 2
if [ "$(id -u)" -ne 0 ]; then
	exec sudo STREAMFS_LONG="${STREAMFS_LONG:-}" STREAMFS_DATA="${STREAMFS_DATA:-}" \
		sh tests/run.sh ${QUICK:+--quick}
fi

PASSED=0
FAILED=0
CHILD=
TMP=$(mktemp -d "${TMPDIR:-/tmp}/streamfs-run.XXXXXX") || exit 2
chmod 755 "$TMP" # tests run as other users, too
export TMPDIR="$TMP"

# Ours are those that name our directory, which nobody else's do.
own_processes()
{
	for file in /proc/[0-9]*/cmdline; do
		pid=${file#/proc/}
		pid=${pid%/cmdline}
		[ "$pid" = "$$" ] && continue
		tr '\0' ' ' 2>/dev/null <"$file" | grep -Fq "$TMP/" && echo "$pid"
	done 2>/dev/null
}

own_mounts()
{
	awk -v top="$TMP/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | tac
}

clean_up()
{
	trap '' INT TERM HUP
	if [ -n "$CHILD" ]; then
		kill "$CHILD" 2>/dev/null # it has a cleanup of its own
		wait "$CHILD"
	fi
	own_mounts | while read -r mount; do umount -l "$mount"; done
	for pid in $(own_processes); do kill -9 "$pid" 2>/dev/null; done
	rm -rf --one-file-system "$TMP"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In the background, so that a signal is not kept waiting for it.
run()
{
	"$@" &
	CHILD=$!
	wait "$CHILD"
	status=$?
	CHILD=
	return $status
}

say()
{
	printf '\n== %s\n' "$*"
}

# note NAME PASSED FAILED SECONDS
note()
{
	PASSED=$((PASSED + $2))
	FAILED=$((FAILED + $3))
	printf '%-44s %4d passed %4d failed %5d s\n' "$1" "$2" "$3" "$4"
}

failure()
{
	echo "FAILED: $*"
	FAILED=$((FAILED + 1))
}

# --- what it takes ---------------------------------------------------------------------------

PACKAGES="meson ninja-build gcc libc6-dev pkg-config libfuse3-dev fuse3 liblz4-dev lz4 libjansson-dev
	libbsd-dev libmd-dev libxxhash-dev check libsubunit-dev rsync less jq tmux attr python3
	procps util-linux strace"

installed()
{
	dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

install_missing()
{
	missing=
	for package in $PACKAGES; do
		installed "$package" || missing="$missing $package"
	done
	command -v vim >/dev/null || missing="$missing vim"
	[ -n "$missing" ] || return 0
	say "installing$missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	apt-get update -q >"$TMP/apt.log" 2>&1 &&
		apt-get install -qy --no-install-recommends $missing >>"$TMP/apt.log" 2>&1 &&
		return 0
	tail -n 20 "$TMP/apt.log"
	return 1
}

# build DIR OPTIONS…
build()
{
	dir=$1
	shift
	say "building in $dir"
	if [ -f "$dir/build.ninja" ]; then
		set -- configure "$dir" "$@"
	else
		set -- setup "$dir" "$@"
	fi
	if run meson "$@" >"$TMP/build.log" 2>&1 &&
		run meson compile -C "$dir" >>"$TMP/build.log" 2>&1; then
		return 0
	fi
	grep -E -A5 'error|warning|FAILED' "$TMP/build.log" | head -n 60
	tail -n 5 "$TMP/build.log"
	failure "build in $dir"
	return 1
}

# --- tests -----------------------------------------------------------------------------------

# Sums up libcheck's "100%: Checks: 9, Failures: 0, Errors: 0"; prints passed and failed.
count_checks()
{
	awk '/^[0-9]+%: Checks: / {
		gsub(/,/, ""); passed += $3 - $5 - $7; failed += $5 + $7; seen = 1
	} END { if (seen) print passed, failed }' "$1"
}

# unit_test PREFIX PROGRAM ARGUMENTS…: a program of another kind counts as one test
unit_test()
{
	prefix=$1
	shift
	name=$(basename "$1")
	start=$(date +%s)
	run $WRAP timeout -k 10 1200 "$@" >"$TMP/$name.log" 2>&1
	code=$?
	# shellcheck disable=SC2046
	set -- $(count_checks "$TMP/$name.log")
	passed=${1:-0}
	failed=${2:-0}
	[ $# -gt 0 ] || [ $code -ne 0 ] || passed=1
	[ $code -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
	note "$prefix/$name" "$passed" "$failed" $(($(date +%s) - start))
	if [ "$failed" -gt 0 ]; then
		grep -vE '^Running suite' "$TMP/$name.log" | tail -n 30
	fi
}

# unit_tests BUILD-DIR PREFIX: those that meson knows, each command as "program argument…"
unit_tests()
{
	meson introspect "$1" --tests | jq -r '.[].cmd | join(" ")' >"$TMP/unit-tests"
	[ -s "$TMP/unit-tests" ] || failure "$1 has no unit tests"
	while read -r command <&3; do
		# shellcheck disable=SC2086
		unit_test "$2" $command
	done 3<"$TMP/unit-tests"
}

mount_test()
{
	name=$(basename "$2" .sh)
	start=$(date +%s)
	run $WRAP bash "$2" >"$TMP/$name.log" 2>&1
	code=$?
	passed=$(grep -c '^ok ' "$TMP/$name.log")
	failed=$(grep -c '^not ok ' "$TMP/$name.log")
	if [ "$failed" -eq 0 ] && { [ $code -ne 0 ] || [ "$passed" -eq 0 ]; }; then
		failed=1
		tail -n 20 "$TMP/$name.log"
		echo "$name: exit status $code"
	fi
	note "$1/$name" "$passed" "$failed" $(($(date +%s) - start))
	grep -E '^(not ok |# )' "$TMP/$name.log"
}

# mount_tests BUILD-DIR PREFIX
mount_tests()
{
	if ! [ -c /dev/fuse ] || ! (: <>/dev/fuse) 2>/dev/null; then
		failure "/dev/fuse is missing or cannot be opened: nothing can be mounted"
		return
	fi
	export STREAMFS_BIN="$TOP/$1/src/cli/streamfs" FSCK_BIN="$TOP/$1/src/cli/fsck.streamfs"
	export TOOLS_DIR="$TOP/$1/tests" BUILD_DIR="$TOP/$1"
	for script in tests/mount/test_*.sh tests/crash/test_*.sh; do
		[ -f "$script" ] && mount_test "$2" "$script"
	done
}

# What a sanitizer found in a daemon in the background, too, counts as a failure.
sanitizer_reports()
{
	for report in "$TMP"/sanitizer.*; do
		[ -f "$report" ] || continue
		head -n 60 "$report"
		failure "$1: sanitizer report"
		rm -f "$report"
	done
}

# suite BUILD-DIR PREFIX MESON-OPTIONS…
suite()
{
	dir=$1
	prefix=$2
	shift 2
	build "$dir" -Dwerror=true "$@" || return
	unit_tests "$dir" "$prefix"
	mount_tests "$dir" "$prefix"
	sanitizer_reports "$prefix"
}

sanitized()
{
	export STREAMFS_SANITIZER="$1" STREAMFS_TEST_DEADLINE=300 STREAMFS_TEST_LIMIT=1200
	options="log_path=$TMP/sanitizer:exitcode=66"
	export ASAN_OPTIONS="$options:detect_stack_use_after_return=1"
	export UBSAN_OPTIONS="$options:print_stacktrace=1" TSAN_OPTIONS="$options"
	# The thread sanitizer's map of memory does not allow for every kernel's randomness.
	if [ "$1" = thread ] && setarch "$(uname -m)" -R true 2>/dev/null; then
		WRAP="setarch $(uname -m) -R"
	fi
	suite "build-$2" "$2" "-Db_sanitize=$3" -Db_lundef=false -Dbuildtype=debugoptimized
	WRAP=
}

WRAP=
export CK_TIMEOUT_MULTIPLIER=20 CK_VERBOSITY=normal # a slow machine is no failure
if ! install_missing; then
	failure "packages could not be installed"
else
	suite build plain -Dbuildtype=release
	if [ -z "$QUICK" ]; then
		sanitized address asan address,undefined
		sanitized thread tsan thread
	fi
fi
printf '\n%d passed, %d failed\n' "$PASSED" "$FAILED"
[ "$FAILED" -eq 0 ]
