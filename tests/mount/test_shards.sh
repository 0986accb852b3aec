#!/bin/bash
# SPDX-License-Identifier: MIT
# Shard files: what stat says, what append-only forbids, and that ordinary tools just work.
. "${0%/*}/lib.sh"

start()
{
	mount_store
	new_stream a
	F=$M/a/shard-0000
}

xattr() { getfattr --only-values -n "user.streamfs.$1" "${2:-$F}"; }

test_size_is_exact()
{
	local want=0 i
	start
	for i in 1 2 4094 4095 4096 70000; do
		head -c "$i" /dev/zero | tr '\0' x >>"$F"
		want=$((want + i + 1))
		eq $want "$(size_of "$F")" "after $i bytes"
		eq $want "$(wc -c <"$F")" "wc after $i bytes"
		eq $want "$(cat "$F" | wc -c)" "cat after $i bytes"
	done
	remount
	eq $want "$(size_of "$F")" "after a remount"
}

# Of two descriptors for writing, each is another inode to the kernel.
test_a_writers_descriptor_tells_the_size()
{
	local i round=(use 0 , size , use 1 , write 'x\n' , use 0 , size) all=()
	start
	for i in $(seq 50); do all+=(, "${round[@]}"); done
	"$TOOLS_DIR/sys" open +a "$F" , use 1 , thread-open wa "$F" "${all[@]}" >"$T/got"
	for i in $(seq 0 49); do printf 'ok %d\nok %d\n' $((2 * i)) $((2 * i + 2)); done >"$T/want"
	tail -n +4 "$T/got" | awk 'NR % 6 == 2 || NR % 6 == 0' >"$T/sizes"
	same "$T/want" "$T/sizes" "sizes"
}

test_blocks_are_what_the_disk_holds()
{
	start
	repeat 200000 'the same line again and again' >>"$F"
	sync -f "$F"
	eq 6000000 "$(size_of "$F")"
	local stored=0 file
	for file in $(segment_files a shard-0000); do stored=$((stored + $(size_of "$file"))); done
	num "$stored" -gt 0
	num "$stored" -lt 1000000
	num "$(stat -c %b "$F")" -ge $((stored / 512)) "blocks"
	num "$(stat -c %b "$F")" -le $((stored / 512 + 16)) "blocks"
	num "$(du -B1 "$F" | cut -f1)" -lt 1100000 du
	eq 6000000 "$(du -b "$F" | cut -f1)" "du -b"
	echo '{"compression": "none"}' >"$M/a/config"
	repeat 200000 'the same line again and again' >>"$F"
	num "$(stat -c %b "$F")" -ge $((6000000 / 512)) "blocks without compression"
}

moved_on()
{
	echo y >>"$F"
	[ "$(stat -c %.9Y "$F")" != "$1" ]
}

test_mtime_is_the_last_arrival()
{
	local before after last
	start
	before=$(date +%s)
	echo x >>"$F"
	after=$(date +%s)
	num "$(stat -c %Y "$F")" -ge "$before" mtime
	num "$(stat -c %Y "$F")" -le $((after + 1)) mtime
	last=$(stat -c %.9Y "$F")
	cat "$F" >/dev/null
	eq "$last" "$(stat -c %.9Y "$F")" "mtime after a read"
	eventually moved_on "$last"
	last=$(stat -c %.9Y "$F")
	remount
	eq "$last" "$(stat -c %.9Y "$F")" "mtime after a remount"
}

