#!/bin/bash
# SPDX-License-Identifier: MIT
# Trimming and retention: what goes, what stays, and who is told.
. "${0%/*}/lib.sh"

horizon() { sed -n "s/^$1://p" "$M/a/trim"; }

test_all_empties_a_stream()
{
	mount_store
	new_stream a '{"shards": 3}'
	for i in $(seq 30); do echo "r $i" >>"$M/a/put"; done
	must_fail rmdir "$M/a"
	sizes=$(stat -c %s "$M"/a/shard-*)
	echo all >"$M/a/trim"
	eq "" "$(cat "$M/a/all")" "all"
	eq "" "$(cat "$M"/a/shard-*)" "shards"
	eq "$sizes" "$(stat -c %s "$M"/a/shard-*)" "sizes stay"
	eq "" "$(find "$S/streams/a" -name '*.lz4')" "segments"
	echo new >>"$M/a/put"
	eq new "$(cat "$M/a/all")" "after"
	remount
	eq new "$(cat "$M/a/all")" "after a remount"
	echo all >"$M/a/trim"
	rmdir "$M/a"
	not_there() { ! [ -e "$S/streams/a" ]; }
	not_there || fail "the stream's directory is there"
}

test_by_sequence_number()
{
	mount_store
	new_stream a '{"shards": 2}'
	for i in $(seq 0 19); do
		echo "x $i" >>"$M/a/shard-0000"
		[ "$i" -ge 5 ] || echo "y $i" >>"$M/a/shard-0001"
	done
	echo 3 >"$M/a/trim"
	eq "$(seq -f 'x %g' 3 19)" "$(cat "$M/a/shard-0000")" "shard-0000"
	eq "$(seq -f 'y %g' 3 4)" "$(cat "$M/a/shard-0001")" "shard-0001"
	eq 3 "$(getfattr --absolute-names -n user.streamfs.sequence_first --only-values "$M/a/shard-0000")" "first"
	echo 10 >"$M/a/trim"
	eq "$(seq -f 'x %g' 10 19)" "$(cat "$M/a/shard-0000")" "shard-0000"
	eq "" "$(cat "$M/a/shard-0001")" "past its end"
	echo 2 >"$M/a/trim" # it never goes back
	eq "$(seq -f 'x %g' 10 19)" "$(cat "$M/a/shard-0000")" "not back"
	eq 10 "$(head -n 1 "$M/a/json/shard-0000" | jq .sequence)" "json"
	remount
	eq "$(seq -f 'x %g' 10 19)" "$(cat "$M/a/shard-0000")" "after a remount"
	echo "x 20" >>"$M/a/shard-0000"
	eq 20 "$(tail -n 1 "$M/a/json/shard-0000" | jq .sequence)" "next"
}

test_by_time()
{
	mount_store
	new_stream a
	echo old >>"$M/a/put"
	sleep 1.1
	now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	sleep 1
	echo new >>"$M/a/put"
	echo 7d >"$M/a/trim"
	eq "old new" "$(echo $(cat "$M/a/all"))" "an age"
	echo "$now" >"$M/a/trim"
	eq new "$(cat "$M/a/all")" "RFC 3339"
	echo 2100-01-01T00:00:00Z >"$M/a/trim"
	eq "" "$(cat "$M/a/all")" "the future"
}

test_by_offset()
{
	mount_store
	new_stream a '{"shards": 2}'
	text_lines 500 >"$T/text"
	cat "$T/text" >>"$M/a/shard-0000"
	echo other >>"$M/a/shard-0001"
	at=$(head -n 200 "$T/text" | wc -c)
	echo "shard-0000:$at" >"$M/a/trim"
	tail -n +201 "$T/text" >"$T/want"
	same "$T/want" "$M/a/shard-0000"
	eq other "$(cat "$M/a/shard-0001")" "the other shard"
	eq "$at" "$(horizon shard-0000)" "trim shows it"
	eq 0 "$(horizon shard-0001)" "trim shows it"
	from_byte "$at" "$M/a/shard-0000" >"$T/got"
	same "$T/want" "$T/got" "at the horizon"
	cat "$M/a/trim" >"$T/positions" && cat "$T/positions" >/dev/null
}

