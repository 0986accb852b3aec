#!/bin/bash
# SPDX-License-Identifier: MIT
# Another number of shards, at any time.
. "${0%/*}/lib.sh"

reshard() { "$TOOLS_DIR/reshard" "$@" || fail "reshard $*: $(tail -n2 "$T/out")"; }
shards() { echo "{\"shards\":$1}" >"$M/a/config"; }
xattr() { getfattr --only-values -n "user.streamfs.$1" "$M/a/$2" 2>/dev/null; }
states() { jq -r '[.shards[].state] | join(" ")' "$M/a/stats"; }
open_shards() { jq -r '[.shards[] | select(.state == "open") | .name] | join(" ")' "$M/a/stats"; }
appended() { jq .since_mount.records "$M/a/stats"; }

start()
{
	mount_store
	new_stream a '{"key":{"json":"/id"}}'
}

# Each open shard's range is floor(i 2^128 / n) up to the next.
ranges_are_even()
{
	jq -c '[.shards[] | select(.state == "open") | .hash_range]' "$M/a/stats" | python3 -c '
import json, sys
got = sorted((int(r["first"], 16), int(r["last"], 16)) for r in json.load(sys.stdin))
n = int(sys.argv[1])
assert len(got) == n, got
first = [i * 2**128 // n for i in range(n + 1)]
assert got == [(first[i], first[i + 1] - 1) for i in range(n)], got' "$1"
}

test_it_splits_and_merges_evenly()
{
	start
	echo '{"id":"x"}' >>"$M/a/put"
	shards 4
	eq "shard-0001 shard-0002 shard-0003 shard-0004" "$(open_shards)"
	ranges_are_even 4
	shards 2
	eq "shard-0005 shard-0006" "$(open_shards)"
	ranges_are_even 2
	shards 3
	ranges_are_even 3
	shards 1
	eq "shard-0010" "$(open_shards)"
	ranges_are_even 1
	eq 1 "$(jq .shards "$M/a/config")"
	eq 11 "$(find "$M/a" -maxdepth 1 -name 'shard-*' | wc -l)" "files of shards"
}

test_a_range_that_stays_keeps_its_shard()
{
	start
	shards 2
	echo '{"id":"x"}' >>"$M/a/put"
	shards 4
	shards 4
	eq "shard-0002 shard-0003 shard-0004 shard-0005" "$(open_shards)"
	eq "closed closed open open open open" "$(states)"
}

test_the_old_ones_close_and_the_new_ones_tell_their_parents()
{
	start
	echo '{"id":"x"}' >>"$M/a/put"
	shards 3
	eq closed "$(xattr state shard-0000)"
	eq open "$(xattr state shard-0003)"
	eq shard-0000 "$(xattr parents shard-0003)"
	shards 2
	eq "shard-0001,shard-0002" "$(xattr parents shard-0004)"
	eq "shard-0002,shard-0003" "$(xattr parents shard-0005)"
	eq '["shard-0002","shard-0003"]' \
		"$(jq -c '.shards[] | select(.name == "shard-0005").parents' "$M/a/stats")"
	shards 16
	shards 1
	eq "$(seq -f 'shard-%04g' -s, 6 21)" "$(xattr parents shard-0022)"
	jq '.shards[] | [.name, .state, .hash_range, .parents]' "$M/a/stats" >"$T/before"
	remount
	jq '.shards[] | [.name, .state, .hash_range, .parents]' "$M/a/stats" | cmp - "$T/before"
}

test_a_closed_shard_is_read_only_and_readable()
{
	start
	text_lines 2000 >"$T/lines"
	cat "$T/lines" >>"$M/a/shard-0000"
	exec 3>>"$M/a/shard-0000"
	shards 2
	errno EROFS open wa "$M/a/shard-0000"
	says "Read-only file system" sh -c "echo x >>'$M/a/shard-0000'"
	says "Read-only file system" bash -c "echo x >&3"
	exec 3>&-
	same "$T/lines" "$M/a/shard-0000"
	remount
	errno EROFS open wa "$M/a/shard-0000"
	same "$T/lines" "$M/a/shard-0000"
	unmount
	"$FSCK_BIN" "$S"
}

test_an_unfinished_line_is_kept_out_and_its_close_tells()
{
	start
	echo first >>"$M/a/shard-0000"
	python3 - "$M/a" <<-'EOT'
	import errno, os, sys
	fd = os.open(sys.argv[1] + "/shard-0000", os.O_WRONLY | os.O_APPEND)
	os.write(fd, b"unfinished")
	with open(sys.argv[1] + "/config", "w") as config:
	    config.write('{"shards":2}')
	try:
	    os.close(fd)
	    sys.exit("closed without an error")
	except OSError as error:
	    assert error.errno == errno.EROFS, error
	EOT
	eq first "$(cat "$M/a/shard-0000")"
	eq 1 "$(cat "$M"/a/shard-* | wc -l)"
}

test_an_unfinished_line_in_put_goes_to_a_new_shard()
{
	start
	echo '{"id":"x"}' >>"$M/a/put"
	exec 3>>"$M/a/put"
	printf '{"id":' >&3
	shards 4
	printf '"y"}\n' >&3
	exec 3>&-
	eq '{"id":"y"}' "$(cat "$M"/a/shard-000[1-4])"
}

test_without_records_numbering_starts_over()
{
	start
	shards 4
	shards 2
	shards 3
	eq "shard-0000 shard-0001 shard-0002" "$(open_shards)"
	eq "" "$(xattr parents shard-0002)"
	errno ENOENT open r "$M/a/shard-0003"
}

test_writers_by_key_notice_nothing()
{
	local stop=$T/stop counts=$T/counts n at writers
	start
	"$TOOLS_DIR/reshard" write -n 16 -c "$counts" -s "$stop" "$M/a" >"$T/writers" 2>&1 &
	writers=$!
	# shellcheck disable=SC2086
	for n in 4 3 16 1 ${STREAMFS_LONG:+4 1 9 2 4096 1}; do
		at=$(appended)
		eventually more_than "$((at + 2000))"
		shards "$n"
		ranges_are_even "$n"
	done
	at=$(appended)
	eventually more_than "$((at + 2000))"
	touch "$stop"
	wait "$writers" || fail "a writer saw an error: $(cat "$T/writers")"
	reshard verify -n 16 -c "$counts" "$M"/a/shard-*
	remount
	reshard verify -n 16 -c "$counts" "$M"/a/shard-*
	unmount
	"$FSCK_BIN" "$S"
}

more_than() { [ "$(appended)" -gt "$1" ]; }

test_drop_goes_on()
{
	local i
	start
	echo '{"id":"x"}' >>"$M/a/put"
	for i in $(seq 20); do
		echo "file $i" >"$T/file-$i"
		cp "$T/file-$i" "$M/a/drop/"
		if [ $((i % 5)) = 0 ]; then shards $((i / 5 + 1)); fi
	done
	eq 20 "$(cat "$M"/a/shard-* | grep -c '^file')"
}

test_two_at_once_are_one_after_the_other()
{
	local i n
	start
	echo '{"id":"x"}' >>"$M/a/put"
	for i in 2 3 5 7 4 6; do
		shards "$i" &
		echo $! >>"$T/resharders"
	done
	for i in $(cat "$T/resharders"); do wait "$i"; done
	n=$(jq .shards "$M/a/config")
	ranges_are_even "$n"
}

test_a_kill_leaves_the_old_table_or_the_new()
{
	local rounds=${STREAMFS_LONG:+60} i n=1
	start
	echo '{"id":"x","n":0}' >>"$M/a/put"
	for i in $(seq "${rounds:-8}"); do
		sh -c "echo '{\"shards\":$((i % 7 + 1))}' >'$M/a/config'" 2>/dev/null &
		[ $((i % 3)) = 0 ] || sleep "0.00$((i % 9))"
		kill -9 "$PID"
		wait "$PID" 2>/dev/null || true
		umount -l "$M"
		wait $! || true
		mount_store
		n=$(jq .shards "$M/a/config")
		ranges_are_even "$n"
		echo "{\"id\":\"x\",\"n\":$i}" >>"$M/a/put"
		eq "$(seq 0 "$i")" "$(cat "$M"/a/shard-* | jq .n)" "records of one key"
	done
	echo '{}' >"$M/a/config" # what a kill left of a document goes with the next one
	unmount
	"$FSCK_BIN" "$S"
}

test_there_is_a_greatest_number()
{
	start
	echo '{"id":"x"}' >>"$M/a/put"
	errno EINVAL open wt "$M/a/config" , write '{"shards":4097}'
	shards 4096
	ranges_are_even 4096
	echo '{"id":"x","n":2}' >>"$M/a/put"
	shards 1
	echo '{"id":"x","n":3}' >>"$M/a/put"
	eq '{"id":"x","n":3}' "$(cat "$M/a/shard-4097")"
	eq 4096 "$(xattr parents shard-4097 | tr ',' '\n' | wc -l | awk '{ print $1 + 1 }')"
}

run_tests "$@"
