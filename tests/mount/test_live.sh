#!/bin/bash
# SPDX-License-Identifier: MIT
# live/: reads that wait for what comes.
. "${0%/*}/lib.sh"

# lines FILE COUNT
lines() { [ "$(wc -l <"$1")" = "$2" ]; }

# reader FILE VIEW: in the background; returns once it waits
reader()
{
	cat "$2" >"$1" &
	READER=$!
	READERS="${READERS:-} $READER"
	eventually opened "$READER" "$2"
	sleep 0.1
}
opened() { ls -l "/proc/$1/fd" | grep -Fq "$2"; }

test_live_starts_now_and_has_no_end()
{
	mount_store
	new_stream a '{"shards": 2}'
	echo before >>"$M/a/shard-0000"
	reader "$T/all" "$M/a/live/all"
	reader "$T/shard" "$M/a/live/shard-0000"
	reader "$T/json" "$M/a/live/json/shard-0001"
	reader "$T/key" "$M/a/live/keys/k"
	echo one >>"$M/a/shard-0000"
	eventually lines "$T/all" 1
	eventually lines "$T/shard" 1
	echo two >>"$M/a/shard-0001"
	eventually lines "$T/all" 2
	eventually lines "$T/json" 1
	echo three >>"$M/a/keys/k"
	eventually lines "$T/key" 1
	eventually lines "$T/all" 3
	eq "one two three" "$(echo $(cat "$T/all"))" "all"
	eq one "$(head -n 1 "$T/shard")" "shard"
	eq two "$(head -n 1 "$T/json" | jq -r .data)" "json"
	eq three "$(cat "$T/key")" "key"
	for pid in $READERS; do kill "$pid" || fail "a reader ended"; done
	wait $READERS || true
}

test_while_read_loses_nothing()
{
	mount_store
	new_stream a '{"shards": 4, "key": {"field": 1, "separator": " "}}'
	(
		n=0
		while read -r line; do
			echo "$line"
			n=$((n + 1))
			[ $n -lt 4000 ] || break
		done <"$M/a/live/all" >"$T/got"
	) &
	LOOP=$!
	eventually opened "$LOOP" "$M/a/live/all"
	sleep 0.2
	for w in 1 2 3 4; do
		(for i in $(seq 1000); do echo "w$w $i"; done >>"$M/a/put") &
		W="${W:-} $!"
	done
	wait $W
	wait $LOOP
	for w in 1 2 3 4; do
		grep "^w$w " "$T/got" >"$T/got.$w"
		seq -f "w$w %g" 1000 >"$T/want"
		same "$T/want" "$T/got.$w" "writer $w"
	done
}

test_json_into_jq_into_another_stream()
{
	mount_store
	new_stream in '{"shards": 2}'
	new_stream out
	jq --unbuffered -c 'select(.data | test("7$")) | .data' "$M/in/live/json/all" >>"$M/out/put" &
	filter=$!
	eventually opened $filter "$M/in/live/json/all"
	sleep 0.2
	seq 100 >>"$M/in/shard-0000"
	ten() { [ "$(wc -l <"$M/out/shard-0000")" = 10 ]; }
	eventually ten
	kill $filter
}

