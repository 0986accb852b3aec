#!/bin/bash
# SPDX-License-Identifier: MIT
# put: each record goes to the shard of its key. The expected shard is computed here from MD5.
. "${0%/*}/lib.sh"

# routed STREAM COUNT: reads "KEY<tab>LINE"; every line must be in its key's shard, in order
routed()
{
	local stream=$1 count=$2 i shard
	cat >"$T/pairs"
	cut -f1 "$T/pairs" | shards_of "$count" >"$T/numbers"
	eq "$(wc -l <"$T/pairs")" "$(wc -l <"$T/numbers")" "keys"
	rm -f "$T"/want.*
	cut -f2- "$T/pairs" | paste -d '\t' "$T/numbers" - |
		awk -F '\t' -v t="$T/want." '{ n = $1; sub(/^[^\t]*\t/, ""); print > (t n) }'
	for i in $(seq 0 $((count - 1))); do
		shard=$(printf 'shard-%04u' "$i")
		touch "$T/want.$i"
		same "$T/want.$i" "$M/$stream/$shard" "$stream/$shard"
	done
}

test_key_by_json_pointer()
{
	mount_store
	new_stream a '{"shards": 5, "key": {"json": "/customer/id"}}'
	awk 'BEGIN { for (i = 0; i < 600; i++) {
		k = "user-" (i % 83)
		printf "%s\t{\"n\": %d, \"customer\": {\"x\": [1, {\"id\": 0}], \"id\": \"%s\"}}\n", k, i, k
	} }' >"$T/records"
	cut -f2- "$T/records" >"$M/a/put"
	routed a 5 <"$T/records"
	for i in 0 1 2 3 4; do num "$(size_of "$M/a/shard-000$i")" -gt 0 "size of shard $i"; done
	remount
	routed a 5 <"$T/records"
}

test_json_keys_of_every_form()
{
	mount_store
	new_stream a '{"shards": 7, "key": {"json": "/k"}}'
	cat >"$T/records" <<-'EOT'
	plain	{"k":"plain"}
	42	{"k":42}
	-1.50e3	{"k":-1.50e3}
	true	{"k":true}
	false	{"k":false}
	a"b\c/d	{"k":"a\"b\\c\/d"}
	ü€😀	{"k":"\u00fc\u20ac\ud83d\ude00"}
	üé	{"k":"üé"}
	first	{"k":"first","k":"second"}
	spaced	 { "a" : [ 1 , "]" , { } ] , "k" : "spaced" } 
	deep	{"a":{"k":"wrong"},"k":"deep"}
	{brace}	{"k":"{brace}"}
	cut	{"k":"cut","rest":
	EOT
	cut -f2- "$T/records" >"$M/a/put"
	routed a 7 <"$T/records"
}

test_pointers_with_escapes_and_indices()
{
	local i=0 pointer record
	mount_store
	while IFS=$'\t' read -r pointer record; do
		i=$((i + 1))
		new_stream "s$i" "$(jq -cn --arg p "$pointer" '{shards: 16, key: {json: $p}}')"
		echo "$record" >"$M/s$i/put"
		eq "$record" "$(cat "$M/s$i/$(shard_of the-key 16)")" "pointer $pointer"
	done <<-'EOT'
	/a~1b	{"a/b":"the-key"}
	/m~0n	{"m~n":"the-key"}
	/list/2	{"list":["x",["y"],"the-key"]}
	/list/1/0	{"list":["x",["the-key"]]}
	/	{"":"the-key"}
	/a b/c	{"a b":{"c":"the-key"}}
	/ü	{"ü":"the-key"}
	EOT
	num "$i" -eq 7
}

test_key_by_field()
{
	mount_store
	new_stream a '{"shards": 4, "key": {"field": 2, "separator": "\t"}}'
	awk 'BEGIN { for (i = 0; i < 300; i++) printf "key%d\t%d\tkey%d\trest\n", i % 41, i, i % 41 }' \
		>"$T/records"
	cut -f2- "$T/records" >"$M/a/put"
	routed a 4 <"$T/records"
	new_stream b '{"shards": 4, "key": {"field": 1, "separator": ", "}}'
	awk 'BEGIN { for (i = 0; i < 100; i++) printf "k %d\tk %d, x, %d\n", i % 31, i % 31, i }' \
		>"$T/records"
	cut -f2- "$T/records" >"$M/b/put"
	routed b 4 <"$T/records"
}

test_a_key_keeps_its_order()
{
	mount_store
	new_stream a '{"shards": 8, "key": {"json": "/w"}}'
	swarm write -n 16 -k 300 -m hold "$M/a/put"
	swarm verify -n 16 -k 300 "$M"/a/shard-*
	local i want
	for i in $(seq 0 15); do
		want=$(shard_of "w$i" 8)
		eq 300 "$(grep -c "^{\"w\":\"w$i\"," "$M/a/$want")" "records of w$i in $want"
	done
}

# keyless STREAM: how many of them stats has counted
keyless() { jq .since_mount.records_without_key "$M/$1/stats"; }

