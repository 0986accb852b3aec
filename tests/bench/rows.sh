# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names that the scripts of the bench share
# For run.sh: the rows of the table. To add one, write row_N and name it in ALL_ROWS and
# describe_row. A contestant is a function of in_turns: its last argument is the round, it leaves
# one figure with `sample`, and its commands are joined by && since in_turns looks at its status.

ALL_ROWS='1 2 3 4 5 6 7 8 9 11 12 13'
QUICK_ROWS='1 3 4 5 7 9 2 8 12 13'

describe_row() {
	case $1 in
	1) echo "bulk append to a shard" ;;
	2) echo "bulk append to put" ;;
	3) echo "one echo: open, append, close" ;;
	4) echo "one line a write to an open shard" ;;
	5) echo "reading a warm shard" ;;
	6) echo "reading a cold shard" ;;
	7) echo "from a write to its read in another process" ;;
	8) echo "append and fsync" ;;
	9) echo "stored bytes" ;;
	11) echo "resident memory" ;;
	12) echo "first byte at a time or a random offset" ;;
	13) echo "four readers beside a writer" ;;
	esac
}

inputs() {
	echo events
	[ -z "$logs" ] || echo logs
}

# make_input NAME COMMAND...: what the command prints becomes an input, and the plain file that
# readers are compared on. Written by cat as the shards are: the page cache keeps what came in small
# writes in small folios, which read at half the speed.
make_input() {
	local name=$1

	shift
	"$@" >"$work/plain/input" && append "$work/plain/input" "$work/$name" &&
		rm "$work/plain/input"
}

