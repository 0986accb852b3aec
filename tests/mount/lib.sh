#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the mount tests share. A test script sources this file, defines functions named test_… and
# ends with `run_tests "$@"`, which runs the tests that its arguments name, or all of them.
#
# Every test runs in a process group and a temporary directory of its own, with errexit: a command
# that fails fails the test. It finds there
#   T    the directory     S  the store, $T/store     M  the mountpoint, $T/mnt
#   PID  of the daemon, once mount_store has returned
#   LOG  what the daemon said
# Whatever it leaves behind (mounts, processes with T in their environment) is cleaned up.
#
# Environment: BUILD_DIR, where the programs were built (unset: build/); STREAMFS_BIN, FSCK_BIN and
# TOOLS_DIR name others. STREAMFS_LONG=1 for long runs. STREAMFS_DATA may name a directory of real
# logs.

set -u
export LC_ALL=C
# The system's own tools: a wrapper that finds another Python starts ten times as slowly.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# A case is a child of the script, which has exported them already.
if [ "${1:-}" != --child ]; then
	TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
	BUILD_DIR=$(realpath -m "${BUILD_DIR:-$TOP/build}")
fi
STREAMFS_BIN=${STREAMFS_BIN:-$BUILD_DIR/src/cli/streamfs}
FSCK_BIN=${FSCK_BIN:-$BUILD_DIR/src/cli/fsck.streamfs}
TOOLS_DIR=${TOOLS_DIR:-$BUILD_DIR/tests}
export TOP BUILD_DIR STREAMFS_BIN FSCK_BIN TOOLS_DIR

DEADLINE=${STREAMFS_TEST_DEADLINE:-60} # seconds after which a state that never comes is a failure
LIMIT=${STREAMFS_TEST_LIMIT:-300}      # seconds after which a test that hangs is stopped
# shellcheck disable=SC2034 # for the tests
MIB=$((1024 * 1024))

# --- failing ---------------------------------------------------------------------------------

fail()
{
	[ -s "$T/reason" ] || printf '%s' "$*" | tr '\n' ' ' | cut -c1-600 >"$T/reason"
	exit 1
}

# eq WANT GOT [WHAT]
eq()
{
	[ "$1" = "$2" ] || fail "${3:-value}: want <$1>, got <$2>"
}

# ne NOT-WANTED GOT [WHAT]
ne()
{
	[ "$1" != "$2" ] || fail "${3:-value}: must not be <$2>"
}

# num GOT OPERATOR BOUND [WHAT], as in: num 3 -le 4
num()
{
	test "$1" "$2" "$3" || fail "${4:-number}: want $2 $3, got <$1>"
}

# has TEXT PATTERN [WHAT]: an extended regular expression that some line of the text matches
has()
{
	grep -Eq -e "$2" <<<"$1" || fail "${3:-text}: no line matches <$2> in <$1>"
}

has_not()
{
	if grep -Eq -e "$2" <<<"$1"; then fail "${3:-text}: a line matches <$2> in <$1>"; fi
}

# A pipe to which nobody writes. The shell forks slowly, so a pause of its own is a read of it.
exec {SILENCE}<> <(:)
pause()
{
	read -rt "$1" -u "$SILENCE" || true
}

# same WANT-FILE GOT-FILE [WHAT]: byte for byte
same()
{
	local difference
	difference=$(cmp "$1" "$2" 2>&1) || fail "${3:-files differ}: $difference" \
		"($(wc -c <"$1") and $(wc -c <"$2") bytes)"
}

# must_fail COMMAND…: any failure will do
must_fail()
{
	if "$@" >"$T/must_fail.out" 2>&1; then fail "succeeded but must not: $*"; fi
}

# says TEXT COMMAND…: fails, and its message has this text
says()
{
	local text=$1 status=0
	shift
	"$@" >"$T/says.out" 2>&1 || status=$?
	ne 0 "$status" "status of: $*"
	grep -Fq -e "$text" "$T/says.out" || fail "$*: want <$text>, got <$(cat "$T/says.out")>"
}

# exits STATUS COMMAND…
exits()
{
	local want=$1 status=0
	shift
	"$@" >"$T/exits.out" 2>&1 || status=$?
	[ "$want" = "$status" ] || fail "$*: want exit $want, got $status: $(cat "$T/exits.out")"
}

