#!/bin/bash
# SPDX-License-Identifier: MIT
# A full disk and damaged files: what was acknowledged stays, wrong bytes are never served, and the
# damage stays where it is.
. "${0%/*}/lib.sh"

# A disk of so many MiB below the store, with 3 MiB that can be set free.
small_disk()
{
	mkdir "$T/disk"
	mount -t tmpfs -o "size=${1}m" streamfs-test "$T/disk"
	head -c 3000000 /dev/zero >"$T/disk/filler"
	mkdir "$T/disk/store"
	S=$T/disk/store
	mount_store
	new_stream a
	new_stream b
	F=$M/a/shard-0000
}

cat_filler()
{
	cat >"$T/fill.py" <<-'PY'
	import errno, os, random, sys
	# Appends lines that do not compress until the disk is full; keeps what was acknowledged.
	path, kept, me = sys.argv[1], open(sys.argv[2], "ab"), sys.argv[3]
	r = random.Random(me)
	fd = os.open(path, os.O_WRONLY | os.O_APPEND)
	while True:
	    data = b"".join(r.randbytes(200).hex().encode() + b"\n" for _ in range(200))
	    while data:
	        try:
	            n = os.write(fd, data)
	        except OSError as e:
	            os.close(fd)
	            assert e.errno == errno.ENOSPC, e
	            sys.exit(0)
	        kept.write(data[:n])
	        kept.flush()
	        data = data[n:]
	PY
}

test_a_full_disk_answers_enospc_before_the_acknowledgement()
{
	small_disk 12
	cat_filler
	echo first >>"$M/b/shard-0000"
	python3 "$T/fill.py" "$F" "$T/want" one
	num "$(size_of "$T/want")" -gt $MIB
	same "$T/want" "$F" "while full"
	random_bytes 900000 4 | base64 -w 0 >"$T/line"
	says "No space left on device" dd if="$T/line" of="$F" bs=2M oflag=append conv=notrunc
	says "No space left on device" bash -c "cat '$T/line' >'$M/b/put'"
	same "$T/want" "$F" "while full, again"
	eq first "$(cat "$M/b/shard-0000")" "the other stream"
	random_bytes 2000000 3 >"$T/large"
	must_fail cp "$T/large" "$M/a/drop/large"
	has "$(cat "$T/must_fail.out")" "No space left on device"
	eq "" "$(ls "$M/a/blobs")" "blobs"
	same "$T/want" "$F" "after a drop"
	jq -e . "$M/a/stats" "$M/a/config"
}

test_it_heals_when_space_returns()
{
	small_disk 12
	cat_filler
	python3 "$T/fill.py" "$F" "$T/want" one
	rm "$T/disk/filler"
	echo back >>"$F"
	echo back >>"$T/want"
	same "$T/want" "$F" "after the healing"
	cp "$T/fill.py" "$M/b/drop/file"
	same "$T/fill.py" "$M/b/blobs/$(ls "$M/b/blobs")"
	echo '{"retention_hours": 3}' >"$M/a/config"
	eq 3 "$(jq .retention_hours "$M/a/config")"
	mkdir "$M/c"
	remount
	same "$T/want" "$F" "after a remount"
	eq back "$(tail -n1 "$F")"
}

test_it_mounts_while_full()
{
	small_disk 12
	cat_filler
	python3 "$T/fill.py" "$F" "$T/want" one
	head -c 10000000 /dev/zero >"$T/disk/more" 2>"$T/err" || true
	kill9
	mount_store
	same "$T/want" "$F" "after kill -9 and a mount while full"
	random_bytes 900000 4 | base64 -w 0 >"$T/line"
	says "No space left on device" dd if="$T/line" of="$F" bs=2M oflag=append conv=notrunc
	unmount
	mount_store
	same "$T/want" "$F" "after a remount while full"
	rm "$T/disk/filler" "$T/disk/more"
	echo back >>"$F"
	eq back "$(tail -n1 "$F")"
}

test_settings_survive_a_full_disk()
{
	small_disk 12
	cat_filler
	echo '{"retention_hours": 9}' >"$M/a/config"
	python3 "$T/fill.py" "$F" "$T/want" one
	head -c 10000000 /dev/zero >"$T/disk/more" 2>"$T/err" || true
	if ! echo '{"retention_hours": 10}' 2>"$T/err" >"$M/a/config"; then
		eq 9 "$(jq .retention_hours "$M/a/config")" "a change that was refused"
	fi
	jq -S . "$M/a/config" >"$T/config"
	kill9
	mount_store
	jq -S . "$M/a/config" | cmp - "$T/config"
	eq "a b" "$(echo $(ls "$M"))"
}

