#!/bin/bash
# SPDX-License-Identifier: MIT
# Streams: directories that are made, removed, renamed and owned.
. "${0%/*}/lib.sh"

test_a_new_mount_has_only_its_own_directory()
{
	mount_store
	eq .streamfs "$(ls -A "$M")"
	eq "README defaults metrics version" "$(echo $(ls "$M/.streamfs"))"
	has "$(cat "$M/.streamfs/version")" '[0-9]+\.[0-9]+\.[0-9]+'
	num "$(wc -l <"$M/.streamfs/README")" -ge 10
}

test_the_version_file_has_the_format_of_the_store()
{
	mount_store
	eq "format $(jq .format "$S/streamfs.json")" "$(sed -n 2p "$M/.streamfs/version")"
}

test_mkdir_makes_a_stream()
{
	local name
	mount_store
	mkdir "$M/orders"
	for name in blobs config drop put shard-0000 stats; do
		[ -e "$M/orders/$name" ] || fail "$name is missing"
		has "$(ls "$M/orders")" "^$name\$" "names in the stream"
	done
	eq orders "$(ls "$M")"
	[ -f "$M/orders/shard-0000" ] && [ -d "$M/orders/drop" ] && [ -d "$M/orders/blobs" ]
	errno EEXIST mkdir "$M/orders" 755
	remount
	eq orders "$(ls "$M")"
}

test_names_follow_the_rule()
{
	local name long
	long=$(printf 'n%.0s' $(seq 128))
	mount_store
	for name in a A.b_c-9 -dash _x 0 "$long"; do
		errno ok mkdir "$M/$name" 755
		[ -d "$M/$name" ]
	done
	for name in .dot ..x "a b" a:b 'a\b' 'a*' $'a\tb' $'a\nb' ü "${long}n" a@b a+b; do
		errno EINVAL mkdir "$M/$name" 755
		errno EINVAL rename "$M/a" "$M/$name"
	done
	[ -d "$M/a" ]
	errno EEXIST mkdir "$M/.streamfs" 755
	eq 6 "$(ls "$M" | wc -l)" streams
	remount
	eq 6 "$(ls "$M" | wc -l)" "streams after a remount"
}

test_nothing_else_can_be_made()
{
	mount_store
	mkdir "$M/a"
	must_fail touch "$M/file"
	must_fail touch "$M/a/file"
	must_fail touch "$M/.streamfs/file"
	must_fail touch "$M/a/blobs/file"
	must_fail touch "$M/a/shard-0001"
	must_fail mkdir "$M/a/dir"
	must_fail mkdir "$M/.streamfs/dir"
	must_fail ln -s x "$M/link"
	must_fail ln -s x "$M/a/link"
	must_fail mkfifo "$M/a/fifo"
	must_fail rm "$M/a/config"
	must_fail rm "$M/.streamfs/version"
	must_fail rmdir "$M/a/drop"
	must_fail rmdir "$M/.streamfs"
	must_fail mv "$M/a/config" "$M/a/other"
	must_fail mv "$M/a" "$M/.streamfs/a"
	eq a "$(ls "$M")"
}

test_rmdir_removes_an_empty_stream()
{
	mount_store
	mkdir "$M/a" "$M/b"
	rmdir "$M/a"
	eq b "$(ls "$M")"
	errno ENOENT open r "$M/a/shard-0000"
	errno ENOENT rmdir "$M/a"
	mkdir "$M/a"
	echo new >>"$M/a/shard-0000"
	eq new "$(cat "$M/a/shard-0000")"
	rmdir "$M/b"
	remount
	eq a "$(ls "$M")"
}

test_what_recovery_set_aside_moves_to_lost_and_found()
{
	mount_store
	mkdir "$M/a"
	unmount
	printf 'half a write' >"$S/streams/a/shard-0000/00000000000000000000.lz4"
	mount_store
	eq 0 "$(size_of "$M/a/shard-0000")"
	rmdir "$M/a"
	[ ! -e "$S/streams/a" ]
	eq 'half a write' "$(cat "$S"/lost+found/a.*.shard-0000.*.torn)"
	has "$(cat "$LOG")" 'lost\+found/a\.'
}

test_rmdir_keeps_a_stream_with_records()
{
	mount_store
	mkdir "$M/a" "$M/d"
	echo x >>"$M/a/shard-0000"
	echo y >"$M/d/drop/key"
	errno ENOTEMPTY rmdir "$M/a"
	errno ENOTEMPTY rmdir "$M/d"
	remount
	errno ENOTEMPTY rmdir "$M/a"
	eq x "$(cat "$M/a/shard-0000")"
	eq y "$(cat "$M/d/shard-0000")"
}