test_nonblocking_reads_and_poll()
{
	mount_store
	new_stream a '{"shards": 2}'
	python3 - "$M/a" <<-'EOT'
	import os, select, sys, threading, time
	a = sys.argv[1]
	def put(line, shard="shard-0000"):
	    with open(f"{a}/{shard}", "a") as f: f.write(line + "\n")
	for view in ("live/all", "live/shard-0000", "live/json/shard-0000", "live/json/all"):
	    fd = os.open(f"{a}/{view}", os.O_RDONLY | os.O_NONBLOCK)
	    try: os.read(fd, 100); raise SystemExit("no EAGAIN: " + view)
	    except BlockingIOError: pass
	    p = select.poll(); p.register(fd, select.POLLIN)
	    e = select.epoll(); e.register(fd, select.EPOLLIN)
	    assert p.poll(0) == [], view
	    assert e.poll(0) == [], view
	    assert select.select([fd], [], [], 0)[0] == [], view
	    t = threading.Timer(0.3, put, ("hello",)); t.start()
	    assert p.poll(30000), view
	    t.join()
	    assert e.poll(0) and select.select([fd], [], [], 0)[0] == [fd], view
	    got = os.read(fd, 1000)
	    assert b"hello" in got, (view, got)
	    assert p.poll(0) == [] and e.poll(0) == [], view
	    for wait in (lambda: select.select([fd], [], [], 30)[0], lambda: e.poll(30), lambda: p.poll(30000)):
	        t = threading.Timer(0.2, put, ("again",)); t.start()
	        assert wait(), view
	        t.join()
	        assert b"again" in os.read(fd, 1000), view
	    os.set_blocking(fd, True)
	    t = threading.Timer(0.2, put, ("blocked",)); t.start()
	    assert b"blocked" in os.read(fd, 1000), view
	    t.join()
	    os.close(fd)
	# A key's view is not ready for what other keys bring.
	fd = os.open(f"{a}/live/keys/k", os.O_RDONLY | os.O_NONBLOCK)
	p = select.poll(); p.register(fd, select.POLLIN)
	assert p.poll(0) == []
	put("other", "keys/other")
	put("none")
	assert p.poll(300) == []
	put("mine", "keys/k")
	assert p.poll(30000)
	assert os.read(fd, 100) == b"mine\n"
	# What never waits is always ready.
	fd = os.open(f"{a}/shard-0000", os.O_RDONLY)
	p = select.poll(); p.register(fd, select.POLLIN)
	assert p.poll(0)
	EOT
}

test_a_waiting_reader_can_be_killed()
{
	mount_store
	new_stream a
	for signal in INT TERM KILL; do
		env --default-signal=INT cat "$M/a/live/all" >"$T/out.$signal" &
		READER=$!
		eventually opened "$READER" "$M/a/live/all"
		sleep 0.1
		kill -$signal "$READER"
		eventually is_gone_or_zombie "$READER"
	done
	echo x >>"$M/a/shard-0000"
	eq x "$(cat "$M/a/all")" "the mount goes on"
}

test_a_signal_interrupts_a_read()
{
	mount_store
	new_stream a
	python3 - "$M/a/live/all" "$M/a/shard-0000" <<-'EOT'
	import os, signal, sys
	class Woken(Exception): pass
	def handler(*_): raise Woken
	signal.signal(signal.SIGALRM, handler)
	fd = os.open(sys.argv[1], os.O_RDONLY)
	for _ in range(20):
	    signal.setitimer(signal.ITIMER_REAL, 0.02)
	    try: os.read(fd, 100); raise SystemExit("read something")
	    except Woken: pass
	with open(sys.argv[2], "a") as f: f.write("after\n")
	assert os.read(fd, 100) == b"after\n"
	EOT
}

test_a_thousand_readers_wait_without_a_thread_each()
{
	mount_store
	new_stream a '{"shards": 2}'
	python3 - "$M/a" "$PID" <<-'EOT'
	import os, sys, threading, time
	a, pid = sys.argv[1], sys.argv[2]
	threading.stack_size(256 * 1024)
	views = ("live/all", "live/shard-0000", "live/json/all", "live/keys/k")
	fds = [os.open(f"{a}/{views[i % 4]}", os.O_RDONLY) for i in range(1000)]
	got = [None] * 1000
	def read(i): got[i] = os.read(fds[i], 1000)
	threads = [threading.Thread(target=read, args=(i,)) for i in range(1000)]
	for t in threads: t.start()
	time.sleep(0.5)
	count = len(os.listdir(f"/proc/{pid}/task"))
	assert count < 60, count
	assert os.stat(f"{a}/stats").st_size > 0 and os.listdir(a)
	with open(f"{a}/keys/k", "a") as f: f.write("wake\n")
	with open(f"{a}/shard-0000", "a") as f: f.write("wake\n")
	for t in threads: t.join(60)
	assert not any(t.is_alive() for t in threads)
	assert all(b"wake" in g for g in got)
	with open(f"/proc/{pid}/status") as f:
	    print([l.split()[1] for l in f if l.startswith("VmRSS")])
	os._exit(0)
	EOT
}