# eventually COMMAND…: until it succeeds
eventually()
{
	local end=$((SECONDS + DEADLINE))
	until "$@" >"$T/eventually.out" 2>&1; do
		[ $SECONDS -lt $end ] || fail "never came true: $*: $(tail -n3 "$T/eventually.out")"
		pause 0.02
	done
}

# --- tools -----------------------------------------------------------------------------------

# One system call after the other; prints `ok VALUE` or the errno's name of each. See sys.c.
sys()
{
	"$TOOLS_DIR/sys" "$@"
}

# errno NAME OPERATION…: the last of the operations of sys ends like this
errno()
{
	local want=$1 got
	shift
	got=$(sys "$@" | tail -n1)
	eq "$want" "${got%% *}" "sys $*"
}

swarm()
{
	"$TOOLS_DIR/swarm" "$@" || fail "swarm $*: $(tail -n2 "$T/out")"
}

# shards_of COUNT: reads keys, prints the number of the shard that each belongs to
shards_of()
{
	python3 -c '
import hashlib, sys
n = int(sys.argv[1])
firsts = [i * 2**128 // n for i in range(n)]
for key in sys.stdin.buffer.read().split(b"\n")[:-1]:
    h = int(hashlib.md5(key).hexdigest(), 16)
    print(max(i for i, first in enumerate(firsts) if first <= h))' "$1"
}

# shard_of KEY COUNT: the shard file it belongs to
shard_of()
{
	printf 'shard-%04u' "$(printf '%s\n' "$1" | shards_of "$2")"
}

# random_bytes COUNT SEED: the same for the same seed
random_bytes()
{
	"$TOOLS_DIR/random_bytes" "$1" "$2"
}

# text_lines COUNT: lines of differing lengths
text_lines()
{
	awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) {
		s = "line " i " "; k = (i * 7919) % 97; while (k-- > 0) s = s "x"; print s } }'
}

# repeat COUNT LINE
repeat() { awk -v n="$1" -v line="$2" 'BEGIN { while (n-- > 0) print line }'; }

# from_byte OFFSET FILE: seeks, where tail reads small files from their start
from_byte() { dd if="$2" iflag=skip_bytes skip="$1" bs=64K status=none; }

size_of() { stat -c %s "$1"; }
# Bytes that the segments of a shard take. segment_files STREAM SHARD
segment_files() { find "$S/streams/$1/$2" -name '*.lz4' | sort; }
blob_files() { (find "$S/streams/$1/blobs" -name '*.lz4' 2>/dev/null || true) | sort; }
peak_kib() { awk '/^VmHWM/ { print $2 }' "/proc/$PID/status"; }
# By the kernel's table: a mount whose daemon died cannot be looked at.
is_mounted()
{
	local lines line
	mapfile -t lines </proc/self/mountinfo # at once: others mount meanwhile
	for line in "${lines[@]}"; do
		[[ ! $line =~ ^([^ ]+\ ){4}"${1// /\\040}"\  ]] || return 0
	done
	return 1
}
not_mounted() { ! is_mounted "$1"; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }

