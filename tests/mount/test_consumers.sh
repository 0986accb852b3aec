#!/bin/bash
# SPDX-License-Identifier: MIT
# Consumers: directories whose files are checkpoints.
. "${0%/*}/lib.sh"

start()
{
	mount_store
	new_stream a "${1:-{\}}"
	C=$M/a/consumers
	F=$M/a/shard-0000
	mkdir "$C/billing"
}

lag() { jq -c ".consumers[] | select(.name == \"$1\").checkpoints[] | select(.shard == \"${2:-shard-0000}\") | [.lag_records, .lag_bytes]" "$M/a/stats"; }

test_mkdir_makes_one_and_a_file_per_shard_appears_holding_0()
{
	start '{"shards":3}'
	eq "shard-0000 shard-0001 shard-0002" "$(ls "$C/billing" | xargs)"
	eq "0 0 0" "$(cat "$C"/billing/* | xargs)"
	eq 2 "$(size_of "$C/billing/shard-0000")"
	eq "billing" "$(ls "$C")"
	says "File exists" mkdir "$C/billing"
	says "Invalid argument" mkdir "$C/.hidden"
	says "Invalid argument" mkdir "$C/a b"
	errno ENOENT open r "$C/billing/shard-0003"
	errno ENOENT open r "$C/nobody/shard-0000"
}

test_a_writer_of_one_process_sees_the_file_at_once()
{
	start
	python3 - "$C" <<-'EOT'
	import os, sys
	os.mkdir(sys.argv[1] + "/own")
	name = sys.argv[1] + "/own/shard-0000"
	assert os.listdir(sys.argv[1] + "/own") == ["shard-0000"]
	assert os.path.exists(name)
	assert open(name).read() == "0\n"
	open(name, "w").write("0")
	open(name, "a").write("0\n")
	assert open(name).read() == "0\n"
	EOT
}

test_writing_a_decimal_offset_sets_it()
{
	local at
	start
	printf 'one\ntwo\n\nfour\n' >>"$F"
	for at in 4 8 9 14 0; do
		echo "$at" >"$C/billing/shard-0000"
		eq "$at" "$(cat "$C/billing/shard-0000")"
	done
	printf ' \t8 \n' >"$C/billing/shard-0000"
	eq 8 "$(cat "$C/billing/shard-0000")" "with white space"
	printf 9 >>"$C/billing/shard-0000"
	eq 9 "$(cat "$C/billing/shard-0000")" "by >>"
	echo 4 | tee "$C/billing/shard-0000" >"$T/tee"
	eq 4 "$(cat "$C/billing/shard-0000")" "by tee"
	echo 14 >"$T/at"
	cp "$T/at" "$C/billing/shard-0000"
	eq 14 "$(cat "$C/billing/shard-0000")" "by cp"
	: >"$C/billing/shard-0000"
	eq 14 "$(cat "$C/billing/shard-0000")" "by cutting it alone"
}

test_anything_else_is_einval_and_the_log_says_why()
{
	local bad
	start
	printf 'one\ntwo\n' >>"$F"
	echo 4 >"$C/billing/shard-0000"
	for bad in 3 5 9 100 -1 +4 0x4 4.0 "4 4" four " " 18446744073709551616 99999999999999999999999; do
		errno EINVAL open wt "$C/billing/shard-0000" , write "$bad"
		eq 4 "$(cat "$C/billing/shard-0000")" "after <$bad>"
	done
	has "$(cat "$LOG")" 'a/consumers/billing/shard-0000: 100 is past the end'
	has "$(cat "$LOG")" 'a/consumers/billing/shard-0000: .*not a decimal number'
}

test_it_is_durable_when_the_write_returns()
{
	start
	printf 'one\ntwo\n' >>"$F"
	echo 4 >"$C/billing/shard-0000"
	kill9
	mount_store
	eq 4 "$(cat "$C/billing/shard-0000")"
	remount
	eq 4 "$(cat "$C/billing/shard-0000")"
}

