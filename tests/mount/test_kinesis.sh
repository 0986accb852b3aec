#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/from-kinesis.md: the commands of that page, as they stand there.
. "${0%/*}/lib.sh"

SELF=$(readlink -f "$0")
PAGE=$(cd "$(dirname "$0")/../../docs" && pwd)/from-kinesis.md

# page COMMAND [TEXT REPLACEMENT]…: runs a command of the page in the mountpoint, its examples
# replaced. Variables of a command are the caller's.
page()
{
	local command=$1
	grep -Fq -e "\`$command\`" "$PAGE" || fail "not on the page: $command"
	shift
	while [ $# -gt 0 ]; do
		command=${command//"$1"/$2}
		shift 2
	done
	(cd "$M" && eval "$command")
}

# follow OUTPUT COMMAND…: a command of the page that has no end; sets FOLLOWER
follow()
{
	local output=$1 file=${*: -1}
	shift
	grep -Fq -e "\`$*\`" "$PAGE" || fail "not on the page: $*"
	"${@:1:$#-1}" "$M/$file" >"$output" &
	FOLLOWER=$!
	eventually has_open "$FOLLOWER" "$M/$file"
}

has_open() { find "/proc/$1/fd" -lname "$2" | grep -q .; }
is_in() { grep -Fq -e "$1" "$2"; }
stop_following() { kill "$FOLLOWER"; wait "$FOLLOWER" 2>/dev/null || true; }

start()
{
	mount_store
	new_stream orders "${1:-{\}}"
}

# numbered FIRST LAST: records one a write into the first shard
numbered() { seq "$1" "$2" | while read -r i; do echo "r $i" >>"$M/orders/shard-0000"; done; }

test_every_command_of_the_page_is_run()
{
	local command
	grep -oE '`(echo|cat|tail|jq|ls|cp|dd|wc|mkdir|rmdir|getfattr) [^`]*`' "$PAGE" | tr -d '`' >"$T/commands"
	num "$(wc -l <"$T/commands")" -ge 40 "commands"
	while read -r command; do
		tr -d '\\' <"$SELF" | grep -F -e "$command" | grep -Eiq 'page|follow' || fail "not tested: $command"
	done <"$T/commands"
}

test_create_and_delete_stream()
{
	mount_store
	page 'mkdir orders'
	page "echo '{\"shards\":4}' > orders/config"
	eq 4 "$(ls "$M/orders" | grep -c '^shard-')"
	eq orders "$(page ls)"
	eq 4 "$(page 'jq . orders/config' | jq .shards)"
	eq '"orders"' "$(page 'jq . orders/stats' | jq .stream)"
	echo x >>"$M/orders/put"
	page 'echo all > orders/trim && rmdir orders'
	eq "" "$(page ls)"
}

test_put_record()
{
	local data='{"total":1}'
	start '{"shards":4,"key":{"json":"/total"}}'
	page 'echo "$data" >> orders/keys/user-42'
	eq "$data" "$(cat "$M/orders/$(shard_of user-42 4)")"
	page 'echo "$data" >> orders/put'
	eq "$data" "$(cat "$M/orders/keys/1")"
}

test_put_record_with_explicit_hash_key()
{
	local data=x
	start '{"shards":4}'
	page 'echo "$data" >> orders/shard-0003'
	eq x "$(cat "$M/orders/shard-0003")"
}

test_put_records()
{
	start '{"shards":4,"key":{"field":2,"separator":" "}}'
	text_lines 500 >"$T/records"
	page 'cat records >> orders/put' records "$T/records"
	same <(sort "$T/records") <(sort "$M/orders/all")
}

test_put_record_over_1_mb()
{
	start
	random_bytes 3000000 1 >"$T/photo.jpg"
	page 'cp photo.jpg orders/drop/' photo.jpg "$T/photo.jpg"
	same "$T/photo.jpg" "$M/orders/$(tail -n 1 "$M/orders/shard-0000" | jq -r .claim_check.path)"
}

test_get_shard_iterator_trim_horizon()
{
	start
	numbered 0 9
	echo 4 >"$M/orders/trim"
	eq "$(seq -f 'r %g' 4 9)" "$(page 'cat orders/shard-0000')"
	eq "4 5 6 7 8 9" "$(page 'jq . orders/json/shard-0000' | jq .sequence | xargs)"
	eq "shard-0000:16" "$(page 'cat orders/trim')"
}

test_get_shard_iterator_latest()
{
	start
	numbered 0 9
	follow "$T/live" cat orders/live/shard-0000
	echo new >>"$M/orders/shard-0000"
	eventually is_in new "$T/live"
	stop_following
	eq new "$(cat "$T/live")"
	follow "$T/tail" tail -n 0 -f orders/shard-0000
	until is_in newer "$T/tail"; do
		echo newer >>"$M/orders/shard-0000"
		sleep 0.1
	done
	stop_following
	eq newer "$(sort -u "$T/tail")"
}

test_get_shard_iterator_at_timestamp()
{
	local now
	start
	numbered 0 4
	sleep 1.1
	now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	numbered 5 9
	eq "$(seq -f 'r %g' 5 9)" "$(page 'cat orders/since/2026-11-23T10:00:00Z/shard-0000' 2026-11-23T10:00:00Z "$now")"
	eq "$(seq -f 'r %g' 0 9)" "$(page 'cat orders/since/15m/shard-0000')"
	eq "$(seq -f 'r %g' 0 9)" "$(page 'cat orders/since/15m/all')"
}

test_get_shard_iterator_at_sequence_number()
{
	local offset
	start
	numbered 0 19
	page "jq -c 'select(.sequence >= 4711)' orders/json/shard-0000" 4711 13 >"$T/got"
	eq "$(seq 13 19 | xargs)" "$(jq .sequence "$T/got" | xargs)"
	offset=$(head -n 1 "$T/got" | jq .offset)
	eq "$(seq -f 'r %g' 13 19)" "$(page 'tail -c +$((offset+1)) orders/shard-0000')"
	echo 13 >"$M/orders/trim"
	eq "$(seq -f 'r %g' 13 19)" "$(page 'tail -c +$((offset+1)) orders/shard-0000')" "at the horizon"
}

test_get_shard_iterator_after_sequence_number()
{
	start
	numbered 0 19
	eq "$(seq 14 19 | xargs)" "$(page "jq -c 'select(.sequence > 4711)' orders/json/shard-0000" 4711 13 | jq .sequence | xargs)"
}

test_subscribe_to_shard()
{
	local one
	start '{"shards":2}'
	echo before >>"$M/orders/shard-0000"
	follow "$T/one" cat orders/live/json/shard-0000
	one=$FOLLOWER
	follow "$T/all" cat orders/live/json/all
	echo a >>"$M/orders/shard-0000"
	echo b >>"$M/orders/shard-0001"
	eventually is_in '"data":"a"' "$T/one"
	eventually is_in '"data":"b"' "$T/all"
	stop_following
	kill "$one"
	eq a "$(jq -r .data "$T/one" | xargs)"
	eq "a b" "$(jq -r .data "$T/all" | sort | xargs)"
}

test_register_deregister_and_list_stream_consumers()
{
	start
	page 'mkdir orders/consumers/billing'
	eq billing "$(page 'ls orders/consumers')"
	page 'rmdir orders/consumers/billing'
	eq "" "$(page 'ls orders/consumers')"
}

test_list_shards()
{
	start '{"shards":2}'
	eq "shard-0000 shard-0001" "$(page 'ls orders' | grep shard | xargs)"
	eq "00000000000000000000000000000000 80000000000000000000000000000000" \
		"$(page 'jq .shards orders/stats' | jq -r '.[].hash_range.first' | xargs)"
	has "$(page 'getfattr -d orders/shard-0000')" '^user.streamfs.state="open"'
}

test_split_shard_merge_shards_update_shard_count()
{
	start '{"shards":4}'
	numbered 0 9
	page "echo '{\"shards\":8}' > orders/config"
	eq 8 "$(jq '[.shards[] | select(.state == "open")] | length' "$M/orders/stats")"
	eq '["shard-0000"]' "$(jq -c '.shards[] | select(.name == "shard-0004").parents' "$M/orders/stats")"
	page "echo '{\"shards\":4}' > orders/config"
	eq 4 "$(jq '[.shards[] | select(.state == "open")] | length' "$M/orders/stats")"
	eq "$(seq -f 'r %g' 0 9)" "$(cat "$M/orders/shard-0000")"
}

test_a_keys_order_is_kept_over_update_shard_count()
{
	local i
	start '{"shards":4}'
	for i in $(seq 40); do
		echo "$i" >>"$M/orders/keys/user-42"
		case $i in
		10) page "echo '{\"shards\":8}' > orders/config" ;;
		20) page "echo '{\"shards\":4}' > orders/config" ;;
		esac
	done
	eq "$(seq 40)" "$(cat "$M/orders/keys/user-42")"
}

