#!/bin/bash
# SPDX-License-Identifier: MIT
# Large records: claim check, split, reject, and the bounds of size and memory.
. "${0%/*}/lib.sh"

line_of() { head -c "$1" /dev/zero | tr '\0' "${2:-x}"; }

start()
{
	mount_store
	if [ -n "${1:-}" ]; then new_stream a "$1"; else new_stream a; fi
	F=$M/a/shard-0000
}

small='{"large_records": {"threshold_bytes": 2000}}'

test_a_payload_over_the_threshold_is_a_claim_check()
{
	local digest
	start '{}'
	line_of 1048576 >"$T/fits"
	line_of 1048577 >"$T/large"
	(cat "$T/fits"; echo) >>"$F"
	eq 1048577 "$(size_of "$F")" "a payload of exactly the threshold"
	eq "" "$(ls "$M/a/blobs")"
	(cat "$T/large"; echo; echo after) >>"$F"
	digest=$(sha256sum <"$T/large" | cut -d' ' -f1)
	printf '{"claim_check":{"sha256":"%s","bytes":1048577,"path":"blobs/%s"}}\nafter\n' \
		"$digest" "$digest" | cmp - <(tail -n2 "$F")
	eq "$digest" "$(ls "$M/a/blobs")"
	eq 1048577 "$(size_of "$M/a/blobs/$digest")"
	same "$T/large" "$M/a/blobs/$digest"
	remount
	same "$T/large" "$M/a/blobs/$digest" "after a remount"
	eq after "$(tail -n1 "$F")"
}

test_the_path_leads_to_the_payload()
{
	start "$small"
	random_bytes 400000 3 | tr -d '\n' >"$T/large"
	(cat "$T/large"; echo) >>"$F"
	cat "$M/a/$(tail -n1 "$F" | jq -r .claim_check.path)" | cmp - "$T/large"
	echo >"$M/a/put"
	(cat "$T/large"; echo) >"$M/a/put"
	cat "$M/a/$(tail -n1 "$F" | jq -r .claim_check.path)" | cmp - "$T/large"
	eq 3 "$(wc -l <"$F")" records
}

test_equal_payloads_are_stored_once()
{
	local i
	start "$small"
	line_of 50000 >"$T/large"
	for i in 1 2 3; do cat "$T/large" >>"$F"; done
	cp "$T/large" "$M/a/drop/large"
	eq 4 "$(wc -l <"$F")" records
	eq 1 "$(sort -u "$F" | wc -l)" "different records"
	eq 1 "$(blob_files a | wc -l)" "blob files"
	line_of 50001 >>"$F"
	eq 2 "$(blob_files a | wc -l)" "blob files"
	# Each stream has its own: a digest from elsewhere opens nothing.
	new_stream b "$small"
	errno ENOENT open r "$M/b/$(tail -n1 "$F" | jq -r .claim_check.path)"
	eq "" "$(ls "$M/b/blobs")"
	errno ENOENT open r "$M/a/blobs/$(printf '0%.0s' $(seq 64))"
	errno ENOENT open r "$M/a/blobs/nonsense"
}

test_lines_around_a_large_one_keep_their_order()
{
	start "$small"
	(echo one; line_of 5000 y; echo; echo two; line_of 3000 z; echo; echo three) >>"$F"
	eq "one claim two claim three" "$(echo $(sed 's/^{"claim_check.*/claim/' "$F"))"
	eq 5000 "$(sed -n 2p "$F" | jq .claim_check.bytes)"
	eq 3000 "$(sed -n 4p "$F" | jq .claim_check.bytes)"
}

test_a_shard_is_safe_to_tail_with_binary_lines()
{
	start "$small"
	random_bytes 200000 8 | tr '\n' ' ' >>"$F"
	eq 0 "$(tr -cd '\0-\11\13-\37\177-\377' <"$F" | wc -c)" "control bytes in the shard"
	eq 200000 "$(jq .claim_check.bytes "$F")"
}

