#!/bin/bash
# SPDX-License-Identifier: MIT
# Views that are read: json/, since/, keys/ and all, alone and composed. (live/ has a file of its own.)
. "${0%/*}/lib.sh"

# The records of a JSON view in their text form.
data_of() { jq -rj '.data + "\n"' "$@"; }

# names DIRECTORY: sorted, in one line
names() { (cd "$1" && printf '%s\n' * | sort | tr '\n' ' '); }

test_views_are_listed()
{
	mount_store
	new_stream a '{"shards": 2}'
	for dir in "$M/a/json" "$M/a/since/1h/json" "$M/a/live/json"; do
		eq "all keys shard-0000 shard-0001 " "$(names "$dir")" "$dir"
	done
	for dir in "$M/a/since/1h" "$M/a/live"; do
		eq "all json keys shard-0000 shard-0001 " "$(names "$dir")" "$dir"
	done
	eq "* " "$(names "$M/a/since")" "since"
}

test_a_stream_does_not_list_its_views()
{
	mount_store
	new_stream a '{"shards": 2, "key": {"field": 1, "separator": " "}}'
	printf '%s\n' "k1 needle" "k2 x" "k3 needle" >"$M/a/put"
	eq "blobs config consumers drop put shard-0000 shard-0001 stats trim " "$(names "$M/a")"
	for name in all json keys live since; do ls -d "$M/a/$name"; done
	# What walks a stream ends, and meets a record once.
	grep -rsh needle "$M/a" >"$T/found" || true # put cannot be read
	eq "k1 needle k3 needle" "$(echo $(sort "$T/found"))" "grep -r"
	find "$M/a" -type f -not -name put -exec grep -h needle {} + >"$T/found"
	eq 2 "$(wc -l <"$T/found")" "find"
	must_fail cp -r "$M/a" "$T/copy"
	eq 1 "$(wc -l <"$T/must_fail.out")" "complaints of cp: of put alone"
	eq 2 "$(grep -rh needle "$T/copy" | wc -l)" "cp -r"
}

test_every_composed_path_exists()
{
	mount_store
	new_stream a '{"shards": 2}'
	for start in "" since/1h/ since/2026-01-01T00:00:00Z/ live/; do
		for json in "" json/; do
			for what in all keys/k shard-0001; do
				[ -f "$M/a/$start$json$what" ] || fail "missing: $start$json$what"
			done
		done
	done
	for wrong in json/json json/since json/live live/live live/since since/1h/live \
		since/1h/since json/shard-0002 live/shard-0002 json/put json/config since/1h/put \
		all/x keys/k/x json/shard-00 live/stats; do
		must_fail stat "$M/a/$wrong"
	done
}

test_json_has_what_the_store_knows()
{
	mount_store
	new_stream a '{"key": {"json": "/id"}}'
	printf '{"id":"user-1"}\n' >>"$M/a/put"
	before=$(date -u +%s)
	printf 'plain\n' >>"$M/a/shard-0000"
	after=$(date -u +%s)
	printf '{"id":"user-2"}\n' >>"$M/a/put"
	J=$M/a/json/shard-0000
	eq 3 "$(wc -l <"$J")" "lines"
	eq '["shard","sequence","offset","time","key","data"]' \
		"$(sed -n 1p "$J" | jq -c 'keys_unsorted')" "members"
	eq '["shard","sequence","offset","time","data"]' \
		"$(sed -n 2p "$J" | jq -c 'keys_unsorted')" "members without a key"
	eq '["shard-0000",0,0,"user-1","{\"id\":\"user-1\"}"]' \
		"$(sed -n 1p "$J" | jq -c '[.shard,.sequence,.offset,.key,.data]')" "first"
	eq '["shard-0000",1,16,null,"plain"]' \
		"$(sed -n 2p "$J" | jq -c '[.shard,.sequence,.offset,.key,.data]')" "second"
	time=$(sed -n 2p "$J" | jq -r .time)
	has "$time" '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$' "time"
	at=$(date -ud "$time" +%s)
	num "$at" -ge "$before" "arrival"
	num "$at" -le "$after" "arrival"
	# The offset is the shard's.
	at=$(sed -n 3p "$J" | jq .offset)
	eq '{"id":"user-2"}' "$(from_byte "$at" "$M/a/shard-0000")" "at the offset"
}

