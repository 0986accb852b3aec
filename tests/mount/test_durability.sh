#!/bin/bash
# SPDX-License-Identifier: MIT
# kill -9 loses nothing that was acknowledged, and what is stored needs no streamfs to be read.
. "${0%/*}/lib.sh"

start()
{
	mount_store
	new_stream a
	F=$M/a/shard-0000
}

test_what_was_written_survives_a_kill()
{
	local i
	start
	for i in $(seq 20); do
		echo "record $i" >>"$F"
		printf 'ended by close %d' "$i" >>"$F"
		echo "put $i" >"$M/a/put"
		printf 'two\nlines %d' "$i" >"$M/a/drop/d$i"
		cat "$F" >"$T/want"
		kill9
		mount_store
		same "$T/want" "$F" "round $i"
	done
	eq 80 "$(wc -l <"$F")" records
	eq 20 "$(ls "$M/a/blobs" | wc -l)" blobs
	eq 80 "$(getfattr --only-values -n user.streamfs.sequence_next "$F")" "sequence numbers"
	tail -n1 "$F" | jq -e .claim_check.path
	printf 'two\nlines 20' | cmp - "$M/a/$(tail -n1 "$F" | jq -r .claim_check.path)"
}

test_a_write_that_returned_survives_without_close()
{
	start
	exec 3>>"$F"
	echo one >&3
	text_lines 1000 >&3
	cat "$F" >"$T/want"
	kill9
	exec 3>&- || true
	mount_store
	eq 1001 "$(wc -l <"$F")"
	same "$T/want" "$F"
}

syncs() { awk '$1 == "streamfs_syncs_total" { print $2 }' "$M/.streamfs/metrics"; }

# synced FILE OPERATION…: what is written so is synced when it returns, though nothing else syncs
synced()
{
	local before
	before=$(syncs)
	errno ok "$@"
	eq $((before + 1)) "$(syncs)" "syncs after $*"
}

test_a_write_that_asks_for_it_is_durable()
{
	start
	echo '{"flush_interval_ms": 3600000}' >"$M/a/config"
	echo one >>"$F"
	eq 0 "$(syncs)" "syncs of a plain write"
	synced open was "$F" , write 'two\n'
	synced open wad "$F" , write 'three\n'
	synced open wa "$F" , dwrite 'four\n'
	synced open w "$M/a/put" , dwrite 'five\n'
	eq 5 "$(wc -l <"$F")"
}

test_a_mount_with_sync_writes_durably()
{
	mkdir "$T/store"
	mount_store -o sync
	new_stream a '{"flush_interval_ms": 3600000}'
	F=$M/a/shard-0000
	synced open wa "$F" , write 'one\n'
	synced open w "$M/a/put" , write 'two\n'
	eq 2 "$(wc -l <"$F")"
}

test_names_and_settings_survive_a_kill()
{
	start
	mkdir "$M/b" "$M/c"
	mv "$M/b" "$M/moved"
	rmdir "$M/c"
	chmod 711 "$M/moved"
	echo '{"retention_hours": 3}' >"$M/a/config"
	echo '{"retention_hours": 4}' >"$M/.streamfs/defaults"
	kill9
	mount_store
	eq "a moved" "$(echo $(ls "$M"))"
	eq 711 "$(stat -c %a "$M/moved")"
	eq 3 "$(jq .retention_hours "$M/a/config")"
	eq 4 "$(jq .retention_hours "$M/.streamfs/defaults")"
}

# text STREAM SHARD: what is new in it since the last round, kept in $T/model… and $T/new…
grow_model()
{
	local file=$1 model=$T/model.$2
	touch "$model"
	tail -c "+$(($(size_of "$model") + 1))" "$file" >"$T/new.$2"
	cat "$T/new.$2" >>"$model"
	same "$model" "$file" "round $ROUND: what was there before has changed in $2"
}

