#!/bin/bash
# SPDX-License-Identifier: MIT
# Mounting and unmounting: refusals, readiness, signals, options, users.
. "${0%/*}/lib.sh"

# refused STATUS PATTERN ARGUMENTS…: exits so, says so in one line, and mounts nothing
refused()
{
	local want=$1 pattern=$2 status=0
	shift 2
	timeout "$DEADLINE" "$STREAMFS_BIN" "$@" >"$T/stdout" 2>"$T/stderr" || status=$?
	eq "$want" "$status" "exit of streamfs $* ($(head -n2 "$T/stderr"))"
	eq 1 "$(wc -l <"$T/stderr")" "lines on standard error of streamfs $*: $(cat "$T/stderr")"
	eq "" "$(cat "$T/stdout")" "standard output of streamfs $*"
	has "$(cat "$T/stderr")" "$pattern" "message of streamfs $*"
	not_mounted "$M"
}

test_help_and_version()
{
	exits 0 "$STREAMFS_BIN" -h
	has "$(cat "$T/exits.out")" STORE
	has "$(cat "$T/exits.out")" MOUNTPOINT
	exits 0 "$STREAMFS_BIN" -V
	has "$(cat "$T/exits.out")" 'streamfs.*[0-9]+\.[0-9]+\.[0-9]+'
	eq "" "$(ls -A "$T" | grep -vE '^(log|out|exits.out)$' || true)" "files made"
}

test_wrong_usage_is_1()
{
	mkdir "$M"
	refused 1 . "$S"
	refused 1 .
	refused 1 . "$S" "$M" more
	refused 1 'flag -Z is unknown' "$S" "$M" -Z
	refused 1 'flag --foreground is unknown' --foreground "$S" "$M"
	refused 1 'flag --foreground is unknown' "$S" "$M" --foreground
	refused 1 'flag -o lacks its value' "$S" "$M" -o
	refused 1 'no_such_option' "$S" "$M" -o no_such_option
	refused 1 'no_such_option' "$S" "$M" -o ro,no_such_option=3
	refused 1 'auto_unmount' "$S" "$M" -o auto_unmount
	must_fail test -e "$S"
}

test_a_missing_or_empty_store_is_made()
{
	mount_store
	[ -s "$S/streamfs.json" ]
	eq 700 "$(stat -c %a "$S")" "mode of a store that was made"
	unmount
	S=$T/empty
	mkdir "$S"
	mount_store
	mkdir "$M/a"
	remount
	[ -d "$M/a" ]
	has "$(lz4 --version)" .
	eq "" "$(find "$S" -mindepth 1 -perm /077)" "files of the store that others may touch"
}

test_a_foreign_directory_is_refused()
{
	mkdir "$M" "$S"
	echo mine >"$S/file"
	refused 32 "$S" "$S" "$M"
	refused 32 "$S" "$S" "$M" -f
	eq file "$(ls -A "$S")"
	echo x >"$T/plain"
	refused 32 "$T/plain" "$T/plain" "$M"
	eq x "$(cat "$T/plain")"
}

test_an_unknown_format_is_refused()
{
	mount_store
	mkdir "$M/a"
	unmount
	cp "$S/streamfs.json" "$T/json"
	local member
	member=$(jq -r 'to_entries[] | select((.key | test("version|format")) and
		(.value | type == "number")) | .key' "$T/json" | head -n1)
	ne "" "$member" "the format version in streamfs.json"
	jq ".[\"$member\"] = 99" "$T/json" >"$S/streamfs.json"
	refused 32 "99|version|format" "$S" "$M"
	eq 99 "$(jq ".[\"$member\"]" "$S/streamfs.json")"
	echo nonsense >"$S/streamfs.json"
	refused 32 "streamfs.json" "$S" "$M"
	cp "$T/json" "$S/streamfs.json"
	mount_store
	[ -d "$M/a" ]
}

test_a_held_store_is_refused()
{
	mount_store
	mkdir "$M/a" "$T/other"
	# shellcheck disable=SC2097,SC2098 # the text has the old one
	M=$T/other refused 32 "$S: mounted already, at $M\$" "$S" "$T/other"
	# shellcheck disable=SC2097,SC2098 # the text has the old one
	M=$T/other refused 32 "$S" "$S" "$T/other" -o ro
	echo fine >>"$M/a/shard-0000"
	eq fine "$(cat "$M/a/shard-0000")"
	kill9
	mount_store # the lock goes with its holder
	eq fine "$(cat "$M/a/shard-0000")"
}

