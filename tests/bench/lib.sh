# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names that the scripts of the bench share
# For run.sh: the clock, rounds, medians, results and the table.

# A quick run begins no row after this.
QUICK_SECONDS=95

say() {
	printf '%s\n' "run.sh: $*" >&2
}

# Runs a command; its microseconds are in $took.
clock() {
	local start=$EPOCHREALTIME end

	"$@" || return
	end=$EPOCHREALTIME
	took=$((${end/./} - ${start/./}))
}

# What is dirty now would be written back in the middle of the next measurement.
settle() {
	sync -f "$work"
}

# sample NAME NUMBER: one round's figure. Figures of the same round stand in the same line.
sample() {
	printf '%s\n' "$2" >>"$work/samples/$1"
}

# in_turns FUNCTION...: calls each once a round with the round's number. Every other round goes
# backwards, so that nobody is always the first after a pause.
in_turns() {
	local round i order

	for ((round = 0; round < rounds; round++)); do
		order=()
		for i in "$@"; do
			if ((round % 2)); then order=("$i" "${order[@]}"); else order+=("$i"); fi
		done
		for i in "${order[@]}"; do
			settle
			$i "$round" || { say "$i failed in round $round"; return 1; }
		done
	done
}

median() {
	sort -g | awk '{v[NR] = $1} END {
		if (!NR) exit 1
		printf "%.4f\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'
}

median_of() {
	median <"$work/samples/$1"
}

# ratio A B: the median over the rounds of A / B.
ratio() {
	paste "$work/samples/$1" "$work/samples/$2" | awk '{printf "%.6f\n", $1 / $2}' | median
}

# calculate EXPRESSION [FORMAT]
calculate() {
	awk "BEGIN {printf \"${2:-%.4f}\n\", $1}"
}

# result ROW WHAT '>=|<=' GOAL VALUE [DETAIL]: a line of the table.
result() {
	local met

	[ -z "${discard-}" ] || return 0
	case $5 in '' | *[!0-9.]*) say "$2: no figure"; return 1 ;; esac
	met=$(awk -v value="$5" -v goal="$4" -v at="$3" \
		'BEGIN {print (at == ">=" ? value >= goal : value <= goal) ? "yes" : "NO"}')
	printf '%s\t%s\t%s %s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" "$met" "${6:-}" \
		>>"$work/results"
	say "row $1: $2: $5 (goal $3 $4)"
}

# not_measured ROW WHAT GOAL REASON
not_measured() {
	[ -z "${discard-}" ] || return 0
	printf '%s\t%s\t%s\t-\tnot measured\t%s\n' "$1" "$2" "$3" "$4" >>"$work/results"
	say "row $1: $2: not measured: $4"
}

# A row that breaks must not take the others with it.
run_row() {
	local row=$1 began=$SECONDS

	if ! declare -F "row_$row" >/dev/null; then
		say "no such row: $row"
		return
	fi
	if ((quick && SECONDS > QUICK_SECONDS)); then
		not_measured "$row" "$(describe_row "$row")" - "no time left in two minutes"
		return
	fi
	(set -e; "row_$row")
	[ $? = 0 ] || not_measured "$row" "$(describe_row "$row")" - "failed, see above"
	say "row $row took $((SECONDS - began)) s"
	streamfs_alive || streamfs_start || say "streamfs cannot be started again"
}

missed_rows() {
	awk -F'\t' '$5 == "NO" {print $1}' "$work/results" | sort -un
}

# Once more, over an empty store, for the profile alone: a recorded daemon is a slower one, so no
# figure of this pass is kept.
profile_missed() {
	local row recorder

	for row in $(missed_rows); do
		say "recording row $row"
		daemon_drop streamfs
		streamfs_start || return
		rm -f "$work/samples/$row".*
		perf record -q -g -o "$work/profiles/$row" -p "$(cat "$work/pids/streamfs")" \
			>/dev/null 2>&1 &
		recorder=$!
		(set -e; discard=1; "row_$row") >/dev/null 2>&1
		kill -INT "$recorder" 2>/dev/null
		wait "$recorder"
	done
}

machine() {
	printf '%s CPUs, Linux %s, %s' "$(nproc)" "$(uname -r)" \
		"$(stat -f -c %T "$work") on $(df --output=source "$work" | tail -n1)"
}

print_table() {
	awk -F'\t' '
	{for (i = 1; i <= 6; i++) cell[NR, i] = $i
	 for (i = 1; i <= 5; i++) if (length($i) > wide[i]) wide[i] = length($i)}
	END {for (r = 1; r <= NR; r++) {
		line = ""
		for (i = 1; i <= 5; i++) line = line sprintf("%-" wide[i] "s  ", cell[r, i])
		print line cell[r, 6]
		if (r == 1) {gsub(/./, "-", line); print line "------"}}}' \
		<(printf 'row\twork\tgoal\tthis run\tmet\tdetail\n') "$work/results"
}

print_json() {
	jq -R -n --arg version "$("$streamfs" -V 2>/dev/null | head -n1)" --arg machine "$(machine)" \
		--arg date "$(date -u +%FT%TZ)" --argjson rounds "$rounds" --argjson events "$events" \
		--argjson quick "$quick" '
		{version: $version, date: $date, machine: $machine, rounds: $rounds,
		 events: $events, quick: ($quick == 1), rows: [inputs | split("\t") |
		 {row: (.[0] | tonumber), work: .[1], goal: .[2],
		  value: (.[3] | tonumber? // null),
		  met: ({"yes": true, "NO": false}[.[4]]), detail: .[5]}]}' "$work/results"
}

print_profiles() {
	local row

	for row in $(missed_rows); do
		[ -s "$work/profiles/$row" ] || continue
		printf '\nrow %s, where the daemon spent its time:\n' "$row"
		perf report --no-children --stdio -g none -i "$work/profiles/$row" 2>/dev/null |
			grep -v '^#' | grep . | head -n 15
	done
}

report() {
	sort -s -n -k1,1 -o "$work/results" "$work/results"
	printf '\n%s; %s rounds\n\n' "$(machine)" "$rounds"
	print_table
	print_profiles
	print_json >"$json" && printf '\nThe same as JSON: %s\n' "$json"
}
