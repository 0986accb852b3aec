#!/bin/bash
# SPDX-License-Identifier: MIT
# Advisory locks hold across every handle of a file, whether opened to read or to write.
. "${0%/*}/lib.sh"

start()
{
	mount_store
	new_stream a
	F=$M/a/shard-0000
	text_lines 20 >>"$F"
}

# holder OPERATIONS…: does them, then holds until $T/go exists
holder()
{
	rm -f "$T/held" "$T/go"
	"$TOOLS_DIR/sys" "$@" , touch "$T/held" , await "$T/go" >"$T/holder" &
	HOLDER=$!
	eventually test -e "$T/held"
	has_not "$(cat "$T/holder")" '^E' "the holder's own calls"
}

let_go()
{
	touch "$T/go"
	wait "$HOLDER"
}

test_flock_of_a_reader_excludes_a_writer()
{
	start
	holder open r "$F" , flock ex
	errno EAGAIN open wa "$F" , flock exnb
	errno EAGAIN open wa "$F" , flock shnb
	errno EAGAIN open r "$F" , flock shnb
	let_go
	errno ok open wa "$F" , flock exnb
}

test_flock_of_a_writer_excludes_a_reader()
{
	start
	holder open wa "$F" , flock ex
	errno EAGAIN open r "$F" , flock exnb
	errno EAGAIN open r "$F" , flock shnb
	errno EAGAIN open wa "$F" , flock exnb
	# Advisory: who does not ask is not stopped.
	echo written >>"$F"
	eq written "$(tail -n1 "$F")"
	let_go
	errno ok open r "$F" , flock exnb
}

test_flock_is_shared_by_many()
{
	start
	holder open r "$F" , flock sh
	errno ok open wa "$F" , flock shnb
	errno ok open r "$F" , flock shnb
	errno EAGAIN open wa "$F" , flock exnb
	let_go
}

test_flock_is_of_one_file_only()
{
	start
	new_stream b
	holder open r "$F" , flock ex
	errno ok open r "$M/b/shard-0000" , flock exnb
	let_go
}

test_flock_waits_its_turn()
{
	local waiter
	start
	holder open r "$F" , flock ex
	"$TOOLS_DIR/sys" open wa "$F" , touch "$T/asking" , flock ex >"$T/waiter" &
	waiter=$!
	eventually test -e "$T/asking"
	kill -0 "$waiter"
	eq 2 "$(wc -l <"$T/waiter")" "calls that the waiter has done"
	let_go
	wait "$waiter"
	eq "ok 0" "$(tail -n1 "$T/waiter")"
}

test_a_waiter_can_be_killed()
{
	local waiter
	start
	holder open r "$F" , flock ex
	"$TOOLS_DIR/sys" open wa "$F" , touch "$T/asking" , flock ex >"$T/waiter" &
	waiter=$!
	eventually test -e "$T/asking"
	kill -9 "$waiter"
	wait "$waiter" 2>/dev/null || true
	let_go
	errno ok open wa "$F" , flock exnb
}

test_locks_of_a_killed_process_go()
{
	start
	holder open r "$F" , flock ex , use 1 , open +a "$F" , lock wr 0 0
	kill -9 "$HOLDER"
	wait "$HOLDER" 2>/dev/null || true
	eventually got_both
}

got_both()
{
	[ "ok ok ok ok" = "$(sys open wa "$F" , flock exnb , use 1 , open +a "$F" , lock wr 0 0 |
		awk '{ print $1 }' | sed -n '1p;2p;4p;5p' | xargs)" ]
}

test_the_flock_program()
{
	local i pids=()
	start
	echo 0 >"$T/counter"
	for i in 1 2 3 4 5 6; do
		(for _ in 1 2 3 4 5; do
			# Half of them lock by a reader's handle, half by a writer's.
			if [ $((i % 2)) = 0 ]; then exec 9<"$F"; else exec 9>>"$F"; fi
			flock 9
			echo $(($(cat "$T/counter") + 1)) >"$T/counter"
			exec 9>&-
		done) & pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	eq 30 "$(cat "$T/counter")"
	eq 20 "$(wc -l <"$F")" "records"
}

