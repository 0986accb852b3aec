#!/bin/bash
# SPDX-License-Identifier: MIT
# fsck.streamfs: what it finds, what it mends, and fsck(8)'s exit codes.
. "${0%/*}/lib.sh"

# A store with two streams, several chunks, blobs and keys; unmounted.
make_store()
{
	local i
	mount_store
	new_stream a '{"large_records": {"threshold_bytes": 5000}}'
	new_stream b '{"shards": 3, "key": {"field": 1, "separator": " "}}'
	F=$M/a/shard-0000
	for i in 1 2 3; do
		random_bytes 120000 "$i" | base64 -w 90 >"$T/chunk"
		dd if="$T/chunk" of="$F" bs=1M oflag=append conv=notrunc,fsync status=none
	done
	random_bytes 100000 4 | tr '\n' ' ' >>"$F"
	text_lines 500 >"$M/b/put"
	cat "$F" >"$T/want"
	unmount
	SEGMENT=$(segment_files a shard-0000)
}

snapshot() { (cd "$S" && find . -type f ! -name lock -exec md5sum {} + | sort); }

test_a_sound_store_is_0()
{
	make_store
	snapshot >"$T/before"
	exits 0 "$FSCK_BIN" -n "$S"
	has "$(cat "$T/exits.out")" '[0-9]' "the summary"
	snapshot | cmp - "$T/before"
	exits 0 "$FSCK_BIN" "$S"
	exits 0 "$FSCK_BIN" -p "$S"
	exits 0 "$FSCK_BIN" -a "$S"
	exits 0 "$FSCK_BIN" -y "$S"
	mount_store
	same "$T/want" "$F"
}

test_an_empty_store_is_0()
{
	mount_store
	unmount
	exits 0 "$FSCK_BIN" -n "$S"
}

test_a_store_after_a_kill_is_sound()
{
	mount_store
	new_stream a
	text_lines 3000 >>"$M/a/shard-0000"
	swarm write -n 4 -k 50 -m open "$M/a/shard-0000"
	kill9
	exits 0 "$FSCK_BIN" -n "$S"
}

test_damage_is_4_and_named()
{
	make_store
	flip "$SEGMENT" $(($(size_of "$SEGMENT") / 2))
	snapshot >"$T/before"
	exits 4 "$FSCK_BIN" -n "$S"
	has "$(cat "$T/exits.out")" 'a/shard-0000/0+\.lz4: .*[0-9]+' "the finding"
	snapshot | cmp - "$T/before"
	# It cannot be mended, and no good byte is lost in trying.
	exits 4 "$FSCK_BIN" -y "$S"
	mount_store
	head -c 100000 "$T/want" | cmp - <(head -c 100000 "$F")
	from_byte 400000 "$F" | cmp - <(from_byte 400000 "$T/want")
}

test_every_kind_of_damage_is_found()
{
	local blob
	make_store
	cp -a "$S" "$T/good"
	flip "$(find "$S/streams/b" -name '*.lz4' -size +0 | sort | head -n1)" 150
	exits 4 "$FSCK_BIN" -n "$S"
	has "$(cat "$T/exits.out")" 'b/shard-000' "a flipped byte"

	rm -rf "$S" && cp -a "$T/good" "$S"
	truncate -s -1000 "$SEGMENT"
	exits 4 "$FSCK_BIN" -n "$S"
	has "$(cat "$T/exits.out")" 'a/shard-0000' "a segment that was cut"

	rm -rf "$S" && cp -a "$T/good" "$S"
	rm "$SEGMENT"
	exits 4 "$FSCK_BIN" -n "$S"
	has "$(cat "$T/exits.out")" 'a/shard-0000' "a segment that is missing"

	rm -rf "$S" && cp -a "$T/good" "$S"
	blob=$(blob_files a | head -n1)
	flip "$blob" $(($(size_of "$blob") / 2))
	exits 4 "$FSCK_BIN" -n "$S"
	has "$(cat "$T/exits.out")" "$(basename "$blob" .lz4)" "a damaged blob"

	rm "$blob"
	exits 4 "$FSCK_BIN" -n "$S"
	has "$(cat "$T/exits.out")" "$(basename "$blob" .lz4)" "a blob that is missing"

	rm -rf "$S" && cp -a "$T/good" "$S"
	echo garbage >"$S/streams/a/stream.json"
	exits 4 "$FSCK_BIN" -n "$S"
	has "$(cat "$T/exits.out")" 'stream.json' "a damaged stream.json"
}

