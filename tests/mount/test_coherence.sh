#!/bin/bash
# SPDX-License-Identifier: MIT
# A read sees every record whose write has returned, at once, and never a byte that was not written.
# 10,000 appends by every way of writing against every way of reading; see tests/tools/coherence.c.
. "${0%/*}/lib.sh"

ROUNDS=2000
[ -z "${STREAMFS_LONG:-}" ] || ROUNDS=20000

coherence()
{
	mount_store
	new_stream a
	"$TOOLS_DIR/coherence" "$M/a" "$1" "$2" 2>&1 | tee "$T/report" ||
		fail "seed $2: $(grep -v '^[0-9]' "$T/report" | head -n1)"
	cp "$M/a/shard-0000" "$T/before"
	eq "$(awk '{ print $3 }' "$T/report" | tail -n1)" "$(size_of "$M/a/shard-0000")" size
	remount
	same "$T/before" "$M/a/shard-0000" "after a remount"
}

test_every_read_is_right_seed_1() { coherence $ROUNDS 1; }
test_every_read_is_right_seed_2() { coherence $ROUNDS 2; }
test_every_read_is_right_seed_3() { coherence $ROUNDS 3; }
test_every_read_is_right_seed_4() { coherence $ROUNDS 4; }
test_every_read_is_right_uncompressed()
{
	mount_store
	echo '{"compression": "none", "flush_interval_ms": 1}' >"$M/.streamfs/defaults"
	unmount
	coherence $ROUNDS 5
}

run_tests "$@"
