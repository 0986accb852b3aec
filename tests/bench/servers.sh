# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # names that the scripts of the bench share
# For run.sh: installing, building, and everything that runs beside the measurements. Each server
# listens on loopback only, lives in the work directory, and is stopped by the pid it was given.

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_missing() {
	local wanted='build-essential meson ninja-build pkg-config libfuse3-dev fuse3 liblz4-dev lz4
		libjansson-dev libbsd-dev libmd-dev libxxhash-dev check jq mawk gawk
		redis-server libhiredis-dev nats-server libnats-dev'
	local package missing=''

	command -v apt-get >/dev/null || return 0
	for package in $wanted; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
			missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	say "installing$missing"
	as_root env DEBIAN_FRONTEND=noninteractive sh -s -- $missing <<'END' >&2
# Servers just installed would start and stay: let nothing start.
policy=/usr/sbin/policy-rc.d
[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; added=1; }
apt-get update -q
# One by one where the lot cannot be had: what is missing then shows in the table.
apt-get install -y -q --no-install-recommends "$@" || for package; do
	apt-get install -y -q --no-install-recommends "$package"
done
[ -z "${added-}" ] || rm -f $policy
END
}

# compile NAME FLAGS...: tests/bench/NAME.c becomes bench-NAME.
compile() {
	local name=$1

	shift
	"${CC:-cc}" -std=gnu11 -O2 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Wall -Wextra -Wpedantic \
		-Wshadow -Wconversion -Wno-sign-conversion -o "$build/bench-$name" \
		"$here/$name.c" "$here/bench.c" -pthread "$@"
}

# compile_clients SERVER FLAGS...
compile_clients() {
	local server=$1

	shift
	compile "$server" "$@" && compile "latency_$server" "$here/latency.c" "$@"
}

# The clients of servers that are not there are left out, and the table says so.
build_programs() {
	local name

	for name in gen echo appender syncer probe waiters; do
		compile "$name" || return
	done
	compile passthrough $(pkg-config --cflags --libs fuse3) || return
	compile latency_live "$here/latency.c" || return
	rm -f "$build"/bench-*redis "$build"/bench-*jetstream
	! pkg-config --exists hiredis || compile_clients redis $(pkg-config --cflags --libs hiredis)
	! pkg-config --exists libnats ||
		compile_clients jetstream $(pkg-config --cflags --libs libnats)
	return 0
}

build_streamfs() {
	say "building streamfs in $build"
	[ -e "$build/build.ninja" ] ||
		meson setup --buildtype=release "$build" "$top" >&2 || return
	ninja -C "$build" src/cli/streamfs >&2 || return
	streamfs=$build/src/cli/streamfs
}

# spawn NAME COMMAND...: in the background; its output goes to a log that a failure shows.
spawn() {
	local name=$1

	shift
	"$@" >"$work/$name.log" 2>&1 </dev/null &
	echo $! >"$work/pids/$name"
}

# A zombie has ended, whoever is to collect it.
alive() {
	local state

	[ -e "$work/pids/$1" ] || return 1
	state=$(sed 's/.*) \(.\) .*/\1/' "/proc/$(cat "$work/pids/$1")/stat" 2>/dev/null)
	[ -n "$state" ] && [ "$state" != Z ]
}

# until_true NAME COMMAND...: waits for a server that must stay alive meanwhile.
until_true() {
	local name=$1 tries

	shift
	for ((tries = 0; tries < 1500; tries++)); do
		! "$@" >/dev/null 2>&1 || return 0
		alive "$name" || break
		sleep 0.02
	done
	say "$name did not start:"
	tail -n 5 "$work/$name.log" >&2
	return 1
}

until_gone() {
	local tries

	for ((tries = 0; tries < 1200; tries++)); do
		alive "$1" || break
		sleep 0.05
	done
	! alive "$1"
}

# stop NAME: asks, waits, and only then insists.
stop() {
	[ -e "$work/pids/$1" ] || return 0
	! alive "$1" || kill "$(cat "$work/pids/$1")" 2>/dev/null
	until_gone "$1" || kill -KILL "$(cat "$work/pids/$1")" 2>/dev/null
	rm -f "$work/pids/$1"
}

mounted() {
	mountpoint -q "$1"
}

unmount() {
	! mounted "$1" || fusermount3 -u "$1" 2>/dev/null || fusermount3 -uz "$1"
}

# Two of them over one directory: names and sizes asked for each time, and remembered for a second.
passthrough_start() {
	mkdir -p "$work/floor.files" "$work/floor" "$work/floor.cached"
	spawn passthrough "$build/bench-passthrough" "$work/floor.files" "$work/floor"
	spawn passthrough.cached "$build/bench-passthrough" "$work/floor.files" \
		"$work/floor.cached" 1
	until_true passthrough mounted "$work/floor" &&
		until_true passthrough.cached mounted "$work/floor.cached"
}

# daemon_start NAME: a streamfs over a store of its own, mounted on $work/NAME.
daemon_start() {
	mkdir -p "$work/$1"
	spawn "$1" "$streamfs" -f "$work/$1.store" "$work/$1"
	until_true "$1" mounted "$work/$1"
}

# daemon_drop NAME: unmounts it and removes its store.
daemon_drop() {
	unmount "$work/$1"
	stop "$1"
	rm -rf "$work/$1.store"
}

# The one that most rows use.
streamfs_start() {
	daemon_start streamfs
}

streamfs_alive() {
	alive streamfs && mounted "$mnt"
}

# A port that nobody listens on now.
free_port() {
	local port

	for ((port = 20000 + $$ % 20000; port < 60000; port++)); do
		(: </dev/tcp/127.0.0.1/$port) 2>/dev/null || break
	done
	echo "$port"
}

answers() {
	(: </dev/tcp/127.0.0.1/"$1") 2>/dev/null
}

# No configuration file: redis's own defaults, that is snapshots now and then and no append-only file.
redis_start() {
	[ -x "$build/bench-redis" ] && command -v redis-server >/dev/null || return
	mkdir -p "$work/redis"
	redis_port=$(free_port)
	spawn redis redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$work/redis"
	until_true redis answers "$redis_port"
}

# JetStream's own defaults: file storage, synced every two minutes.
jetstream_start() {
	[ -x "$build/bench-jetstream" ] && command -v nats-server >/dev/null || return
	mkdir -p "$work/jetstream"
	jetstream_port=$(free_port)
	spawn jetstream nats-server -a 127.0.0.1 -p "$jetstream_port" -js -sd "$work/jetstream"
	until_true jetstream answers "$jetstream_port"
}

cleanup() {
	local name

	for name in streamfs memory floor floor.cached; do
		unmount "$work/$name"
	done
	for name in streamfs memory passthrough passthrough.cached redis jetstream; do
		stop "$name"
	done
	rm -rf --one-file-system "$work"
}