test_rm_rf_destroys_nothing()
{
	mount_store
	mkdir "$M/a"
	text_lines 1000 | tee "$T/want" >>"$M/a/shard-0000"
	head -c 1500000 /dev/zero | tr '\0' z >"$T/large"
	cp "$T/large" "$M/a/drop/large"
	cp "$M/a/shard-0000" "$T/want"
	cat "$M/a/config" >"$T/config"
	must_fail rm -rf "$M/a"
	has "$(cat "$T/must_fail.out")" 'shard-0000.*Operation not permitted'
	must_fail rm -rf "$M/a" "$M/.streamfs"
	same "$T/want" "$M/a/shard-0000"
	same "$T/config" "$M/a/config"
	same "$T/large" "$M/a/blobs/$(ls "$M/a/blobs")"
	remount
	same "$T/want" "$M/a/shard-0000" "after a remount"
	same "$T/large" "$M/a/blobs/$(ls "$M/a/blobs")" "after a remount"
}

test_mv_renames_a_stream()
{
	local ino
	mount_store
	mkdir "$M/orders" "$M/other"
	echo one >>"$M/orders/shard-0000"
	ino=$(stat -c %i "$M/orders/shard-0000")
	exec 3>>"$M/orders/shard-0000" 4<"$M/orders/shard-0000"
	mv "$M/orders" "$M/orders-old"
	errno ENOENT open r "$M/orders/shard-0000"
	echo two >&3
	eq "one two" "$(echo $(cat <&4))" "by a descriptor from before"
	exec 3>&- 4<&-
	echo three >>"$M/orders-old/put"
	eq "one two three" "$(echo $(cat "$M/orders-old/shard-0000"))"
	eq "$ino" "$(stat -c %i "$M/orders-old/shard-0000")" "inode number"
	mkdir "$M/orders"
	eq 0 "$(size_of "$M/orders/shard-0000")" "size of the new one"
	errno EEXIST noreplace "$M/orders" "$M/orders-old"
	has "$(sys rename "$M/orders" "$M/orders-old")" '^(ENOTEMPTY|EEXIST)$'
	errno EINVAL exchange "$M/orders" "$M/orders-old"
	errno ENOENT rename "$M/none" "$M/more"
	remount
	eq "orders orders-old other" "$(echo $(ls "$M"))"
	eq "one two three" "$(echo $(cat "$M/orders-old/shard-0000"))"
	eq "$ino" "$(stat -c %i "$M/orders-old/shard-0000")" "inode number after a remount"
}