test_inode_numbers_last()
{
	mount_store
	new_stream a '{"shards": 3}'
	new_stream b
	echo x >>"$M/a/put"
	stat -c '%n %i' "$M" "$M"/a "$M"/b "$M"/*/* "$M"/.streamfs/* >"$T/first"
	eq "" "$(cut -d' ' -f2 "$T/first" | sort | uniq -d)" "inode numbers used twice"
	# ls tells the same ones from the directory alone.
	eq "$(stat -c %i "$M/a/shard-0001")" "$(ls -i "$M/a" | awk '$2 == "shard-0001" { print $1 }')"
	# A writer's stat and a reader's are of one file.
	exec 3>>"$M/a/shard-0000"
	eq "$(stat -c %i "$M/a/shard-0000")" "$(stat -L -c %i /dev/fd/3)" "by a writer's descriptor"
	exec 3>&-
	echo y >>"$M/a/shard-0000"
	remount
	stat -c '%n %i' "$M" "$M"/a "$M"/b "$M"/*/* "$M"/.streamfs/* >"$T/second"
	same "$T/first" "$T/second" "inode numbers after a remount"
	kill9
	mount_store
	stat -c '%n %i' "$M" "$M"/a "$M"/b "$M"/*/* "$M"/.streamfs/* >"$T/second"
	same "$T/first" "$T/second" "inode numbers after kill -9"
}

test_a_shard_can_only_be_appended_to()
{
	start
	text_lines 300 >"$T/want"
	cat "$T/want" >>"$F"
	echo evil >"$T/evil"
	local no="Operation not permitted"
	says "$no" bash -c "echo evil >'$F'"
	says "$no" bash -c ": >'$F'"
	says "$no" bash -c "echo evil 1<>'$F'"
	says "$no" truncate -s 0 "$F"
	says "$no" truncate -s 100000 "$F"
	says "$no" dd if="$T/evil" of="$F" status=none
	says "$no" dd if="$T/evil" of="$F" conv=notrunc status=none
	says "$no" dd if="$T/evil" of="$F" conv=notrunc seek=5 bs=1 status=none
	says "$no" cp "$T/evil" "$F"
	says "$no" cp -f "$T/evil" "$F"
	says "$no" tee "$F"
	says "$no" rm -f "$F"
	says "$no" unlink "$F"
	says "$no" mv "$F" "$M/a/shard-0009"
	says "$no" mv "$F" "$M/a/drop/x"
	says "$no" ln "$F" "$M/a/shard-0009"
	errno EPERM open w "$F"
	errno EPERM open + "$F"
	errno EPERM open wt "$F"
	errno EPERM open wct "$F"
	errno EPERM open wat "$F"
	errno EPERM open rt "$F"
	errno EPERM truncate "$F" 0
	errno EPERM truncate "$F" 1000000
	errno EPERM open wa "$F" , ftruncate 0
	errno EPERM unlink "$F"
	errno EPERM rename "$F" "$M/a/other"
	errno EPERM rename "$F" "$M/other"
	errno EPERM link "$F" "$M/a/other"
	errno EPERM setxattr "$F" user.streamfs.state open
	must_fail sed -i s/line/evil/ "$F"
	must_fail mv -f "$T/evil" "$F"
	must_fail install "$T/evil" "$F"
	must_fail rsync --inplace "$T/evil" "$F"
	must_fail touch -d 2001-01-01 "$F"
	must_fail fallocate -l 1000000 "$F"
	must_fail fallocate -p -o 0 -l 100 "$F"
	same "$T/want" "$F"
	eq 0 "$(ls "$M/a/drop" | wc -l)" "files in drop"
	remount
	same "$T/want" "$F" "after a remount"
}

test_appending_ways_work()
{
	start
	echo 1 >>"$F"
	echo 2 | dd of="$F" oflag=append conv=notrunc status=none
	echo 3 | tee -a "$F" >"$T/x"
	printf '4\n' | sponge_like
	python3 -c 'import sys; open(sys.argv[1], "a").write("5\n")' "$F"
	errno ok open +a "$F" , write '6\n'
	errno ok open wac "$F" , write '7\n'
	awk -v f="$F" 'BEGIN { print "8" >> f }'
	perl -e 'open(F, ">>", $ARGV[0]); print F "9\n"; close(F) or die' "$F"
	eq "$(seq 9 | tr '\n' ' ')" "$(tr '\n' ' ' <"$F")"
}

sponge_like() { cat >>"$F"; }

test_a_handle_may_read_and_append()
{
	start
	echo first >>"$F"
	eq 'ok first\nsecond\n' \
		"$(sys open +a "$F" , write 'second\n' , pread 0 100 | tail -n1)"
	eq 'ok third\n' "$(sys open +a "$F" , seek end 0 , write 'third\n' , pread 13 100 |
		tail -n1)"
}

# Where the kernel does not look the name up again.
test_a_shard_that_is_bind_mounted()
{
	local i
	start
	echo one >>"$F"
	eq one "$(cat "$F")"
	touch "$T/log"
	mount --bind "$F" "$T/log"
	echo two >>"$T/log"
	eq "one two" "$(echo $(cat "$F"))"
	eq "one two" "$(echo $(cat "$T/log"))"
	exec 3>>"$T/log"
	printf a >&3
	printf b >&3
	eq "one two" "$(echo $(cat "$F"))" "while a line is not finished"
	eq "one two" "$(echo $(cat "$T/log"))" "while a line is not finished"
	exec 3>&-
	for i in $(seq 30); do
		echo "$i" >>"$T/log"
		eq "$i" "$(tail -n1 "$T/log")"
		eq "$i" "$(tail -n1 "$F")"
		echo "by name $i" >>"$F"
		eq "by name $i" "$(tail -n1 "$T/log")"
	done
	umount "$T/log"
	eq "one two ab" "$(echo $(head -n 3 "$F"))"
	eq 63 "$(wc -l <"$F")"
}

test_a_bind_mounted_shard_that_is_read()
{
	start
	echo one >>"$F"
	cat "$F" >"$T/read"
	touch "$T/log"
	mount --bind "$F" "$T/log"
	exec 3<"$T/log"
	errno ESTALE open wa "$T/log"
	exec 3<&-
	errno ok open wa "$T/log" , write 'two\n'
	exec 3<"$T/log"
	errno ok open wa "$T/log" , write 'three'
	eq "one two three" "$(echo $(cat <&3))"
	exec 3<&-
	umount "$T/log"
}

test_a_descriptor_is_opened_anew()
{
	start
	eq "ok 4" "$(sys open rp "$F" , reopen wa , write 'one\n' | tail -n1)"
	eq "ok one\n" "$(sys open wa "$F" , reopen r , read 100 | tail -n1)"
	errno ESTALE open r "$F" , reopen wa
	echo two >>"$F"
	eq "one two" "$(echo $(cat "$F"))"
}

test_extended_attributes()
{
	mount_store
	new_stream a '{"shards": 2}'
	F=$M/a/shard-0000
	eq "hash_range parents ratio sequence_first sequence_next state" \
		"$(echo $(getfattr -m . "$F" 2>/dev/null | sed -n 's/^user.streamfs.//p' | sort))"
	has "$(xattr hash_range)" '^0{32}.*7f{31}$'
	has "$(xattr hash_range "$M/a/shard-0001")" '^80{31}.*f{32}$'
	eq open "$(xattr state)"
	eq "" "$(xattr parents)" parents
	eq 0 "$(xattr sequence_first)"
	eq 0 "$(xattr sequence_next)"
	repeat 50000 line >>"$F"
	eq 0 "$(xattr sequence_first)"
	eq 50000 "$(xattr sequence_next)"
	has "$(xattr ratio)" '^[0-9.]+$'
	num "$(xattr ratio | cut -d. -f1)" -ge 5 "ratio of repeated text"
	errno ENODATA getxattr "$F" user.streamfs.nothing
	errno ENODATA getxattr "$F" user.other
	must_fail setfattr -n user.other -v x "$F"
	must_fail setfattr -x user.streamfs.state "$F"
	remount
	eq 50000 "$(xattr sequence_next)" "after a remount"
}

test_seek_data_and_hole()
{
	start
	errno ENXIO open r "$F" , seek data 0
	printf '0123456789\n' >>"$F"
	eq "ok 0" "$(sys open r "$F" , seek data 0 | tail -n1)"
	eq "ok 5" "$(sys open r "$F" , seek data 5 | tail -n1)"
	eq "ok 11" "$(sys open r "$F" , seek hole 0 | tail -n1)"
	eq "ok 11" "$(sys open r "$F" , seek hole 10 | tail -n1)"
	errno ENXIO open r "$F" , seek data 11
	errno ENXIO open r "$F" , seek hole 11
	eq "ok 11" "$(sys open r "$F" , seek end 0 | tail -n1)"
	eq "ok 7" "$(sys open r "$F" , seek end -4 | tail -n1)"
	echo more >>"$F"
	eq "ok 16" "$(sys open r "$F" , seek hole 0 | tail -n1)"
}

test_a_saved_offset_stays_good()
{
	local at
	start
	text_lines 500 >>"$F"
	at=$(size_of "$F")
	text_lines 700 >"$T/more"
	cat "$T/more" >>"$F"
	tail -c +$((at + 1)) "$F" | cmp - "$T/more"
	kill9
	mount_store
	tail -c +$((at + 1)) "$F" | cmp - "$T/more"
	dd if="$F" iflag=skip_bytes skip="$at" bs=64K status=none | cmp - "$T/more"
}

has_line() { grep -qx -e "$2" "$1"; }

test_tail_follows()
{
	local pids=() i
	start
	echo zero >>"$F"
	tail -f -n +1 "$F" >"$T/f" & pids+=($!)
	tail -F -n +1 "$F" >"$T/F" 2>"$T/F.err" & pids+=($!)
	tail --follow=descriptor -c +1 "$F" >"$T/d" & pids+=($!)
	for i in f F d; do eventually has_line "$T/$i" zero; done
	for i in one two; do
		echo "$i" >>"$F"
		echo "$i put" >>"$M/a/put"
		eventually has_line "$T/f" "$i put"
		eventually has_line "$T/F" "$i put"
		eventually has_line "$T/d" "$i put"
	done
	text_lines 3000 >>"$F"
	echo end >>"$F"
	for i in f F d; do
		eventually has_line "$T/$i" end
		same "$F" "$T/$i" "tail $i"
	done
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null || true
}

pane() { tmux -S "$T/tmux" capture-pane -p -t 0; }
pane_has() { pane | grep -qF -e "$1"; }

test_less_follows()
{
	start
	echo the first line >>"$F"
	TERM=screen tmux -S "$T/tmux" -f /dev/null new-session -d -x 80 -y 20 "less +F '$F'"
	eventually pane_has "the first line"
	echo the second line >>"$F"
	eventually pane_has "the second line"
	echo the third line >>"$M/a/put"
	eventually pane_has "the third line"
	has_not "$(pane)" '\^@' "NULs on the screen"
	tmux -S "$T/tmux" send-keys C-c
	tmux -S "$T/tmux" send-keys q
	tmux -S "$T/tmux" kill-server 2>/dev/null || true
}

test_ordinary_tools_read()
{
	start
	text_lines 30000 >"$T/want"
	cat "$T/want" >>"$F"
	eq "$(wc <"$T/want")" "$(wc <"$F")" wc
	eq "$(grep -c 'line .*77' "$T/want")" "$(grep -c 'line .*77' "$F")" grep
	eq "$(grep -n 'line 29999 ' "$T/want")" "$(grep -n 'line 29999 ' "$F")" "grep -n"
	eq "$(sort "$T/want" | md5sum)" "$(sort "$F" | md5sum)" sort
	eq "$(tac "$T/want" | md5sum)" "$(tac "$F" | md5sum)" tac
	eq "$(md5sum <"$T/want")" "$(md5sum <"$F")" md5sum
	eq "$(sed -n 12345p "$T/want")" "$(sed -n 12345p "$F")" sed
	eq "$(tail -n 3 "$T/want")" "$(tail -n 3 "$F")" tail
	eq "$(head -c 5000 "$T/want" | md5sum)" "$(head -c 5000 "$F" | md5sum)" head
	eq "$(awk '{ n += length } END { print n }' "$T/want")" \
		"$(awk '{ n += length } END { print n }' "$F")" awk
	cp "$F" "$T/copy"
	same "$T/want" "$T/copy" cp
	cp --sparse=always "$F" "$T/copy2"
	same "$T/want" "$T/copy2" "cp --sparse"
	rsync -a "$F" "$T/rsynced"
	same "$T/want" "$T/rsynced" rsync
	tar -C "$M/a" -cf - shard-0000 | tar -xOf - | cmp - "$T/want"
	vim -es -u NONE -c "wq! $T/vimmed" "$F" </dev/null
	same "$T/want" "$T/vimmed" vim
	python3 -c 'import mmap, sys
with open(sys.argv[1], "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
    sys.stdout.buffer.write(m[:])' "$F" | cmp - "$T/want"
	cat /dev/stdin <"$F" | cmp - "$T/want"
	diff "$F" "$T/want"
	split -l 10000 "$F" "$T/part."
	cat "$T"/part.* | cmp - "$T/want"
}

test_reads_at_every_edge()
{
	start
	text_lines 2000 >"$T/want"
	cat "$T/want" >>"$F"
	python3 - "$F" "$T/want" <<-'PY'
	import os, random, sys
	want = open(sys.argv[2], "rb").read()
	fd = os.open(sys.argv[1], os.O_RDONLY)
	r = random.Random(7)
	size = len(want)
	offsets = [0, 1, 4095, 4096, 4097, size - 1, size, size + 1, size + 5000]
	offsets += [r.randrange(size) for _ in range(500)]
	for offset in offsets:
	    for count in (1, 4096, 131072, r.randrange(1, 300000)):
	        got = os.pread(fd, count, offset)
	        assert got == want[offset:offset + count], (offset, count, len(got))
	PY
}

test_readers_of_one_file_see_each_append()
{
	local i
	start
	exec 4<"$F"
	for i in $(seq 150); do
		case $((i % 4)) in
		0) echo "line $i" >>"$F" ;;
		1) echo "line $i" >>"$M/a/put" ;;
		2) /bin/echo "line $i" >>"$F" ;;
		3) printf 'line %d' "$i" >>"$F" ;;
		esac
		read -r got <&4 || true
		eq "line $i" "$got" "held descriptor"
		eq "line $i" "$(tail -n1 "$F")" tail
		eq "$i" "$(wc -l <"$F")" wc
		eq "$i" "$(grep -c line "$F")" grep
	done
	exec 4<&-
	eq 0 "$(tr -cd '\0' <"$F" | wc -c)" "NULs"
}

test_inotify_on_the_directory_names_the_file()
{
	start
	cat >"$T/watch.py" <<-'PY'
	import ctypes, os, struct, sys
	libc = ctypes.CDLL(None, use_errno=True)
	fd = libc.inotify_init1(0)
	IN_MODIFY = 2
	assert libc.inotify_add_watch(fd, sys.argv[1].encode(), IN_MODIFY) >= 0
	open(sys.argv[2], "w").close()
	seen = set()
	while seen != {"shard-0000", "put"}:
	    data, at = os.read(fd, 4096), 0
	    while at < len(data):
	        _, mask, _, length = struct.unpack_from("iIII", data, at)
	        assert mask & IN_MODIFY, mask
	        seen.add(data[at + 16:at + 16 + length].rstrip(b"\0").decode())
	        at += 16 + length
	PY
	python3 "$T/watch.py" "$M/a" "$T/watching" &
	local watcher=$!
	eventually test -e "$T/watching"
	echo x >>"$F"
	echo y >>"$M/a/put"
	eventually is_gone_or_zombie "$watcher"
	wait "$watcher"
}

run_tests "$@"