# Three chunks of incompressible lines in $F, all synced, the store unmounted.
three_chunks()
{
	local i
	mount_store
	new_stream a
	new_stream b
	echo other >>"$M/b/shard-0000"
	F=$M/a/shard-0000
	for i in 1 2 3; do
		random_bytes 150000 "$i" | base64 -w 99 >"$T/chunk.$i"
		dd if="$T/chunk.$i" of="$F" bs=1M oflag=append conv=notrunc,fsync status=none
	done
	cat "$T"/chunk.? >"$T/want"
	same "$T/want" "$F" "before the damage"
	unmount
	SEGMENT=$(segment_files a shard-0000)
	eq 1 "$(wc -w <<<"$SEGMENT")" segments
}

# read_around: the first chunk reads well, the second not, the third does
read_around()
{
	local one two
	one=$(size_of "$T/chunk.1")
	two=$(size_of "$T/chunk.2")
	eq "$(size_of "$T/want")" "$(size_of "$F")" "size"
	head -c "$one" "$F" | cmp - "$T/chunk.1"
	from_byte $((one + two)) "$F" | cmp - "$T/chunk.3"
	errno EIO open r "$F" , pread $((one + two / 2)) 100
	local status=0
	cat "$F" >"$T/got" 2>"$T/err" || status=$?
	ne 0 "$status" "status of cat"
	has "$(cat "$T/err")" "Input/output error"
	cmp -n "$(size_of "$T/got")" "$T/got" "$T/want" || fail "wrong bytes were served"
}

quarantined() { awk '/^[a-z_]*quarantined[a-z_]*(\{[^}]*\})? / { n += $2 } END { print n + 0 }' \
	"$M/.streamfs/metrics"; }

# Who meets damage first, reading through the page cache, loses whole pages around it; whoever opens
# the shard after that loses the chunk alone.
meet_damage()
{
	if cat "$F" >/dev/null 2>&1; then
		fail "a damaged shard was read without an error"
	fi
}

test_a_damaged_chunk_answers_eio_and_the_rest_is_read()
{
	three_chunks
	flip "$SEGMENT" $(($(size_of "$SEGMENT") / 2))
	mount_store
	meet_damage
	read_around
	eq other "$(cat "$M/b/shard-0000")" "the other stream"
	echo "still writable" >>"$F"
	eq "still writable" "$(tail -n1 "$F")"
	remount
	eq "still writable" "$(tail -n1 "$F")" "after a remount"
	errno EIO open r "$F" , pread $(($(size_of "$T/chunk.1") + 80000)) 100
	echo x >>"$M/b/shard-0000"
	eq "other x" "$(echo $(cat "$M/b/shard-0000"))" "the other stream"
}

test_a_damaged_header_is_quarantined_and_counted()
{
	local at
	three_chunks
	# Chunks begin with an LZ4 skippable frame's magic; take the second one's.
	at=$(LC_ALL=C grep -obUaP '\x53\x2a\x4d\x18' "$SEGMENT" | cut -d: -f1 | sed -n 2p)
	flip "$SEGMENT" $((at + 20))
	rm -f "${SEGMENT%.lz4}.idx"
	mount_store
	read_around
	num "$(quarantined)" -gt 0 "quarantined chunks in metrics"
	has "$(cat "$LOG")" "shard-0000"
	eq other "$(cat "$M/b/shard-0000")" "the other stream"
	echo "still writable" >>"$F"
	eq "still writable" "$(tail -n1 "$F")"
}

test_synced_data_that_is_cut_off_is_not_forgotten()
{
	three_chunks
	truncate -s -50000 "$SEGMENT"
	mount_store
	head -c "$(size_of "$T/chunk.1")" "$F" | cmp - "$T/chunk.1"
	has "$(cat "$LOG")" "shard-0000" "the log"
	unmount
	exits 4 "$FSCK_BIN" -n "$S"
}

test_a_torn_end_is_cut_and_kept_aside()
{
	three_chunks
	head -c 70 "$SEGMENT" >"$T/half"
	cat "$T/half" >>"$SEGMENT"
	mount_store
	same "$T/want" "$F"
	eventually grep -q 'shard-0000' "$LOG"
	echo next >>"$F"
	(cat "$T/want"; echo next) | cmp - "$F"
	unmount
	local file aside=0
	while read -r file; do
		if cmp -s "$file" "$T/half"; then aside=$((aside + 1)); fi
	done < <(find "$S" -type f)
	eq 1 "$aside" "files with the bytes that were cut off"
	exits 0 "$FSCK_BIN" -n "$S"
}

