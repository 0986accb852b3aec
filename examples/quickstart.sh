#!/bin/sh
# SPDX-License-Identifier: MIT
#
# streamfs in two minutes, with the logs that this machine has.
#
#   examples/quickstart.sh                      in a temporary directory that goes at the end
#   examples/quickstart.sh STORE MOUNTPOINT     stays mounted there
#
# Runs on Debian 12 and 13, and wherever there are the same packages. Root or sudo is needed only to
# install packages that are missing, and to open /dev/fuse to everyone.

set -eu

TOP=$(cd "$(dirname "$0")/.." && pwd)
STORE=${1:-}
MNT=${2:-}
if [ $# -ne 0 ] && [ $# -ne 2 ]; then
	echo "usage: $0 [STORE MOUNTPOINT]" >&2
	exit 1
fi
WORK=$(mktemp -d "${TMPDIR:-/tmp}/streamfs-quickstart.XXXXXX")
PID=
TAIL=
KEEP=$STORE
: "${STORE:=$WORK/store}" "${MNT:=$WORK/mnt}"
BUILD=$TOP/build
[ -w "$TOP" ] && { [ ! -e "$BUILD" ] || [ -w "$BUILD" ]; } || BUILD=$WORK/build

step()
{
	if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi
}

show()
{
	printf '$ %s\n' "$*"
}

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		command -v sudo >/dev/null && sudo "$@"
	fi
}

unmount()
{
	if [ "$(id -u)" -eq 0 ]; then umount "$MNT"; else fusermount3 -u "$MNT"; fi
}