test_blobs_are_read_only()
{
	local blob
	start "$small"
	line_of 5000 >>"$F"
	blob=$(echo "$M"/a/blobs/*)
	eq 5000 "$(size_of "$blob")"
	num "$(stat -c %b "$blob")" -le 8 "blocks"
	must_fail bash -c "echo x >>'$blob'"
	must_fail bash -c ": >'$blob'"
	must_fail rm -f "$blob"
	must_fail mv "$blob" "$blob.x"
	must_fail truncate -s 0 "$blob"
	line_of 5000 | cmp - "$blob"
}

test_reads_of_a_blob_at_any_place()
{
	start
	random_bytes 5000000 4 | tr '\n' ' ' >"$T/large"
	cat "$T/large" >>"$F"
	python3 - "$(echo "$M"/a/blobs/*)" "$T/large" <<-'PY'
	import os, random, sys
	want, fd, r = open(sys.argv[2], "rb").read(), os.open(sys.argv[1], os.O_RDONLY), random.Random(1)
	for _ in range(300):
	    offset, count = r.randrange(len(want) + 10), r.randrange(1, 300000)
	    assert os.pread(fd, count, offset) == want[offset:offset + count], (offset, count)
	PY
}

test_split_keeps_the_line_whole()
{
	start '{"large_records": {"policy": "split"}}'
	random_bytes 9000000 2 | tr '\n' ' ' >"$T/large"
	(echo before; cat "$T/large"; echo; echo after) >"$T/want"
	cat "$T/want" >>"$F"
	same "$T/want" "$F"
	eq 3 "$(wc -l <"$F")" records
	eq 3 "$(getfattr --only-values -n user.streamfs.sequence_next "$F")" "sequence numbers"
	eq "" "$(ls "$M/a/blobs")"
	cp "$T/large" "$M/a/drop/large"
	(cat "$T/large"; echo) >>"$T/want"
	same "$T/want" "$F" "after a drop"
	remount
	same "$T/want" "$F" "after a remount"
	text_of $(segment_files a shard-0000) | cmp - "$T/want"
}

# Lines of several chunks by several writers: each in one piece.
test_split_lines_of_many_writers_do_not_mix()
{
	local i pids=()
	start '{"large_records": {"policy": "split"}}'
	for i in a b c d; do
		(for _ in 1 2 3; do (line_of 2500000 $i; echo) >>"$F"; done) & pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	eq 12 "$(wc -l <"$F")" records
	for i in a b c d; do
		eq 3 "$(grep -cE "^$i+\$" "$F")" "whole lines of $i"
	done
	eq 30000012 "$(size_of "$F")"
}

test_reject_answers_emsgsize()
{
	start '{"large_records": {"policy": "reject", "threshold_bytes": 100000}}'
	errno EMSGSIZE open wa "$F" , fill x 100002 '\n'
	errno ok open wa "$F" , fill x 100001 '\n'
	eq 100001 "$(size_of "$F")" "one that just fits"
	# In several pieces; going on with the line meets it again.
	sys open wa "$F" , fill y 60000 '' , fill y 60000 '' , fill y 10 '' >"$T/got"
	eq "ok 60000 EMSGSIZE EMSGSIZE" "$(echo $(tail -n3 "$T/got"))"
	eq 100001 "$(size_of "$F")" "nothing of it is stored"
	says "Message too long" bash -c "head -c 3000000 /dev/zero | tr '\\0' z >>'$F'"
	line_of 200000 >"$T/large"
	says "Message too long" cp "$T/large" "$M/a/drop/large"
	says "Message too long" bash -c "cat '$T/large' >'$M/a/put'"
	eq 100001 "$(size_of "$F")" "nothing of it is stored"
	echo next >>"$F"
	eq next "$(tail -n1 "$F")"
	eq 2 "$(wc -l <"$F")" records
	eq "" "$(ls "$M/a/blobs")"
	remount
	eq 2 "$(wc -l <"$F")" "records after a remount"
}

test_lines_before_a_rejected_one_are_kept()
{
	start '{"large_records": {"policy": "reject", "threshold_bytes": 2000}}'
	(echo one; echo two; line_of 3000; echo; echo three) >"$T/lines"
	says "Message too long" bash -c "cat '$T/lines' >>'$F'"
	eq "one two" "$(echo $(cat "$F"))"
}

test_max_record_bytes_answers_efbig()
{
	local policy
	mount_store
	for policy in claim-check split reject; do
		new_stream $policy "$(jq -cn --arg p "$policy" '{max_record_bytes: 50000,
			large_records: {policy: $p, threshold_bytes: 40000}}')"
		F=$M/$policy/shard-0000
		errno EFBIG open wa "$F" , fill x 50002 '\n'
		errno EFBIG open wa "$F" , fill x 50001 ''
		line_of 60000 >"$T/large"
		must_fail cp "$T/large" "$M/$policy/drop/large"
		eq 0 "$(size_of "$F")" "$policy: nothing of it is stored"
		eq "" "$(ls "$M/$policy/blobs")" "$policy: blobs"
		echo fine >>"$F"
		eq fine "$(cat "$F")"
	done
	errno ok open wa "$M/split/shard-0000" , fill x 50001 '\n'
	eq 50006 "$(size_of "$M/split/shard-0000")"
}

# A line far greater than the memory that the daemon may take. A sanitizer's shadows and quarantines
# are not ours: there only the bytes count.
bounded()
{
	local mib=300
	[ -z "${STREAMFS_LONG:-}" ] || mib=5119
	[ -z "${STREAMFS_SANITIZER:-}" ] || mib=40
	start "$1"
	BYTES=$((mib * MIB))
	head -c "$BYTES" /dev/zero | tr '\0' x >>"$2"
	little_memory "while writing"
}

little_memory()
{
	[ -n "${STREAMFS_SANITIZER:-}" ] || num "$(peak_kib)" -le 98304 "peak memory in KiB $1"
}

test_memory_is_bounded_with_a_claim_check()
{
	bounded '{}' "$M/a/shard-0000"
	local blob
	eq "$BYTES" "$(jq .claim_check.bytes "$F")"
	blob=$M/a/$(jq -r .claim_check.path "$F")
	eq "$BYTES" "$(size_of "$blob")"
	eq "$(head -c "$BYTES" /dev/zero | tr '\0' x | sha256sum)" "$(sha256sum <"$blob")"
	little_memory "after reading"
}

test_memory_is_bounded_with_split()
{
	bounded '{"large_records": {"policy": "split"}}' "$M/a/put"
	eq $((BYTES + 1)) "$(size_of "$F")"
	(head -c "$BYTES" /dev/zero | tr '\0' x; echo) | cmp - "$F"
	little_memory "after reading"
}

# A read ends in EIO, and what came before is right.
damaged()
{
	local status=0
	cat "$1" >"$T/got" 2>"$T/err" || status=$?
	ne 0 "$status" "status of reading $3"
	has "$(cat "$T/err")" "Input/output error" "$3"
	cmp -n "$(size_of "$T/got")" "$T/got" "$2" || fail "$3: wrong bytes were served"
}

test_a_damaged_blob_answers_eio()
{
	local file other
	start "$small"
	random_bytes 3000000 6 | tr '\n' ' ' >"$T/large"
	cat "$T/large" >>"$F"
	file=$(blob_files a)
	line_of 4000 y >"$T/other"
	cat "$T/other" >>"$F"
	other=$(blob_files a | grep -vF "$file")
	unmount
	flip "$file" $(($(size_of "$file") / 2))
	mount_store
	damaged "$M/a/$(head -n1 "$F" | jq -r .claim_check.path)" "$T/large" "a flipped byte"
	same "$T/other" "$M/a/$(tail -n1 "$F" | jq -r .claim_check.path)" "the other blob"
	echo fine >>"$F"
	eq 3 "$(wc -l <"$F")" "records"
	unmount
	# Sound in itself, but not what its name says.
	cp "$other" "$file"
	mount_store
	damaged "$M/a/$(head -n1 "$F" | jq -r .claim_check.path)" "$T/large" "another's file"
	unmount
	rm "$file"
	mount_store
	must_fail cat "$M/a/$(head -n1 "$F" | jq -r .claim_check.path)"
	same "$T/other" "$M/a/$(sed -n 2p "$F" | jq -r .claim_check.path)" "the other blob"
}

test_orphans_are_swept_and_nothing_else()
{
	local used orphan young
	start "$small"
	line_of 5000 u >>"$F"
	used=$(blob_files a)
	new_stream b "$small"
	line_of 5000 o >>"$M/b/shard-0000"
	line_of 5000 y >>"$M/b/shard-0000"
	unmount
	# What a crash between storing a blob and appending its claim check would leave behind.
	orphan="" young=""
	for file in $(blob_files b); do
		mkdir -p "$S/streams/a/blobs/$(basename "$(dirname "$file")")"
		cp "$file" "$S/streams/a/blobs/$(basename "$(dirname "$file")")/"
		file=$S/streams/a/blobs/$(basename "$(dirname "$file")")/$(basename "$file")
		if [ -z "$orphan" ]; then orphan=$file; else young=$file; fi
	done
	touch -d '3 hours ago' "$orphan" "$used"
	mount_store
	cat "$F" >/dev/null
	ls "$M/a/blobs" >/dev/null
	echo more >>"$F"
	eventually test ! -e "$orphan"
	[ -e "$used" ] && [ -e "$young" ]
	line_of 5000 u | cmp - "$M/a/$(head -n1 "$F" | jq -r .claim_check.path)"
	eq 2 "$(blob_files b | wc -l)" "blobs of the other stream"
}

run_tests "$@"