test_unmounting_ends_waiting_readers()
{
	mount_store
	new_stream a
	cat "$M/a/live/all" >"$T/out" 2>"$T/err" &
	READER=$!
	eventually opened "$READER" "$M/a/live/all"
	sleep 0.1
	must_fail umount "$M" # busy
	kill -TERM "$PID"
	eventually is_gone_or_zombie "$READER"
	ended
	has "$(cat "$T/err")" 'No such device|not connected' "what cat said"
}

test_removing_the_stream_ends_waiting_readers()
{
	mount_store
	new_stream a
	cat "$M/a/live/all" >"$T/out" 2>"$T/err" &
	READER=$!
	eventually opened "$READER" "$M/a/live/all"
	sleep 0.1
	rmdir "$M/a"
	eventually is_gone_or_zombie "$READER"
}

test_a_big_append_comes_whole()
{
	mount_store
	new_stream a
	text_lines 100000 >"$T/want"
	bytes=$(size_of "$T/want")
	head -c "$bytes" "$M/a/live/shard-0000" >"$T/got" &
	READER=$!
	eventually opened "$READER" "$M/a/live/shard-0000"
	sleep 0.1
	cat "$T/want" >>"$M/a/shard-0000"
	wait $READER
	same "$T/want" "$T/got"
}

test_two_readers_of_one_descriptor_share_it()
{
	mount_store
	new_stream a
	exec 7<"$M/a/live/all"
	(head -n 1 <&7 >"$T/one") &
	ONE=$!
	sleep 0.1
	echo a >>"$M/a/shard-0000"
	wait $ONE
	echo b >>"$M/a/shard-0000"
	eq b "$(head -n 1 <&7)" "second"
	eq a "$(cat "$T/one")" "first"
	exec 7<&-
}

test_who_waits_behind_another_of_the_same_descriptor_can_be_killed()
{
	mount_store
	new_stream a
	python3 - "$M/a" <<-'EOT'
	import os, signal, sys, time
	a = sys.argv[1]
	fd = os.open(f"{a}/live/all", os.O_RDONLY)
	def reader():
	    r, w = os.pipe()
	    pid = os.fork()
	    if pid == 0:
	        os.write(w, b".")
	        os.write(w, os.read(fd, 100))
	        os._exit(0)
	    os.close(w)
	    os.read(r, 1)
	    time.sleep(0.1)
	    return pid, r
	first, first_got = reader()
	second, _ = reader()
	third, third_got = reader()
	os.kill(second, signal.SIGKILL)
	os.waitpid(second, 0) # the test's limit, if it cannot be killed
	os.set_blocking(fd, False)
	try: os.read(fd, 100); raise SystemExit("read something")
	except BlockingIOError: pass
	os.set_blocking(fd, True)
	for line in ("one\n", "two\n"):
	    with open(f"{a}/shard-0000", "a") as f: f.write(line)
	os.waitpid(first, 0); os.waitpid(third, 0)
	got = os.read(first_got, 100) + os.read(third_got, 100)
	assert got in (b"one\ntwo\n", b"two\none\n"), got
	EOT
}