# repeat_logs DIR: the text of every file of DIR in turn, again and again until it is worth
# measuring, each with its last line ended.
repeat_logs() {
	local file bytes=0 before

	while [ "$bytes" -lt $((events * 60)) ]; do
		before=$bytes
		for file in "$1"/*; do
			[ -f "$file" ] && [ -s "$file" ] || continue
			sed -e '$a\' "$file" || return
			bytes=$((bytes + $(stat -c %s "$file")))
		done
		[ "$bytes" -gt "$before" ] || { say "$1: no text in it"; return 1; }
	done
}

# shard STREAM: the path of its only shard; the stream is made where there is none.
shard() {
	[ -d "$mnt/$1" ] || mkdir "$mnt/$1" || return
	echo "$mnt/$1/shard-0000"
}

# A bench of something that does not work would be worthless.
check_mount() {
	local path

	path=$(shard check) && echo hello >>"$path" && [ "$(cat "$path")" = hello ] && return
	say "the mount does not keep one line"
	return 1
}

append() {
	cat "$1" >>"$2"
}

# speed NAME BYTES: what the median of a sample of microseconds comes to, for information.
speed() {
	calculate "$2 / $(median_of "$1")" "%.0f MB/s"
}

# --- 1: cat INPUT >> shard-0000 ---

bulk_streamfs() {
	local path

	path=$(shard "bulk-$1-$2") && clock append "$work/$1" "$path" && sample "1.$1.streamfs" "$took"
}

bulk_passthrough() {
	clock append "$work/$1" "$work/floor/bulk" && sample "1.$1.passthrough" "$took" &&
		rm "$work/floor.files/bulk"
}

bulk_lz4() {
	clock lz4 -1 -q "$work/$1" "$work/plain/bulk.lz4" && sample "1.$1.lz4" "$took" &&
		rm "$work/plain/bulk.lz4"
}

# Nanoseconds an event, as the two below.
bulk_redis() {
	local figure

	figure=$("$build/bench-redis" "$redis_port" $((events / 10)) "$work/events") &&
		sample 1.redis "$figure"
}

bulk_jetstream() {
	local figure

	figure=$("$build/bench-jetstream" "$jetstream_port" $((events / 30)) "$work/events") &&
		sample 1.jetstream "$figure"
}

# times_server NAME GOAL: how many of its events streamfs takes in the time of one.
times_server() {
	[ -e "$work/samples/1.$1" ] || {
		not_measured 1 "events a second against $2" ">= $3" "not installed, or it did not start"
		return
	}
	result 1 "events a second against $2" '>=' "$3" \
		"$(calculate "$(ratio "1.$1" 1.events.streamfs) * $events / 1000" %.1f)" \
		"$(calculate "1e6 / $(median_of "1.$1")" "%.0f thousand/s"), $4"
}

row_1() {
	local contestants='' input bytes

	! redis_start || contestants="$contestants bulk_redis"
	! jetstream_start || contestants="$contestants bulk_jetstream"
	in_turns "bulk_streamfs events" "bulk_lz4 events" "bulk_passthrough events" $contestants
	[ -z "$logs" ] || in_turns "bulk_streamfs logs" "bulk_lz4 logs" "bulk_passthrough logs"
	stop redis
	stop jetstream
	for input in $(inputs); do
		cmp "$work/$input" "$(shard "bulk-$input-0")" >&2
		bytes=$(stat -c %s "$work/$input")
		result 1 "cat $input, speed against lz4 -1 to a file" '>=' 0.9 \
			"$(ratio "1.$input.lz4" "1.$input.streamfs")" \
			"$(speed "1.$input.streamfs" "$bytes"), lz4 $(speed "1.$input.lz4" "$bytes")"
		result 1 "cat $input, speed against the pass-through" '>=' 1.0 \
			"$(ratio "1.$input.passthrough" "1.$input.streamfs")" \
			"pass-through $(speed "1.$input.passthrough" "$bytes")"
	done
	times_server redis "Redis, XADD pipelined" 15 "snapshots, no append-only file"
	times_server jetstream "JetStream, asynchronous" 50 "file storage, one replica"
}

# --- 2: the same into put, by key ---

# keyed_stream NAME: a stream of 16 shards whose key is the sensor; prints the path of its put.
keyed_stream() {
	local defaults=$mnt/.streamfs/defaults

	[ -d "$mnt/$1" ] || {
		echo '{"shards":16,"key":{"json":"/sensorId"}}' >"$defaults" &&
			mkdir "$mnt/$1" &&
			echo '{"shards":null,"key":null}' >"$defaults" || return
	}
	echo "$mnt/$1/put"
}

bulk_shard() {
	local path

	path=$(shard "one-$1") && clock append "$work/events" "$path" && sample 2.shard "$took"
}

bulk_put() {
	local path

	path=$(keyed_stream "keyed-$1") && clock append "$work/events" "$path" &&
		sample 2.put "$took"
}

row_2() {
	local bytes

	in_turns bulk_shard bulk_put
	bytes=$(stat -c %s "$work/events")
	[ "$(cat "$mnt/keyed-0"/shard-* | wc -c)" = "$bytes" ]
	result 2 "cat events into put, 16 shards by key, speed against one shard" '>=' 0.5 \
		"$(ratio 2.shard 2.put)" "$(speed 2.put "$bytes"), one shard $(speed 2.shard "$bytes")"
}

# --- 3: echo LINE >> FILE, by the system calls alone and by bash ---
# From inside the file's directory, or streamfs would pay for a path one level deeper.

# echo_program NAME DIRECTORY FILE ROUND
echo_program() {
	local figure

	figure=$(cd "$2" && "$build/bench-echo" "$echoes" "$work/events" "$3") &&
		sample "3.c.$1" "$figure"
}

echo_loop() {
	local i

	for ((i = 0; i < echoes; i++)); do
		echo "$event" >>"$1" || return
	done
}

echo_bash() {
	(cd "$2" && clock echo_loop "$3" && sample "3.bash.$1" $((took * 1000 / echoes)))
}

row_3() {
	local echoes=$((quick ? 500 : 3000)) event way path rounds=$((3 * rounds))

	path=$(shard echo)
	event=$(head -n 1 "$work/events")
	for way in program bash; do
		in_turns "echo_$way streamfs $mnt/echo shard-0000" \
			"echo_$way floor $work/floor echo" "echo_$way cached $work/floor.cached echo"
	done
	[ "$(wc -l <"$path")" = $((2 * rounds * echoes)) ] || { say "records are missing"; return 1; }
	for way in c bash; do
		result 3 "one echo ($way), time against the pass-through" '<=' 1.3 \
			"$(ratio "3.$way.streamfs" "3.$way.floor")" \
			"$(microseconds "3.$way.streamfs"), $(microseconds "3.$way.floor"); $(
				)one that remembers names and sizes: $(microseconds "3.$way.cached")"
	done
}

# microseconds NAME: the median of a sample of nanoseconds
microseconds() {
	calculate "$(median_of "$1") / 1000" "%.1f us"
}

# --- 4: one line a write(2) to an open file ---

append_lines() {
	local figure

	figure=$("$build/bench-appender" "$writes" "$work/events" "$2") && sample "4.$1" "$figure"
}

row_4() {
	local writes=$((quick ? 3000 : 15000)) path rounds=$((3 * rounds))

	path=$(shard lines)
	in_turns "append_lines streamfs $path" "append_lines floor $work/floor/lines"
	[ "$(wc -l <"$path")" = $((rounds * writes)) ] || { say "records are missing"; return 1; }
	result 4 "one line a write, time against the pass-through" '<=' 1.2 \
		"$(ratio 4.streamfs 4.floor)" "$(microseconds 4.streamfs), $(microseconds 4.floor)"
}

# --- 5: readers of a shard that was read before ---

read_wc() { wc -l "$1" >/dev/null; }
# Into a pipe: with its output on /dev/null grep stops at the first match.
read_grep() { grep -c '"status":"NO"' "$1" | cat >/dev/null; }
read_awk() { awk '{n += length($2)} END {print n}' "$1" >/dev/null; }
read_cat() { cat "$1" >/dev/null; }

repeat() {
	local i times=$1

	shift
	for ((i = 0; i < times; i++)); do
		"$@" || return
	done
}

read_file() {
	clock repeat "$times" "$1" "$3" && sample "5.$1.$2" "$took"
}

# A file that is read in a few milliseconds is read more often, so that what is measured is reading.
read_rounds() {
	local reader=$1 input=$2 path=$3 times=1

	"$reader" "$path"
	"$reader" "$work/$input"
	clock "$reader" "$work/$input"
	times=$((250000 / took + 1))
	in_turns "read_file $reader $input.streamfs $path" \
		"read_file $reader $input.plain $work/$input"
	result 5 "${reader#read_} of warm $input, speed against the plain file" '>=' 0.9 \
		"$(ratio "5.$reader.$input.plain" "5.$reader.$input.streamfs")" "$(
		speed "5.$reader.$input.streamfs" "$(($(stat -c %s "$work/$input") * times))")"
}

# warm_shard INPUT: a shard with this input in it
warm_shard() {
	local path

	path=$(shard "warm-$1")
	[ -s "$path" ] || append "$work/$1" "$path"
	echo "$path"
}

row_5() {
	local input reader path

	for input in $(inputs); do
		path=$(warm_shard "$input")
		for reader in read_wc read_grep read_awk read_cat; do
			read_rounds "$reader" "$input" "$path"
		done
	done
}

# --- 6: the same when nothing is cached ---

cold_file() {
	as_root sh -c 'echo 3 >/proc/sys/vm/drop_caches' && clock "$1" "$3" &&
		sample "6.$1.$2" "$took"
}

row_6() {
	local reader path

	as_root sh -c 'test -w /proc/sys/vm/drop_caches' 2>/dev/null || {
		not_measured 6 "reading cold events" ">= 1.0" "only root can drop the caches"
		return
	}
	path=$(warm_shard events)
	for reader in read_wc read_grep read_awk read_cat; do
		in_turns "cold_file $reader streamfs $path" "cold_file $reader plain $work/events"
		result 6 "${reader#read_} of cold events, speed against the plain file" '>=' 1.0 \
			"$(ratio "6.$reader.plain" "6.$reader.streamfs")" \
			"$(speed "6.$reader.streamfs" "$(stat -c %s "$work/events")")"
	done
}

# --- 7: from a write to its read in another process ---

# latency NAME PROGRAM ARGUMENT... ROUND
latency() {
	local name=$1 program=$2 p50 p99 p999

	shift 2
	read -r p50 p99 p999 < <("$build/bench-latency_$program" "$writes" "${@:1:$#-1}") &&
		[ -n "$p999" ] && sample "7.p50.$name" "$p50" && sample "7.p99.$name" "$p99" &&
		sample "7.p99.9.$name" "$p999"
}

# latency_against NAME TITLE: at each percentile.
latency_against() {
	local at what

	for at in p50 p99 p99.9; do
		what="write to read through live/, $at, against $2"
		if [ -e "$work/samples/7.$at.$1" ]; then
			result 7 "$what" '<=' 0.5 "$(ratio "7.$at.streamfs" "7.$at.$1")" "$(
				microseconds "7.$at.streamfs"), $(microseconds "7.$at.$1")"
		else
			not_measured 7 "$what" "<= 0.5" "not installed, or it did not start"
		fi
	done
}

row_7() {
	local writes=$((quick ? 1000 : 10000)) path contestants=()

	path=$(shard latency)
	[ -e "$path" ]
	! redis_start || contestants+=("latency redis redis $redis_port")
	! jetstream_start || contestants+=("latency jetstream jetstream $jetstream_port")
	in_turns "latency streamfs live $path $mnt/latency/live/shard-0000" "${contestants[@]}"
	stop redis
	stop jetstream
	latency_against redis "Redis, XREAD BLOCK"
	latency_against jetstream "JetStream, push consumer"
}

# --- 8: append and fsync ---

# sync_lines NAME WRITERS FILE ROUND
sync_lines() {
	local figure

	figure=$("$build/bench-syncer" $((syncs * $2)) "$2" "$work/events" "$3") &&
		sample "8.$1" "$figure"
}

row_8() {
	local syncs=$((quick ? 100 : 500)) path

	path=$(shard synced)
	in_turns "sync_lines streamfs 1 $path" "sync_lines plain 1 $work/plain/synced"
	result 8 "append and fsync, one writer, time against write and fdatasync" '<=' 1.3 \
		"$(ratio 8.streamfs 8.plain)" "$(microseconds 8.streamfs), $(microseconds 8.plain)"
	path=$(keyed_stream synced-keys)
	in_turns "sync_lines one 1 $path" "sync_lines many 16 $path"
	result 8 "append and fsync, 16 writers with 16 keys, rate against one" '>=' 5 \
		"$(ratio 8.one 8.many)" "$(microseconds 8.many) a record"
}

# --- 9: bytes of the segments against lz4 -1 of the same text ---

# segments STREAM: the segments of its shard, oldest first. Each is named by the offset of its first
# byte in the shard, and all but the last are sealed.
segments() {
	printf '%s\n' "$work/streamfs.store/streams/$1/shard-0000"/*.lz4
}

sealed() {
	segments "$1" | head -n -1
}

# A sealed segment is final when its index stands beside it.
until_final() {
	local tries segment

	for segment in $(sealed "$1"); do
		for ((tries = 0; tries < 1200; tries++)); do
			[ ! -s "${segment%.lz4}.idx" ] || continue 2
			sleep 0.05
		done
		say "$segment has no index after a minute"
		return 1
	done
}

# stored_against TEXT WHAT GOAL SEGMENT...: the segments must give the text back by lz4 alone, or
# the comparison says nothing.
stored_against() {
	local text=$1 what=$2 goal=$3 stored packed

	shift 3
	lz4 -dcm "$@" | cmp - "$text" >&2
	stored=$(cat "$@" | wc -c)
	packed=$(lz4 -1 -c -q "$text" | wc -c)
	result 9 "stored bytes, $what, against lz4 -1" '<=' "$goal" \
		"$(calculate "$stored / $packed")" "$stored for $(stat -c %s "$text"), lz4 $packed"
}

# The text that sealed segments hold ends where the last segment begins.
small_against() {
	local stream=small-$1 text=$work/plain/small last end

	last=$(segments "$stream" | tail -n 1)
	last=${last##*/}
	end=$((10#${last%.lz4}))
	if [ "$end" = 0 ]; then
		not_measured 9 "stored bytes, $1, an echo each" "<= 1.10" "no segment was sealed"
		return
	fi
	until_final "$stream"
	head -c "$end" "$work/$1" >"$text"
	stored_against "$text" "$1, an echo each" 1.10 $(sealed "$stream")
	rm "$text"
}

row_9() {
	local input echoes=$((quick ? 70000 : 200000)) path

	for input in $(inputs); do
		warm_shard "$input" >/dev/null
		until_final "warm-$input"
		stored_against "$work/$input" "$input in bulk" 1.03 $(segments "warm-$input")
		path=$(shard "small-$input")
		# A quick run leaves out the opening and closing: the chunks are the same.
		"$build/bench-$( ((quick)) && echo appender || echo echo)" \
			"$echoes" "$work/$input" "$path" >/dev/null
		small_against "$input"
	done
}

# --- 11: the daemon's resident memory at its highest ---

peak_mib() {
	awk '/^VmHWM/ {printf "%.1f\n", $2 / 1024}' "/proc/$(cat "$work/pids/memory")/status"
}

make_streams() {
	(cd "$work/memory" && seq -f stream-%.0f 10000 | xargs mkdir)
}

many_writers() {
	local writer waiting=''

	mkdir "$work/memory/many"
	for ((writer = 0; writer < 64; writer++)); do
		append "$work/plain/part" "$work/memory/many/shard-0000" &
		waiting="$waiting $!"
	done
	wait $waiting
	[ "$(wc -c <"$work/memory/many/shard-0000")" = \
		$((64 * $(stat -c %s "$work/plain/part"))) ]
}

# Just under the largest that a record may be by default.
large_record() {
	mkdir "$work/memory/large"
	{ head -c $((5 * 1024 * 1024 * 1024 - 1)) /dev/zero | tr '\0' x; echo; } \
		>>"$work/memory/large/shard-0000"
	[ "$(wc -l <"$work/memory/large/shard-0000")" = 1 ]
}

waiting_readers() {
	mkdir "$work/memory/waited"
	"$build/bench-waiters" 1000 "$work/memory/waited/shard-0000" \
		"$work/memory/waited/live/shard-0000"
}

# memory WHAT GOAL COMMAND...: a daemon of its own does one thing.
memory() {
	local what=$1 goal=$2

	shift 2
	daemon_start memory
	"$@"
	result 11 "resident memory in MiB, $what" '<=' "$goal" "$(peak_mib)"
	daemon_drop memory
}

row_11() {
	head -n $((events / 60)) "$work/events" >"$work/plain/part"
	memory "idle" 32 true
	memory "10,000 streams" 96 make_streams
	memory "64 writers" 192 many_writers
	memory "a record of 5 GiB" 96 large_record
	rm "$work/plain/part"
	memory "1,000 waiting readers" 96 waiting_readers
}

# --- 12: the first byte at a time, or at a random offset, with few segments and with many ---
# The events lie in the middle of a shard, and on both sides of them the same 64 MiB of text again
# and again: that makes a segment of a few hundred KiB each time.

# fill PATH COUNT
fill() {
	local i

	for ((i = 0; i < $2; i++)); do
		append "$work/plain/segment" "$1" || return
	done
}

# sandwich NAME SEGMENTS: a shard of about so many; $from, $to: the events in it; $when: a time
# just before them.
sandwich() {
	local path

	path=$(shard "$1")
	fill "$path" $(($2 / 2))
	sleep 0.1
	when=${EPOCHREALTIME/./}
	when=${when%???}
	sleep 0.1
	from=$(($(stat -c %s "$path") + 1))
	append "$work/events" "$path"
	to=$(stat -c %s "$path")
	fill "$path" $(($2 / 2))
}

# first_byte NAME FROM TO FILE ROUND
first_byte() {
	local figure

	figure=$("$build/bench-probe" "$probes" "$2" "$3" "$4") && sample "12.$1" "$figure"
}

first_byte_result() {
	result 12 "$2, time against a pread through the pass-through" '<=' 3 \
		"$(ratio "12.$1.many" 12.floor)" \
		"$(microseconds "12.$1.many"), $(microseconds 12.floor); $segments segments"
	result 12 "$2, time against a shard of few segments" '<=' 1.2 \
		"$(ratio "12.$1.many" "12.$1.few")" "$(microseconds "12.$1.few")"
}

row_12() {
	local probes=$((quick ? 300 : 1000)) segments=$((quick ? 100 : 4000))
	local from to when all many few since_many since_few whole_many whole_few

	yes "$(head -n 500 "$work/events")" | head -c $((64 << 20)) >"$work/plain/segment" || true
	sandwich few 4
	few="$from $to $mnt/few/shard-0000"
	whole_few="1 $(stat -c %s "$mnt/few/shard-0000") $mnt/few/shard-0000"
	since_few="1 1 $mnt/few/since/$when/shard-0000"
	sandwich many "$segments"
	many="$from $to $mnt/many/shard-0000"
	whole_many="1 $(stat -c %s "$mnt/many/shard-0000") $mnt/many/shard-0000"
	since_many="1 1 $mnt/many/since/$when/shard-0000"
	[ "$(head -n 1 ${since_many##* })" = "$(head -n 1 "$work/events")" ]
	append "$work/events" "$work/floor/probed"
	segments=$(segments many | wc -l)
	in_turns "first_byte floor 1 $(stat -c %s "$work/events") $work/floor/probed" \
		"first_byte seek.many $many" "first_byte seek.few $few" \
		"first_byte whole.many $whole_many" "first_byte whole.few $whole_few" \
		"first_byte since.many $since_many" "first_byte since.few $since_few"
	first_byte_result seek "a seek among the events"
	first_byte_result whole "a seek to anywhere"
	first_byte_result since "since/WHEN"
	rm "$work/floor.files/probed" "$work/plain/segment"
}

# --- 13: four readers of a shard while a writer appends ---

read_part() {
	head -c "$bytes" "$1" >/dev/null
}

until_stopped() {
	while [ ! -e "$work/plain/stop" ]; do
		"$@" || return
	done
}

# beside "COMMAND..." COMMAND...: runs the second while the first, words of one argument, is run
# again and again.
beside() {
	local background status=0 other=$1

	shift
	rm -f "$work/plain/stop"
	until_stopped $other &
	background=$!
	"$@" || status=$?
	: >"$work/plain/stop"
	wait "$background" && [ "$status" = 0 ]
}

four_readers() {
	local reader waiting=''

	for ((reader = 0; reader < 4; reader++)); do
		"$@" &
		waiting="$waiting $!"
	done
	wait $waiting
}

# NAME PATH ROUND, each of these.
reader_alone() {
	clock read_part "$2" && sample "13.reader.alone.$1" "$took"
}

writer_alone() {
	clock append "$work/events" "$2" && sample "13.writer.alone.$1" "$took"
}

writer_beside() {
	beside "four_readers read_part $2" clock append "$work/events" "$2" &&
		sample "13.writer.beside.$1" "$took"
}

# The figure of a round is what the slowest of the four took.
readers_beside() {
	beside "append $work/events $2" clock four_readers read_part "$2" &&
		sample "13.reader.beside.$1" "$took"
}

# beside_result WHO WHAT GOAL: with what becomes of a file of the pass-through, which is what the
# machine's CPUs leave.
beside_result() {
	result 13 "$2, speed against one alone" '>=' "$3" \
		"$(ratio "13.$1.alone.streamfs" "13.$1.beside.streamfs")" "$(
		speed "13.$1.beside.streamfs" "$bytes"), alone $(
		speed "13.$1.alone.streamfs" "$bytes"); of the pass-through $(
		calculate "$(ratio "13.$1.alone.floor" "13.$1.beside.floor")" %.2f)"
}

row_13() {
	local path bytes floor=$work/floor/busy

	path=$(shard busy)
	append "$work/events" "$path"
	append "$work/events" "$floor"
	bytes=$(stat -c %s "$work/events")
	read_part "$path"
	read_part "$floor"
	in_turns "reader_alone streamfs $path" "reader_alone floor $floor" \
		"writer_alone streamfs $path" "writer_alone floor $floor" \
		"readers_beside streamfs $path" "readers_beside floor $floor" \
		"writer_beside streamfs $path" "writer_beside floor $floor"
	rm "$work/floor.files/busy"
	beside_result reader "the slowest of four readers beside a writer" 0.6
	beside_result writer "a writer beside four readers" 0.7
}
