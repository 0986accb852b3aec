#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Memory and descriptors have bounds, and what passes them gets a clear error.

# shellcheck source=tests/mount/lib.sh
. "${0%/*}/lib.sh"

resident_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$PID/status"; }
resident_below() { test "$(resident_kib)" -lt "$1"; }

# hold_lines COUNT BYTES: as many writers with an unfinished line each, until a line comes in
hold_lines()
{
	python3 -c '
import os, resource, sys
count, size = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, max(count + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
files = []
for i in range(count):
    files.append(os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND))
    os.write(files[-1], b"%06d" % i + b"x" * (size - 6))
print("held", flush=True)
sys.stdin.readline()' "$1" "$2" "$3"
}

test_unfinished_lines_take_bounded_memory()
{
	mount_store
	new_stream orders '{"large_records":{"policy":"split"}}'
	coproc HOLD { hold_lines 1200 500000 "$M/orders/put"; }
	local holder=$HOLD_PID line
	read -r line <&"${HOLD[0]}"
	eq held "$line"
	# A sanitizer keeps what was freed, and its own account of every byte.
	[ -n "${STREAMFS_SANITIZER:-}" ] || num "$(peak_kib)" -le $((256 * 1024)) "peak memory in KiB"
	echo >&"${HOLD[1]}"
	wait "$holder"
	[ -n "${STREAMFS_SANITIZER:-}" ] || eventually resident_below $((128 * 1024))
	eventually eval 'test "$(wc -l <"$M/orders/shard-0000")" = 1200'
	eq 1200 "$(cut -c1-6 "$M/orders/shard-0000" | sort -u | wc -l)"
	eq 600001200 "$(wc -c <"$M/orders/shard-0000")"
}

# Runs what follows with few descriptors.
few_files() { ulimit -n 1024; }

test_uploads_are_capped_with_enfile()
{
	few_files
	mount_store
	new_stream orders
	python3 - "$M/orders/drop" <<-'EOF'
		import errno, os, sys
		files = []
		try:
		    for i in range(900):
		        files.append(os.open("%s/f%d" % (sys.argv[1], i), os.O_CREAT | os.O_WRONLY))
		    sys.exit("900 uploads were granted")
		except OSError as e:
		    assert e.errno == errno.ENFILE, e
		assert len(files) >= 200, len(files)
		os.listdir(sys.argv[1] + "/../..")
		for f in files:
		    os.write(f, b"text"); os.close(f)
		os.close(os.open(sys.argv[1] + "/again", os.O_CREAT | os.O_WRONLY))
	EOF
	num "$(grep -c '^text$' "$M/orders/shard-0000")" -ge 200
}

# Appends a record to each of COUNT streams. append_to_all COUNT
append_to_all()
{
	local i
	for ((i = 0; i < $1; i++)); do echo "record $i" >>"$M/s$i/shard-0000" || fail "stream $i"; done
}

test_more_streams_than_descriptors_are_written_and_read()
{
	local count=600 limit=400 i
	if [ "${STREAMFS_LONG:-0}" = 1 ]; then count=3000 limit=1024; fi
	ulimit -n "$limit"
	mount_store
	for ((i = 0; i < count; i++)); do mkdir "$M/s$i"; done
	append_to_all "$count"
	append_to_all "$count"
	eq "$count" "$(ls "$M" | wc -l)"
	num "$(ls "/proc/$PID/fd" | wc -l)" -lt "$limit"
	for ((i = 0; i < count; i++)); do cat "$M/s$i/shard-0000"; done >"$T/read"
	for ((i = 0; i < count; i++)); do repeat 2 "record $i"; done >"$T/want"
	same "$T/want" "$T/read"
	remount
	append_to_all "$count"
	for ((i = 0; i < count; i++)); do cat "$M/s$i/shard-0000"; done >"$T/read"
	for ((i = 0; i < count; i++)); do repeat 3 "record $i"; done >"$T/want"
	same "$T/want" "$T/read"
	has_not "$(cat "$LOG")" 'Too many open files'
}

run_tests "$@"
