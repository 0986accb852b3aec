#!/bin/bash
# SPDX-License-Identifier: MIT
# Records: a record is a line, and who ends it when.
. "${0%/*}/lib.sh"

# records SHARD-FILE: how many were ever appended
records() { getfattr --only-values -n user.streamfs.sequence_next "$1"; }

start()
{
	mount_store
	new_stream a
	F=$M/a/shard-0000
}

test_an_echo_is_one_record()
{
	start
	echo hello >>"$F"
	eq hello "$(cat "$F")"
	eq 6 "$(size_of "$F")" size
	eq 1 "$(records "$F")" records
}

test_a_file_is_one_record_a_line()
{
	start
	text_lines 20000 >"$T/lines"
	cat "$T/lines" >>"$F"
	same "$T/lines" "$F"
	eq 20000 "$(records "$F")" records
	cat "$T/lines" >>"$F"
	cat "$T/lines" "$T/lines" >"$T/twice"
	same "$T/twice" "$F"
	eq 40000 "$(records "$F")" records
	remount
	same "$T/twice" "$F" "after a remount"
	eq 40000 "$(records "$F")" "records after a remount"
}

test_an_empty_line_is_an_empty_record()
{
	start
	echo >>"$F"
	printf '\n\n' >>"$F"
	printf '\n\n\n' | cmp - "$F"
	eq 3 "$(records "$F")" records
}

test_nothing_written_is_no_record()
{
	start
	: >>"$F"
	cat /dev/null >>"$F"
	eq 0 "$(size_of "$F")" size
	eq 0 "$(records "$F")" records
}

test_any_byte_but_newline_may_be_in_a_record()
{
	start
	random_bytes 300000 1 >"$T/bytes"
	printf 'nul \0 cr \r invalid \xff\xfe\xc3\n\r\n\0\n' >>"$T/bytes"
	cat "$T/bytes" >>"$F"
	same "$T/bytes" "$F"
	eq "$(wc -l <"$T/bytes")" "$(records "$F")" records
	remount
	same "$T/bytes" "$F" "after a remount"
}

test_an_unfinished_line_becomes_a_record_at_close()
{
	local i
	start
	for i in $(seq 100); do
		printf 'line %d' "$i" >>"$F"
		# No waiting: the next command sees it.
		eq "line $i" "$(tail -n1 "$F")"
	done
	eq 100 "$(records "$F")" records
	eq 'ok abc\n' "$(sys open wa "$F" , write abc , close , open r "$F" , \
		seek set "$(size_of "$F")" , read 100 | tail -n1)" "read after close"
	/usr/bin/printf xyz >>"$F"
	eq xyz "$(tail -n1 "$F")"
	eq 102 "$(records "$F")" records
}

test_commands_of_a_subshell_share_a_record()
{
	start
	(printf a; printf b; echo c) >>"$F"
	eq abc "$(cat "$F")"
	(/usr/bin/printf d; /usr/bin/printf e; /bin/echo f) >>"$F"
	{ /usr/bin/printf g; printf h; } >>"$F"
	(printf i; (printf j); printf k) >>"$F"
	printf 'abc\ndef\ngh\nijk\n' | cmp - "$F"
	eq 4 "$(records "$F")" records
}

test_a_held_descriptor_of_a_shell_collects_one_record()
{
	start
	exec 3>>"$F"
	printf a >&3
	/usr/bin/printf b >&3
	eq 0 "$(size_of "$F")" "size before the line ends"
	exec 3>&-
	eq ab "$(cat "$F")"
	exec 3>>"$F"
	printf 'c\nd' >&3
	eq "ab c" "$(echo $(cat "$F"))" "before the last line ends"
	exec 3>&-
	eq "ab c d" "$(echo $(cat "$F"))"
}

test_an_unfinished_line_is_not_seen()
{
	start
	echo first >>"$F"
	sys open wa "$F" , write 'second\nthi' , use 1 , open r "$F" , size , read 100 , \
		use 0 , write 'rd\n' , use 1 , size , read 100 >"$T/got"
	eq 'ok 13 ok first\nsecond\n' "$(echo $(sed -n 5,6p "$T/got"))"
	eq 'ok 19 ok third\n' "$(echo $(sed -n '10,11p' "$T/got"))"
}

test_unfinished_lines_of_two_writers_do_not_mix()
{
	start
	sys open wa "$F" , use 1 , open wa "$F" , use 0 , write a , use 1 , write b , \
		use 0 , write 'a\na' , use 1 , write 'b\nb' , close , use 0 , write 'a\n' >"$T/out1"
	printf 'aa\nbb\nb\naa\n' | cmp - "$F"
}

test_closing_a_duplicate_does_not_end_the_line()
{
	start
	sys open wa "$F" , dup 1 , write a , close , use 1 , write b , close , touch "$T/x"
	eq ab "$(cat "$F")"
}

test_a_child_does_not_end_its_parents_line()
{
	start
	sys open wa "$F" , write a , child b , write 'c\n' , close
	eq abc "$(cat "$F")"
}

test_the_line_of_a_killed_process_becomes_a_record()
{
	local pid
	start
	"$TOOLS_DIR/sys" open wa "$F" , write 'whole\npart' , touch "$T/written" , \
		await "$T/never" &
	pid=$!
	eventually test -e "$T/written"
	eq whole "$(cat "$F")"
	kill -9 "$pid"
	eventually grep -qx part "$F"
	printf 'whole\npart\n' | cmp - "$F"
}