test_inode_numbers_are_never_used_again()
{
	local i
	mount_store
	for i in 1 2 3; do
		mkdir "$M/a" "$M/b"
		stat -c '%i' "$M"/a "$M"/a/* "$M"/b "$M"/b/* >>"$T/inodes"
		rmdir "$M/a" "$M/b"
		remount
	done
	num "$(wc -l <"$T/inodes")" -ge 42
	eq "" "$(sort "$T/inodes" | uniq -d)" "inode numbers used twice"
}

test_owner_and_mode_come_from_the_caller()
{
	mount_store -o allow_other
	chmod 1777 "$M"
	(umask 027 && mkdir "$M/mine")
	eq "750 0 0" "$(stat -c '%a %u %g' "$M/mine")"
	setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "umask 022; mkdir '$M/theirs'"
	eq "755 65534 65534" "$(stat -c '%a %u %g' "$M/theirs")"
	eq "65534 65534" "$(stat -c '%u %g' "$M/theirs/shard-0000")"
	remount -o allow_other
	eq 1777 "$(stat -c %a "$M")" "mode of the root"
	eq "750 0 0" "$(stat -c '%a %u %g' "$M/mine")" "after a remount"
	eq "755 65534 65534" "$(stat -c '%a %u %g' "$M/theirs")" "after a remount"
}

test_chmod_and_chown_last()
{
	mount_store
	mkdir "$M/a"
	chmod 2751 "$M/a"
	chown 1234:4321 "$M/a"
	eq "2751 1234 4321" "$(stat -c '%a %u %g' "$M/a")"
	kill9
	mount_store
	eq "2751 1234 4321" "$(stat -c '%a %u %g' "$M/a")" "after kill -9"
	eq "1234 4321" "$(stat -c '%u %g' "$M/a/shard-0000")" "the shard's owner"
	must_fail chmod 600 "$M/a/shard-0000"
	must_fail chown 1 "$M/a/shard-0000"
	eq "1234 4321" "$(stat -c '%u %g' "$M/a/shard-0000")" "the shard's owner"
}

test_files_derive_their_modes()
{
	mount_store
	mkdir -m 750 "$M/a"
	eq "640 200 640 440" \
		"$(echo $(stat -c %a "$M/a/shard-0000" "$M/a/put" "$M/a/config" "$M/a/stats"))"
	eq 0 "$((0$(stat -c %a "$M/a/drop") & 0444))" "r bits of drop"
	eq 0 "$((0$(stat -c %a "$M/a/blobs") & 0222))" "w bits of blobs"
	chmod 770 "$M/a"
	eq "660 220 660 440" \
		"$(echo $(stat -c %a "$M/a/shard-0000" "$M/a/put" "$M/a/config" "$M/a/stats"))"
	eq 0330 "$(printf %04o $((0$(stat -c %a "$M/a/drop") & 0777)))" "mode of drop"
}

nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

test_producers_may_write_without_reading()
{
	mount_store -o allow_other
	mkdir -m 730 "$M/a"
	chgrp 65534 "$M/a"
	echo secret >>"$M/a/shard-0000"
	nobody sh -c "echo put >>'$M/a/put'"
	echo dropped >"$T/file"
	chmod 644 "$T/file"
	nobody cp "$T/file" "$M/a/drop/file"
	says "Permission denied" nobody cat "$M/a/shard-0000"
	says "Permission denied" nobody cat "$M/a/put"
	says "Permission denied" nobody ls "$M/a/drop"
	says "Permission denied" nobody ls "$M/a"
	eq "secret put dropped" "$(echo $(cat "$M/a/shard-0000"))"
	chmod 700 "$M/a"
	says "Permission denied" nobody sh -c "echo put >>'$M/a/put'"
	says "Permission denied" nobody cp "$T/file" "$M/a/drop/file"
	eq 3 "$(wc -l <"$M/a/shard-0000")" records
}

test_permissions_are_checked()
{
	mount_store -o allow_other
	mkdir -m 755 "$M/a"
	echo x >>"$M/a/shard-0000"
	eq x "$(nobody cat "$M/a/shard-0000")"
	says "Permission denied" nobody sh -c "echo y >>'$M/a/shard-0000'"
	says "Permission denied" nobody sh -c "echo '{\"shards\":2}' >'$M/a/config'"
	says "Permission denied" nobody mkdir "$M/b"
	must_fail nobody chmod 777 "$M/a"
	must_fail nobody mv "$M/a" "$M/b"
	must_fail nobody rmdir "$M/a"
	eq x "$(cat "$M/a/shard-0000")"
}

test_other_users_are_kept_out_by_default()
{
	mount_store
	mkdir -m 777 "$M/a"
	chmod 777 "$M"
	says "Permission denied" nobody ls "$M/a"
	says "Permission denied" nobody cat "$M/a/shard-0000"
}

test_new_streams_take_the_defaults()
{
	mount_store
	mkdir "$M/before"
	echo '{"shards": 3, "flush_interval_ms": 250}' >"$M/.streamfs/defaults"
	mkdir "$M/after"
	eq "1 1000" "$(jq -r '"\(.shards) \(.flush_interval_ms)"' "$M/before/config")"
	eq "3 250" "$(jq -r '"\(.shards) \(.flush_interval_ms)"' "$M/after/config")"
	eq "shard-0000 shard-0001 shard-0002" "$(cd "$M/after" && echo shard-*)"
	eq "shard-0000" "$(cd "$M/before" && echo shard-*)"
	remount
	mkdir "$M/later"
	eq 3 "$(jq .shards "$M/later/config")" "after a remount"
	eq "3 250" "$(jq -r '"\(.shards) \(.flush_interval_ms)"' "$M/.streamfs/defaults")"
}

test_many_streams()
{
	local i
	mount_store
	for i in $(seq 300); do mkdir "$M/s$i"; done
	eq 300 "$(ls "$M" | wc -l)"
	for i in $(seq 300); do echo "$i" >>"$M/s$i/shard-0000"; done
	remount
	eq 300 "$(ls "$M" | wc -l)" "after a remount"
	for i in $(seq 300); do eq "$i" "$(<"$M/s$i/shard-0000")"; done
}

test_times_of_a_stream_are_sensible()
{
	local before after
	before=$(date +%s)
	mount_store
	mkdir "$M/a"
	after=$(date +%s)
	num "$(stat -c %Y "$M/a")" -ge "$before"
	num "$(stat -c %Y "$M/a")" -le $((after + 1))
	stat -c '%y' "$M/a" >"$T/mtime"
	remount
	eq "$(cat "$T/mtime")" "$(stat -c '%y' "$M/a")" "after a remount"
}

test_writing_to_a_removed_stream_is_enoent()
{
	mount_store
	mkdir "$M/a"
	exec 3>>"$M/a/shard-0000" 4>>"$M/a/put" 5<"$M/a/shard-0000"
	rmdir "$M/a"
	says "No such file or directory" bash -c 'echo x >&3'
	says "No such file or directory" bash -c 'echo x >&4'
	eq "" "$(cat <&5)"
	exec 3>&- 4>&- 5<&-
	mkdir "$M/a"
	eq "" "$(cat "$M/a/shard-0000")" "the new one"
}

test_what_cannot_be_read_or_written_is_eacces()
{
	mount_store
	new_stream a '{"large_records": {"threshold_bytes": 1024}}'
	head -c 2000 /dev/zero | tr '\0' x >>"$M/a/shard-0000"
	errno EACCES open w "$M/a/stats"
	errno EACCES open w "$(echo "$M"/a/blobs/*)"
	errno EACCES open r "$M/a/put"
	errno EACCES open + "$M/a/put"
	errno EACCES open w "$M/.streamfs/metrics"
}

run_tests "$@"