test_a_damaged_index_is_rebuilt()
{
	local file
	three_chunks
	for file in "$S"/streams/a/shard-0000/*.idx; do
		[ -e "$file" ] || continue
		flip "$file" 20
	done
	mount_store
	same "$T/want" "$F" "with a damaged index"
	unmount
	rm -f "$S"/streams/*/shard-0000/*.idx
	mount_store
	same "$T/want" "$F" "without an index"
}

test_a_damaged_stream_keeps_no_other_from_mounting()
{
	three_chunks
	echo garbage >"$S/streams/a/stream.json"
	mount_store
	eq other "$(cat "$M/b/shard-0000")"
	must_fail cat "$F"
	echo more >>"$M/b/shard-0000"
	mkdir "$M/c"
	must_fail mkdir "$M/a"
	eq garbage "$(cat "$S/streams/a/stream.json")" "the damaged file"
	eq "$(size_of "$SEGMENT")" "$(size_of "$(segment_files a shard-0000)")" "the segment"
}

test_damage_under_a_mounted_store_is_seen()
{
	three_chunks
	mount_store
	flip "$SEGMENT" $(($(size_of "$SEGMENT") / 2))
	meet_damage
	read_around
	num "$(awk '/checksum_errors/ && !/^#/ { n += $2 } END { print n + 0 }' \
		"$M/.streamfs/metrics")" -gt 0 "checksum errors in metrics"
}

tree_sum() { (cd "$S/streams" && find . -type f | sort | xargs cat | md5sum); }

test_swapped_shards_are_refused_and_not_touched()
{
	local before
	mount_store
	mkdir "$M/a" "$M/b"
	echo one >>"$M/a/shard-0000"
	echo two >>"$M/b/shard-0000"
	unmount
	mv "$S/streams/a/shard-0000" "$T/x"
	mv "$S/streams/b/shard-0000" "$S/streams/a/"
	mv "$T/x" "$S/streams/b/shard-0000"
	before=$(tree_sum)
	mount_store
	if cat "$M/a/shard-0000" 2>/dev/null; then fail "another's shard was read"; fi
	if rmdir "$M/a" 2>/dev/null; then fail "a stream with records was removed"; fi
	unmount
	eq "$before" "$(tree_sum)" "the segments"
}

test_a_lost_document_is_no_new_store()
{
	mount_store
	mkdir "$M/a"
	unmount
	rm "$S/streamfs.json"
	local status=0
	"$STREAMFS_BIN" "$S" "$M" 2>"$T/err" || status=$?
	eq 32 "$status" "exit status"
	has "$(cat "$T/err")" "streamfs.json is missing"
}

test_a_full_disk_is_told_by_close()
{
	small_disk 12
	cat_filler
	python3 "$T/fill.py" "$F" "$T/want" one
	random_bytes 900000 4 | base64 -w 0 >"$T/line"
	# The line has no end: nothing of it is written before the close.
	cat >"$T/close.py" <<-'PY'
	import errno, os, sys
	fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
	line = open(sys.argv[2], "rb").read(900000)
	assert os.write(fd, line) == len(line)
	try:
	    os.close(fd)
	except OSError as e:
	    assert e.errno == errno.ENOSPC, e
	else:
	    sys.exit("close succeeded")
	PY
	python3 "$T/close.py" "$F" "$T/line"
	same "$T/want" "$F"
}

all_traced() { ! grep -hq '^TracerPid:	0$' /proc/"$PID"/task/*/status; }

# disk_fails CALL ERRNO COMMAND…: while the command runs, each such system call of the daemon fails
disk_fails()
{
	strace -f -qq -p "$PID" -o "$T/trace" -e "trace=$1" -e "inject=$1:error=$2" &
	local tracer=$!
	eventually all_traced
	"${@:3}"
	kill "$tracer"
	wait "$tracer" || true
}

two_streams()
{
	mount_store
	new_stream a '{"flush_interval_ms": 3600000}'
	new_stream b
	F=$M/a/shard-0000
	echo first >>"$F"
	sync -d "$F"
}

state() { getfattr --only-values -n user.streamfs.state "$F"; }

# The shard is readable and takes nothing, and everything else goes on, until the next mount.
failed_until_a_remount()
{
	eq failed "$(state)" state
	errno EROFS open wa "$F" , write 'more\n'
	says "Read-only file system" bash -c "echo more >>'$F'"
	errno EIO open r "$F" , fsync
	cat "$F" >"$T/want"
	eq first "$(head -n 1 "$F")"
	echo fine >>"$M/b/shard-0000"
	sync -d "$M/b/shard-0000"
	eq fine "$(cat "$M/b/shard-0000")" "the other stream"
	umount "$M"
	wait "$PID" || true # 2: what the disk refused may not be durable
	mount_store
	eq open "$(state)" "state after a remount"
	same "$T/want" "$F" "after a remount"
	eq "ok 0" "$(sys open wa "$F" , write 'more\n' , fsync | tail -n1)"
	eq more "$(tail -n 1 "$F")"
}

test_a_failed_sync_fails_the_shard_until_a_remount()
{
	two_streams
	disk_fails fdatasync EIO errno EIO open wa "$F" , write 'unsure\n' , fsync
	failed_until_a_remount
}

test_a_failed_write_leaves_nothing_and_fails_the_shard()
{
	two_streams
	disk_fails pwritev EIO errno EIO open wa "$F" , write 'never\n'
	eq first "$(cat "$F")"
	failed_until_a_remount
}

test_a_full_quota_is_told_and_heals()
{
	two_streams
	disk_fails pwritev EDQUOT errno EDQUOT open wa "$F" , write 'never\n'
	echo second >>"$F"
	eq "first second" "$(echo $(cat "$F"))"
	eq open "$(state)" state
}

run_tests "$@"