clean_up()
{
	trap '' INT TERM
	[ -z "$TAIL" ] || kill "$TAIL" 2>/dev/null || true
	if [ -z "$KEEP" ] && [ -n "$PID" ]; then
		unmount 2>/dev/null || true
		kill "$PID" 2>/dev/null || true
		wait "$PID" 2>/dev/null || true
	fi
	rm -rf --one-file-system "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# wait_until COMMAND…
wait_until()
{
	tries=0
	until "$@" 2>/dev/null; do
		tries=$((tries + 1))
		if [ $tries -gt 600 ]; then
			echo "gave up waiting for: $*" >&2
			exit 1
		fi
		sleep 0.1
	done
}

answers()
{
	[ -s "$MNT/.streamfs/version" ] && kill -0 "$PID"
}

# -f keeps the daemon a child of this script, so that its pid is known.
serve()
{
	"$BUILD/src/cli/streamfs" -f "$STORE" "$MNT" 2>>"$WORK/log" &
	PID=$!
	tries=0
	until answers 2>/dev/null; do
		tries=$((tries + 1))
		if ! kill -0 "$PID" 2>/dev/null || [ $tries -gt 600 ]; then
			cat "$WORK/log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

build()
{
	{
		[ -f "$BUILD/build.ninja" ] || meson setup "$BUILD" "$TOP"
	} >"$WORK/build" 2>&1 && ninja -C "$BUILD" src/cli/streamfs >>"$WORK/build" 2>&1
}

build_failed()
{
	grep -E -A3 'error|ERROR' "$WORK/build" | head -n 20 >&2 || true
	tail -n 5 "$WORK/build" >&2
	echo "The build failed. If $BUILD is an old one, remove it and start again." >&2
	exit 1
}

# Any desktop or server has it, writable for everyone; a container needs to be given it.
open_fuse()
{
	[ -c /dev/fuse ] || as_root modprobe fuse 2>/dev/null || true
	[ ! -c /dev/fuse ] || as_root chmod 666 /dev/fuse || true
	[ -w /dev/fuse ] && return
	echo "missing: a writable /dev/fuse (modprobe fuse; for a container, --device /dev/fuse)" >&2
	exit 1
}

step "1. What it needs, and the build"
sh "$TOP/tests/needs.sh" build
build || build_failed
[ -w /dev/fuse ] || open_fuse
"$BUILD/src/cli/streamfs" -V

step "2. A directory is a store, a mount shows it"
mkdir -p "$MNT"
show "streamfs $STORE $MNT"
serve
cat "$MNT/.streamfs/version"

step "3. A stream is a directory"
STREAM=logs
while [ -e "$MNT/$STREAM" ]; do STREAM=$STREAM.new; done
show "mkdir $STREAM; ls $STREAM"
mkdir "$MNT/$STREAM"
ls "$MNT/$STREAM"
SHARD=$MNT/$STREAM/shard-0000

step "4. A shard is a file: pipe this machine's own logs in while tail -f follows them live"
find /var/log /usr/share/common-licenses -type f -readable -size +0 ! -name '*.gz' \
	-exec grep -Il '' {} + 2>/dev/null | sort | head -n 60 >"$WORK/files" || true
: >"$WORK/text"
show "tail -n +1 -f $STREAM/shard-0000 >followed &"
tail -n +1 -f "$SHARD" >"$WORK/followed" &
TAIL=$!
while read -r file; do
	head -c 4000000 "$file" >"$WORK/piece" # logs grow, and some are huge
	show "cat $file >>$STREAM/shard-0000"
	cat "$WORK/piece" >>"$SHARD"
	cat "$WORK/piece" >>"$WORK/text"
	# A last line without an end becomes a record when the file is closed.
	[ -z "$(tail -c 1 "$WORK/piece")" ] || echo >>"$WORK/text"
done <"$WORK/files"
[ "$(wc -c <"$WORK/text")" -gt 0 ] || { echo "this machine has no text" >&2; exit 1; }
cmp "$WORK/text" "$SHARD"
wait_until cmp -s "$WORK/text" "$WORK/followed"
kill "$TAIL"
TAIL=
echo "$(wc -l <"$SHARD") records; the follower has seen every byte of them"

step "5. Any tool reads it"
show "grep -ci install $STREAM/shard-0000"
grep -ci install "$SHARD" || true

step "6. It is stored compressed: size against what the disk holds"
ls -l "$SHARD"
du -h --apparent-size "$SHARD"
du -h "$SHARD"

step "7. Drop a large file in: its record is a claim check"
head -c 20000000 /dev/urandom >"$WORK/photo.raw"
show "cp photo.raw $STREAM/drop/"
cp "$WORK/photo.raw" "$MNT/$STREAM/drop/"
CHECK=
for shard in "$MNT/$STREAM"/shard-*; do
	CHECK=$(tail -n 1 "$shard" | jq -r '.claim_check.path // empty' 2>/dev/null) || true
	[ -z "$CHECK" ] || break
done
tail -n 1 "$shard"
show "cmp photo.raw $STREAM/\$(tail -n 1 $STREAM/shard-0000 | jq -r .claim_check.path)"
cmp "$WORK/photo.raw" "$MNT/$STREAM/$CHECK"
echo "the same bytes"

step "8. The same records by key, as JSON, from a time on, live"
show "echo '{\"total\":12}' >>$STREAM/keys/user-42; cat $STREAM/keys/user-42"
echo '{"total":12}' >>"$MNT/$STREAM/keys/user-42"
cat "$MNT/$STREAM/keys/user-42"
show "cat $STREAM/since/1h/json/keys/user-42"
cat "$MNT/$STREAM/since/1h/json/keys/user-42"
show "cat $STREAM/live/all &"
{
	echo open >"$WORK/opened"
	exec cat
} <"$MNT/$STREAM/live/all" >"$WORK/live" &
TAIL=$!
wait_until [ -e "$WORK/opened" ]
show "echo 'a live one' >>$STREAM/put"
echo 'a live one' >>"$MNT/$STREAM/put"
wait_until grep 'a live one' "$WORK/live"
kill "$TAIL"
TAIL=

step "9. A consumer is a directory, its checkpoints are files; more shards at any time"
show "sh examples/consumer.sh $STREAM billing wc -l"
sh "$TOP/examples/consumer.sh" "$MNT/$STREAM" billing wc -l
show "echo '{\"shards\":4}' >$STREAM/config; echo more >>$STREAM/put"
echo '{"shards":4}' >"$MNT/$STREAM/config"
echo more >>"$MNT/$STREAM/put"
show "sh examples/consumer.sh $STREAM billing cat"
sh "$TOP/examples/consumer.sh" "$MNT/$STREAM" billing cat

step "10. kill -9 the daemon, mount again, compare"
BEFORE=$(sha256sum <"$SHARD")
show "kill -9 $PID"
kill -9 "$PID"
wait "$PID" 2>/dev/null || true
PID=
if [ "$(id -u)" -eq 0 ]; then umount -l "$MNT"; else fusermount3 -uz "$MNT"; fi
serve
AFTER=$(sha256sum <"$SHARD")
echo "before $BEFORE"
echo "after  $AFTER"
[ "$BEFORE" = "$AFTER" ]

step "11. The segments are plain .lz4 files: no streamfs needed to read them"
show "lz4 -dcm STORE/streams/$STREAM/shard-0000/*.lz4 | sha256sum"
LZ4=$(lz4 -dcm "$STORE/streams/$STREAM/shard-0000/"*.lz4 | sha256sum)
echo "lz4    $LZ4"
[ "$BEFORE" = "$LZ4" ]

if [ -z "$KEEP" ]; then
	step "Done; everything goes again"
	exit 0
fi
step "12. The same in the background, to stay"
unmount
wait "$PID" || true
show "streamfs $STORE $MNT"
"$BUILD/src/cli/streamfs" "$STORE" "$MNT"
echo "exit status $?: mounted and usable; unmount with: fusermount3 -u $MNT"
