#!/bin/bash
# SPDX-License-Identifier: MIT
# drop/: a whole file becomes one record whose key is the file's name, whatever tool brings it.
. "$(dirname "$0")/lib.sh"

# Sixteen shards: that a record is in its key's shard tells the key.
start()
{
	mount_store
	new_stream a '{"shards": 16}'
	printf 'one\ntwo\n\nfour' >"$T/lines"
	echo 'a single line' >"$T/line"
	random_bytes 300000 5 >"$T/bytes"
}

records() { getfattr --only-values -n user.streamfs.sequence_next "$1"; }

# holds FILE KEY: exactly one record was made, it has this key and is this payload
holds()
{
	local shard sum line
	shard=$M/a/$(shard_of "$2" 16)
	sum=$(getfattr --absolute-names -n user.streamfs.sequence_next "$M"/a/shard-* |
		awk -F '"' '/^user/ { n += $2 } END { print n }')
	SEEN=$((${SEEN:-0} + 1))
	eq "$SEEN" "$sum" "records in the stream after $2"
	line=$(tail -n1 "$shard")
	eq "blobs/$(sha256sum <"$1" | cut -d' ' -f1)" "$(jq -r .claim_check.path <<<"$line")" "$2"
	same "$1" "$M/a/$(jq -r .claim_check.path <<<"$line")" "$2"
	eq "" "$(ls -A "$M/a/drop")" "what is still in drop"
}

test_every_tool_makes_one_record()
{
	start
	cp "$T/lines" "$M/a/drop/by-cp"
	holds "$T/lines" by-cp
	cp -p "$T/bytes" "$M/a/drop/by-cp-p"
	holds "$T/bytes" by-cp-p
	cat "$T/bytes" >"$M/a/drop/by-cat"
	holds "$T/bytes" by-cat
	tee "$M/a/drop/by-tee" <"$T/bytes" >"$T/tee"
	holds "$T/bytes" by-tee
	cp "$T/bytes" "$T/by-mv"
	mv "$T/by-mv" "$M/a/drop/"
	holds "$T/bytes" by-mv
	must_fail test -e "$T/by-mv"
	dd if="$T/bytes" of="$M/a/drop/by-dd" bs=7000 status=none
	holds "$T/bytes" by-dd
	install -m 600 "$T/bytes" "$M/a/drop/by-install"
	holds "$T/bytes" by-install
	cp "$T/bytes" "$T/by-rsync"
	rsync "$T/by-rsync" "$M/a/drop/"
	holds "$T/bytes" by-rsync
	cp "$T/bytes" "$T/by-rsync-a"
	rsync -a "$T/by-rsync-a" "$M/a/drop/"
	holds "$T/bytes" by-rsync-a
	cp "$T/bytes" "$T/by-inplace"
	rsync --inplace "$T/by-inplace" "$M/a/drop/"
	holds "$T/bytes" by-inplace
	rsync -a "$T/lines" "$M/a/drop/other-name"
	holds "$T/lines" other-name
	(cat "$T/lines"; cat "$T/bytes") >"$M/a/drop/by-subshell"
	cat "$T/lines" "$T/bytes" >"$T/both"
	holds "$T/both" by-subshell
	python3 -c 'import shutil, sys; shutil.copyfile(*sys.argv[1:])' "$T/bytes" \
		"$M/a/drop/by-python"
	holds "$T/bytes" by-python
	remount
	eq "$SEEN" "$(cat "$M"/a/shard-* | wc -l)" "records after a remount"
}

test_rsync_of_many_files()
{
	local i shard
	start
	mkdir "$T/many"
	for i in $(seq 30); do printf 'file %d\nsecond line\n' "$i" >"$T/many/file-$i"; done
	rsync -a "$T/many/" "$M/a/drop/" || true # its last word is about the directory's own mode
	eq 30 "$(cat "$M"/a/shard-* | wc -l)" records
	seq -f 'file-%g' 30 | shards_of 16 >"$T/shards"
	i=0
	while read -r shard; do
		i=$((i + 1))
		grep -q "$(sha256sum <"$T/many/file-$i" | cut -d' ' -f1)" \
			"$M/a/$(printf 'shard-%04u' "$shard")" ||
			fail "file-$i is not in its key's shard"
	done <"$T/shards"
	eq 30 "$i" "files looked for"
}

test_names_are_keys()
{
	local name
	start
	for name in photo.jpg .hidden 'with space' 'ünï' 'x%y' a:b; do
		cp "$T/lines" "$M/a/drop/$name"
		holds "$T/lines" "$name"
	done
}

test_a_single_line_stays_a_line()
{
	start
	cp "$T/line" "$M/a/drop/line"
	eq 'a single line' "$(cat "$M/a/$(shard_of line 16)")"
	printf 'without newline' >"$M/a/drop/bare"
	eq 'without newline' "$(tail -n1 "$M/a/$(shard_of bare 16)")"
	eq 2 "$(cat "$M"/a/shard-* | wc -l)" records
	eq "" "$(ls "$M/a/blobs")" blobs
}

test_an_empty_file_is_an_empty_record()
{
	start
	: >"$T/empty"
	cp "$T/empty" "$M/a/drop/empty"
	eventually test 1 = "$(records "$M/a/$(shard_of empty 16)")"
	touch "$M/a/drop/touched"
	eventually test 1 -le "$(records "$M/a/$(shard_of touched 16)")"
	eq 2 "$(cat "$M"/a/shard-* | wc -l)" records
	eq 2 "$(cat "$M"/a/shard-* | wc -c)" bytes
}