test_what_is_no_position_is_einval()
{
	mount_store
	new_stream a
	printf 'one\ntwo\n' >>"$M/a/shard-0000"
	for wrong in "" none ALL -1 3 99999999999999999999 shard-0000 shard-0000: shard-0000:1 \
		shard-0000:9 shard-0001:0 shard-00:0 shard-0000:-1 "all all" 5w 2026-01-01 \
		shard-0000:18446744073709551616; do
		must_fail sh -c "echo '$wrong' > '$M/a/trim'"
		eq "one two" "$(echo $(cat "$M/a/all"))" "after $wrong"
	done
	has "$(cat "$LOG")" 'a/trim: .*no record begins there'
	has "$(cat "$LOG")" 'a/trim: .*next record has sequence number 2'
	has "$(cat "$LOG")" 'a/trim: wants all, a sequence number'
	printf '  1 \n' >"$M/a/trim" # white space is fine
	eq two "$(cat "$M/a/all")" "white space"
}

test_offsets_and_sizes_stay()
{
	mount_store
	new_stream a
	text_lines 3000 >"$T/text"
	cat "$T/text" >>"$M/a/shard-0000"
	at=$(head -n 1000 "$T/text" | wc -c)
	later=$(head -n 2500 "$T/text" | wc -c)
	echo 1000 >"$M/a/trim"
	eq "$(size_of "$T/text")" "$(size_of "$M/a/shard-0000")" "size"
	eq "$(sed -n 2501p "$T/text")" "$(tail -c +$((later + 1)) "$M/a/shard-0000" | sed -n 1p)" "offset"
	eq "$(tail -n 3 "$T/text")" "$(tail -n 3 "$M/a/shard-0000")" "tail"
	eq "$at" "$(sys open r "$M/a/shard-0000" , seek data 0 | tail -n1 | cut -d' ' -f2)" "SEEK_DATA"
	eq 2000 "$(wc -l <"$M/a/shard-0000")" "lines"
	eq 1000 "$(grep -c . <(head -n 1000 "$M/a/shard-0000"))" "head"
	remount
	eq "$at" "$(horizon shard-0000)" "horizon after a remount"
	tail -n +1001 "$T/text" >"$T/want"
	same "$T/want" "$M/a/shard-0000" "after a remount"
}

test_segments_go_and_space_comes_back()
{
	mount_store
	new_stream a '{"compression": "none"}'
	for i in 1 2 3; do random_bytes $((70 * MIB)) "$i" | base64 >>"$M/a/shard-0000"; done
	before=$(stat -c %b "$M/a/shard-0000")
	num "$(segment_files a shard-0000 | wc -l)" -ge 3 "segments"
	echo $(($(jq '.shards[0].sequence_next' "$M/a/stats") - 10)) >"$M/a/trim"
	eq 1 "$(segment_files a shard-0000 | wc -l)" "segments that are left"
	num "$(stat -c %b "$M/a/shard-0000")" -lt $((before / 2)) "blocks"
	eq 10 "$(wc -l <"$M/a/shard-0000")" "records"
	unmount
	exits 0 "$FSCK_BIN" "$S"
	mount_store
	eq 10 "$(wc -l <"$M/a/shard-0000")" "records after a remount"
}

test_a_reader_that_falls_behind_is_told()
{
	mount_store
	new_stream a
	text_lines 20000 >>"$M/a/shard-0000"
	python3 - "$M/a/shard-0000" "$M/a/trim" <<-'EOT'
	import errno, os, sys
	path, trim = sys.argv[1:]
	def put(position):
	    with open(trim, "w") as f: f.write(position + "\n")
	whole = open(path, "rb").read()
	lines = whole.splitlines(keepends=True)
	at = lambda n: sum(map(len, lines[:n]))
	# Through the page cache, opened before any trim; and without it, opened after one.
	for first, second in ((5000, 9000), (9500, 12000)):
	    fd = os.open(path, os.O_RDONLY)
	    got = os.read(fd, 4096)
	    put(str(second))
	    behind = None
	    for _ in range(3):
	        try:
	            while True:
	                piece = os.read(fd, 65536)
	                assert piece, "the end was read over a gap"
	        except OSError as e:
	            assert e.errno == errno.ESTALE, e
	            behind = True
	    assert behind
	    horizon = os.lseek(fd, os.lseek(fd, 0, os.SEEK_CUR), os.SEEK_DATA)
	    assert horizon == at(second), (horizon, at(second))
	    assert os.read(fd, 100) == whole[horizon:horizon + 100]
	    again = os.open(path, os.O_RDONLY)
	    assert os.read(again, 100) == whole[horizon:horizon + 100]
	    rest = b""
	    os.lseek(again, 0, os.SEEK_SET)
	    while True:
	        piece = os.read(again, 1 << 20)
	        if not piece: break
	        rest += piece
	    assert rest == whole[horizon:]
	    # (Who was there before the trim may still read what is in the horizon's page.)
	    for of, offset in ((fd, 10), (fd, horizon - 5000), (again, 10), (again, horizon - 1)):
	        try: os.pread(of, 10, offset); raise SystemExit("read at %d" % offset)
	        except OSError as e: assert e.errno == errno.ESTALE
	EOT
}