test_the_thread_that_opened_need_not_live()
{
	local i round=(use 0 , thread-open wa "$T/mnt/a/shard-0000" , write x , close , use 1 , size)
	local all=()
	start
	for i in $(seq 200); do all+=(, "${round[@]}"); done
	"$TOOLS_DIR/sys" use 1 , open r "$F" "${all[@]}" >"$T/got"
	for i in $(seq 200); do echo "ok $((2 * i))"; done >"$T/want"
	tail -n +3 "$T/got" | awk 'NR % 6 == 0' >"$T/sizes"
	same "$T/want" "$T/sizes" "sizes right after close(2)"
}

test_fsync_does_not_end_a_line()
{
	start
	sys open wa "$F" , write 'x\nab' , fsync , fdatasync , use 1 , open r "$F" , size , \
		use 0 , write 'c\n' , close >"$T/got"
	has_not "$(cat "$T/got")" '^E'
	eq 'ok 2' "$(sed -n 7p "$T/got")" "size after fsync"
	printf 'x\nabc\n' | cmp - "$F"
}

test_write_returns_what_it_took()
{
	start
	eq "ok 5" "$(sys open wa "$F" , write 'ab\ncd' | tail -n1)"
	eq "ok 100000" "$(sys open wa "$F" , fill x 100000 '\n' | tail -n1)"
	eq "ok 4" "$(sys open was "$F" , write 'abc\n' | tail -n1)" O_SYNC
	eq "ok 4" "$(sys open wad "$F" , write 'abc\n' | tail -n1)" O_DSYNC
	eq "ok 0" "$(sys open wa "$F" , write '' | tail -n1)"
	eq 5 "$(records "$F")" records
}

# The offset that a write brings is of no meaning.
test_pwrite_appends()
{
	start
	echo first >>"$F"
	errno ok open wa "$F" , pwrite 0 'second\n'
	printf 'first\nsecond\n' | cmp - "$F"
}

test_lines_of_one_write_stay_together()
{
	start
	cat >"$T/writer.py" <<-'PY'
	import os, sys
	path, me, rounds, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
	fd = os.open(path, os.O_WRONLY | os.O_APPEND)
	for r in range(rounds):
	    lines, n = [], 0
	    while n < size:
	        lines.append(f"{me} {r} {len(lines)} " + "x" * (len(lines) * 37 % 500) + "\n")
	        n += len(lines[-1])
	    data = "".join(lines).encode()
	    while data:
	        data = data[os.write(fd, data):]
	PY
	cat >"$T/check.py" <<-'PY'
	import sys
	together, last, count = sys.argv[2] == "together", None, {}
	for line in open(sys.argv[1], encoding="ascii"):
	    me, r, i, fill = line[:-1].split(" ")
	    r, i = int(r), int(i)
	    assert fill == "x" * (i * 37 % 500), f"torn: {line[:40]}"
	    if i:
	        assert count[me] == (r, i - 1), f"lost or reordered: {line[:40]}"
	        assert not together or last == me, f"interleaved: {line[:40]}"
	    else:
	        assert count.get(me, (-1, 0))[0] == r - 1, f"lost or reordered: {line[:40]}"
	    count[me], last = (r, i), me
	assert len(count) == 4 and all(r == int(sys.argv[3]) - 1 for r, _ in count.values()), count
	PY
	local i pids=()
	for i in 1 2 3 4; do
		python3 "$T/writer.py" "$F" "w$i" 12 900000 & pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	python3 "$T/check.py" "$F" together 12
	# More than the kernel hands over at once: lines stay whole and in order.
	new_stream b
	pids=()
	for i in 1 2 3 4; do
		python3 "$T/writer.py" "$M/b/shard-0000" "w$i" 4 3500000 & pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	python3 "$T/check.py" "$M/b/shard-0000" apart 4
}

test_sixteen_processes_append_to_a_shard()
{
	local i=0 mode
	start
	for mode in hold open close batch; do
		i=$((i + 1))
		swarm write -n 16 -k 150 -m $mode -r $i "$F"
		swarm verify -n 16 -k 150 -r $i "$F"
	done
	eq 9600 "$(records "$F")" records
	remount
	for i in 1 2 3 4; do swarm verify -n 16 -k 150 -r $i "$F"; done
}

test_sixteen_processes_write_to_put()
{
	local i=0 mode
	mount_store
	new_stream a '{"shards": 4, "key": {"json": "/w"}}'
	for mode in hold open close batch; do
		i=$((i + 1))
		swarm write -n 16 -k 150 -m $mode -r $i "$M/a/put"
		swarm verify -n 16 -k 150 -r $i "$M"/a/shard-*
	done
	eq 9600 "$(cat "$M"/a/shard-* | wc -l)" records
}

test_shard_and_put_writers_at_once()
{
	start
	swarm write -n 16 -k 200 -m mixed "$F" "$M/a/put" "$F"
	swarm verify -n 16 -k 200 "$F"
	eq 3200 "$(records "$F")" records
}

test_real_logs_come_back_as_they_were()
{
	local file dir=${STREAMFS_DATA:-/usr/share/common-licenses}
	start
	for file in "$dir"/*; do
		[ -f "$file" ] || continue
		cat "$file" >>"$F"
		cat "$file" >>"$T/all"
		[ -z "$(tail -c1 "$file" | tr '\n' ' ' | tr -d ' ')" ] || echo >>"$T/all"
	done
	num "$(size_of "$F")" -gt 10000
	same "$T/all" "$F"
	remount
	same "$T/all" "$F" "after a remount"
}

run_tests "$@"