test_records_without_a_key_are_kept_and_counted()
{
	mount_store
	new_stream a '{"shards": 4, "key": {"json": "/k"}}'
	eq 0 "$(keyless a)" "keyless at first"
	cat >"$T/without" <<-'EOT'
	not json
	{"other":"x"}
	{"k":null}
	{"k":{"a":1}}
	{"k":["a"]}
	{"k":""}
	"text"

	EOT
	printf '{"k":"%0300d"}\n' 1 >>"$T/without"
	cat "$T/without" >>"$M/a/put"
	eq "$(wc -l <"$T/without")" "$(keyless a)" "keyless"
	echo '{"k":"v"}' >>"$M/a/put"
	eq "$(wc -l <"$T/without")" "$(keyless a)" "keyless after one with a key"
	cat "$M"/a/shard-* | sort >"$T/got"
	{ cat "$T/without"; echo '{"k":"v"}'; } | sort | cmp - "$T/got"
	new_stream b '{"shards": 3, "key": {"field": 3, "separator": ","}}'
	printf 'a,b\na,,c\na,b,\n' >>"$M/b/put"
	eq 2 "$(keyless b)" "lines without a third field"
	eq 3 "$(cat "$M"/b/shard-* | wc -l)"
}

test_without_a_rule_load_spreads()
{
	local i file
	mount_store
	new_stream a '{"shards": 4}'
	for i in $(seq 40); do echo "record $i" >>"$M/a/put"; done
	for file in "$M"/a/shard-*; do
		num "$(wc -l <"$file")" -ge 5 "records in $file"
		num "$(wc -l <"$file")" -le 15 "records in $file"
	done
	eq "$(seq -f 'record %g' 40 | sort)" "$(sort "$M"/a/shard-*)"
	# One long stream through one handle spreads as well.
	new_stream b '{"shards": 4}'
	text_lines 200000 >"$T/lines"
	cat "$T/lines" >>"$M/b/put"
	for file in "$M"/b/shard-*; do
		num "$(size_of "$file")" -ge $MIB "size of $file"
	done
	eq "$(sort "$T/lines" | md5sum)" "$(sort "$M"/b/shard-* | md5sum)"
}

test_put_is_for_writing_only()
{
	mount_store
	new_stream a
	echo x >"$M/a/put"
	echo y >>"$M/a/put"
	echo z | tee "$M/a/put" >"$T/tee"
	echo w | dd of="$M/a/put" status=none
	(printf a; printf b; echo c) >"$M/a/put"
	printf unfinished >"$M/a/put"
	eq "x y z w abc unfinished" "$(echo $(cat "$M/a/shard-0000"))"
	must_fail cat "$M/a/put"
	must_fail rm -f "$M/a/put"
	must_fail mv "$M/a/put" "$M/a/x"
	eq 0 "$(size_of "$M/a/put")"
	eq "ok 0" "$(sys open wa "$M/a/put" , write 'synced\n' , fsync | tail -n1)"
	eq synced "$(tail -n1 "$M/a/shard-0000")"
}

test_the_number_of_shards_can_change_while_empty()
{
	local n
	mount_store
	new_stream a
	for n in 4 16 1 3 100; do
		echo "{\"shards\": $n}" >"$M/a/config"
		eq "$n" "$(ls "$M/a" | grep -c '^shard-')" "shard files"
		eq "$n" "$(jq .shards "$M/a/config")"
	done
	echo '{"key": {"json": "/k"}}' >"$M/a/config"
	eq 100 "$(jq .shards "$M/a/config")"
	remount
	eq 100 "$(ls "$M/a" | grep -c '^shard-')" "shard files after a remount"
}

test_ranges_are_even_for_any_number_of_shards()
{
	local n
	mount_store
	for n in 1 2 3 7 16; do
		new_stream "n$n" "{\"shards\": $n, \"key\": {\"field\": 1, \"separator\": \" \"}}"
		seq -f 'key-%g value' 200 >"$M/n$n/put"
		seq -f 'key-%g' 200 | paste - <(seq -f 'key-%g value' 200) >"$T/records"
		routed "n$n" "$n" <"$T/records"
		cat "$M/n$n"/shard-* >"$T/all"
		eq 200 "$(wc -l <"$T/all")"
		getfattr --only-values -n user.streamfs.hash_range "$M/n$n/shard-0000" >"$T/range"
		python3 - "$n" "$T/range" <<-'PY'
		import sys
		n = int(sys.argv[1])
		last = f"{2**128 // n - 1:032x}"
		assert last in open(sys.argv[2]).read(), (last, open(sys.argv[2]).read())
		PY
	done
}

test_records_in_which_no_key_is_found_spread()
{
	local i file
	mount_store
	new_stream a '{"shards": 4, "key": {"json": "/k"}}'
	for i in $(seq 40); do echo "{\"n\": $i}" >>"$M/a/put"; done
	for file in "$M"/a/shard-*; do
		num "$(wc -l <"$file")" -ge 5 "records in $file"
	done
	eq 40 "$(cat "$M"/a/shard-* | wc -l)"
}

all_traced() { ! grep -hq '^TracerPid:	0$' /proc/"$PID"/task/*/status; }

# The disk takes its time with one writer's fsync; the others do not wait for it.
test_a_writer_in_fsync_holds_up_no_other()
{
	local file tracer waiting
	mount_store
	new_stream a '{"flush_interval_ms": 3600000}'
	for file in put shard-0000; do
		strace -f -qq -p "$PID" -o "$T/trace" -e trace=fdatasync \
			-e inject=fdatasync:delay_enter=1000000000 &
		tracer=$!
		eventually all_traced
		"$TOOLS_DIR/sys" open wa "$M/a/$file" , write 'slow\n' , fsync , \
			touch "$T/synced.$file" >"$T/got" &
		waiting=$!
		eventually grep -q fdatasync "$T/trace"
		echo "quick $file" >>"$M/a/$file"
		eq "quick $file" "$(tail -n 1 "$M/a/shard-0000")"
		[ ! -e "$T/synced.$file" ]
		kill "$tracer"
		wait "$tracer" || true
		wait "$waiting"
		[ -e "$T/synced.$file" ]
	done
}

run_tests "$@"
