#!/bin/bash
# SPDX-License-Identifier: MIT
# The scripts of examples/, run as a reader of them would, on a mount whose path has a space.
. "${0%/*}/lib.sh"

EXAMPLES=$(cd "$(dirname "$0")/../../examples" && pwd)

start()
{
	M="$T/my mount"
	mount_store
	new_stream a "${1:-{\}}"
}

example() { sh "$EXAMPLES/$1.sh" "${@:2}"; }
lines_of() { [ "$(wc -l <"$2")" -ge "$1" ]; }
offset_of_line() { head -n "$(($1 - 1))" "$2" | wc -c; }
kill_and_wait() { kill "$@"; wait "$@" 2>/dev/null || true; }
# A record of every byte that can be in one.
every_byte() { python3 -c 'import sys; sys.stdout.buffer.write(bytes(b for b in range(256) if b != 10) + b"\n")'; }

test_every_script_is_posix_sh()
{
	for script in "$EXAMPLES"/*.sh; do
		sh -n "$script"
		eq '#!/bin/sh' "$(head -n 1 "$script")" "$script"
	done
	if command -v shellcheck >/dev/null; then shellcheck -s sh "$EXAMPLES"/*.sh; fi
}

test_consumer_sees_each_record_and_goes_on()
{
	start '{"shards":3,"key":{"field":1,"separator":" "}}'
	text_lines 300 >"$T/want"
	awk '{ print $2, $0 }' "$T/want" >>"$M/a/put"
	example consumer "$M/a" billing cat >"$T/got"
	same <(awk '{ print $2, $0 }' "$T/want" | sort) <(sort "$T/got")
	example consumer "$M/a" billing cat >"$T/got"
	same /dev/null "$T/got" "nothing new"
	echo "x new" >>"$M/a/put"
	echo '{"shards":5}' >"$M/a/config"
	echo "x newer" >>"$M/a/put"
	example consumer "$M/a" billing cat >"$T/got"
	eq "x new;x newer;" "$(tr '\n' ';' <"$T/got")" "over a change of the number of shards"
}

test_consumer_repeats_what_its_command_failed_on()
{
	start
	seq 10 >>"$M/a/put"
	must_fail example consumer "$M/a" billing sh -c 'cat >/dev/null; false'
	eq 0 "$(cat "$M/a/consumers/billing/shard-0000")" "checkpoint"
	eq "$(seq 10)" "$(example consumer "$M/a" billing cat)"
	seq 200000 >>"$M/a/put"
	eq 1 "$(example consumer "$M/a" billing head -n 1)" "a command that stops reading"
	eq "" "$(example consumer "$M/a" billing cat)"
}

test_consumer_killed_at_random_skips_none()
{
	local i pid
	start '{"shards":2}'
	seq 2000 | while read -r i; do echo "$i" >>"$M/a/put"; done &
	local writer=$!
	for i in $(seq 25); do
		example consumer "$M/a" billing sh -c 'cat >>"$1"' - "$T/got" &
		pid=$!
		sleep "0.0$((i % 7))"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	wait "$writer"
	# What a killed one has started may still append: it has read all it will.
	example consumer "$M/a" billing sh -c 'cat >>"$1"' - "$T/got"
	same <(seq 2000 | sort) <(sort -u "$T/got")
}

test_consumer_goes_on_at_the_horizon()
{
	start
	seq 1000 1099 >>"$M/a/put"
	echo 50 >"$M/a/trim"
	eq "$(seq 1050 1099)" "$(example consumer "$M/a" late cat)"
	eq "" "$(example consumer "$M/a" late cat)"
	echo all >"$M/a/trim"
	seq 2000 2009 >>"$M/a/put"
	echo 105 >"$M/a/trim"
	eq "$(seq 2005 2009)" "$(example consumer "$M/a" late cat)"
}

test_consumer_leaves_what_comes_meanwhile_to_the_next_run()
{
	start
	seq 1000 1099 >>"$M/a/put"
	echo 50 >"$M/a/trim"
	mkdir "$T/bin"
	printf '#!/bin/sh\n%s "$@"\nseq 2000 2099 >>"%s/a/put"\n' "$(command -v stat)" "$M" >"$T/bin/stat"
	chmod +x "$T/bin/stat"
	(PATH=$T/bin:$PATH && example consumer "$M/a" late cat >"$T/got")
	same <(seq 1050 1099) "$T/got"
	eq "$(seq 2000 2099)" "$(example consumer "$M/a" late cat)"
}

test_consumer_does_not_pass_what_it_could_not_read()
{
	start '{"compression":"none"}'
	seq 100000 >>"$M/a/put"
	remount
	flip "$(segment_files a shard-0000 | head -n 1)" 300000
	remount
	must_fail example consumer "$M/a" billing sh -c 'cat >/dev/null'
	eq 0 "$(cat "$M/a/consumers/billing/shard-0000")" "checkpoint"
}

test_filter_is_live()
{
	local pid
	start
	new_stream large
	echo '{"total":5000,"n":0}' >>"$M/a/put"
	example filter "$M/a" large-is-missing . 2>/dev/null && fail "without a target"
	sh "$EXAMPLES/filter.sh" "$M/a" "$M/large" 'select(.total > 1000)' &
	pid=$!
	eventually has_open "$pid" "$M/a/live/json/all"
	printf '%s\n' '{"total":900,"n":1}' 'no JSON' '{"total":1900,"n":2}' >>"$M/a/put"
	eventually lines_of 1 "$M/large/shard-0000"
	printf '\377\n{"total":1001,"n":3}\n' >>"$M/a/put"
	eventually lines_of 2 "$M/large/shard-0000"
	eq '{"total":1900,"n":2}{"total":1001,"n":3}' "$(tr -d '\n' <"$M/large/shard-0000")"
	kill_and_wait "$pid"
}

# has_open PID FILE
has_open() { find "/proc/$1/fd" -lname "$2" | grep -q .; }

test_replay_keeps_keys()
{
	start '{"shards":2}'
	new_stream b '{"shards":4}'
	echo before >>"$M/a/keys/user-1"
	sleep 1.1
	local now
	now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	for i in $(seq 8); do echo "record $i" >>"$M/a/keys/user-$((i % 3))"; done
	echo 'back\slash "quotes" |bar  spaces ' >>"$M/a/keys/.dot"
	every_byte >>"$M/a/keys/eu%2Fberlin 7%25"
	printf 'nul\0byte\n' >>"$M/a/keys/nul"
	echo keyless >>"$M/a/put"
	echo >>"$M/a/put"
	example replay "$M/a" "$now" "$M/b"
	for key in user-0 user-1 user-2 %2Edot eu%2Fberlin%207%25 nul; do
		same "$M/a/since/$now/keys/$key" "$M/b/keys/$key" "$key"
	done
	has_not "$(cat "$M/b/all")" before
	same <(sort "$M/a/since/$now/all") <(sort "$M/b/all")
	must_fail example replay "$M/a" sometime "$M/b"
}

test_replay_brings_large_records()
{
	start
	new_stream b
	random_bytes 3000000 1 >"$T/photo 1.raw"
	cp "$T/photo 1.raw" "$M/a/drop/"
	random_bytes 2000000 2 | base64 -w 0 >"$T/line"
	echo >>"$T/line"
	cat "$T/line" >>"$M/a/keys/x%2Fy"
	example replay "$M/a" 1h "$M/b"
	same <(jq -c '[.key, .claim_check]' "$M/a/json/all") <(jq -c '[.key, .claim_check]' "$M/b/json/all")
	same "$T/photo 1.raw" "$M/b/$(head -n 1 "$M/b/all" | jq -r .claim_check.path)"
}

test_audit_of_a_key()
{
	start '{"shards":3}'
	echo one >>"$M/a/keys/user 42%2Fx"
	echo other >>"$M/a/keys/user-43"
	printf 'two\ttabs\n' >>"$M/a/keys/user 42%2Fx"
	printf '\377\n' >>"$M/a/keys/user 42%2Fx"
	example audit "$M/a" 'user 42/x' >"$T/got"
	eq 'one;two\ttabs;/w==;' "$(cut -f4 "$T/got" | tr '\n' ';')"
	eq "$(shard_of 'user 42/x' 3)" "$(cut -f2 "$T/got" | sort -u)" "shard"
	has "$(head -n 1 "$T/got")" '^20[0-9-]+T[0-9:.]+Z'
	same "$T/got" <(example audit "$M/a" 'user 42/x' 7d)
	echo 1 >"$M/a/trim"
	eq 2 "$(example audit "$M/a" 'user 42/x' | wc -l)" "what is retained"
}

test_dead_letters()
{
	start '{"shards":2}'
	new_stream dead
	seq 20 | while read -r i; do echo "  r $i \\ " >>"$M/a/put"; done
	example dead-letter "$M/a" worker "$M/dead" sh -c 'read -r r; echo "$r" >>"$1"; case $r in *7*) exit 1; esac' - "$T/got"
	same <(seq 20 | sort) <(awk '{ print $2 }' "$T/got" | sort)
	eq '  r 17 \ ;  r 7 \ ;' "$(sort "$M/dead/all" | tr '\n' ';')"
	for shard in shard-0000 shard-0001; do
		eq "$(size_of "$M/a/$shard")" "$(cat "$M/a/consumers/worker/$shard")" "$shard"
	done
	rm "$T/got"
	example dead-letter "$M/a" worker "$M/dead" sh -c 'cat >>"$1"' - "$T/got"
	[ ! -e "$T/got" ] || fail "processed twice"
	example dead-letter "$M/a" stuck "$M/nowhere" false 2>/dev/null && fail "a lost letter"
	eq 0 "$(cat "$M/a/consumers/stuck/shard-0000")" "checkpoint"
}

test_dead_letters_after_a_trim()
{
	start
	new_stream dead
	seq 1000 1019 >>"$M/a/put"
	echo 15 >"$M/a/trim"
	example dead-letter "$M/a" worker "$M/dead" grep -v 1017 >"$T/got"
	eq "1015 1016 1018 1019" "$(xargs <"$T/got")"
	eq 1017 "$(cat "$M/dead/all")"
	eq 100 "$(cat "$M/a/consumers/worker/shard-0000")"
}

test_fan_out_gives_each_every_record()
{
	local pid i
	start '{"shards":3}'
	echo before >>"$M/a/put"
	cd "$T"
	sh "$EXAMPLES/fan-out.sh" "$M/a" 'echo $$ >1.pid; cat >1' 'echo $$ >2.pid; grep . >2' \
		'echo $$ >3.pid; while read -r r; do echo "$r" >>3; done' &
	pid=$!
	for i in 1 2 3; do eventually test -s $i.pid; done
	for i in $(seq 500); do echo "r $i"; done >"$T/want"
	split -n l/10 --filter="cat >>'$M/a/put'" "$T/want"
	for i in 1 3; do
		eventually lines_of 500 $i
		same <(sort want) <(sort $i) "command $i"
	done
	pgrep -P "$(cat 2.pid)" >grep.pid
	kill_and_wait "$pid"
	for i in "$(cat 1.pid)" "$(cat 2.pid)" "$(cat grep.pid)"; do eventually is_gone_or_zombie "$i"; done
}

test_inbox_brings_files_back_byte_for_byte()
{
	start '{"shards":4}'
	mkdir "$T/sent" "$T/in box"
	for i in 1 2 3 4 5 6; do random_bytes $((i * 700000)) "$i" >"$T/sent/photo $i.raw"; done
	echo "a note" >"$T/sent/note.txt"
	every_byte >"$T/sent/bytes"
	printf 'x\0y\n' >"$T/sent/nul"
	printf '{"claim_check":{"path":"config"}}\n' >"$T/sent/claim"
	seq 100 >"$T/sent/lines"
	echo hidden >"$T/sent/.hidden"
	cp "$T/sent/"* "$T/sent/.hidden" "$M/a/drop/"
	example inbox "$M/a" "$T/in box"
	diff -r "$T/sent" "$T/in box"
	rm -r "$T/in box"
	mkdir "$T/in box"
	example inbox "$M/a" "$T/in box"
	eq "" "$(ls -A "$T/in box")" "brought again"
	echo later >"$M/a/drop/later.txt"
	example inbox "$M/a" "$T/in box"
	eq later.txt "$(ls -A "$T/in box")"
}

test_inbox_keeps_within_its_folder()
{
	start
	mkdir "$T/in"
	echo 'a' >>"$M/a/keys/..%2Fescaped"
	echo 'b' >>"$M/a/keys/%2E."
	echo 'c' >>"$M/a/put"
	example inbox "$M/a" "$T/in"
	eq ".._escaped _ shard-0000-2" "$(ls -A "$T/in" | xargs)"
	[ ! -e "$T/escaped" ] || fail "a key led out of the folder"
}

test_inbox_after_a_trim()
{
	start
	mkdir "$T/in"
	for i in 1 2 3; do random_bytes 100000 $i >"$T/$i.raw"; cp "$T/$i.raw" "$M/a/drop/"; done
	echo 2 >"$M/a/trim"
	example inbox "$M/a" "$T/in"
	eq 3.raw "$(ls -A "$T/in")"
	same "$T/3.raw" "$T/in/3.raw"
}

test_follow_prints_what_it_appends_without_a_mount()
{
	text_lines 20000 >"$T/lines"
	"$BUILD_DIR/examples/follow" "$S" greetings <"$T/lines" >"$T/got"
	same "$T/lines" "$T/got"
	mount_store
	same "$T/lines" "$M/greetings/shard-0000"
}

# The commands of the README's first page, and what they print but for sizes.
test_the_demo_of_the_readme()
{
	local readme=$EXAMPLES/../README.md
	sed -n '/^    \$ mkdir streams/,/^$/s/^    //p' "$readme" >"$T/demo"
	num "$(grep -c '^\$ ' "$T/demo")" -ge 6 "commands"
	sed -n 's/^\$ //p' "$T/demo" | sed 's/fusermount3 -u streams/until &; do sleep 0.1; done/' >"$T/commands"
	text_lines 5000 >"$T/log-of-dpkg" # which not every machine has
	sed -i "s|/var/log/dpkg.log|$T/log-of-dpkg|" "$T/commands"
	PATH=$(dirname "$STREAMFS_BIN"):$PATH bash -e "$T/commands" >"$T/printed"
	same <(sed '/^\$/d; s/^[0-9.]*[KM]\t/N\t/' "$T/demo") <(sed 's/^[0-9.]*[KM]\t/N\t/' "$T/printed")
}

run_tests "$@"
