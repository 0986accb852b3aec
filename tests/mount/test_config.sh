#!/bin/bash
# SPDX-License-Identifier: MIT
# config, defaults, stats and the files of .streamfs.
. "${0%/*}/lib.sh"

BUILT_IN='{"compression":"lz4","flush_interval_ms":1000,"key":null,"large_records":{"policy":"claim-check","threshold_bytes":1048576},"max_record_bytes":5368709120,"retention_bytes":0,"retention_hours":0,"shards":1}'

start()
{
	mount_store
	new_stream a
	C=$M/a/config
}

config() { jq -cS . "${1:-$C}"; }

test_reading_shows_all_settings()
{
	start
	eq "$BUILT_IN" "$(config)"
	eq "$BUILT_IN" "$(config "$M/.streamfs/defaults")"
	eq "$(size_of "$C")" "$(cat "$C" | wc -c)" "size"
	eq "" "$(tail -c1 "$C" | tr -d '\n')" "last byte but the newline"
}

# takes PATCH PATH VALUE: shows at once
takes()
{
	echo "$1" >"$C"
	eq "$3" "$(jq -c "$2" "$C")" "$2 after $1"
	echo "$2	$3" >>"$T/taken"
}

test_every_setting_reads_back_and_lasts()
{
	local path want
	start
	takes '{"shards": 3}' .shards 3
	takes '{"retention_hours": 48}' .retention_hours 48
	takes '{"retention_bytes": 1099511627776}' .retention_bytes 1099511627776
	takes '{"large_records": {"policy": "split", "threshold_bytes": 4096}}' .large_records \
		'{"policy":"split","threshold_bytes":4096}'
	takes '{"max_record_bytes": 123456789}' .max_record_bytes 123456789
	takes '{"key": {"json": "/customer/id"}}' .key '{"json":"/customer/id"}'
	takes '{"compression": "none"}' .compression '"none"'
	takes '{"flush_interval_ms": 50}' .flush_interval_ms 50
	config >"$T/before"
	kill9
	mount_store
	while IFS=$'\t' read -r path want; do
		eq "$want" "$(jq -c "$path" "$C")" "$path after kill -9"
	done <"$T/taken"
	remount
	config | cmp - "$T/before"
	takes '{"key": {"field": 2, "separator": "\t"}}' '.key | [.field, .separator]' '[2,"\t"]'
}

test_writing_merges()
{
	start
	echo '{"retention_hours": 5, "large_records": {"threshold_bytes": 5000}}' >"$C"
	echo '{"large_records": {"policy": "reject"}}' >"$C"
	echo '{}' >"$C"
	eq '5 {"policy":"reject","threshold_bytes":5000}' \
		"$(jq -r '"\(.retention_hours) \(.large_records)"' "$C")"
	eq 1 "$(jq .shards "$C")"
	echo '{"retention_hours": null, "large_records": {"policy": null}}' >"$C"
	eq '0 {"policy":"claim-check","threshold_bytes":5000}' \
		"$(jq -r '"\(.retention_hours) \(.large_records)"' "$C")"
	echo '{"large_records": null}' >"$C"
	eq "$BUILT_IN" "$(config)"
}

test_ways_of_writing_it()
{
	start
	echo '{"retention_hours": 1}' >>"$C"
	eq 1 "$(jq .retention_hours "$C")" "by >>"
	echo '{"retention_hours": 2}' >"$T/new"
	cp "$T/new" "$C"
	eq 2 "$(jq .retention_hours "$C")" "by cp"
	echo '{"retention_hours": 3}' | tee "$C" >"$T/tee"
	eq 3 "$(jq .retention_hours "$C")" "by tee"
	jq '.retention_hours = 4' "$C" >"$T/new"
	cat "$T/new" >"$C"
	eq 4 "$(jq .retention_hours "$C")" "by jq, of the whole"
	printf '{"retention_hours": 5}' | dd of="$C" status=none
	eq 5 "$(jq .retention_hours "$C")" "by dd"
}