test_json_is_right_for_every_byte()
{
	mount_store
	new_stream a
	python3 - "$M/a/shard-0000" "$T/want" <<-'EOT'
	import random, sys
	r = random.Random(5)
	lines = [bytes([b]) for b in range(256) if b != 10]
	lines += [b"", b'"quoted" \\ back', b"\r", b"a\r", "ü€😀".encode(), b"\xed\xa0\x80",
	          b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"x\xffy", b"\x7f", b"</script>",
	          "\u2028\u2029\ufeff".encode(), b"{}", b"\0\0"]
	lines += [r.randbytes(r.randrange(200)).replace(b"\n", b"") for _ in range(300)]
	lines += ["".join(chr(r.choice([r.randrange(0x20, 0x7f), r.randrange(0xa0, 0xd800),
	          r.randrange(0xe000, 0x110000)])) for _ in range(r.randrange(80))).encode()
	          for _ in range(300)]
	data = b"".join(l + b"\n" for l in lines)
	open(sys.argv[1], "ab").write(data)
	open(sys.argv[2], "wb").write(data)
	EOT
	same "$T/want" "$M/a/shard-0000" "text"
	jq -c . "$M/a/json/shard-0000" >"$T/by-jq"
	eq "$(wc -l <"$T/want")" "$(wc -l <"$T/by-jq")" "lines that jq reads"
	python3 - "$M/a/json/shard-0000" "$T/got" <<-'EOT'
	import base64, json, sys
	out = open(sys.argv[2], "wb")
	offset = 0
	for n, line in enumerate(open(sys.argv[1], "rb")):
	    record = json.loads(line)
	    assert record["sequence"] == n and record["offset"] == offset, record
	    assert ("data" in record) != ("data_base64" in record), record
	    data = record["data"].encode() if "data" in record else base64.b64decode(
	        record["data_base64"], validate=True)
	    if "data_base64" in record:
	        try: data.decode(); raise SystemExit("base64 of UTF-8: %r" % line)
	        except UnicodeDecodeError: pass
	    out.write(data + b"\n")
	    offset += len(data) + 1
	EOT
	same "$T/want" "$T/got" "payloads"
}

test_claim_checks_are_told_by_the_mark()
{
	mount_store
	new_stream a '{"large_records": {"threshold_bytes": 1024}}'
	repeat 1 "$(printf 'x%.0s' $(seq 2000))" >>"$M/a/shard-0000"
	line=$(cat "$M/a/shard-0000")
	echo "$line" >>"$M/a/shard-0000" # the same line, written as text
	J=$M/a/json/shard-0000
	eq '["claim_check"]' "$(sed -n 1p "$J" | jq -c 'keys_unsorted[4:]')" "a claim check"
	eq '["data"]' "$(sed -n 2p "$J" | jq -c 'keys_unsorted[4:]')" "a line that looks like one"
	eq "$(jq -c .claim_check "$M/a/shard-0000" | head -n 1)" \
		"$(sed -n 1p "$J" | jq -c .claim_check)" "what it holds"
	eq 2000 "$(cat "$M/a/$(sed -n 1p "$J" | jq -r .claim_check.path)" | wc -c)" "payload"
	eq "$(sed -n 2p "$M/a/shard-0000")" "$(sed -n 2p "$J" | jq -r .data)" "data"
}

test_json_sizes_are_exact()
{
	mount_store
	new_stream a '{"shards": 2}'
	J=$M/a/json/shard-0000
	eq 0 "$(size_of "$J")" "empty"
	for i in $(seq 25); do
		text_lines $((i * 37)) >>"$M/a/shard-0000"
		echo "one $i" >>"$M/a/shard-0000"
		eq "$(cat "$J" | wc -c)" "$(size_of "$J")" "size after $i"
	done
	eq 0 "$(size_of "$M/a/json/shard-0001")" "the other shard"
	cat "$J" >"$T/json"
	remount
	same "$T/json" "$J" "after a remount"
	eq "$(size_of "$T/json")" "$(size_of "$J")" "size after a remount"
}