test_many_readers_each_read_all_in_order()
{
	mount_store
	new_stream a '{"shards": 2}'
	python3 - "$M/a" <<-'EOT'
	import os, select, sys, threading
	a, n, records = sys.argv[1], 100, 300
	threading.stack_size(256 * 1024)
	want = b"".join(b"%d\n" % i for i in range(records))
	views = ("live/all", "live/shard-0000")
	fds = [os.open(f"{a}/{views[i % 2]}", os.O_RDONLY) for i in range(n)]
	got = [b""] * n
	def read(i):
	    if i % 3 == 0:
	        p = select.poll(); p.register(fds[i], select.POLLIN)
	        os.set_blocking(fds[i], False)
	    while len(got[i]) < len(want):
	        if i % 3 == 0: p.poll()
	        try: got[i] += os.read(fds[i], 1000)
	        except BlockingIOError: pass
	threads = [threading.Thread(target=read, args=(i,), daemon=True) for i in range(n)]
	for t in threads: t.start()
	with open(f"{a}/shard-0000", "ab", buffering=0) as f:
	    for i in range(records): f.write(b"%d\n" % i)
	for t in threads: t.join(60)
	for g in got: assert g == want, len(g)
	os._exit(0)
	EOT
}

test_removing_the_stream_ends_every_kind_of_live_view()
{
	mount_store
	new_stream a '{"shards": 2}'
	for view in shard-0000 json/shard-0001 keys/k json/keys/k json/all; do
		cat "$M/a/live/$view" >"$T/out" 2>>"$T/err" &
		R="${R:-} $!"
		eventually opened $! "$M/a/live/$view"
	done
	mv "$M/a" "$M/b" # changes nothing for who waits
	sleep 0.1
	for pid in $R; do kill -0 "$pid" || fail "a reader ended with the renaming"; done
	rmdir "$M/b"
	for pid in $R; do eventually is_gone_or_zombie "$pid"; done
	eq 5 "$(grep -c 'No such file' "$T/err")" "readers that were told"
}

test_a_poll_is_woken_by_the_end_of_the_stream()
{
	mount_store
	new_stream a
	python3 - "$M/a" <<-'EOT'
	import errno, os, select, sys, threading
	a = sys.argv[1]
	fds = [os.open(f"{a}/live/{v}", os.O_RDONLY) for v in ("all", "shard-0000", "keys/k") * 10]
	p = select.poll()
	for fd in fds: p.register(fd, select.POLLIN)
	assert p.poll(0) == []
	threading.Timer(0.2, os.rmdir, (a,)).start()
	assert p.poll(60000)
	for fd in fds:
	    try: os.read(fd, 10); raise SystemExit("read something")
	    except OSError as e: assert e.errno == errno.ENOENT, e
	EOT
}

test_a_reader_can_be_stopped_and_goes_on()
{
	mount_store
	new_stream a
	reader "$T/got" "$M/a/live/all"
	for n in 1 2 3; do
		kill -STOP "$READER"
		sleep 0.1
		kill -CONT "$READER"
		sleep 0.1
		echo "$n" >>"$M/a/shard-0000"
		eventually lines "$T/got" "$n"
	done
	eq "1 2 3" "$(echo $(cat "$T/got"))"
	kill "$READER"
}

test_unmounting_ends_many_who_read_and_poll()
{
	mount_store
	new_stream a
	python3 - "$M/a" >"$T/out" <<-'EOT' &
	import os, select, sys, threading
	a = sys.argv[1]
	fds = [os.open(f"{a}/live/all", os.O_RDONLY) for _ in range(60)]
	def wait(i):
	    if i % 3 == 0:
	        p = select.poll(); p.register(fds[i], select.POLLIN); p.poll()
	    try: os.read(fds[i], 10)
	    except OSError: return
	    os._exit(1)
	threads = [threading.Thread(target=wait, args=(i,)) for i in range(len(fds))]
	for t in threads: t.start()
	print("waiting", flush=True)
	for t in threads: t.join()
	EOT
	WAITING=$!
	eventually grep -q waiting "$T/out"
	sleep 0.3
	kill -TERM "$PID"
	ended
	wait "$WAITING" || fail "a reader read something"
}

run_tests "$@"