test_increase_and_decrease_stream_retention_period()
{
	start
	echo young >>"$M/orders/put"
	page "echo '{\"retention_hours\":168}' > orders/config"
	eq 168 "$(jq .retention_hours "$M/orders/config")"
	page "echo '{\"retention_hours\":168}' > orders/config" 168 24
	eq 24 "$(jq .retention_hours "$M/orders/config")"
	page "echo '{\"retention_bytes\":1000000000}' > orders/config"
	eq 1000000000 "$(jq .retention_bytes "$M/orders/config")"
	eq young "$(page 'cat orders/all')"
}

test_checkpoint()
{
	local offset
	start
	numbered 0 9
	page 'mkdir orders/consumers/billing'
	offset=$(jq 'select(.sequence == 6).offset' "$M/orders/json/shard-0000")
	page 'echo "$offset" > orders/consumers/billing/shard-0000'
	remount
	offset=$(page 'cat orders/consumers/billing/shard-0000')
	eq "$(seq -f 'r %g' 6 9)" "$(page 'tail -c +$((offset+1)) orders/shard-0000')"
}

test_millis_behind_latest()
{
	local lag
	start
	numbered 0 9
	page 'mkdir orders/consumers/billing'
	echo 16 >"$M/orders/consumers/billing/shard-0000"
	lag=$(page "jq -c '.consumers[].checkpoints[]' orders/stats")
	eq '["shard-0000",6,24]' "$(jq -c '[.shard, .lag_records, .lag_bytes]' <<<"$lag")"
	jq -e '.lag_seconds > 0' <<<"$lag"
	eq billing "$(page 'jq .consumers orders/stats' | jq -r '.[].name')"
}