test_posix_locks_hold_across_readers_and_writers()
{
	start
	holder open r "$F" , lock rd 10 10
	errno EAGAIN open wa "$F" , lock wr 15 1
	errno EAGAIN open wa "$F" , lock wr 0 0
	errno ok open wa "$F" , lock wr 20 5
	errno ok open wa "$F" , lock wr 0 10
	errno ok open r "$F" , lock rd 0 0
	eq "ok rd $HOLDER" "$(sys open +a "$F" , getlock wr 12 1 | tail -n1)"
	eq "ok free" "$(sys open +a "$F" , getlock wr 20 1 | tail -n1)"
	eq "ok free" "$(sys open +a "$F" , getlock rd 12 1 | tail -n1)"
	let_go
	holder open wa "$F" , lock wr 0 5
	errno EAGAIN open r "$F" , lock rd 4 1
	errno ok open r "$F" , lock rd 5 1
	eq "ok wr $HOLDER" "$(sys open r "$F" , getlock rd 0 1 | tail -n1)"
	let_go
	errno ok open r "$F" , lock rd 0 0
}

test_posix_locks_split_and_go_at_close()
{
	start
	holder open wa "$F" , lock wr 0 100 , lock un 40 20
	errno ok open wa "$F" , lock wr 40 20
	errno EAGAIN open wa "$F" , lock wr 39 1
	errno EAGAIN open wa "$F" , lock wr 60 1
	let_go
	# Any close of the file by the process drops its locks, as POSIX has it.
	holder open wa "$F" , lock wr 0 100 , use 1 , open r "$F" , close
	errno ok open wa "$F" , lock wr 0 100
	let_go
}

test_posix_locks_wait_their_turn()
{
	local waiter
	start
	holder open wa "$F" , lock wr 0 10
	"$TOOLS_DIR/sys" open r "$F" , touch "$T/asking" , lock rdwait 5 1 >"$T/waiter" &
	waiter=$!
	eventually test -e "$T/asking"
	kill -0 "$waiter"
	eq 2 "$(wc -l <"$T/waiter")" "calls that the waiter has done"
	let_go
	wait "$waiter"
	eq "ok 0" "$(tail -n1 "$T/waiter")"
}

test_locks_of_an_open_file_go_with_it()
{
	start
	holder open +a "$F" , ofdlock wr 0 10 , dup 1 , close , use 1
	errno EAGAIN open wa "$F" , ofdlock wr 5 1
	errno EAGAIN open wa "$F" , lock wr 5 1
	let_go
	errno ok open wa "$F" , ofdlock wrwait 5 1
	errno ok open wa "$F" , lock wr 0 0
	holder open +a "$F" , ofdlock wr 0 10
	kill -9 "$HOLDER"
	wait "$HOLDER" 2>/dev/null || true
	errno ok open r "$F" , ofdlock rdwait 0 0
}

# The end of an open file comes after close(2) has returned; it must not take others' locks along.
test_a_close_takes_no_later_lock()
{
	local i
	start
	for i in $(seq 30); do
		holder open +a "$F" , lock wr 0 10 , use 1 , open +a "$F" , use 0 , close , use 1 , \
			lock wr 0 10
		errno EAGAIN open wa "$F" , lock wr 0 1
		let_go
	done
}

test_who_waits_for_a_lock_is_told_of_the_end()
{
	local kind waiters=()
	start
	holder open +a "$F" , flock ex , lock wr 0 0
	"$TOOLS_DIR/sys" open +a "$F" , touch "$T/asking.flock" , flock ex >"$T/waiter.flock" &
	waiters+=($!)
	"$TOOLS_DIR/sys" open +a "$F" , touch "$T/asking.lock" , lock wrwait 0 1 >"$T/waiter.lock" &
	waiters+=($!)
	eventually test -e "$T/asking.flock" -a -e "$T/asking.lock"
	sleep 0.3
	kill "$PID"
	wait "${waiters[@]}"
	for kind in flock lock; do eq ECONNABORTED "$(tail -n1 "$T/waiter.$kind")" "$kind"; done
	touch "$T/go"
	wait "$HOLDER"
	ended
	while is_mounted "$M"; do umount -l "$M"; done
}

test_a_deadlock_is_told()
{
	local one two
	start
	"$TOOLS_DIR/sys" open wa "$F" , lock wr 0 1 , touch "$T/one" , await "$T/two" , \
		lock wrwait 1 1 >"$T/got.one" &
	one=$!
	"$TOOLS_DIR/sys" open wa "$F" , await "$T/one" , lock wr 1 1 , touch "$T/two" , \
		lock wrwait 0 1 >"$T/got.two" &
	two=$!
	wait "$one" "$two"
	eq "EDEADLK ok" "$(echo $(tail -qn1 "$T/got.one" "$T/got.two" | awk '{ print $1 }' | sort))"
}

run_tests "$@"