# What reads ahead and goes back, and what reads backwards, each over the horizon.
test_shells_and_tail_read_what_is_there()
{
	mount_store
	new_stream a
	text_lines 3000 >"$T/text"
	cat "$T/text" >>"$M/a/shard-0000"
	for at in 10 1500 2990; do
		echo "$at" >"$M/a/trim"
		tail -n +$((at + 1)) "$T/text" >"$T/want"
		for file in shard-0000 json/shard-0000; do
			F=$M/a/$file
			while IFS= read -r line; do printf '%s\n' "$line"; done <"$F" >"$T/got"
			cat "$F" >"$T/cat"
			same "$T/cat" "$T/got" "read, $file from $at"
			{ head -n 1 && head -n 2 && cat; } <"$F" >"$T/got"
			same "$T/cat" "$T/got" "head, $file from $at"
		done
		# What wants a size or reads backwards beyond it has a view for that.
		V=$M/a/since/0/shard-0000
		eq "$(size_of "$T/want")" "$(size_of "$V")" "size of since/0"
		tac "$V" | tac >"$T/got"
		same "$T/want" "$T/got" "tac, since/0 from $at"
		tail -n 5000 "$V" >"$T/got"
		same "$T/want" "$T/got" "tail, since/0 from $at"
	done
}

# Whatever part of the block that it reads first, or of those before, is there.
test_tail_reads_back_to_the_horizon()
{
	mount_store
	text_lines 1000 >"$T/text"
	for at in 100 530 850 900 950 980; do
		new_stream "a$at"
		cat "$T/text" >>"$M/a$at/shard-0000"
		echo "$at" >"$M/a$at/trim"
		for count in 1 10 20; do
			for more in "" "$(repeat 170 'some more text, so that its blocks are others')"; do
				[ -z "$more" ] || echo "$more" >>"$M/a$at/shard-0000"
				tail -n "$count" "$M/a$at/shard-0000" >"$T/got"
				cat "$M/a$at/shard-0000" | tail -n "$count" >"$T/want"
				same "$T/want" "$T/got" "tail -n $count from $at"
			done
		done
		# More than there are: all.
		tail -n 5000 "$M/a$at/shard-0000" >"$T/got"
		same "$M/a$at/shard-0000" "$T/got" "more than there are from $at"
		retained=$(wc -l <"$M/a$at/shard-0000")
		tail -n "$((retained - 1))" "$M/a$at/shard-0000" >"$T/got"
		sed 1d "$M/a$at/shard-0000" >"$T/want"
		same "$T/want" "$T/got" "all but one from $at"
	done
}

test_tail_follows_where_nearly_all_was_trimmed()
{
	mount_store
	new_stream a
	text_lines 2000 >>"$M/a/shard-0000"
	echo all >"$M/a/trim"
	for lines in "" "one" "one two"; do
		[ -z "$lines" ] || echo "${lines##* }" >>"$M/a/shard-0000"
		for file in shard-0000 json/shard-0000; do
			tail "$M/a/$file" >"$T/got"
			same "$M/a/$file" "$T/got" "tail $file with <$lines>"
			tail -n 5 -f "$M/a/$file" >"$T/${file%/*}.$lines" 2>"$T/err" &
			echo $! >>"$T/tails"
		done
	done
	echo last >>"$M/a/shard-0000"
	for lines in "" "one" "one two"; do
		for file in shard-0000 json; do
			eventually grep -q last "$T/$file.$lines"
			eq "$(wc -l <"$M/a/shard-0000")" "$(wc -l <"$T/$file.$lines")" "$file, <$lines>"
		done
	done
	eq "" "$(cat "$T/err")" "tail says"
	kill $(cat "$T/tails")
}