test_produce_with_acks_all()
{
	start
	echo durable | page 'dd of=orders/put oflag=append,dsync conv=notrunc'
	eq durable "$(cat "$M/orders/shard-0000")"
}

test_delete_records()
{
	# shellcheck disable=SC2034 # the commands of the page use it
	local offset=16
	start
	numbered 0 9
	page 'echo "shard-0000:$offset" > orders/trim'
	eq "$(seq -f 'r %g' 4 9)" "$(cat "$M/orders/shard-0000")"
}

test_mirror()
{
	start '{"shards":2}'
	new_stream other
	echo before >>"$M/orders/put"
	grep -Fq '`cat orders/live/all >> other/put`' "$PAGE"
	cat "$M/orders/live/all" >>"$M/other/put" &
	FOLLOWER=$!
	eventually has_open "$FOLLOWER" "$M/orders/live/all"
	text_lines 2000 >"$T/lines"
	cat "$T/lines" >>"$M/orders/put"
	has_all() { [ "$(wc -l <"$M/other/shard-0000")" -eq 2000 ]; }
	eventually has_all
	stop_following
	same <(sort "$T/lines") <(sort "$M/other/shard-0000")
}

test_xlen()
{
	start '{"shards":2}'
	seq 10 >>"$M/orders/shard-0000"
	seq 5 >>"$M/orders/shard-0001"
	echo 3 >"$M/orders/trim"
	eq 9 "$(page 'wc -l < orders/all')"
	eq 9 "$(page 'jq .records orders/stats')"
}

test_xread_block()
{
	start '{"shards":2}'
	echo before >>"$M/orders/put"
	follow "$T/all" cat orders/live/all
	seq 10 | while read -r i; do echo "$i" >>"$M/orders/put"; done
	all_came() { [ "$(wc -l <"$T/all")" -eq 10 ]; }
	eventually all_came
	stop_following
	same <(seq 10 | sort) <(sort "$T/all")
}

test_xtrim()
{
	start
	numbered 0 9
	page 'echo 4711 > orders/trim' 4711 3
	eq "$(seq -f 'r %g' 3 9)" "$(cat "$M/orders/shard-0000")"
	sleep 1.1
	page 'echo 2026-11-23T10:00:00Z > orders/trim' 2026-11-23T10:00:00Z "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
	eq "" "$(cat "$M/orders/shard-0000")"
}

test_purge()
{
	start '{"shards":4}'
	seq 100 >>"$M/orders/put"
	page 'echo all > orders/trim'
	eq "" "$(cat "$M/orders/all")"
}

test_subjects()
{
	local data=x
	start '{"shards":4}'
	page 'echo "$data" >> orders/keys/eu.berlin.7'
	echo y >>"$M/orders/keys/eu.bern.7"
	eq x "$(page 'cat orders/keys/eu.berlin.7')"
}

run_tests "$@"