test_json_can_be_sought()
{
	mount_store
	new_stream a
	for i in $(seq 40); do text_lines 300 >>"$M/a/shard-0000"; done
	J=$M/a/json/shard-0000
	cat "$J" >"$T/json"
	python3 - "$J" "$T/json" <<-'EOT'
	import os, random, sys
	r = random.Random(3)
	want = open(sys.argv[2], "rb").read()
	fd = os.open(sys.argv[1], os.O_RDONLY)
	for _ in range(400):
	    at, n = r.randrange(len(want) + 50), r.choice([1, 10, 4096, 100000, 1 << 20])
	    got = b""
	    while len(got) < n:
	        piece = os.pread(fd, n - len(got), at + len(got))
	        if not piece: break
	        got += piece
	    assert got == want[at:at + n], (at, n, len(got))
	EOT
	eq "$(tail -n 3 "$T/json")" "$(tail -n 3 "$J")" "tail"
	eq "$(tail -c 1000 "$T/json")" "$(tail -c 1000 "$J")" "tail -c"
	cp "$J" "$T/copy"
	same "$T/json" "$T/copy" "cp"
}

test_shard_views_follow()
{
	mount_store
	new_stream a
	echo first >>"$M/a/shard-0000"
	tail -n +1 -f -s 0.1 "$M/a/json/shard-0000" >"$T/json" &
	tails=$!
	tail -n +1 -f -s 0.1 "$M/a/since/1h/shard-0000" >"$T/text" &
	tails="$tails $!"
	tail -n +1 -F -s 0.1 "$M/a/since/1h/json/shard-0000" >"$T/both" 2>"$T/err" &
	tails="$tails $!"
	for i in $(seq 30); do echo "more $i" >>"$M/a/shard-0000"; done
	ends_with_30() { [ "$(wc -l <"$T/$1")" = 31 ]; }
	for file in json text both; do eventually ends_with_30 "$file"; done
	same "$M/a/shard-0000" "$T/text"
	for file in json both; do
		data_of "$T/$file" >"$T/data"
		same "$M/a/shard-0000" "$T/data" "$file"
	done
	eq "" "$(cat "$T/err")" "what tail -F said"
	kill $tails
}

test_since_by_arrival()
{
	mount_store
	new_stream a '{"shards": 2}'
	echo old0 >>"$M/a/shard-0000"
	echo old1 >>"$M/a/shard-0001"
	sleep 1.1
	now=$(date +%s)
	sleep 0.1
	echo new0 >>"$M/a/shard-0000"
	sleep 0.01
	echo new1 >>"$M/a/shard-0001"
	for when in "$now" "${now}000" "$(date -ud "@$now" +%Y-%m-%dT%H:%M:%SZ)" \
		"$(TZ=Asia/Kolkata date -d "@$now" +%Y-%m-%dT%H:%M:%S%:z)"; do
		eq new0 "$(cat "$M/a/since/$when/shard-0000")" "$when"
		eq 5 "$(size_of "$M/a/since/$when/shard-0000")" "size since $when"
		eq "new0 new1" "$(echo $(cat "$M/a/since/$when/all"))" "all since $when"
		eq '"new1"' "$(jq .data "$M/a/since/$when/json/shard-0001")" "json since $when"
	done
	eq "old0 old1 new0 new1" "$(echo $(cat "$M/a/since/1d/all"))" "since 1d"
	eq "" "$(cat "$M/a/since/0s/all")" "since 0s"
	eq "" "$(cat "$M/a/since/2100-01-01T00:00:00Z/all")" "the future"
	eq "old0 old1 new0 new1" "$(echo $(cat "$M/a/since/0/all"))" "1970"
	# The first line of a text view since then is where json says that it is.
	at=$(jq .offset "$M/a/since/$now/json/shard-0000")
	eq new0 "$(from_byte "$at" "$M/a/shard-0000")" "offset"
}

test_since_is_found_in_a_merged_chunk()
{
	mount_store
	new_stream a
	for i in $(seq 50); do echo "a $i" >>"$M/a/shard-0000"; done
	sleep 1.1
	now=$(date +%s)
	sleep 0.1
	for i in $(seq 50); do echo "b $i" >>"$M/a/shard-0000"; done
	eq 50 "$(wc -l <"$M/a/since/$now/shard-0000")" "before"
	remount
	eq 50 "$(wc -l <"$M/a/since/$now/shard-0000")" "after a remount"
	eq "b 1" "$(head -n 1 "$M/a/since/$now/shard-0000")" "first"
}