test_nothing_below_the_horizon_comes_from_the_cache()
{
	mount_store
	new_stream a
	text_lines 50000 >>"$M/a/shard-0000"
	exec 7<"$M/a/shard-0000"
	cat "$M/a/shard-0000" >/dev/null # warm
	echo 40000 >"$M/a/trim"
	python3 - 7 "$(horizon shard-0000)" <<-'EOT'
	import errno, mmap, os, sys
	fd, horizon = int(sys.argv[1]), int(sys.argv[2])
	for offset in range(0, horizon - 1, 40961):
	    try: os.pread(fd, 100, offset); raise SystemExit("read at %d" % offset)
	    except OSError as e: assert e.errno == errno.ESTALE, e
	EOT
	exec 7<&-
}

has_lines() { [ "$(wc -l <"$1")" = "$2" ]; }

test_a_tailer_that_keeps_up_sees_all()
{
	mount_store
	new_stream a
	tail -n +1 -f -s 0.05 "$M/a/shard-0000" >"$T/got" 2>"$T/err" &
	tailer=$!
	for i in $(seq 40); do
		seq -f "$i %g" 50 >>"$M/a/shard-0000"
		eventually has_lines "$T/got" $((i * 50))
		echo $((i * 50 - 10)) >"$M/a/trim"
	done
	for i in $(seq 40); do seq -f "$i %g" 50; done >"$T/want"
	same "$T/want" "$T/got"
	eq "" "$(cat "$T/err")" "what tail said"
	kill $tailer
}

test_views_start_at_the_horizon()
{
	mount_store
	new_stream a '{"shards": 2}'
	for i in $(seq 0 99); do echo "n $i" >>"$M/a/keys/k$((i % 3))"; done
	cat "$M/a/json/all" >"$T/before"
	size=$(size_of "$M/a/json/shard-0000")
	echo 20 >"$M/a/trim"
	jq -c 'select(.sequence >= 20)' "$T/before" | sort >"$T/want"
	jq -c . "$M/a/json/all" | sort >"$T/got"
	same "$T/want" "$T/got" "json/all"
	for shard in shard-0000 shard-0001; do
		jq -c "select(.shard == \"$shard\")" "$T/want" | jq -sc 'sort_by(.sequence)[]' >"$T/one"
		jq -c . "$M/a/json/$shard" >"$T/got"
		same "$T/one" "$T/got" "json/$shard"
	done
	eq "$size" "$(size_of "$M/a/json/shard-0000")" "size of json"
	jq -r .data "$T/want" | sort >"$T/text"
	sort "$M/a/since/1d/all" >"$T/got"
	same "$T/text" "$T/got" "since/1d/all"
	for k in k0 k1 k2; do
		eq "$(jq -r "select(.key == \"$k\") | .data" "$T/want" | sort)" \
			"$(sort "$M/a/keys/$k")" "keys/$k"
	done
	echo all >"$M/a/trim"
	eq "" "$(ls "$M/a/keys")" "keys"
}

test_trimmed_json_can_be_sought()
{
	mount_store
	new_stream a
	text_lines 4000 >>"$M/a/shard-0000"
	J=$M/a/json/shard-0000
	cat "$J" >"$T/json"
	for n in 700 2100 3333; do
		echo "$n" >"$M/a/trim"
		at=$(head -n "$n" "$T/json" | wc -c)
		eq "$(size_of "$T/json")" "$(size_of "$J")" "size"
		from_byte "$at" "$J" >"$T/got"
		tail -n +$((n + 1)) "$T/json" >"$T/want"
		same "$T/want" "$T/got" "from the horizon"
		same "$T/want" "$J" "read from the start"
		eq "$at" "$(sys open r "$J" , seek data 0 | tail -n1 | cut -d' ' -f2)" "SEEK_DATA"
	done
	remount
	same "$T/want" "$J" "after a remount"
}