# Round after round of writers by every path, a daemon killed at a random instant, and a check that
# acknowledged <= found <= attempted, in order, once each, and that what was once read stays.
kill_rounds()
{
	local pid dead
	RANDOM=$2
	echo "seed $2"
	start
	new_stream k '{"shards": 2, "key": {"json": "/w"}, "flush_interval_ms": 20}'
	for ROUND in $(seq "$1"); do
		"$TOOLS_DIR/swarm" write -n 9 -k 4000 -m mixed -r "$ROUND" -a "$T/acks" \
			"$F" "$M/k/put" "$M/k/shard-0001" 2>"$T/swarm.err" &
		pid=$!
		sleep "0.$(printf %03d $((RANDOM % 400)))"
		kill -9 "$PID"
		wait "$PID" 2>/dev/null || true
		wait "$pid" || fail "round $ROUND: $(tr '\n' ';' <"$T/swarm.err")"
		umount -l "$M"
		if [ $((ROUND % 5)) = 0 ]; then # killed while it recovers
			start_daemon "$S" "$M"
			dead=$PID
			sleep "0.$(printf %03d $((RANDOM % 50)))"
			kill -9 "$dead" 2>/dev/null || true
			wait "$dead" 2>/dev/null || true
			while is_mounted "$M"; do umount -l "$M"; done
		fi
		mount_store
		grow_model "$F" a
		grow_model "$M/k/shard-0000" k0
		grow_model "$M/k/shard-0001" k1
		swarm verify -n 9 -k 4000 -r "$ROUND" -a "$T/acks" "$T/new.a" "$T/new.k0" "$T/new.k1"
	done
	unmount
	exits 0 "$FSCK_BIN" -n "$S"
	text_of $(segment_files a shard-0000) | cmp - "$T/model.a"
	text_of $(segment_files k shard-0001) | cmp - "$T/model.k1"
}

test_random_kills_under_load()
{
	kill_rounds "$([ -n "${STREAMFS_LONG:-}" ] && echo 400 || echo 20)" \
		"${STREAMFS_SEED:-$(date +%N | tail -c5 | sed 's/^0*//')}"
}

# A copy of the store's files while the daemon runs is what a kill at that moment would leave.
test_fsync_reaches_the_store()
{
	start
	new_stream b '{"flush_interval_ms": 3600000}'
	text_lines 2000 >"$M/b/put"
	sync -d "$M/b/shard-0000"
	eq "ok 0" "$(sys open wa "$F" , write 'held\n' , fsync | tail -n1)"
	eq "ok 0" "$(sys open wa "$F" , write 'held\n' , fdatasync | tail -n1)"
	eq "ok 0" "$(sys open r "$F" , fsync | tail -n1)"
	eq "ok 5" "$(sys open was "$F" , write 'sync\n' | tail -n1)"
	sync -f "$M"
	cp -a "$S" "$T/copy"
	cat "$F" >"$T/want"
	text_lines 2000 >"$T/want.b"
	unmount
	S=$T/copy
	mount_store
	same "$T/want" "$F" "the copy"
	same "$T/want.b" "$M/b/shard-0000" "the copy"
}