test_cp_clones_one()
{
	start '{"shards":2}'
	printf 'one\ntwo\n' >>"$F"
	echo 4 >"$C/billing/shard-0000"
	cp -r "$C/billing" "$C/audit"
	eq "4 0" "$(cat "$C"/audit/* | xargs)"
	cp -a "$C/billing" "$C/third"
	eq "4 0" "$(cat "$C"/third/* | xargs)"
	cp "$C"/billing/* "$C/audit/"
	eq "4 0" "$(cat "$C"/audit/* | xargs)"
	echo 8 >"$C/audit/shard-0000"
	eq 4 "$(cat "$C/billing/shard-0000")" "the original"
	# To somewhere else and back.
	cp -r "$C/audit" "$T/backup"
	echo 0 >"$C/audit/shard-0000"
	cp -r "$T/backup/." "$C/audit/"
	eq 8 "$(cat "$C/audit/shard-0000")" "from a copy"
}

test_echo_0_replays()
{
	start
	printf 'one\ntwo\n' >>"$F"
	echo 8 >"$C/billing/shard-0000"
	echo 0 >"$C/billing/shard-0000"
	eq "one two" "$(tail -c +$(($(cat "$C/billing/shard-0000") + 1)) "$F" | xargs)"
}

test_rmdir_forgets_it()
{
	start
	printf 'one\ntwo\n' >>"$F"
	echo 8 >"$C/billing/shard-0000"
	rmdir "$C/billing"
	eq "" "$(ls "$C")"
	errno ENOENT open r "$C/billing/shard-0000"
	says "No such file" rmdir "$C/billing"
	mkdir "$C/billing"
	eq 0 "$(cat "$C/billing/shard-0000")"
	remount
	eq 0 "$(cat "$C/billing/shard-0000")"
}

test_rm_of_a_checkpoint_resets_it_and_rm_r_removes_all()
{
	start
	printf 'one\ntwo\n' >>"$F"
	echo 8 >"$C/billing/shard-0000"
	rm "$C/billing/shard-0000"
	eq 0 "$(cat "$C/billing/shard-0000")"
	echo 8 >"$C/billing/shard-0000"
	mkdir "$C/audit"
	rm -r "$C/billing"
	eq audit "$(ls "$C")"
	remount
	eq audit "$(ls "$C")"
}

test_mv_renames_it()
{
	start
	printf 'one\ntwo\n' >>"$F"
	echo 4 >"$C/billing/shard-0000"
	mkdir "$C/audit"
	errno ENOTEMPTY rename "$C/billing" "$C/audit"
	errno EPERM rename "$C/billing" "$M/billing"
	errno EINVAL rename "$C/billing" "$C/.x"
	mv "$C/billing" "$C/invoices"
	eq "audit invoices" "$(ls "$C" | xargs)"
	eq 4 "$(cat "$C/invoices/shard-0000")"
	remount
	eq 4 "$(cat "$C/invoices/shard-0000")"
}

test_nothing_else_goes_there()
{
	start
	errno EPERM open wca "$C/file"
	errno EPERM open wca "$C/billing/other"
	says "Operation not permitted" mkdir "$C/billing/directory"
	errno EPERM rename "$C/billing/shard-0000" "$C/billing/shard-0001"
	says "Operation not permitted" rmdir "$C"
	must_fail ln "$C/billing/shard-0000" "$C/billing/b"
}

test_stats_and_metrics_show_the_lag()
{
	start '{"shards":2}'
	eq '[0,0]' "$(lag billing)"
	text_lines 100 >>"$F"
	eq "[100,$(size_of "$F")]" "$(lag billing)"
	eq '[0,0]' "$(lag billing shard-0001)"
	head -n 40 "$F" | wc -c >"$C/billing/shard-0000"
	eq "[60,$(($(size_of "$F") - $(cat "$C/billing/shard-0000")))]" "$(lag billing)"
	sleep 0.1
	has "$(cat "$M/.streamfs/metrics")" \
		'^streamfs_consumer_lag_records\{stream="a",consumer="billing",shard="shard-0000"\} 60$'
	has "$(cat "$M/.streamfs/metrics")" \
		'^streamfs_consumer_lag_bytes\{stream="a",consumer="billing",shard="shard-0000"\} [1-9]'
	has "$(cat "$M/.streamfs/metrics")" \
		'^streamfs_consumer_lag_seconds\{stream="a",consumer="billing",shard="shard-0000"\} [0-9]*\.[0-9]'
	eq true "$(jq '.consumers[0].checkpoints[0].lag_seconds > 0' "$M/a/stats")"
	size_of "$F" >"$C/billing/shard-0000"
	eq '[0,0]' "$(lag billing)"
	eq true "$(jq '.consumers[0].checkpoints[0].lag_seconds == 0' "$M/a/stats")" "no lag"
}

test_resharding_adds_checkpoints()
{
	start
	echo one >>"$F"
	echo 4 >"$C/billing/shard-0000"
	echo '{"shards":2}' >"$M/a/config"
	eq "4 0 0" "$(cat "$C"/billing/* | xargs)"
	remount
	eq "4 0 0" "$(cat "$C"/billing/* | xargs)"
}

test_rmdir_of_a_stream_takes_its_consumers_along()
{
	start
	rmdir "$M/a"
	errno ENOENT open r "$C/billing/shard-0000"
	new_stream a
	eq "" "$(ls "$C")"
}

test_mode_and_owner_are_the_streams()
{
	start
	chmod 750 "$M/a"
	eq "750 750 640" "$(stat -c %a "$C" "$C/billing" "$C/billing/shard-0000" | xargs)"
	chmod 777 "$M/a"
	eq "777 777 666" "$(stat -c %a "$C" "$C/billing" "$C/billing/shard-0000" | xargs)"
	eq "$(stat -c %u "$M/a")" "$(stat -c %u "$C/billing/shard-0000")"
}

test_inode_numbers_last()
{
	start
	stat -c '%i' "$C" "$C/billing" "$C/billing/shard-0000" >"$T/before"
	eq 3 "$(sort -u "$T/before" | wc -l)"
	eq "$(sed -n 2p "$T/before")" "$(ls -i "$C" | awk '{ print $1 }')"
	eq "$(sed -n 3p "$T/before")" "$(ls -i "$C/billing" | awk '{ print $1 }')"
	remount
	stat -c '%i' "$C" "$C/billing" "$C/billing/shard-0000" | cmp - "$T/before"
}

test_damage_concerns_its_consumer_alone()
{
	start
	mkdir "$C/audit"
	unmount
	flip "$S/streams/a/consumers/billing.json" 20
	exits 4 "$FSCK_BIN" "$S"
	has "$(cat "$T/exits.out")" 'consumers/billing.json'
	mount_store
	errno EIO open r "$C/billing/shard-0000"
	eq 0 "$(cat "$C/audit/shard-0000")"
	echo one >>"$F"
	eq one "$(cat "$F")"
	eq damaged "$(jq -r '.consumers[] | select(.name == "billing").state' "$M/a/stats")"
	rm -r "$C/billing"
	mkdir "$C/billing"
	eq 0 "$(cat "$C/billing/shard-0000")"
	unmount
	"$FSCK_BIN" "$S"
}

test_a_read_only_mount_shows_them()
{
	start
	echo one >>"$F"
	echo 4 >"$C/billing/shard-0000"
	remount -o ro
	eq 4 "$(cat "$C/billing/shard-0000")"
	errno EROFS open wt "$C/billing/shard-0000"
	says "Read-only file system" mkdir "$C/audit"
}

# A consumer as the contract has it, in steps of a few records; it can die anywhere.
write_consumer()
{
	cat >"$T/consume" <<-'EOT'
	checkpoint=$M/a/consumers/billing/shard-0000
	while at=$(cat "$checkpoint"); do
		tail -c +$((at + 1)) "$M/a/shard-0000" | sed -n 1,7p >"$T/part-$$"
		bytes=$(stat -c %s "$T/part-$$")
		[ "$bytes" -gt 0 ] || exit 0
		cat "$T/part-$$" >>"$T/processed" && echo $((at + bytes)) >"$checkpoint" || exit 1
	done
	EOT
	export M
}

test_a_consumer_killed_at_random_processes_all_and_skips_none()
{
	local round pid rounds=${STREAMFS_LONG:+100}
	start
	write_consumer
	seq 500 >>"$F"
	for round in $(seq "${rounds:-12}"); do
		sh "$T/consume" 2>>"$T/consumer.log" &
		pid=$!
		sleep "0.0$((round * 7 % 9 + 1))"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		seq $((500 + round * 10 - 9)) $((500 + round * 10)) >>"$F"
		if [ $((round % 4)) = 0 ]; then
			kill9
			mount_store
		fi
	done
	sh "$T/consume"
	eq "$(size_of "$F")" "$(cat "$C/billing/shard-0000")"
	sort -n -u "$T/processed" >"$T/once"
	sort -n -u "$F" >"$T/all"
	same "$T/all" "$T/once" "processed at least once"
	eq '[0,0]' "$(lag billing)"
}

run_tests "$@"
