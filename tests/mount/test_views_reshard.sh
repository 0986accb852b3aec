#!/bin/bash
# SPDX-License-Identifier: MIT
# Views over another number of shards, while it changes and after.
. "${0%/*}/lib.sh"

start()
{
	mount_store
	new_stream a '{"key": {"field": 1, "separator": " "}}'
}

shards() { echo "{\"shards\": $1}" >"$M/a/config"; }

# under_load: a program on stdin is run after 1, 4, 3, 16 and 1 shards under load, with
#   a     the stream's path     counts  how many records each key has: "KEY 0", "KEY 1", …
#   total bytes                 live    what each of the live views has brought, if `follow` names it
under_load()
{
	{
		cat <<-'EOT'
		import errno, json, os, re, sys, threading, time
		a, T, follow = sys.argv[1], sys.argv[2], sys.argv[3:]

		def put(key, write):
		    n = 0
		    while n < 50 or not os.path.exists(f"{T}/stop"):
		        write(b"%s %d\n" % (key.encode(), n))
		        n += 1
		    with open(f"{T}/count.{key}", "w") as f: f.write(str(n))
		def by_file(path, key):
		    with open(path, "ab", buffering=0) as f: put(key, f.write)
		def by_drop(key):
		    def write(line):
		        with open(f"{a}/drop/{key}", "wb", buffering=0) as f: f.write(line)
		    put(key, write)

		live = {}
		threads = []
		ended = threading.Event()
		def reader(view, fd):
		    while True:
		        piece = os.read(fd, 4096)
		        if not piece: return
		        live[view] += piece
		for view in follow:
		    live[view] = b""
		    fd = os.open(f"{a}/live/{view}", os.O_RDONLY)
		    threads.append(threading.Thread(target=reader, args=(view, fd), daemon=True))

		def fork(function, *args):
		    pid = os.fork()
		    if pid: return pid
		    try: function(*args)
		    except BaseException as e:
		        print(e, file=sys.stderr)
		        os._exit(1)
		    os._exit(0)
		writers = [fork(by_file, f"{a}/put", key) for key in ("p0", "p1", "p2")]
		writers += [fork(by_file, f"{a}/keys/{key}", key) for key in ("q0", "q1")]
		writers += [fork(by_drop, "d0")]
		for t in threads: t.start()

		def stats():
		    with open(f"{a}/stats") as f: return json.load(f)
		def more(records):
		    want = stats()["since_mount"]["records"] + records
		    while stats()["since_mount"]["records"] < want: time.sleep(0.01)
		for n in (4, 3, 16, 1):
		    more(200)
		    with open(f"{a}/config", "w") as f: f.write('{"shards": %d}' % n)
		more(200)
		open(f"{T}/stop", "w").close()
		for pid in writers: assert os.waitpid(pid, 0)[1] == 0, "a writer failed"
		counts = {}
		for key in ("p0", "p1", "p2", "q0", "q1", "d0"):
		    with open(f"{T}/count.{key}") as f: counts[key] = int(f.read())

		def read(path):
		    with open(f"{a}/{path}", "rb") as f: return f.read()
		def of_key(key): return b"".join(b"%s %d\n" % (key.encode(), n) for n in range(counts[key]))
		total = sum(len(of_key(key)) for key in counts)
		def check_all(text, what):
		    lines = text.splitlines(True)
		    for key in counts:
		        got = b"".join(l for l in lines if l.startswith(key.encode() + b" "))
		        assert got == of_key(key), (what, key)
		    assert len(text) == total, (what, len(text), total)
		def eventually(true, what):
		    end = time.time() + 300
		    while not true():
		        assert time.time() < end, what()
		        time.sleep(0.02)
		names = [s["name"] for s in stats()["shards"]]
		parents = {s["name"]: s.get("parents") or [] for s in stats()["shards"]}
		assert len(names) > 20, names
		# What each record of a view of JSON says, once it is known to be in order.
		def check_json(text, what):
		    records = [json.loads(l) for l in text.splitlines()]
		    left = {name: 0 for name in names}
		    for r in records: left[r["shard"]] += 1
		    offset = dict.fromkeys(names, 0)
		    for r in records:
		        name, line = r["shard"], r["data"].rstrip("\n") + "\n"
		        for parent in parents[name]: assert left[parent] == 0, (what, name, parent)
		        assert r["offset"] == offset[name], (what, r)
		        assert r["key"] == line.split(" ")[0], (what, r)
		        offset[name] += len(line)
		        left[name] -= 1
		    for name in names: assert offset[name] == os.stat(f"{a}/{name}").st_size, (what, name)
		    check_all("".join(r["data"].rstrip("\n") + "\n" for r in records).encode(), what)
		EOT
		cat
		echo 'os._exit(0)'
	} >"$T/program"
	python3 "$T/program" "$M/a" "$T" "$@"
}

