#!/bin/bash
# SPDX-License-Identifier: MIT
# The trace: off by default, chosen by option or environment, one line a step in the log.
. "$(dirname "$0")/lib.sh"

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

run_tests "$@"