test_a_when_that_is_none_is_enoent()
{
	mount_store
	new_stream a
	for when in yesterday 5w 1.5h -1 2026-13-01T00:00:00Z 2026-01-01 15M 99999999999999999999 \
		"$(printf '9%.0s' $(seq 70))"; do
		errno ENOENT open r "$M/a/since/$when/all"
		says "No such file" ls "$M/a/since/$when"
	done
}

test_all_is_merged_by_arrival()
{
	mount_store
	new_stream a '{"shards": 4}'
	for i in $(seq 60); do
		echo "$i" >>"$M/a/shard-000$((i % 4))"
		sleep 0.002
	done
	seq 60 >"$T/want"
	same "$T/want" "$M/a/all" "all"
	data_of "$M/a/json/all" >"$T/got"
	same "$T/want" "$T/got" "json/all"
	eq 0 "$(size_of "$M/a/all")" "size"
	eq "$(seq 60 | md5sum)" "$(cat "$M/a/all" | md5sum)" "cat"
	eq 60 "$(grep -c . "$M/a/all")" "grep"
	errno ESPIPE open r "$M/a/all" , seek set 0
}

test_all_is_whole_for_bulk()
{
	mount_store
	new_stream a '{"shards": 5, "key": {"field": 2, "separator": " "}}'
	text_lines 30000 >"$T/want"
	cat "$T/want" >"$M/a/put"
	sort "$T/want" >"$T/sorted"
	sort "$M/a/all" >"$T/got"
	same "$T/sorted" "$T/got" "all"
	data_of "$M/a/json/all" | sort >"$T/got"
	same "$T/sorted" "$T/got" "json/all"
}

test_keys_take_and_give_records()
{
	mount_store
	new_stream a '{"shards": 6}'
	for i in $(seq 40); do
		echo "u1 $i" >>"$M/a/keys/user-1"
		echo "u2 $i" >>"$M/a/keys/user-2"
		echo "none $i" >>"$M/a/put"
	done
	printf 'a\nb\n' >"$M/a/keys/user-2"
	eq "$(seq -f 'u1 %g' 40)" "$(cat "$M/a/keys/user-1")" "user-1"
	eq "$(seq -f 'u2 %g' 40; echo a; echo b)" "$(cat "$M/a/keys/user-2")" "user-2"
	eq "" "$(cat "$M/a/keys/user-3")" "a key without records"
	eq "$(seq -f 'u1 %g' 40)" "$(data_of "$M/a/json/keys/user-1")" "json"
	eq "user-1" "$(jq -r .key "$M/a/json/keys/user-1" | sort -u)" "key"
	eq "$(shard_of user-1 6)" "$(jq -r .shard "$M/a/json/keys/user-1" | sort -u)" "shard"
	eq 0 "$(size_of "$M/a/keys/user-1")" "size"
	eq "u1 40" "$(tail -n 1 "$M/a/keys/user-1")" "tail"
	remount
	eq "$(seq -f 'u1 %g' 40)" "$(cat "$M/a/keys/user-1")" "after a remount"
	eq "$(seq -f 'u1 %g' 40)" "$(cat "$M/a/since/1h/keys/user-1")" "since"
	eq "" "$(cat "$M/a/since/0s/keys/user-1")" "since now"
}

test_keys_are_the_same_as_those_of_put()
{
	mount_store
	new_stream a '{"shards": 3, "key": {"json": "/k"}}'
	printf '{"k":"x","n":1}\n' >>"$M/a/put"
	printf '{"n":2}\n' >>"$M/a/keys/x"
	printf '{"k":"y","n":3}\n' >>"$M/a/put"
	printf '{"k":"x","n":4}\n' >>"$M/a/put"
	eq "1 2 4" "$(echo $(jq .n "$M/a/keys/x"))" "x"
}

