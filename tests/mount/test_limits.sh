#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Memory and descriptors have bounds, and what passes them gets a clear error.

# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

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
	num "$(peak_kib)" -le $((256 * 1024)) "peak memory in KiB"
	echo >&"${HOLD[1]}"
	wait "$holder"
	eventually resident_below $((128 * 1024))
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

run_tests "$@"