test_blobs_go_with_their_last_reference()
{
	mount_store
	new_stream a '{"large_records": {"threshold_bytes": 1024}}'
	head -c 5000 /dev/zero | tr '\0' x >"$T/one"
	head -c 5000 /dev/zero | tr '\0' y >"$T/two"
	cp "$T/one" "$M/a/drop/"
	cp "$T/two" "$M/a/drop/"
	cp "$T/one" "$M/a/drop/again"
	eq 2 "$(blob_files a | wc -l)" "blobs"
	echo 1 >"$M/a/trim"
	path=$(jq -r .claim_check.path "$M/a/shard-0000" | tail -n 1)
	same "$T/one" "$M/a/$path" "named once more"
	echo 2 >"$M/a/trim"
	one_blob() { [ "$(blob_files a | wc -l)" = 1 ]; }
	eventually one_blob
	same "$T/one" "$M/a/$path" "the last reference"
	echo all >"$M/a/trim"
	no_blob() { [ "$(blob_files a | wc -l)" = 0 ]; }
	eventually no_blob
	rmdir "$M/a"
}

test_closed_shards_go_when_they_are_empty()
{
	mount_store
	new_stream a '{"shards": 2}'
	for i in $(seq 20); do echo "before $i" >>"$M/a/put"; done
	echo '{"shards": 3}' >"$M/a/config"
	for i in $(seq 20); do echo "after $i" >>"$M/a/put"; done
	[ -e "$M/a/shard-0000" ] || fail "shard-0000 is gone"
	echo "shard-0000:$(size_of "$M/a/shard-0000")" >"$M/a/trim"
	must_fail stat "$M/a/shard-0000"
	[ -e "$M/a/shard-0001" ] || fail "shard-0001 is gone"
	[ -e "$M/a/shard-0002" ] || fail "shard-0002 is gone"
	has_not "$(ls "$S/streams/a")" shard-0000
	remount
	must_fail stat "$M/a/shard-0000"
	num "$(grep -c after "$M/a/all")" -eq 20 "records of the children"
	echo all >"$M/a/trim"
	eq "shard-0002 shard-0003 shard-0004" "$(cd "$M/a" && echo shard-*)" "shards"
	unmount
	exits 0 "$FSCK_BIN" "$S"
}

test_retention_by_bytes()
{
	mount_store
	new_stream a
	for i in $(seq 50); do
		text_lines 200 >>"$M/a/shard-0000"
		sleep 0.005
	done
	echo '{"retention_bytes": 100000}' >"$M/a/config"
	retained() { echo $(($(size_of "$M/a/shard-0000") - $(horizon shard-0000))); }
	is_trimmed() { [ "$(retained)" -lt 130000 ]; }
	eventually is_trimmed
	num "$(retained)" -ge 100000 "what is kept"
	eq "$(tail -n 100 <(text_lines 200))" "$(tail -n 100 "$M/a/shard-0000")" "the newest"
}

test_retention_by_hours_keeps_what_is_young()
{
	mount_store
	new_stream a
	echo young >>"$M/a/put"
	echo '{"retention_hours": 1}' >"$M/a/config"
	sleep 0.5
	eq young "$(cat "$M/a/all")" "record"
	eq 1 "$(jq .retention_hours "$M/a/config")" "setting"
}

test_trim_under_load()
{
	mount_store
	new_stream a '{"shards": 3, "key": {"field": 1, "separator": " "}}'
	for w in 1 2 3 4; do
		(for i in $(seq 1500); do echo "w$w $i"; done >>"$M/a/put") &
		writers="${writers:-} $!"
	done
	cat "$M/a/live/all" >"$T/live" &
	live=$!
	(while :; do cat "$M/a/all" >"$T/scratch" 2>/dev/null || true; done) &
	reader=$!
	for i in $(seq 20); do
		echo $((i * 20)) >"$M/a/trim" 2>/dev/null || true
		sleep 0.02
	done
	wait $writers
	kill $reader $live
	wait $reader || true
	for shard in shard-0000 shard-0001 shard-0002; do
		first=$(getfattr --absolute-names -n user.streamfs.sequence_first --only-values "$M/a/$shard")
		next=$(getfattr --absolute-names -n user.streamfs.sequence_next --only-values "$M/a/$shard")
		eq $((next - first)) "$(wc -l <"$M/a/$shard")" "records of $shard"
	done
	for w in 1 2 3 4; do
		eq "w$w 1500" "$(grep "^w$w " "$M/a/all" | tail -n 1)" "the last of writer $w"
		got=$(grep -c "^w$w " "$M/a/all")
		eq "$(seq -f "w$w %g" $((1501 - got)) 1500)" "$(grep "^w$w " "$M/a/all")" "writer $w has no hole"
	done
}