test_segments_are_lz4_files()
{
	local i
	start
	for i in $(seq 200); do echo "small $i" >>"$F"; done
	text_lines 60000 >>"$F"
	random_bytes 3000000 12 | tr '\n' ' ' | fold -w 5000 >>"$F"
	repeat 200000 'again and again' >>"$F"
	cat "$F" >"$T/want"
	text_of $(segment_files a shard-0000) | cmp - "$T/want"
	unmount
	text_of $(segment_files a shard-0000) | cmp - "$T/want"
	lz4 -dc "$S"/streams/a/shard-0000/*.lz4 | cmp - "$T/want"
	lz4 -t "$S"/streams/a/shard-0000/*.lz4
	# A segment is named by its first byte's offset.
	local offset=0 file
	for file in $(segment_files a shard-0000); do
		eq "$(printf %020d $offset).lz4" "$(basename "$file")"
		offset=$((offset + $(lz4 -dc "$file" | wc -c)))
	done
	eq "$(size_of "$T/want")" "$offset"
}

test_long_shards_have_several_segments()
{
	start
	echo '{"compression": "none"}' >"$M/a/config"
	repeat 50000 "$(head -c 4000 /dev/zero | tr '\0' s)" >>"$F"
	cat "$F" >"$T/want"
	num "$(segment_files a shard-0000 | wc -l)" -ge 2 segments
	text_of "$S"/streams/a/shard-0000/*.lz4 | cmp - "$T/want"
	cat "$S"/streams/a/shard-0000/*.lz4 | lz4 -dc | cmp - "$T/want"
	remount
	same "$T/want" "$F" "after a remount"
	echo more >>"$F"
	eq more "$(tail -n1 "$F")"
}

test_blobs_are_lz4_files()
{
	local file
	start
	random_bytes 3000000 13 >"$T/random"
	repeat 300000 'again and again' >"$T/plain"
	cp "$T/random" "$M/a/drop/random"
	cp "$T/plain" "$M/a/drop/plain"
	unmount
	for file in random plain; do
		local digest
		digest=$(sha256sum <"$T/$file" | cut -d' ' -f1)
		lz4 -dc "$S/streams/a/blobs/${digest:0:2}/$digest.lz4" | cmp - "$T/$file"
	done
	num "$(du -sB1 "$S/streams/a/blobs" | cut -f1)" -lt 4000000 "compressed where it helps"
}

test_small_records_are_merged()
{
	local i before
	start
	for i in $(seq 400); do
		printf '{"sensor": %d, "temperature": 21.5, "status": "OK"}\n' "$i" >>"$F"
	done
	cat "$F" >"$T/want"
	remount
	same "$T/want" "$F"
	for i in $(seq 400); do echo "more $i" >>"$F"; done
	cat "$F" >"$T/want"
	kill9
	mount_store
	same "$T/want" "$F" "after kill -9"
	text_of $(segment_files a shard-0000) | cmp - "$T/want"
}

# unsynced STREAM: how many bytes of it are not known to be on the disk
unsynced() { jq '[.shards[] | .size_bytes - .synced_offset] | add' "$M/$1/stats"; }
all_synced() { [ "$(unsynced "$1")" = 0 ]; }

test_the_flush_interval_is_kept()
{
	mount_store
	new_stream soon '{"shards": 2, "flush_interval_ms": 10}'
	new_stream late '{"shards": 2, "flush_interval_ms": 3600000}'
	seq 100 | while read -r i; do echo "$i" >>"$M/late/put"; done
	num "$(unsynced late)" -gt 0 "bytes that are not synced"
	for i in 1 2 3; do
		echo "$i" >>"$M/soon/put"
		eventually all_synced soon
	done
	num "$(unsynced late)" -gt 0 "bytes that are not synced"
	# Shorter from now on, also for what is there already.
	echo '{"flush_interval_ms": 10}' >"$M/late/config"
	echo more >>"$M/late/shard-0000"
	echo more >>"$M/late/shard-0001"
	eventually all_synced late
}

test_fsync_covers_what_was_written_through_the_handle()
{
	mount_store
	new_stream a '{"shards": 4, "flush_interval_ms": 3600000, "key": {"field": 1, "separator": " "}}'
	sys open wa "$M/a/put" , write 'a 1\nb 2\nc 3\nd 4\ne 5\nf 6\ng 7\n' , fsync >"$T/got"
	num "$(find "$M/a" -name 'shard-*' -size +0 | wc -l)" -ge 2 "shards that took records"
	eq 0 "$(unsynced a)" "after fsync of put"
	sys open was "$M/a/shard-0001" , write 'x\n' >"$T/got"
	eq 0 "$(unsynced a)" "after a write with O_SYNC"
	sys open wad "$M/a/shard-0001" , write 'x\n' >"$T/got"
	eq 0 "$(unsynced a)" "after a write with O_DSYNC"
	echo x >>"$M/a/shard-0001"
	eq 2 "$(unsynced a)"
	sync "$M/a/shard-0001"
	eq 0 "$(unsynced a)" "after sync of a shard"
}

run_tests "$@"