test_bad_mountpoints_are_refused()
{
	mkdir "$S"
	local status=0
	refused 32 "$T/none" "$S" "$T/none"
	echo x >"$T/file"
	refused 32 "$T/file" "$S" "$T/file"
	mkdir "$S/inside" && refused 32 . "$S" "$S/inside"
	rmdir "$S/inside"
	mkdir -p "$M/inside"
	refused 32 . "$M/inside" "$M"
	rmdir "$M/inside"
	mount_store
	"$STREAMFS_BIN" "$T/second" "$M" 2>"$T/stderr" || status=$?
	eq 32 "$status" "mounting over a mount ($(cat "$T/stderr"))"
	eq 1 "$(wc -l <"$T/stderr")" lines
}

daemon_pids()
{
	local pid exe
	for pid in $(own_processes); do
		exe=$(readlink "/proc/$pid/exe" || true)
		case $exe in
		"$(readlink -f "$STREAMFS_BIN")" | "$T/streamfs") echo "$pid" ;;
		esac
	done
}

no_daemons() { [ -z "$(daemon_pids)" ]; }

test_it_goes_to_the_background_when_the_mount_answers()
{
	local i
	mkdir "$M"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		"$STREAMFS_BIN" "$S" "$M" >"$T/stdout" 2>"$T/stderr" </dev/null
		# At once: exit 0 means usable.
		mkdir "$M/s$i"
		echo "round $i" >>"$M/s$i/shard-0000"
		eq "round $i" "$(cat "$M/s$i/shard-0000")"
		eq "" "$(cat "$T/stdout" "$T/stderr")" "what it printed"
		PID=$(daemon_pids)
		eq 1 "$(wc -w <<<"$PID")" "processes"
		eq / "$(readlink "/proc/$PID/cwd")" "working directory"
		eq /dev/null "$(readlink "/proc/$PID/fd/0")" "standard input"
		ne "$(ps -o sid= -p $$)" "$(ps -o sid= -p "$PID")" "session"
		umount "$M"
		eventually no_daemons
	done
}

test_relative_paths_in_the_background()
{
	mkdir "$M"
	cd "$T"
	"$STREAMFS_BIN" store mnt </dev/null >"$T/stdout" 2>&1
	mkdir "$M/a"
	echo x >>"$M/a/put"
	umount mnt
	eventually no_daemons
	[ -d "$S/streams/a" ]
}

test_a_failure_in_the_background_is_told()
{
	mkdir "$M" "$S"
	echo x >"$S/file"
	refused 32 "$S" "$S" "$M"
	refused 32 "$T/none" "$T/new" "$T/none"
	no_daemons
}

test_umount_and_fusermount()
{
	mount_store
	new_stream a
	echo one >>"$M/a/shard-0000"
	umount "$M"
	ended
	mount_store
	eq one "$(cat "$M/a/shard-0000")"
	fusermount3 -u "$M"
	ended
	mount_store
	exec 3<"$M/a/shard-0000"
	must_fail umount "$M"
	read -r line <&3
	eq one "$line" "after an umount that was refused"
	exec 3<&-
}

test_signals_unmount_and_flush()
{
	local signal n=0
	for signal in TERM INT HUP; do
		mount_store
		mkdir -p "$M/a"
		echo "before $signal" >>"$M/a/shard-0000"
		kill -s "$signal" "$PID"
		ended
		eventually not_mounted "$M"
		n=$((n + 1))
		mount_store
		eq "$n" "$(wc -l <"$M/a/shard-0000")" "records after SIG$signal"
		unmount
	done
}

# The signal comes when the mount is made, and the program does not know it yet. (Leaks cannot be looked
# for under a tracer.)
test_a_signal_during_the_start_leaves_no_mount()
{
	mkdir -p "$M"
	ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" \
		strace -f -qq -o "$T/trace" -e trace=mount -e inject=mount:delay_exit=1000000 \
		"$STREAMFS_BIN" "$S" "$M" -f >"$LOG" 2>&1 &
	local tracer=$!
	eventually is_mounted "$M"
	kill "$(pgrep -P "$tracer")"
	wait "$tracer" || true
	not_mounted "$M"
	mount_store
}

# Root's daemon can gain nothing by what it starts. (fusermount3 must, for anybody else.)
test_no_new_privileges()
{
	mount_store
	mkdir "$M/a"
	eq "NoNewPrivs: 1" "$(grep -h NoNewPrivs "/proc/$PID/task/"*/status | tr '\t' ' ' | sort -u)"
}

# Readers at the end of a shard that grows: each growth is told to the kernel, which may have to wait
# for a read that has not been served when the signal comes.
test_a_signal_under_load_ends_it()
{
	local round i pids
	for round in $(seq 8); do
		mount_store
		mkdir -p "$M/a"
		pids=()
		for i in $(seq 40); do
			(while tail -c 3000 "$M/a/shard-0000" >/dev/null; do :; done) 2>/dev/null &
			pids+=($!)
		done
		for i in 1 2 3; do
			(while echo "round $round" >>"$M/a/shard-0000"; do :; done) 2>/dev/null &
			pids+=($!)
		done
		sleep 0.4
		kill "$PID"
		ended
		wait "${pids[@]}" || true
		while is_mounted "$M"; do umount -l "$M"; done
	done
}

