#!/bin/bash
# SPDX-License-Identifier: MIT
# What `meson install` leaves, and the mounts that mount(8) makes with it.

# shellcheck source=tests/mount/lib.sh
. "${0%/*}/lib.sh"

# The build may be instrumented; a program that links with it must be, too.
case ${STREAMFS_SANITIZER:-} in
address*) SANITIZE=-fsanitize=address,undefined ;;
thread) SANITIZE=-fsanitize=thread ;;
*) SANITIZE= ;;
esac

install_all()
{
	PREFIX=$(meson introspect "$BUILD_DIR" --buildoptions |
		jq -r '.[] | select(.name == "prefix").value')
	DESTDIR=$T/root meson install -C "$BUILD_DIR" --no-rebuild --quiet
	ROOT=$T/root$PREFIX
}

test_programs_helpers_and_manuals_are_installed()
{
	install_all
	has "$("$ROOT/bin/streamfs" -V)" '^streamfs [0-9]+\.[0-9]+\.[0-9]+ '
	has "$("$ROOT/sbin/fsck.streamfs" -V)" '^fsck.streamfs [0-9]+\.[0-9]+\.[0-9]+$'
	for helper in mount.streamfs mount.fuse.streamfs; do
		eq "$PREFIX/bin/streamfs" "$(readlink "$ROOT/sbin/$helper")" "$helper"
	done
	[ -s "$ROOT/share/man/man1/streamfs.1" ] && [ -s "$ROOT/share/man/man8/fsck.streamfs.8" ]
}

test_manual_names_every_option_of_the_help()
{
	local option manual
	manual=$(sed 's/\\-/-/g' "$TOP/docs/man/streamfs.1")
	for option in $("$STREAMFS_BIN" -h | grep -oE '^  -[a-zA-Z]' | sort -u); do
		has "$manual" "(^|[^a-z])${option}([^a-z]|$)" "streamfs $option"
	done
	manual=$(sed 's/\\-/-/g' "$TOP/docs/man/fsck.streamfs.8")
	for option in $("$FSCK_BIN" -h | grep -oE '(^  |, )-[a-zA-Z]' | grep -oE -- '-.' | sort -u); do
		has "$manual" "(^|[^a-z])${option}([^a-z]|$)" "fsck.streamfs $option"
	done
}

test_library_shows_the_public_names_and_no_other()
{
	local names
	install_all
	names=$(nm -D --defined-only "$(find "$ROOT" -name 'libstreamfs.so')" | awk '{ print $3 }')
	has "$names" '^sfs_store_open$'
	eq '' "$(grep -v '^sfs_' <<<"$names" || true)" 'other names'
	# Every function that a public header declares can be linked with.
	cat "$ROOT"/include/streamfs/*.h >headers
	for name in $(tr '\n' ' ' <headers | grep -oE 'SFS_API [^;]*;' |
		grep -oE 'sfs_[a-z_]+\(' | tr -d '('); do
		has "$names" "^$name\$" 'declared but not there'
	done
}

test_a_program_builds_with_the_installed_library()
{
	local flags lib
	install_all
	lib=$(dirname "$(find "$ROOT" -name 'libstreamfs.so')")
	export PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$T/root
	flags=$(pkg-config --cflags --libs streamfs)
	# shellcheck disable=SC2086
	cc $SANITIZE -o follow "$TOP/examples/follow.c" $flags -pthread
	text_lines 5000 >lines
	LD_LIBRARY_PATH=$lib ./follow "$S" greetings <lines >followed
	same lines followed
	printf 'more' | LD_LIBRARY_PATH=$lib ./follow "$S" greetings >followed
	echo more >>lines
	same lines followed
	mount_store
	same lines "$M/greetings/shard-0000"
}

# The mount is made by root's mount(8), with a store that has one stream in it.
store_with_a_stream()
{
	mount_store
	new_stream orders
	echo one >>"$M/orders/shard-0000"
	unmount
	PID=
}

# in_namespace COMMANDS: where /sbin is a copy, with the helpers of mount(8) in it
in_namespace()
{
	mkdir sbin
	cp -a /sbin/mount* /sbin/umount* sbin/ 2>/dev/null || true
	ln -sf "$STREAMFS_BIN" sbin/mount.streamfs
	ln -sf "$STREAMFS_BIN" sbin/mount.fuse.streamfs
	export S M T
	unshare -m bash -eu -o pipefail -c "mount --bind sbin /sbin; $1"
}

test_mount_fuse3_finds_streamfs()
{
	store_with_a_stream
	mkdir bin
	ln -s "$STREAMFS_BIN" bin/streamfs
	# mount(8) drops PATH, so that the shell looks where programs are installed.
	# shellcheck disable=SC2016
	in_namespace '
		mount --bind bin /usr/local/bin
		rm -f /sbin/mount.fuse.streamfs
		mount -t fuse.streamfs -o noatime "$S" "$M"
		cat "$M/orders/shard-0000"
		findmnt -n -o SOURCE,FSTYPE,OPTIONS "$M"
		umount "$M"' >shown
	eq one "$(head -n1 shown)"
	has "$(cat shown)" "^$S +fuse.streamfs +rw,.*noatime"
}

test_mount_by_type_uses_the_helper()
{
	store_with_a_stream
	# shellcheck disable=SC2016
	in_namespace '
		for type in streamfs fuse.streamfs; do
			mount -t $type -o ro,nofail,x-anything=1 "$S" "$M"
			cat "$M/orders/shard-0000"
			findmnt -n -o SOURCE,FSTYPE,OPTIONS "$M"
			if touch "$M/orders/shard-0000" 2>/dev/null; then echo not read-only; fi
			umount "$M"
			until flock -n "$S/lock" true; do sleep 0.02; done
		done' >shown
	eq 2 "$(grep -c '^one$' shown)" 'reads'
	eq 2 "$(grep -cE "^$S +fuse.streamfs +ro," shown)" 'lines of findmnt'
	eq 4 "$(wc -l <shown)" 'lines'
}

test_fstab_lines_work()
{
	store_with_a_stream
	printf '%s %s fuse.streamfs noauto,defaults,_netdev,comment=x,user 0 0\n' "$S" "$M" >fstab
	# shellcheck disable=SC2016
	in_namespace '
		mount -T "$T/fstab" "$M"
		cat "$M/orders/shard-0000"
		umount "$M"' >shown
	eq one "$(cat shown)"
}

test_mount_fails_with_the_code_of_the_helper()
{
	mkdir -p "$S" "$M"
	echo stranger >"$S/file"
	# shellcheck disable=SC2016
	in_namespace 'mount -t streamfs "$S" "$M" 2>&1 || echo "status $?"' >shown
	has "$(cat shown)" '^status 32$'
	eq 2 "$(wc -l <shown)" 'lines'
	not_mounted "$M"
}

test_a_dry_run_mounts_nothing()
{
	mkdir -p "$M"
	# shellcheck disable=SC2016
	in_namespace 'mount -f -t streamfs "$S" "$M"'
	not_mounted "$M"
	[ ! -e "$S" ]
}

run_tests "$@"