test_a_bad_setting_changes_nothing()
{
	local bad
	start
	echo '{"retention_hours": 7, "shards": 2}' >"$C"
	config >"$T/before"
	config "$M/.streamfs/defaults" >"$T/defaults"
	while read -r bad; do
		errno EINVAL open wt "$C" , write "$bad"
		errno EINVAL open wt "$M/.streamfs/defaults" , write "$bad"
		config | cmp - "$T/before" || fail "changed by $bad"
	done <<-'EOT'
	nonsense
	[]
	7
	{"shards": 2
	{} {}
	{"shards": 0}
	{"shards": -1}
	{"shards": 1.5}
	{"shards": 4097}
	{"shards": "2"}
	{"shards": true}
	{"shards": 2, "shards": 3}
	{"shardz": 2}
	{"Shards": 2}
	{"retention_hours": -1}
	{"retention_hours": "1h"}
	{"retention_bytes": 1e3}
	{"max_record_bytes": 0}
	{"compression": "zstd"}
	{"compression": 4}
	{"flush_interval_ms": 0}
	{"flush_interval_ms": 3600001}
	{"large_records": "split"}
	{"large_records": {"policy": "drop"}}
	{"large_records": {"threshold_bytes": 10}}
	{"large_records": {"threshold": 1048576}}
	{"key": "id"}
	{"key": {}}
	{"key": {"json": "no-slash"}}
	{"key": {"json": "/a~2"}}
	{"key": {"json": "/a", "field": 1, "separator": ","}}
	{"key": {"field": 0, "separator": ","}}
	{"key": {"field": 1, "separator": ""}}
	{"key": {"field": 1}}
	{"retention_hours": 9, "compression": "zip"}
	EOT
	says "Invalid argument" bash -c "echo nonsense >'$C'"
	config "$M/.streamfs/defaults" | cmp - "$T/defaults"
	remount
	config | cmp - "$T/before"
}

test_the_log_says_what_was_wrong()
{
	start
	must_fail bash -c "echo '{\"compression\": \"zstd\"}' >'$C'"
	eventually grep -q 'compression.*lz4.*none' "$LOG"
	must_fail bash -c "echo '{\"shardz\": 2}' >'$C'"
	eventually grep -q shardz "$LOG"
	must_fail bash -c "echo '{\"flush_interval_ms\": 0}' >'$M/.streamfs/defaults'"
	eventually grep -q flush_interval_ms "$LOG"
}

test_a_setting_takes_effect_at_once()
{
	start
	exec 3>>"$M/a/shard-0000"
	head -c 5000 /dev/zero | tr '\0' x >&3
	echo >&3
	eq 5001 "$(size_of "$M/a/shard-0000")"
	echo '{"large_records": {"policy": "reject", "threshold_bytes": 2000}}' >"$C"
	# By a handle from before, too.
	head -c 5000 /dev/zero | tr '\0' x >"$T/line"
	echo >>"$T/line"
	must_fail bash -c "cat '$T/line' >&3"
	exec 3>&-
	eq 5001 "$(size_of "$M/a/shard-0000")"
	echo '{"large_records": {"policy": "split"}}' >"$C"
	cat "$T/line" >>"$M/a/shard-0000"
	eq 10002 "$(size_of "$M/a/shard-0000")"
}

stats_have_their_size() { [ "$(size_of "$M/a/stats")" -eq "$(cat "$M/a/stats" | wc -c)" ]; }

test_stats_are_json()
{
	mount_store
	new_stream a '{"shards": 2}'
	jq -e 'type == "object"' "$M/a/stats"
	eq 2 "$(jq '.shards | length' "$M/a/stats")" "shards in stats"
	text_lines 5000 >>"$M/a/shard-0001"
	local bytes
	bytes=$(size_of "$M/a/shard-0001")
	eq true "$(jq --argjson n "$bytes" '[.shards[] | .. | numbers] | any(. == $n)' "$M/a/stats")" \
		"the shard's size is told"
	eq true "$(jq '[.shards[] | .. | numbers] | any(. == 5000)' "$M/a/stats")" \
		"the number of records is told"
	has "$(cat "$M/a/stats")" ratio
	has "$(cat "$M/a/stats")" 7fffffffffffffffffffffffffffffff "the hash ranges"
	eventually stats_have_their_size # the figures may change in between
	must_fail bash -c "echo '{}' >'$M/a/stats'"
	new_stream odd.name_-1
	jq -e . "$M/odd.name_-1/stats"
}

test_metrics_are_prometheus_text()
{
	mount_store
	new_stream a
	new_stream b-2
	text_lines 50 >>"$M/a/shard-0000"
	sync -d "$M/a/shard-0000"
	cat "$M/.streamfs/metrics" >"$T/metrics"
	python3 - "$T/metrics" <<-'PY'
	import re, sys
	text = open(sys.argv[1], encoding="utf-8").read()
	assert text.endswith("\n"), "no newline at the end"
	name = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
	label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
	sample = re.compile(rf"({name})(\{{(?:{label}(?:,{label})*,?)?\}})? (\S+)( -?\d+)?$")
	types, samples, families = {}, {}, []
	for line in text.splitlines():
	    if not line:
	        continue
	    m = re.match(rf"# (HELP|TYPE) ({name}) (.+)$", line)
	    if line.startswith("#"):
	        assert m, line
	        if m[1] == "TYPE":
	            assert m[3] in ("counter", "gauge", "histogram", "summary", "untyped"), line
	            assert m[2] not in types, "second TYPE: " + line
	            types[m[2]] = m[3]
	        continue
	    m = sample.match(line)
	    assert m, line
	    float(m[3])
	    key = (m[1], m[2])
	    assert key not in samples, "twice: " + line
	    samples[key] = float(m[3])
	    family = m[1]
	    if family not in types:
	        family = re.sub("_(bucket|sum|count|total)$", "", family)
	    assert family in types, "no TYPE: " + line
	    assert types[family] != "counter" or m[1].endswith("_total"), "counter's name: " + line
	    if not families or families[-1] != family:
	        assert family not in families, "not in one group: " + line
	        families.append(family)
	for f in [f for f, t in types.items() if t == "histogram"]:
	    values = [v for (n, l), v in samples.items() if n == f + "_bucket"]
	    assert values == sorted(values) and values, "not cumulative: " + f
	    assert (f + "_bucket", '{le="+Inf"}') in samples, "no +Inf: " + f
	    assert samples[(f + "_bucket", '{le="+Inf"}')] == samples[(f + "_count", None)], f
	assert any(v == 50 for v in samples.values()), "50 records are nowhere"
	assert len(samples) > 10
	PY
	has "$(cat "$T/metrics")" 'stream="a"'
}

test_readme_and_version()
{
	mount_store
	new_stream a
	local name names
	has "$(cat "$M/.streamfs/README")" shard
	has "$(cat "$M/.streamfs/README")" put
	has "$(cat "$M/.streamfs/README")" config
	num "$(wc -l <"$M/.streamfs/README")" -le 30 "lines"
	names=$(sed -n 's|^        \([a-z][^ /]*\)[ /].*|\1|p' "$M/.streamfs/README")
	num "$(wc -w <<<"$names")" -ge 13 "names in its tree"
	for name in $names; do
		[ -e "$M/a/$name" ] || fail "no $name"
	done
	"$STREAMFS_BIN" -V >"$T/version"
	grep -qF "$(grep -oE '[0-9]+\.[0-9]+\.[0-9]+' "$M/.streamfs/version" | head -n1)" "$T/version"
	local file
	for file in README version metrics defaults; do
		eq "$(size_of "$M/.streamfs/$file")" "$(cat "$M/.streamfs/$file" | wc -c)" \
			"size of $file"
	done
	for file in README version metrics; do
		must_fail bash -c "echo x >'$M/.streamfs/$file'"
		must_fail rm -f "$M/.streamfs/$file"
	done
}

test_editing_it_in_place()
{
	start
	python3 - "$C" <<-'PY'
	import json, sys
	with open(sys.argv[1], "r+") as f:
	    settings = json.load(f)
	    settings["retention_hours"] = 6
	    f.seek(0)
	    json.dump(settings, f)
	    f.truncate()
	PY
	eq 6 "$(jq .retention_hours "$C")" "by Python"
	vim -es -u NONE -N -c "%s/\"retention_hours\": 6/\"retention_hours\": 7/" -c wq "$C" </dev/null
	eq 7 "$(jq .retention_hours "$C")" "by vim"
	must_fail vim -es -u NONE -N -c "%s/\"retention_hours\": 7/\"retention_hours\": x/" -c wq "$C" </dev/null
	eq 7 "$(jq .retention_hours "$C")" "after nonsense by vim"
}

test_two_writers_of_config()
{
	local i pids=()
	start
	for i in 1 2 3 4; do
		(for _ in $(seq 20); do
			echo "{\"retention_hours\": $i, \"retention_bytes\": $i}" >"$C"
			jq -e '.retention_hours == .retention_bytes' "$C" >>"$T/equal.$i" || true
		done) & pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	eq 80 "$(cat "$T"/equal.* | grep -c true)" "consistent views"
}

run_tests "$@"
