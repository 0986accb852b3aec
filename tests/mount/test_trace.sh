#!/bin/bash
# SPDX-License-Identifier: MIT
# The trace: off by default, chosen by option or environment, one line a step in the log.
. "${0%/*}/lib.sh"

test_off_by_default()
{
	mount_store
	new_stream a
	echo x >>"$M/a/shard-0000"
	unmount
	has_not "$(cat "$LOG")" '^trace '
}

test_chosen_by_option()
{
	mount_store -o 'trace=request+append'
	unmount
	has "$(cat "$LOG")" '^trace [0-9]+\.[0-9]{6} \[[0-9]+\] request: init'
	: >"$LOG"
	mount_store -o 'ro,trace=request\,sync'
	unmount
	has "$(cat "$LOG")" '] request: init'
}

test_chosen_by_environment()
{
	STREAMFS_TRACE=request,sync mount_store
	unmount
	has "$(cat "$LOG")" '] request: init'
	: >"$LOG"
	STREAMFS_TRACE=request mount_store -o trace=lock
	unmount
	has_not "$(cat "$LOG")" '] request: ' "the option replaces the environment's areas"
}

test_an_unknown_area_is_refused()
{
	mkdir "$M"
	exits 1 "$STREAMFS_BIN" "$S" "$M" -o trace=nonsense
	has "$(cat "$T/exits.out")" '^streamfs: -o trace=nonsense: .*append,.*all'
	exits 1 env STREAMFS_TRACE=append,nonsense "$STREAMFS_BIN" "$S" "$M"
	has "$(cat "$T/exits.out")" '^streamfs: STREAMFS_TRACE=append,nonsense: .*append,.*all'
	[ ! -e "$S" ]
	not_mounted "$M"
}

# The steps of the shard itself, without numbers: what comes of one write and one fsync.
shard_steps()
{
	sed -nE 's/^trace [0-9.]+ \[[0-9]+\] ((append|sync): a shard 0: (append|chunk|sync|watermark) ?[a-z]*).*/\1/p' "$LOG" |
		sed 's/chunk of/chunk/'
}

test_the_life_of_an_append_and_its_sync()
{
	STREAMFS_TRACE=append,sync mount_store
	new_stream a
	echo x >>"$M/a/shard-0000"
	sync "$M/a/shard-0000"
	unmount
	has "$(cat "$LOG")" 'append: a shard 0: append begins at offset 0, record 0$'
	has "$(cat "$LOG")" 'append: a shard 0: append commits: text ends at offset 2, record 1$'
	eq "append: a shard 0: append begins
append: a shard 0: chunk
append: a shard 0: append commits
sync: a shard 0: sync queued
sync: a shard 0: synced
sync: a shard 0: watermark written
sync: a shard 0: sync ends" "$(shard_steps | head -n 7)" "steps"
}

run_tests "$@"