# flip FILE OFFSET: every bit of one byte
flip()
{
	local byte
	byte=$(od -An -tu1 -j"$2" -N1 "$1" | tr -d ' ')
	# shellcheck disable=SC2059
	printf "\\x$(printf %02x $((byte ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# --- the daemon ------------------------------------------------------------------------------

# answers MOUNTPOINT
answers()
{
	[ -s "$1/.streamfs/version" ]
}

# text_of SEGMENT…: by lz4 alone
text_of() { lz4 -dcm "$@"; }

# start_daemon STORE MOUNTPOINT OPTIONS…: sets PID, does not wait
start_daemon()
{
	# Background jobs of a script start with SIGINT ignored.
	env --default-signal=INT,QUIT "$STREAMFS_BIN" "$1" "$2" -f "${@:3}" >>"$LOG" 2>&1 &
	PID=$!
	echo "$PID" >>"$T/pids"
}

# mount_store [OPTIONS…]: of the store in $S on $M
mount_store()
{
	local end=$((SECONDS + DEADLINE))
	mkdir -p "$M"
	start_daemon "$S" "$M" "$@"
	until answers "$M" 2>/dev/null; do
		if is_gone "$PID"; then fail "daemon ended before it mounted: $(tail -n3 "$LOG")"; fi
		[ $SECONDS -lt $end ] || fail "mount does not answer: $(tail -n3 "$LOG")"
		pause 0.02
	done
}

# ended: waits for the daemon; its exit status must be 0
ended()
{
	local status=0
	eventually is_gone_or_zombie "$PID"
	wait "$PID" || status=$?
	eq 0 "$status" "exit status of the daemon ($(tail -n3 "$LOG"))"
}

is_gone_or_zombie()
{
	local field value _
	while read -r field value _; do
		[ "$field" != State: ] || [ "$value" != Z ] || return 0
	done 2>/dev/null <"/proc/$1/status"
	! [ -e "/proc/$1" ]
}

unmount()
{
	eventually umount "$M" # EBUSY for as long as a tool still closes its files
	ended
}

remount()
{
	unmount
	mount_store "$@"
}

kill9()
{
	kill -9 "$PID"
	wait "$PID" 2>/dev/null || true
	umount -l "$M"
}

# new_stream NAME [CONFIG]: on a mounted store
new_stream()
{
	mkdir "$M/$1"
	if [ $# -gt 1 ]; then printf '%s' "$2" >"$M/$1/config"; fi
}

# --- running ---------------------------------------------------------------------------------

# Processes that this test started: its directory is in their environment.
own_processes()
{
	{ grep -lzFx -e "T=$T" /proc/[0-9]*/environ 2>/dev/null || true; } | cut -d/ -f3
}

clean_up()
{
	local pid mount
	awk -v t="$T/" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo | tac |
		while read -r mount; do umount -l "$(printf %b "$mount")" 2>/dev/null; done
	for pid in $(own_processes); do
		[ "$pid" = $$ ] || kill -9 "$pid" 2>/dev/null
	done
	rm -rf --one-file-system "$T"
}

run_child()
{
	S=$T/store M=$T/mnt LOG=$T/log PID=
	set -eE -o pipefail
	trap 'fail "line $LINENO: $BASH_COMMAND: status $?"' ERR
	cd "$T"
	"$1"
	if [ -n "$PID" ] && is_mounted "$M"; then unmount; fi
	[ ! -s "$LOG" ] || has_not "$(<"$LOG")" 'Sanitizer|runtime error|Assertion' "log"
	# A check may have failed in a subshell, which alone ended then.
	if ! [ -s "$T/reason" ]; then : >"$T/passed"; fi
}

run_one()
{
	local name=$1
	T=$(mktemp -d "${TMPDIR:-/tmp}/streamfs-test.XXXXXX")
	export T
	chmod 755 "$T"
	: >"$T/log"
	timeout -k 20 "$LIMIT" bash "$0" --child "$name" >"$T/out" 2>&1 </dev/null &
	CHILD=$!
	wait "$CHILD"
	local status=$?
	CHILD=
	if [ -e "$T/passed" ]; then
		echo "ok ${name#test_}"
	else
		FAILED=$((FAILED + 1))
		[ "$status" -lt 124 ] || echo "stopped after $LIMIT s (status $status)" >>"$T/reason"
		[ -s "$T/reason" ] || echo "ended with status $status" >"$T/reason"
		echo "not ok ${name#test_}: $(tr '\n' ' ' <"$T/reason")"
		tail -n 8 "$T/out" | sed 's/^/# out: /'
		tail -n 8 "$T/log" | sed 's/^/# log: /'
	fi
	clean_up
}

interrupted()
{
	[ -z "$CHILD" ] || kill "$CHILD" 2>/dev/null
	[ -z "${T:-}" ] || clean_up
	exit 130
}

ready()
{
	local why
	if ! [ -e /dev/fuse ]; then
		why="/dev/fuse is missing"
	elif ! [ -x "$STREAMFS_BIN" ]; then
		why="$STREAMFS_BIN is missing: meson setup build && ninja -C build"
	elif [ "$(id -u)" -ne 0 ]; then
		why="it mounts as several users, so it needs root"
	else
		return 0
	fi
	echo "not ok $(basename "$0" .sh): $why"
	return 1
}

run_tests()
{
	if [ "${1:-}" = --child ]; then
		run_child "$2"
		return
	fi
	FAILED=0 CHILD=
	trap interrupted INT TERM HUP
	ready || exit 1
	local names=("$@") name
	if [ $# -eq 0 ]; then
		mapfile -t names < <(grep -oE '^test_[a-z0-9_]+' "$0")
	fi
	for name in "${names[@]}"; do run_one "test_${name#test_}"; done
	[ "$FAILED" -eq 0 ]
}