test_an_unfinished_line_survives_an_unmount()
{
	mount_store
	new_stream a
	"$TOOLS_DIR/sys" open wa "$M/a/shard-0000" , write 'whole\npart' , touch "$T/held" , \
		await "$T/go" , close >"$T/got" &
	local writer=$!
	eventually test -e "$T/held"
	kill "$PID"
	ended
	touch "$T/go"
	wait "$writer" || true
	while is_mounted "$M"; do umount -l "$M"; done
	mount_store
	eq "whole part" "$(echo $(cat "$M/a/shard-0000"))"
}

test_read_only()
{
	mount_store
	new_stream a
	echo x >>"$M/a/shard-0000"
	head -c 2000000 /dev/zero | tr '\0' y >>"$M/a/shard-0000"
	unmount
	(cd "$S" && find . -type f ! -name lock -exec md5sum {} + | sort) >"$T/before"
	mount_store -o ro
	has "$(findmnt -no OPTIONS "$M")" '(^|,)ro(,|$)'
	eq x "$(head -n1 "$M/a/shard-0000")"
	eq 2000000 "$(cat "$M"/a/blobs/* | wc -c)"
	jq -e . "$M/a/config" "$M/a/stats"
	errno EROFS open wa "$M/a/shard-0000"
	errno EROFS open w "$M/a/put"
	errno EROFS open wc "$M/a/drop/x"
	errno EROFS open wt "$M/a/config"
	errno EROFS mkdir "$M/b" 755
	errno EROFS rmdir "$M/a"
	errno EROFS rename "$M/a" "$M/b"
	errno EROFS chmod "$M/a" 700
	unmount
	(cd "$S" && find . -type f ! -name lock -exec md5sum {} + | sort) | cmp - "$T/before"
	mount_store -o rw
	echo y >>"$M/a/shard-0000"
}

test_a_store_on_a_read_only_disk()
{
	mkdir "$T/disk" "$M"
	mount -t tmpfs streamfs-test "$T/disk"
	S=$T/disk/store
	mount_store
	new_stream a
	echo x >>"$M/a/shard-0000"
	unmount
	mount -o remount,ro "$T/disk"
	refused 32 "Read-only file system; with -o ro" "$S" "$M"
	refused 32 "Read-only file system" "$T/disk/new" "$M"
	mount_store -o ro
	eq x "$(cat "$M/a/shard-0000")"
	errno EROFS open wa "$M/a/shard-0000"
	unmount
	exits 0 "$FSCK_BIN" -n "$S"
}

test_what_mount_and_findmnt_show()
{
	mount_store
	eq "$S fuse.streamfs" "$(findmnt -no SOURCE,FSTYPE "$M" | xargs)"
	has "$(mount)" "^$S on $M type fuse.streamfs \("
	has "$(findmnt -no OPTIONS "$M")" 'default_permissions'
	has_not "$(findmnt -no OPTIONS "$M")" 'allow_other'
	eq "$(df --output=size -B1 "$T" | tail -n1)" "$(df --output=size -B1 "$M" | tail -n1)" \
		"size of the disk below"
	has "$(df "$M")" "^$S .* $M\$"
	has "$(df -T "$M")" 'fuse.streamfs'
	num "$(df --output=avail -B1 "$M" | tail -n1)" -gt 0
	eq 255 "$(stat -f -c %l "$M")" "longest name"
}

test_a_path_with_commas_and_spaces()
{
	S="$T/a store, with a comma"
	M="$T/a mount"
	mount_store
	mkdir "$M/a"
	eq "$S" "$(findmnt -rno SOURCE "$M" | sed 's/\\x20/ /g; s/\\x2c/,/g')"
}

test_mount_options_of_fstab_are_taken()
{
	mount_store -o "noauto,nofail,user,_netdev,x-systemd.automount,comment=hi,nodev,nosuid,noatime,defaults"
	mkdir "$M/a"
	echo x >>"$M/a/put"
	eq x "$(cat "$M/a/shard-0000")"
}

# As mount(8) calls it.
test_the_mount_helper()
{
	mkdir "$M" "$T/bin"
	ln -s "$STREAMFS_BIN" "$T/bin/mount.fuse.streamfs"
	"$T/bin/mount.fuse.streamfs" "$S" "$M" -o rw,noatime
	mkdir "$M/a"
	eq "$S fuse.streamfs" "$(findmnt -no SOURCE,FSTYPE "$M" | xargs)"
	umount "$M"
	eventually no_daemons
	"$T/bin/mount.fuse.streamfs" "$S" "$M" -n -v -o ro -t fuse.streamfs
	errno EROFS mkdir "$M/b" 755
	umount "$M"
	eventually no_daemons
}