test_keys_are_listed()
{
	mount_store
	new_stream a '{"shards": 3}'
	eq "" "$(ls -A "$M/a/keys")" "none"
	for key in user-1 user-2 a%2Fb 100%25 %2Ehidden "with space" ü; do
		echo x >>"$M/a/keys/$key"
		echo y >>"$M/a/keys/$key"
	done
	echo z >>"$M/a/put"
	want=$(printf '%s\n' user-1 user-2 a%2Fb 100%25 %2Ehidden "with space" ü | sort)
	eq "$want" "$(ls -A "$M/a/keys" | sort)" "keys"
	eq "$want" "$(ls -A "$M/a/since/1h/json/keys" | sort)" "keys below a view"
	remount
	eq "$want" "$(ls -A "$M/a/keys" | sort)" "after a remount"
	for name in "$M"/a/keys/*; do eq 2 "$(wc -l <"$name")" "$name"; done
}

test_key_names_are_decoded()
{
	mount_store
	new_stream a
	echo slash >>"$M/a/keys/a%2fb"
	eq slash "$(cat "$M/a/keys/a%2Fb")" "either case"
	eq a/b "$(jq -r .key "$M/a/json/all")" "key"
	long=$(printf 'k%.0s' $(seq 255))
	echo long >>"$M/a/keys/$long"
	eq long "$(cat "$M/a/keys/$long")" "long"
	for wrong in a%2 %zz % a%ff %C3; do
		errno ENOENT open r "$M/a/keys/$wrong"
		must_fail sh -c "echo x >> '$M/a/keys/$wrong'"
	done
	eq 2 "$(wc -l <"$M/a/shard-0000")" "records"
}

test_an_unfinished_line_of_a_key_ends_with_the_file()
{
	mount_store
	new_stream a
	printf 'no newline' >>"$M/a/keys/k"
	eq "no newline" "$(cat "$M/a/keys/k")" "after close"
	(printf a; printf b; echo c) >>"$M/a/keys/k"
	eq abc "$(tail -n 1 "$M/a/keys/k")" "three writes"
}

test_views_cannot_be_changed()
{
	mount_store
	new_stream a
	echo x >>"$M/a/keys/k"
	for file in all json/all json/shard-0000 since/1h/shard-0000 live/all live/shard-0000 \
		json/keys/k since/1h/keys/k; do
		errno EACCES open wa "$M/a/$file"
		must_fail rm -f "$M/a/$file"
		must_fail mv "$M/a/$file" "$M/a/x"
	done
	for dir in json since live keys since/1h; do
		must_fail mkdir "$M/a/$dir/x"
		must_fail rmdir "$M/a/$dir"
	done
	must_fail rm -f "$M/a/keys/k"
	eq x "$(cat "$M/a/all")" "what is there"
}

test_modes_of_views()
{
	mount_store
	new_stream a
	chmod 750 "$M/a"
	eq 440 "$(stat -c %a "$M/a/all")" "all"
	eq 640 "$(stat -c %a "$M/a/keys/k")" "keys/k"
	eq 550 "$(stat -c %a "$M/a/json")" "json"
	eq 440 "$(stat -c %a "$M/a/since/1h/json/shard-0000")" "a shard in a view"
	chmod 773 "$M/a"
	eq 551 "$(stat -c %a "$M/a/keys")" "keys"
	eq 662 "$(stat -c %a "$M/a/keys/k")" "keys/k of a producer"
	remount -o allow_other
	chmod 773 "$M/a"
	setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "echo in >> '$M/a/keys/k'"
	must_fail setpriv --reuid 65534 --regid 65534 --clear-groups cat "$M/a/keys/k"
	must_fail setpriv --reuid 65534 --regid 65534 --clear-groups ls "$M/a/keys"
	must_fail setpriv --reuid 65534 --regid 65534 --clear-groups cat "$M/a/all"
	eq in "$(cat "$M/a/keys/k")" "record"
}

test_inode_numbers_of_views_last()
{
	mount_store
	new_stream a
	paths="all json json/all json/shard-0000 since live keys keys/k since/1h/all since/1h/shard-0000"
	before=$(for p in $paths; do stat -c %i "$M/a/$p"; done)
	eq "$(wc -w <<<"$paths")" "$(sort -u <<<"$before" | wc -l)" "distinct"
	remount
	eq "$before" "$(for p in $paths; do stat -c %i "$M/a/$p"; done)" "after a remount"
}

test_whole_trees_can_be_listed()
{
	mount_store
	new_stream a '{"shards": 2}'
	echo x >>"$M/a/keys/k"
	find "$M/a/live" >"$T/found"
	has "$(cat "$T/found")" 'live/json/all$'
	ls -lR "$M/a" "$M/a/json" "$M/a/since/1h" "$M/a/live" >"$T/listed"
}

run_tests "$@"