test_all_and_keys_have_every_record_in_order_afterwards()
{
	start
	under_load <<-'EOT'
	check_all(read("all"), "all")
	check_json(read("json/all"), "json/all")
	check_all(b"".join(read(name) for name in names), "the shards")
	for key in counts:
	    assert read(f"keys/{key}") == of_key(key), key
	    got = [json.loads(l)["data"].rstrip("\n") + "\n" for l in read(f"json/keys/{key}").splitlines()]
	    assert "".join(got).encode() == of_key(key), "json " + key
	assert sorted(os.listdir(f"{a}/keys")) == sorted(counts)
	EOT
}

test_live_views_bring_every_record_once()
{
	start
	under_load all json/all keys/p0 keys/q1 keys/d0 <<-'EOT'
	eventually(lambda: len(live["all"]) >= total, lambda: len(live["all"]))
	check_all(live["all"], "live/all")
	size = len(read("json/all"))
	eventually(lambda: len(live["json/all"]) >= size, lambda: len(live["json/all"]))
	check_json(live["json/all"], "live/json/all")
	for key in ("p0", "q1", "d0"):
	    want = of_key(key)
	    got = lambda: live[f"keys/{key}"]
	    eventually(lambda: len(got()) >= len(want), lambda: (key, len(got())))
	    assert got() == want, key
	time.sleep(0.2)
	assert len(live["all"]) == total and len(live["json/all"]) == size, "more came than there is"
	EOT
}

test_a_live_shard_ends_once_it_is_closed_and_read()
{
	start
	under_load shard-0000 json/shard-0000 <<-'EOT'
	for t in threads: t.join(300)
	assert not any(t.is_alive() for t in threads), "no end"
	assert live["shard-0000"] == read("shard-0000") != b""
	assert live["json/shard-0000"] == read("json/shard-0000")
	assert read("live/shard-0000") == b"", "from now on there is nothing"
	EOT
}

test_views_since_a_time_reach_over_closed_shards()
{
	start
	under_load <<-'EOT'
	check_all(read("since/1h/all"), "since/1h/all")
	check_json(read("since/1h/json/all"), "since/1h/json/all")
	for key in counts: assert read(f"since/1h/keys/{key}") == of_key(key), key
	for name in names:
	    assert read(f"since/1h/{name}") == read(name), name
	    assert read(f"since/1h/json/{name}") == read(f"json/{name}"), name
	    assert os.stat(f"{a}/since/1h/json/{name}").st_size == len(read(f"json/{name}")), name
	EOT
}

test_a_closed_shard_takes_no_writers_and_its_views_stay()
{
	start
	echo "k one" >>"$M/a/put"
	exec 7>>"$M/a/shard-0000"
	exec 8<"$M/a/live/shard-0000"
	shards 4
	says "Read-only" bash -c "echo x >>'$M/a/shard-0000'"
	if echo x >&7 2>"$T/err"; then fail "a closed shard was written"; fi
	has "$(cat "$T/err")" "Read-only"
	exec 7>&-
	echo "k two" >>"$M/a/put"
	eq "" "$(cat <&8)" "live/shard-0000, opened before it closed"
	exec 8<&-
	eq "" "$(cat "$M/a/live/shard-0000")" "live/shard-0000, opened after"
	eq "k one" "$(cat "$M/a/shard-0000")"
	eq "k one" "$(jq -r .data "$M/a/json/shard-0000")"
	eq "k one k two" "$(echo $(cat "$M/a/all"))"
	eq "k one k two" "$(echo $(cat "$M/a/keys/k"))"
}

test_a_poll_is_woken_by_the_closing_of_its_shard()
{
	start
	echo "k one" >>"$M/a/put" # or numbering would start over
	python3 - "$M/a" <<-'EOT'
	import os, select, sys, threading
	a = sys.argv[1]
	def reshard():
	    with open(f"{a}/config", "w") as f: f.write('{"shards": 2}')
	fds = [os.open(f"{a}/live/{v}", os.O_RDONLY | os.O_NONBLOCK) for v in ("shard-0000", "json/shard-0000")]
	waiting = os.open(f"{a}/live/shard-0000", os.O_RDONLY)
	p = select.poll()
	for fd in fds: p.register(fd, select.POLLIN)
	assert p.poll(0) == []
	threading.Timer(0.2, reshard).start()
	assert os.read(waiting, 10) == b""
	for fd in fds:
	    q = select.poll(); q.register(fd, select.POLLIN)
	    assert q.poll(60000)
	    assert os.read(fd, 10) == b""
	EOT
}

run_tests "$@"
