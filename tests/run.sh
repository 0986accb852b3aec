#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds streamfs and runs every test: units, then real mounts, then both again under the address
# and undefined-behaviour sanitizers and under the thread sanitizer. The last line is
# "N passed, N failed"; the exit status is 0 if none failed.
#
#   tests/run.sh [--quick] [--long]
#     --quick   leave the sanitizers out
#     --long    long crash and soak runs, and every point of a fault under the sanitizers, too
#               (sets STREAMFS_LONG=1)
#
# Twice as many tests run at a time as there are processors, since many of them wait; STREAMFS_JOBS
# sets another number.
#
# Runs on Debian 12 and 13, and wherever there are the same packages. Needs root or sudo: to mount
# as several users and to install packages that are missing.

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
	command -v sudo >/dev/null || { echo "missing: root or sudo" >&2; exit 2; }
	exec sudo STREAMFS_LONG="${STREAMFS_LONG:-}" STREAMFS_DATA="${STREAMFS_DATA:-}" \
		STREAMFS_JOBS="${STREAMFS_JOBS:-}" sh tests/run.sh ${QUICK:+--quick}
fi

# Mounts can be private only below a mount point, and a chroot's root need not be one.
if ! grep -Eq '^([^ ]+ ){4}/ ' /proc/self/mountinfo; then
	ROOT=$(mktemp -d) && mount --rbind / "$ROOT" && mount --make-rprivate "$ROOT" || exit 2
	chroot "$ROOT" sh "$TOP/tests/run.sh" ${QUICK:+--quick} &
	CHILD=$!
	trap 'kill "$CHILD"' INT TERM HUP
	while kill -0 "$CHILD" 2>/dev/null; do # a signal ends a wait, too
		wait "$CHILD"
		STATUS=$?
	done
	umount -R -l "$ROOT" && rmdir "$ROOT"
	exit "$STATUS"
fi

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

# What runs for us is a session; timeout(1) makes groups of its own in it.
session()
{
	ps -o pid= -s "$CHILD"
}

# to_session SIGNAL
to_session()
{
	# shellcheck disable=SC2046
	kill "-$1" $(session) 2>/dev/null
}

clean_up()
{
	trap '' INT TERM HUP
	if [ -n "$CHILD" ]; then
		to_session TERM # tests have a cleanup of their own
		for _ in $(seq 100); do
			[ -n "$(session)" ] || break
			sleep 0.1
		done
		to_session KILL
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
	setsid "$@" &
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

failure()
{
	echo "FAILED: $*"
	FAILED=$((FAILED + 1))
}

# --- building --------------------------------------------------------------------------------

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

# plan PRIORITY SUITE KIND COMMAND…: see run_test.sh
plan()
{
	echo "$*" >>"$TMP/planned"
}

can_mount()
{
	[ -c /dev/fuse ] && (: <>/dev/fuse) 2>/dev/null && unshare --mount true
}

# suite SUITE MESON-OPTIONS…: builds it and plans its tests
suite()
{
	suite=$1
	shift
	build "$(build_dir "$suite")" -Dwerror=true "$@" || return
	meson introspect "$(build_dir "$suite")" --tests >"$TMP/tests" ||
		failure "$suite: meson does not list its tests"
	jq -r '.[] | [.priority, (.suite[0] | sub(".*:"; "")), .cmd[]] | join(" ")' \
		"$TMP/tests" >"$TMP/list"
	[ -s "$TMP/list" ] || failure "$suite has no tests"
	while read -r priority kind command; do
		case $kind in
		checks) [ "$suite" = plain ] && plan "$priority" "$suite" unit "$command" ;;
		mount) [ -z "$CAN_MOUNT" ] || plan "$priority" "$suite" mount "$command" ;;
		*) plan "$priority" "$suite" unit "$command" ;;
		esac
	done <"$TMP/list"
}

build_dir()
{
	if [ "$1" = plain ]; then echo build; else echo "build-$1"; fi
}

# The programs run several at a time. Each prints its outcome as a whole when it has ended.
run_plan()
{
	# What takes longest starts first.
	sort -s -k1,1nr "$TMP/planned" | cut -d' ' -f2- >"$TMP/plan"
	say "$(wc -l <"$TMP/plan") programs, $JOBS at a time"
	run xargs -r -a "$TMP/plan" -d '\n' -n 1 -P "$JOBS" sh tests/run_test.sh "$TMP" ||
		failure "xargs: exit status $?"
	[ "$(wc -l <"$TMP/plan")" -eq "$(wc -l <"$TMP/results")" ] ||
		failure "not every program has a result"
}

sum_up()
{
	awk -v failed="$FAILED" '{ passed += $1; failed += $2 }
		END { printf "\n%d passed, %d failed\n", passed, failed; exit failed > 0 }' \
		"$TMP/results"
}

: >"$TMP/planned"
: >"$TMP/results"
JOBS=${STREAMFS_JOBS:-$((2 * $(nproc)))}
CAN_MOUNT=
if can_mount; then
	CAN_MOUNT=1
else
	failure "nothing can be mounted: /dev/fuse is missing, or the right to mount"
fi
if ! run sh tests/needs.sh test; then
	failure "what is missing stands above"
else
	run sh tests/needs.sh checks || failure "some checks cannot run"
	# fusermount3 needs it, and a bare chroot has none.
	[ -e /etc/mtab ] || ln -s ../proc/self/mounts /etc/mtab
	suite plain -Dbuildtype=release
	if [ -z "$QUICK" ]; then
		set -- -Db_lundef=false -Dbuildtype=debugoptimized
		suite asan -Db_sanitize=address,undefined "$@"
		suite tsan -Db_sanitize=thread "$@"
	fi
	run_plan
fi
sum_up