# In a mount namespace of its own, where the helper lies where mount(8) looks for it.
test_mount_type_fuse_streamfs()
{
	mkdir "$M" "$T/sbin"
	ln -s "$STREAMFS_BIN" "$T/sbin/mount.fuse.streamfs"
	echo "$S $M fuse.streamfs noauto,ro,nofail 0 0" >"$T/fstab"
	cat >"$T/inside.sh" <<-'EOT'
	set -eu
	mount -t overlay overlay -o "lowerdir=$T/sbin:/usr/sbin" /usr/sbin
	mount -t fuse.streamfs "$1" "$2"
	mkdir "$2/a"
	echo by mount >>"$2/a/put"
	[ "$(findmnt -no SOURCE,FSTYPE "$2" | xargs)" = "$1 fuse.streamfs" ]
	umount "$2"
	mount -T "$T/fstab" "$2"
	[ "$(cat "$2/a/shard-0000")" = "by mount" ]
	if mkdir "$2/b" 2>/dev/null; then exit 1; fi
	umount "$2"
	EOT
	unshare -m --propagation private bash -x "$T/inside.sh" "$S" "$M"
	eventually no_daemons
}

test_blobs_elsewhere()
{
	mkdir "$T/blobs"
	mount_store -o "blobs=$T/blobs"
	new_stream a
	random_bytes 100000 1 >"$T/file"
	cp "$T/file" "$M/a/drop/file"
	eq 1 "$(find "$T/blobs" -name '*.lz4' | wc -l)" "blob files there"
	eq 0 "$(blob_files a | wc -l)" "blob files in the store"
	eq 100000 "$(lz4 -dc "$(find "$T/blobs" -name '*.lz4')" | wc -c)"
	remount -o "blobs=$T/blobs"
	same "$T/file" "$M/a/$(jq -r .claim_check.path "$M/a/shard-0000")"
	cp "$T/file" "$M/a/drop/again"
	eq 2 "$(wc -l <"$M/a/shard-0000")" records
	eq 1 "$(find "$T/blobs" -name '*.lz4' | wc -l)" "blob files there"
}

# A daemon that was killed leaves a dead mount; it can be replaced.
test_a_dead_mount_can_be_unmounted()
{
	mount_store
	new_stream a
	echo x >>"$M/a/put"
	kill -9 "$PID"
	wait "$PID" 2>/dev/null || true
	must_fail ls "$M"
	umount "$M"
	mount_store
	eq x "$(cat "$M/a/shard-0000")"
}

# In a mount namespace of its own, where /dev/fuse is open to all.
as_an_ordinary_user()
{
	cat >"$T/user.sh" <<-'EOT'
	set -eu
	store=$1 mnt=$2
	mkdir "$store" "$mnt"
	"$BIN" "$store" "$mnt" $3
	[ "$(findmnt -no FSTYPE "$mnt")" = fuse.streamfs ]
	findmnt -no OPTIONS "$mnt" | tr , '\n' | grep -qx "user_id=65534"
	mkdir "$mnt/a"
	echo mine >>"$mnt/a/shard-0000"
	echo put >>"$mnt/a/put"
	cp /etc/passwd "$mnt/a/drop/passwd"
	[ "$(head -n 2 "$mnt/a/shard-0000" | xargs)" = "mine put" ]
	cmp /etc/passwd "$mnt/a/$(tail -n1 "$mnt/a/shard-0000" | jq -r .claim_check.path)"
	[ "$(stat -c '%U' "$mnt/a")" = nobody ]
	chmod 700 "$mnt/a"
	if chown 0 "$mnt/a" 2>/dev/null; then echo "chown must not work"; exit 1; fi
	fusermount3 -u "$mnt"
	"$BIN" "$store" "$mnt"
	[ "$(wc -l <"$mnt/a/shard-0000")" = 3 ]
	fusermount3 -u "$mnt"
	EOT
	cp "$STREAMFS_BIN" "$T/streamfs"
	chmod 755 "$T/streamfs"
	mkdir -m 777 "$T/home"
	mkdir "$T/dev"
	unshare -m --propagation private sh -c '
		mount -t tmpfs -o mode=755,dev tmpfs "$0/dev" &&
		mknod -m 666 "$0/dev/fuse" c 10 229 && mount --bind "$0/dev/fuse" /dev/fuse &&
		HOME="$0/home" BIN="$0/streamfs" setpriv --reuid=65534 --regid=65534 --clear-groups \
			bash "$0/user.sh" "$0/home/store" "$0/home/mnt" "$1"' "$T" "$1"
}

test_an_ordinary_user_mounts()
{
	as_an_ordinary_user ""
	eq "" "$(find "$T/home/store" ! -user nobody)" "files of others in the store"
	eventually no_daemons
}

run_tests "$@"
