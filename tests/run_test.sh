#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs one program of tests for run.sh, prints its outcome in one piece, and adds a line with the
# numbers of what passed and failed to TMP/results.
#
#   tests/run_test.sh TMP "SUITE unit PROGRAM ARGUMENT…"
#   tests/run_test.sh TMP "SUITE mount bash SCRIPT"
#
# SUITE is plain, asan or tsan, and is built in build, build-asan or build-tsan. Whatever a
# sanitizer reports, also in a daemon in the background, is a failure.

set -u

TMP=$1
TOP=$(pwd)
# shellcheck disable=SC2086 # words
set -- $2
SUITE=$1
KIND=$2
shift 2
NAME=$(basename "${2:-$1}" .sh)
[ "$KIND" = mount ] || NAME=$(basename "$1")
DIR=$(mktemp -d "$TMP/$SUITE-$NAME.XXXXXX") || exit 1
chmod 1777 "$DIR" # reports may come from other users
: >"$DIR/why"
WRAP=
passed=0
failed=0

# Sums up libcheck's "100%: Checks: 9, Failures: 0, Errors: 0"; prints passed and failed.
count_checks()
{
	awk '/^[0-9]+%: Checks: / {
		gsub(/,/, ""); passed += $3 - $5 - $7; failed += $5 + $7; seen = 1
	} END { if (seen) print passed, failed }' "$DIR/log"
}

# A program that is not libcheck's counts as one test.
unit_test()
{
	$WRAP timeout -k 10 1200 "$@" >"$DIR/log" 2>&1
	code=$?
	# shellcheck disable=SC2046
	set -- $(count_checks)
	passed=${1:-0}
	failed=${2:-0}
	[ $# -gt 0 ] || [ $code -ne 0 ] || passed=1
	[ $code -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
	[ "$failed" -eq 0 ] || grep -vE '^Running suite' "$DIR/log" | tail -n 30 >"$DIR/why"
}

mount_test()
{
	$WRAP "$@" >"$DIR/log" 2>&1
	code=$?
	passed=$(grep -c '^ok ' "$DIR/log")
	failed=$(grep -c '^not ok ' "$DIR/log")
	if [ "$failed" -eq 0 ] && { [ $code -ne 0 ] || [ "$passed" -eq 0 ]; }; then
		failed=1
		tail -n 20 "$DIR/log" >"$DIR/why"
		echo "$NAME: exit status $code" >>"$DIR/why"
	fi
	grep -E '^(not ok |# )' "$DIR/log" >>"$DIR/why"
}

sanitized()
{
	export STREAMFS_SANITIZER="$1"
	# One point in seven of the tests that try every call, byte or cut: the plain build has tried all.
	[ "${STREAMFS_LONG:-}" = 1 ] || export STREAMFS_STRIDE=7
	options="log_path=$DIR/sanitizer:exitcode=66"
	export ASAN_OPTIONS="$options:detect_stack_use_after_return=1"
	export UBSAN_OPTIONS="$options:print_stacktrace=1"
	# Else each process, of which the tests start thousands, sleeps for a second at its end.
	export TSAN_OPTIONS="$options:atexit_sleep_ms=10"
	# The thread sanitizer's map of memory does not allow for every kernel's randomness.
	if [ "$1" = thread ] && setarch "$(uname -m)" -R true 2>/dev/null; then
		WRAP="setarch $(uname -m) -R"
	fi
}

sanitizer_reports()
{
	for report in "$DIR"/sanitizer.*; do
		[ -f "$report" ] || continue
		head -n 60 "$report"
		echo "FAILED: $SUITE/$NAME: sanitizer report"
	done >>"$DIR/why"
	failed=$((failed + $(grep -c '^FAILED: .*: sanitizer report$' "$DIR/why")))
}

export CK_TIMEOUT_MULTIPLIER=20 CK_VERBOSITY=normal # a slow machine is no failure
export STREAMFS_TEST_DEADLINE=300 STREAMFS_TEST_LIMIT=1200
case $SUITE in
asan) sanitized address ;;
tsan) sanitized thread ;;
esac
BUILD_DIR=$TOP/build
[ "$SUITE" = plain ] || BUILD_DIR=$BUILD_DIR-$SUITE
export BUILD_DIR
start=$(date +%s)
"${KIND}_test" "$@"
sanitizer_reports
seconds=$(($(date +%s) - start))
{
	printf '%-44s %4d passed %4d failed %5d s\n' "$SUITE/$NAME" "$passed" "$failed" "$seconds"
	cat "$DIR/why"
} >"$DIR/outcome"
exec 9>>"$TMP/results"
flock 9
cat "$DIR/outcome"
echo "$passed $failed" >&9