test_a_killed_daemon_leaves_a_trim_done_or_not()
{
	mount_store
	new_stream a '{"shards": 2}'
	text_lines 2000 >>"$M/a/shard-0000"
	cp "$M/a/shard-0000" "$T/text"
	for n in 100 500 900 1300 1700 2000; do
		(echo "$n" >"$M/a/trim" || true) 2>/dev/null &
		sleep "0.00$((RANDOM % 10))"
		kill9
		wait
		mount_store
		first=$(getfattr --absolute-names -n user.streamfs.sequence_first --only-values "$M/a/shard-0000")
		[ "$first" = "$n" ] || [ "$first" = "${last:-0}" ] || fail "horizon at $first"
		tail -n +$((first + 1)) "$T/text" >"$T/want"
		same "$T/want" "$M/a/shard-0000" "from $first"
		last=$first
	done
}

test_read_only_mounts_are_not_trimmed()
{
	mount_store
	new_stream a
	echo x >>"$M/a/put"
	remount -o ro
	must_fail sh -c "echo all > '$M/a/trim'"
	eq x "$(cat "$M/a/all")" "record"
}

# Fills the disk below the store to its last block, by records and then by a file.
fill_disk()
{
	random_bytes $((4 * MIB)) 7 | base64 >"$T/piece"
	while cat "$T/piece" >>"$M/a/shard-0000" 2>/dev/null; do :; done
	cat /dev/zero >"$T/disk/filler" 2>/dev/null || true
	eq 0 "$(df --output=avail "$T/disk" | tail -n 1 | tr -d ' ')" "what is left of the disk"
}

check_trim_of_full_disk()
{
	mkdir "$T/disk/store"
	S=$T/disk/store
	mount_store
	new_stream a
	echo first >>"$M/a/shard-0000"
	sync "$M/a/shard-0000" # its watermark has its place on the disk from here on
	fill_disk
	must_fail sh -c "cat '$T/piece' >>'$M/a/shard-0000'"
	echo all >"$M/a/trim"
	eq "" "$(cat "$M/a/shard-0000")" "after the trim"
	echo again >>"$M/a/shard-0000"
	eq again "$(cat "$M/a/shard-0000")" "after an append"
	remount
	eq again "$(cat "$M/a/shard-0000")" "after a remount"
	unmount
	exits 0 "$FSCK_BIN" "$S"
	umount "$T/disk"
}

test_a_full_disk_can_be_trimmed()
{
	mkdir "$T/disk"
	mount -t tmpfs -o size=30m streamfs-test "$T/disk"
	check_trim_of_full_disk
}

test_who_may_only_write_cannot_trim()
{
	mount_store -o allow_other
	new_stream a
	chmod 733 "$M/a"
	echo x >>"$M/a/put"
	eq 600 "$(stat -c %a "$M/a/trim")" "mode"
	eq 600 "$(stat -c %a "$M/a/config")" "mode of config"
	must_fail setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "echo all > '$M/a/trim'"
	setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "echo y >> '$M/a/put'"
	eq "x y" "$(echo $(cat "$M/a/all"))" "records"
}

test_a_trimmed_shard_is_mapped_private_only()
{
	mount_store
	new_stream a
	seq 10000 >>"$M/a/put"
	echo 5000 >"$M/a/trim"
	python3 - "$M/a/shard-0000" "$M/a/json/shard-0000" <<-'EOT'
	import errno, mmap, os, sys
	fd = os.open(sys.argv[1], os.O_RDONLY)
	text = b"".join(b"%d\n" % i for i in range(1, 10001))
	private = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
	for at in [len(text) - 4000, 28672, 36864, 32768, text.index(b"\n5001\n") + 1]:
	    assert private[at:at + 4000] == text[at:at + 4000], at
	json = os.open(sys.argv[2], os.O_RDONLY)
	view = mmap.mmap(json, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
	for at in [len(view) - 4000, len(view) * 2 // 3]:
	    assert view[at:at + 4000] == os.pread(json, 4000, at), at
	try:
	    mmap.mmap(fd, 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
	    sys.exit("mapped shared")
	except OSError as e:
	    assert e.errno == errno.ENODEV, e
	EOT
}

run_tests "$@"