test_writes_at_any_place()
{
	start
	sys open wc "$M/a/drop/random" , pwrite 10 'later\n' , pwrite 0 'first\n' , pwrite 2 XX , \
		size , close >"$T/got"
	has_not "$(cat "$T/got")" '^E'
	eq "ok 16" "$(sed -n 5p "$T/got")" "size while open"
	printf 'fiXXt\n\0\0\0\0later\n' >"$T/want"
	holds "$T/want" random
	sys open wc "$M/a/drop/cut" , write 'much too long\nand longer\n' , ftruncate 4 , \
		pwrite 4 '\nx' , close >"$T/got"
	has_not "$(cat "$T/got")" '^E'
	printf 'much\nx' >"$T/want"
	holds "$T/want" cut
}

test_a_file_is_seen_in_drop_while_it_is_written()
{
	start
	exec 3>"$M/a/drop/slow"
	printf 'a\nb\n' >&3
	eq slow "$(ls "$M/a/drop")"
	eq 4 "$(size_of "$M/a/drop/slow")"
	eq 0 "$(cat "$M"/a/shard-* | wc -l)" "records before the close"
	exec 3>&-
	printf 'a\nb\n' >"$T/want"
	holds "$T/want" slow
	errno ENOENT open r "$M/a/drop/slow"
}

test_the_same_name_again_is_another_record()
{
	start
	printf '1\n1\n' >"$T/want"
	cp "$T/want" "$M/a/drop/same"
	holds "$T/want" same
	printf '2\n2\n' >"$T/want"
	cp "$T/want" "$M/a/drop/same"
	holds "$T/want" same
}

test_two_writers_of_one_name_do_not_mix()
{
	start
	cat >"$T/two.py" <<-'PY'
	import os, sys
	path, me = sys.argv[1], sys.argv[2].encode()
	for r in range(30):
	    try:
	        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
	    except FileExistsError:
	        continue
	    for i in range(20):
	        os.write(fd, me + b" %d\n" % i)
	    os.close(fd)
	PY
	python3 "$T/two.py" "$M/a/drop/both" A &
	local other=$!
	python3 "$T/two.py" "$M/a/drop/both" B
	wait "$other"
	local blob
	num "$(ls "$M/a/blobs" | wc -l)" -ge 1
	for blob in "$M"/a/blobs/*; do
		eq 20 "$(wc -l <"$blob")" "lines of a payload"
		eq 1 "$(cut -d' ' -f1 "$blob" | sort -u | wc -l)" "writers of a payload"
	done
}

test_an_upload_that_is_removed_is_no_record()
{
	start
	exec 3>"$M/a/drop/.oops.AbC123"
	printf 'a\nb\n' >&3
	exec 3>&-
	rm "$M/a/drop/.oops.AbC123"
	eq 0 "$(cat "$M"/a/shard-* | wc -l)" records
	cp "$T/lines" "$M/a/drop/fine"
	holds "$T/lines" fine
}

test_a_broken_connection_completes_no_file()
{
	local writer
	start
	"$TOOLS_DIR/sys" open wc "$M/a/drop/part" , write 'a part' , touch "$T/written" , \
		await "$T/go" >"$T/got" &
	writer=$!
	"$TOOLS_DIR/sys" open wc "$M/a/drop/moved" , dup 1 , close , use 1 , write 'a part' , \
		touch "$T/moved" , await "$T/go" >"$T/got.moved" &
	eventually test -e "$T/written" -a -e "$T/moved"
	cp "$T/bytes" "$M/a/drop/whole"
	umount -f "$M" || true
	ended
	touch "$T/go"
	wait "$writer" || true
	while is_mounted "$M"; do umount -l "$M"; done
	mount_store
	holds "$T/bytes" whole
}

test_eight_processes_drop_at_once()
{
	local i pids=()
	start
	for i in 1 2 3 4 5 6 7 8; do
		(for j in $(seq 15); do
			printf 'from %d\nnumber %d\n' "$i" "$j" >"$T/src.$i"
			cp "$T/src.$i" "$M/a/drop/p$i-$j"
		done) & pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	eq 120 "$(cat "$M"/a/shard-* | wc -l)" records
	eq 120 "$(ls "$M/a/blobs" | wc -l)" blobs
	for i in 1 4 8; do
		eq 1 "$(grep -c "$(printf 'from %d\nnumber 9\n' "$i" | sha256sum | cut -d' ' -f1)" \
			"$M/a/$(shard_of "p$i-9" 16)")" "p$i-9 in its shard"
	done
}

test_a_large_file()
{
	start
	random_bytes 30000000 9 >"$T/large"
	cp "$T/large" "$M/a/drop/large.bin"
	holds "$T/large" large.bin
	remount
	same "$T/large" "$M/a/blobs/$(ls "$M/a/blobs")" "after a remount"
}

test_several_lines_are_a_claim_check_under_every_policy()
{
	local policy
	start
	for policy in split reject claim-check; do
		echo "{\"large_records\": {\"policy\": \"$policy\"}}" >"$M/a/config"
		echo "$policy" >>"$T/lines"
		cp "$T/lines" "$M/a/drop/$policy"
		holds "$T/lines" "$policy"
	done
}

run_tests "$@"
