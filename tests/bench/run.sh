#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Measures streamfs against what stands beside it: a plain file, the lz4 tool, a FUSE server that
# does nothing (bench-passthrough), redis-server and nats-server. Each figure is a ratio of two
# things measured in turns in this run, the median over the rounds; no absolute time decides.
#
# Installs what is missing (Debian's packages, as root or with sudo), builds streamfs in release
# mode and the bench's programs, prints one table and writes the same as JSON. The exit status tells
# whether the bench ran, never how fast streamfs was. Wants about 10 GB of disk (--quick: 2 GB), and
# leaves nothing behind but the build directory and the JSON file.
set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)

usage() {
	cat <<'END'
usage: tests/bench/run.sh [option...]
  --quick          fewer events and rounds: done in two minutes
  --rows "N ..."   only these rows of the table
  --rounds N       how often everything is measured (at least 5)
  --events N       sensor events in the input
  --logs DIR       also measure with the text files in DIR
  --dir DIR        where the store and the files beside it live (default /var/tmp)
  --build DIR      where to build (default build-bench)
  --streamfs FILE  measure this binary and build only the bench's programs
  --json FILE      where the JSON goes (default bench.json in the build directory)
  --perf           run the rows that missed their goal again, and show where the daemon's time went
END
}

quick=0 rounds=7 events=3000000 logs='' base=/var/tmp build=$top/build-bench streamfs='' json=''
with_perf=0 rows=''
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=1 rounds=5 events=1000000 ;;
	--perf) with_perf=1 ;;
	-h | --help) usage; exit 0 ;;
	--rows | --rounds | --events | --logs | --dir | --build | --streamfs | --json)
		[ $# -gt 1 ] || { usage >&2; exit 1; }
		case $1 in
		--rows) rows=$2 ;;
		--rounds) rounds=$2 ;;
		--events) events=$2 ;;
		--logs) logs=$2 ;;
		--dir) base=$2 ;;
		--build) build=$2 ;;
		--streamfs) streamfs=$2 ;;
		--json) json=$2 ;;
		esac
		shift ;;
	*) usage >&2; exit 1 ;;
	esac
	shift
done
case $rounds$events in *[!0-9]*) usage >&2; exit 1 ;; esac
[ "$rounds" -ge 5 ] || { echo "run.sh: a median of fewer than 5 rounds says nothing" >&2; exit 1; }
[ -z "$logs" ] || [ -d "$logs" ] || { echo "run.sh: $logs: no such directory" >&2; exit 1; }
case $base in *[[:space:]]*) echo "run.sh: --dir must be without spaces" >&2; exit 1 ;; esac
json=${json:-$build/bench.json}

. "$here/lib.sh"
. "$here/servers.sh"
. "$here/rows.sh"

install_missing
mkdir -p "$build" || exit 1
build=$(cd "$build" && pwd)
build_programs || exit 1
[ -n "$streamfs" ] || build_streamfs || exit 1

work=$(mktemp -d "$base/streamfs-bench.XXXXXX") || exit 1
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
mnt=$work/streamfs
mkdir "$work/samples" "$work/pids" "$work/profiles" "$work/plain"
: >"$work/results"

say "input: $events events of 119 bytes and a newline"
make_input events "$build/bench-gen" "$events" || exit 1
[ -z "$logs" ] || make_input logs repeat_logs "$logs" || exit 1
passthrough_start || exit 1
streamfs_start || exit 1
check_mount || exit 1

((quick)) && default_rows=$QUICK_ROWS || default_rows=$ALL_ROWS
for row in ${rows:-$default_rows}; do
	run_row "$row"
done
((!with_perf)) || profile_missed
report