test_a_torn_end_is_mended_with_1()
{
	make_store
	head -c 90 "$SEGMENT" >"$T/half"
	cat "$T/half" >>"$SEGMENT"
	snapshot >"$T/before"
	exits 4 "$FSCK_BIN" -n "$S"
	snapshot | cmp - "$T/before"
	exits 1 "$FSCK_BIN" "$S"
	has "$(cat "$T/exits.out")" 'a/shard-0000' "the finding"
	exits 0 "$FSCK_BIN" "$S"
	mount_store
	same "$T/want" "$F"
}

test_an_index_is_mended_with_1()
{
	local index
	mount_store
	new_stream a
	F=$M/a/shard-0000
	repeat 20000 "$(head -c 4000 /dev/zero | tr '\0' s)" >>"$F" # more than a segment holds
	cat "$F" >"$T/want"
	unmount
	index=$(find "$S" -name '*.idx' -size +0 | sort | head -n1)
	ne "" "$index" "an index file"
	flip "$index" 30
	exits 4 "$FSCK_BIN" -n "$S"
	exits 1 "$FSCK_BIN" -y "$S"
	exits 0 "$FSCK_BIN" -n "$S"
	mount_store
	same "$T/want" "$F"
}

test_what_cannot_be_checked_is_8()
{
	mount_store
	exits 8 "$FSCK_BIN" -n "$S"
	unmount
	exits 8 "$FSCK_BIN" -n "$T/nowhere"
	mkdir "$T/other"
	echo x >"$T/other/file"
	exits 8 "$FSCK_BIN" -n "$T/other"
	eq file "$(ls -A "$T/other")" "a directory that is no store"
	jq '.format = 99 | .version = 99 | .format_version = 99' "$S/streamfs.json" >"$T/json"
	cp "$T/json" "$S/streamfs.json"
	exits 8 "$FSCK_BIN" "$S"
	same "$T/json" "$S/streamfs.json"
}

test_wrong_usage_is_16()
{
	exits 16 "$FSCK_BIN"
	exits 16 "$FSCK_BIN" -Q "$S"
	exits 16 "$FSCK_BIN" "$S" "$S"
	exits 16 "$FSCK_BIN" -n -y "$S"
	exits 0 "$FSCK_BIN" -h
	has "$(cat "$T/exits.out")" ' -n '
	exits 0 "$FSCK_BIN" -V
	has "$(cat "$T/exits.out")" '[0-9]+\.[0-9]+\.[0-9]+'
}

test_blobs_elsewhere()
{
	local blob
	mkdir "$T/elsewhere"
	mount_store -o "blobs=$T/elsewhere"
	new_stream a
	random_bytes 50000 1 >"$T/file"
	cp "$T/file" "$M/a/drop/file"
	unmount
	exits 0 "$FSCK_BIN" -n -b "$T/elsewhere" "$S"
	exits 0 "$FSCK_BIN" -n -o "blobs=$T/elsewhere" "$S"
	blob=$(find "$T/elsewhere" -name '*.lz4')
	flip "$blob" 200
	exits 4 "$FSCK_BIN" -n -b "$T/elsewhere" "$S"
	has "$(cat "$T/exits.out")" "$(basename "$blob" .lz4)"
}

test_no_bar_without_a_terminal()
{
	make_store
	"$FSCK_BIN" -n "$S" >"$T/stdout" 2>"$T/stderr"
	eq "" "$(cat "$T/stderr")" "standard error"
	has_not "$(cat "$T/stdout")" $'\r' "standard output"
}

run_tests "$@"
