#!/bin/bash
# SPDX-License-Identifier: MIT
# drop/: a whole file becomes one record whose key is the file's name, whatever tool brings it.
. "${0%/*}/lib.sh"

# Sixteen shards: that a record is in its key's shard tells the key.
start()
{
	mount_store
	new_stream a '{"shards": 16}'
	printf 'one\ntwo\n\nfour' >"$T/lines"
	echo 'a single line' >"$T/line"
	random_bytes 300000 5 >"$T/bytes"
}

records() { getfattr --only-values -n user.streamfs.sequence_next "$1"; }

# holds FILE KEY: exactly one record was made, it has this key and is this payload
holds()
{
	local shard sum line
	shard=$M/a/$(shard_of "$2" 16)
	sum=$(getfattr --absolute-names -n user.streamfs.sequence_next "$M"/a/shard-* |
		awk -F '"' '/^user/ { n += $2 } END { print n }')
	SEEN=$((${SEEN:-0} + 1))
	eq "$SEEN" "$sum" "records in the stream after $2"
	line=$(tail -n1 "$shard")
	eq "blobs/$(sha256sum <"$1" | cut -d' ' -f1)" "$(jq -r .claim_check.path <<<"$line")" "$2"
	same "$1" "$M/a/$(jq -r .claim_check.path <<<"$line")" "$2"
	eq "" "$(ls -A "$M/a/drop")" "what is still in drop"
}

test_every_tool_makes_one_record()
{
	start
	cp "$T/lines" "$M/a/drop/by-cp"
	holds "$T/lines" by-cp
	cp -p "$T/bytes" "$M/a/drop/by-cp-p"
	holds "$T/bytes" by-cp-p
	cat "$T/bytes" >"$M/a/drop/by-cat"
	holds "$T/bytes" by-cat
	tee "$M/a/drop/by-tee" <"$T/bytes" >"$T/tee"
	holds "$T/bytes" by-tee
	cp "$T/bytes" "$T/by-mv"
	mv "$T/by-mv" "$M/a/drop/"
	holds "$T/bytes" by-mv
	must_fail test -e "$T/by-mv"
	dd if="$T/bytes" of="$M/a/drop/by-dd" bs=7000 status=none
	holds "$T/bytes" by-dd
	install -m 600 "$T/bytes" "$M/a/drop/by-install"
	holds "$T/bytes" by-install
	cp "$T/bytes" "$T/by-rsync"
	rsync "$T/by-rsync" "$M/a/drop/"
	holds "$T/bytes" by-rsync
	cp "$T/bytes" "$T/by-rsync-a"
	rsync -a "$T/by-rsync-a" "$M/a/drop/"
	holds "$T/bytes" by-rsync-a
	cp "$T/bytes" "$T/by-inplace"
	rsync --inplace "$T/by-inplace" "$M/a/drop/"
	holds "$T/bytes" by-inplace
	rsync -a "$T/lines" "$M/a/drop/other-name"
	holds "$T/lines" other-name
	(cat "$T/lines"; cat "$T/bytes") >"$M/a/drop/by-subshell"
	cat "$T/lines" "$T/bytes" >"$T/both"
	holds "$T/both" by-subshell
	python3 -c 'import shutil, sys; shutil.copyfile(*sys.argv[1:])' "$T/bytes" \
		"$M/a/drop/by-python"
	holds "$T/bytes" by-python
	remount
	eq "$SEEN" "$(cat "$M"/a/shard-* | wc -l)" "records after a remount"
}

test_an_editors_own_files_are_no_records()
{
	start
	vim -es -N -u NONE -c "e $M/a/drop/by-vim" -c 'normal ihello' -c 'normal oworld' \
		-c w -c q
	printf 'hello\nworld\n' >"$T/want"
	holds "$T/want" by-vim
	vim -es -N -u NONE -c "e $M/a/drop/by-vim" -c 'normal ia' -c 'normal ob' -c w \
		-c 'sleep 1200m' -c 'normal oc' -c w -c q
	in_all 3 'three times :w'
	printf 'a\nb\nc\n' >"$T/want"
	same "$T/want" "$M/a/blobs/$(sha256sum <"$T/want" | cut -d' ' -f1)"
	eq "" "$(ls -A "$M/a/drop")" "what is still in drop"
}

# As in a container: then the last descriptor's end is the file's, not a shell's first close.
test_a_daemon_may_not_look_into_processes()
{
	local bin=$STREAMFS_BIN
	printf '#!/bin/sh\nexec setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace %s "$@"\n' \
		"$bin" >"$T/limited"
	chmod 755 "$T/limited"
	STREAMFS_BIN=$T/limited
	start
	cat "$T/lines" >"$M/a/drop/by-cat"
	(cat "$T/line"; cat "$T/bytes") >"$M/a/drop/by-subshell"
	echo echoed >"$M/a/drop/by-echo"
	cp "$T/bytes" "$M/a/drop/by-cp"
	eventually has_lines 4
	eq echoed "$(cat "$M/a/$(shard_of by-echo 16)" | grep echoed)"
	cat "$T/line" "$T/bytes" >"$T/both"
	for i in lines bytes both; do
		same "$T/$i" "$M/a/blobs/$(sha256sum <"$T/$i" | cut -d' ' -f1)"
	done
	STREAMFS_BIN=$bin
}

test_rsync_of_many_files()
{
	local i shard
	start
	mkdir "$T/many"
	for i in $(seq 30); do printf 'file %d\nsecond line\n' "$i" >"$T/many/file-$i"; done
	rsync -a "$T/many/" "$M/a/drop/" || true # its last word is about the directory's own mode
	eq 30 "$(cat "$M"/a/shard-* | wc -l)" records
	seq -f 'file-%g' 30 | shards_of 16 >"$T/shards"
	i=0
	while read -r shard; do
		i=$((i + 1))
		grep -q "$(sha256sum <"$T/many/file-$i" | cut -d' ' -f1)" \
			"$M/a/$(printf 'shard-%04u' "$shard")" ||
			fail "file-$i is not in its key's shard"
	done <"$T/shards"
	eq 30 "$i" "files looked for"
}

test_names_are_keys()
{
	local name
	start
	for name in photo.jpg .hidden 'with space' 'ünï' 'x%y' a:b; do
		cp "$T/lines" "$M/a/drop/$name"
		holds "$T/lines" "$name"
	done
}

test_a_single_line_stays_a_line()
{
	start
	cp "$T/line" "$M/a/drop/line"
	eq 'a single line' "$(cat "$M/a/$(shard_of line 16)")"
	printf 'without newline' >"$M/a/drop/bare"
	eq 'without newline' "$(tail -n1 "$M/a/$(shard_of bare 16)")"
	eq 2 "$(cat "$M"/a/shard-* | wc -l)" records
	eq "" "$(ls "$M/a/blobs")" blobs
}

# in_all COUNT WHAT: of records in the stream
in_all()
{
	local sum=0 file
	for file in "$M"/a/shard-*; do sum=$((sum + $(records "$file"))); done
	eq "$1" "$sum" "records after $2"
}

test_an_empty_file_is_an_empty_record_when_it_is_closed()
{
	local i
	start
	: >"$T/empty"
	cp "$T/empty" "$M/a/drop/copied"
	in_all 1 cp
	touch "$M/a/drop/touched"
	in_all 2 touch
	: >"$M/a/drop/colon"
	in_all 3 ':'
	true >"$M/a/drop/true"
	in_all 4 true
	python3 -c 'open(__import__("sys").argv[1], "w").close()' "$M/a/drop/python"
	in_all 5 python
	for i in $(seq 6 30); do
		sys open wc "$M/a/drop/again" , close >"$T/got"
		in_all "$i" close
	done
	# Somebody else's descriptor keeps the kernel from telling of the last close.
	cat >"$T/kept.py" <<-'PY'
	import ctypes, os, sys
	path = sys.argv[1]
	r, w = os.pipe()
	go, gone = os.pipe(), os.pipe()
	child = os.fork()
	if child == 0:
	    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
	    os.write(w, b"%d" % fd)
	    os.read(go[0], 1)
	    os.close(fd)
	    os.write(gone[1], b"x")
	    os.read(go[0], 1)
	    os._exit(0)
	fd = int(os.read(r, 10))
	kept = ctypes.CDLL(None).syscall(438, os.pidfd_open(child), fd, 0) # pidfd_getfd
	assert kept >= 0
	os.write(go[1], b"x")
	os.read(gone[0], 1)
	seen = os.path.exists(path)
	os.write(go[1], b"x")
	os.wait()
	assert not seen
	PY
	python3 "$T/kept.py" "$M/a/drop/kept"
	in_all 31 'a close while another has it'
	sys open wc "$M/a/drop/twice" , dup 1 , close , use 1 , write 'late' , close >"$T/got"
	in_all 32 'a close of one of two'
	eq late "$(cat "$M/a/$(shard_of twice 16)" | grep .)"
}

has_lines() { [ "$1" = "$(cat "$M"/a/shard-* | wc -l)" ]; }

# The parent's close is not the end of what a child was given to write.
test_a_file_is_open_while_a_child_has_it()
{
	start
	cat >"$T/child.py" <<-'PY'
	import subprocess, sys
	path = sys.argv[1]
	for first in (b"", b"parent\n"):
	    with open(path, "wb", buffering=0) as f:
	        f.write(first)
	        child = subprocess.Popen(["sh", "-c", "read x; echo child; echo second"],
	                                 stdin=subprocess.PIPE, stdout=f)
	    child.stdin.write(b"go\n")
	    child.stdin.close()
	    assert child.wait() == 0
	PY
	python3 "$T/child.py" "$M/a/drop/piped"
	eventually has_lines 2
	printf 'child\nsecond\n' >"$T/want"
	printf 'parent\nchild\nsecond\n' >"$T/want2"
	for i in want want2; do
		same "$T/$i" "$M/a/blobs/$(sha256sum <"$T/$i" | cut -d' ' -f1)"
	done
	sh -c '(sleep 0.3; echo late) & echo early' >"$M/a/drop/orphan"
	eventually has_lines 3
	printf 'early\nlate\n' >"$T/want"
	same "$T/want" "$M/a/blobs/$(sha256sum <"$T/want" | cut -d' ' -f1)"
}

test_writes_at_any_place()
{
	start
	sys open wc "$M/a/drop/random" , pwrite 10 'later\n' , pwrite 0 'first\n' , pwrite 2 XX , \
		size , close >"$T/got"
	has_not "$(cat "$T/got")" '^E'
	eq "ok 16" "$(sed -n 5p "$T/got")" "size while open"
	printf 'fiXXt\n\0\0\0\0later\n' >"$T/want"
	holds "$T/want" random
	sys open wc "$M/a/drop/cut" , write 'much too long\nand longer\n' , ftruncate 4 , \
		pwrite 4 '\nx' , close >"$T/got"
	has_not "$(cat "$T/got")" '^E'
	printf 'much\nx' >"$T/want"
	holds "$T/want" cut
}

test_a_file_is_seen_in_drop_while_it_is_written()
{
	start
	exec 3>"$M/a/drop/slow"
	printf 'a\nb\n' >&3
	eq slow "$(ls "$M/a/drop")"
	eq 4 "$(size_of "$M/a/drop/slow")"
	eq 0 "$(cat "$M"/a/shard-* | wc -l)" "records before the close"
	exec 3>&-
	printf 'a\nb\n' >"$T/want"
	holds "$T/want" slow
	errno ENOENT open r "$M/a/drop/slow"
}

test_the_same_name_again_is_another_record()
{
	start
	printf '1\n1\n' >"$T/want"
	cp "$T/want" "$M/a/drop/same"
	holds "$T/want" same
	printf '2\n2\n' >"$T/want"
	cp "$T/want" "$M/a/drop/same"
	holds "$T/want" same
}

test_two_writers_of_one_name_do_not_mix()
{
	start
	cat >"$T/two.py" <<-'PY'
	import os, sys
	path, me = sys.argv[1], sys.argv[2].encode()
	for r in range(30):
	    try:
	        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
	    except FileExistsError:
	        continue
	    for i in range(20):
	        os.write(fd, me + b" %d\n" % i)
	    os.close(fd)
	PY
	python3 "$T/two.py" "$M/a/drop/both" A &
	local other=$!
	python3 "$T/two.py" "$M/a/drop/both" B
	wait "$other"
	local blob
	num "$(ls "$M/a/blobs" | wc -l)" -ge 1
	for blob in "$M"/a/blobs/*; do
		eq 20 "$(wc -l <"$blob")" "lines of a payload"
		eq 1 "$(cut -d' ' -f1 "$blob" | sort -u | wc -l)" "writers of a payload"
	done
}

# Each by a tool of its own kind: some remove what is in their way, some want it not to be there.
test_eight_writers_of_one_name_make_a_record_each()
{
	local i j pids=()
	start
	put_file()
	{
		local from=$1 to=$M/a/drop/same
		case $2 in
		1) cp "$from" "$to" ;;
		2) mv "$from" "$to" ;;
		3) install -m 600 "$from" "$to" ;;
		4) rsync -a --no-g --no-o "$from" "$to" ;;
		5) cat "$from" >"$to" ;;
		6) dd if="$from" of="$to" bs=1000 status=none ;;
		7) rsync --inplace "$from" "$to" ;;
		8) cp -p --remove-destination "$from" "$to" ;;
		esac
	}
	for i in 1 2 3 4 5 6 7 8; do
		for j in $(seq 12); do
			(echo "from $i $j"; random_bytes $((i * j * 100)) $((i * 100 + j))) \
				>"$T/src.$i.$j"
			sha256sum <"$T/src.$i.$j" | cut -d' ' -f1 >>"$T/want"
		done
	done
	for i in 1 2 3 4 5 6 7 8; do
		(set +x; for j in $(seq 12); do
			put_file "$T/src.$i.$j" "$i" || echo "tool $i, file $j" >>"$T/failed"
		done) & pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	[ ! -e "$T/failed" ] || fail "failed: $(cat "$T/failed")"
	eq 96 "$(records "$M/a/$(shard_of same 16)")" "records of that name"
	in_all 96 all
	sort "$T/want" >"$T/want.sorted"
	ls "$M/a/blobs" | sort >"$T/got"
	same "$T/want.sorted" "$T/got" "payloads"
	eq "" "$(ls -A "$M/a/drop")" "what is still in drop"
}

# Of one size and made in one second: a tool that compares those would skip its own.
test_rsync_does_not_take_anothers_file_for_its_own()
{
	start
	printf 'a\nA\n' >"$T/same"
	exec 3>"$M/a/drop/same"
	printf 'b\nB\n' >&3
	touch -d "@$(stat -c %Z "$M/a/drop/same")" "$T/same"
	rsync --inplace "$T/same" "$M/a/drop/same"
	rsync "$T/same" "$M/a/drop/same"
	cp -u "$T/same" "$M/a/drop/same"
	exec 3>&-
	in_all 4 all
}

test_threads_of_one_process_write_one_name()
{
	start
	cat >"$T/threads.py" <<-'PY'
	import sys, threading
	path = sys.argv[1]
	def run(me):
	    for i in range(25):
	        with open(path, "wb", buffering=0) as f:
	            for j in range(4):
	                f.write(b"%d %d %d\n" % (me, i, j))
	threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
	for t in threads: t.start()
	for t in threads: t.join()
	PY
	python3 "$T/threads.py" "$M/a/drop/same"
	in_all 200 "all closes" # at once: each close(2) was the end of its own file
	eq 200 "$(ls "$M/a/blobs" | wc -l)" "different payloads"
	eq 4 "$(cat "$M"/a/blobs/* | wc -l | awk '{ print $1 / 200 }')" "lines of each"
}

test_a_name_is_free_again_once_it_is_closed()
{
	start
	cat >"$T/again.py" <<-'PY'
	import os, sys, time
	path = sys.argv[1]
	def drop(flags):
	    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o644)
	    os.write(fd, b"a\nb\n")
	    os.close(fd)
	for i in range(10):
	    drop(os.O_EXCL)
	os.chmod(path, 0o600)
	os.utime(path, (1, 1))
	os.unlink(path)
	assert not os.path.exists(path)
	drop(0)
	time.sleep(1.2)
	assert not os.path.exists(path)
	drop(os.O_EXCL)
	PY
	python3 "$T/again.py" "$M/a/drop/status"
	in_all 12 all
}

test_a_mode_that_is_set_is_shown()
{
	start
	exec 3>"$M/a/drop/private"
	chmod 600 "$M/a/drop/private"
	eq 600 "$(stat -c %a "$M/a/drop/private")"
	exec 3>&-
	sys open wc "$M/a/drop/f" , fchmod 640 , touch "$T/ready" , await "$T/go" , close >"$T/got" &
	eventually test -e "$T/ready"
	eq 640 "$(stat -c %a "$M/a/drop/f")"
	chown 5:6 "$M/a/drop/f"
	eq 5:6 "$(stat -c %u:%g "$M/a/drop/f")"
	touch "$T/go"
	wait $!
	has_not "$(cat "$T/got")" '^E'
}

as() { setpriv --reuid="$1" --regid="$1" --clear-groups "${@:2}"; }

test_users_do_not_touch_each_others_files()
{
	mount_store -o allow_other
	mkdir -m 733 "$M/a"
	chmod 777 "$T"
	eq 1333 "$(stat -c %a "$M/a/drop")" "mode of drop"
	as 65534 "$TOOLS_DIR/sys" open wc "$M/a/drop/x" , write 'one\n' , touch "$T/ready" , \
		await "$T/go" , write 'two\n' , close >"$T/got" &
	eventually test -e "$T/ready"
	as 1 rm -f "$M/a/drop/x"
	must_fail as 1 mv "$M/a/drop/x" "$M/a/drop/y"
	printf 'other\nuser\n' >"$T/src"
	chmod 644 "$T/src"
	as 1 cp "$T/src" "$M/a/drop/x"
	as 1 dd if="$T/src" of="$M/a/drop/x" conv=excl status=none
	cp "$T/src" "$M/a/drop/x"
	dd if="$T/src" of="$M/a/drop/x" conv=excl status=none
	touch "$T/go"
	wait $!
	has_not "$(cat "$T/got")" '^E'
	eq 5 "$(wc -l <"$M/a/shard-0000")" records
	printf 'one\ntwo\n' >"$T/want"
	same "$T/want" "$M/a/blobs/$(sha256sum <"$T/want" | cut -d' ' -f1)"
	same "$T/src" "$M/a/blobs/$(sha256sum <"$T/src" | cut -d' ' -f1)"
}

# While a large file is hashed and compressed, everything else goes on, the same name too.
test_a_long_commit_stops_nobody()
{
	start
	cat >"$T/long.py" <<-'PY'
	import os, sys, threading, time
	top, how = sys.argv[1:]
	path = top + "/a/drop/" + how
	fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
	os.ftruncate(fd, 500 << 20)
	done = threading.Event()
	def close():
	    if how == "by-creator":
	        os.close(fd)
	    else: # the last descriptor, which is not the creator's
	        if os.fork() == 0:
	            time.sleep(1)
	            os._exit(0)
	        os.close(fd)
	        os.wait()
	    if how != "by-creator":
	        while os.path.exists(path): time.sleep(0.05)
	    done.set()
	threading.Thread(target=close).start()
	if how != "by-creator": time.sleep(1.2)
	time.sleep(0.1)
	def look(): assert os.stat(path).st_size == 500 << 20
	lookers = [threading.Thread(target=look) for i in range(40)]
	for t in lookers: t.start()
	assert open(top + "/.streamfs/version").read()
	for t in lookers: t.join()
	with open(path, "wb", buffering=0) as f:
	    f.write(b"of the\nsame name\n")
	assert not done.is_set(), "they waited for the commit"
	done.wait()
	PY
	printf 'of the\nsame name\n' >"$T/second"
	head -c $((500 << 20)) /dev/zero | sha256sum | cut -d' ' -f1 >"$T/digest"
	for how in by-creator by-child; do
		python3 "$T/long.py" "$M" "$how"
		eventually test -e "$M/a/blobs/$(cat "$T/digest")"
		eq "blobs/$(sha256sum <"$T/second" | cut -d' ' -f1) blobs/$(cat "$T/digest")" \
			"$(jq -r .claim_check.path "$M/a/$(shard_of "$how" 16)" | xargs)" "$how"
	done
	in_all 4 both
}

test_an_upload_that_is_removed_is_no_record()
{
	start
	exec 3>"$M/a/drop/.oops.AbC123"
	printf 'a\nb\n' >&3
	exec 3>&-
	rm "$M/a/drop/.oops.AbC123"
	eq 0 "$(cat "$M"/a/shard-* | wc -l)" records
	cp "$T/lines" "$M/a/drop/fine"
	holds "$T/lines" fine
}

test_a_broken_connection_completes_no_file()
{
	local writer
	start
	"$TOOLS_DIR/sys" open wc "$M/a/drop/part" , write 'a part' , touch "$T/written" , \
		await "$T/go" >"$T/got" &
	writer=$!
	"$TOOLS_DIR/sys" open wc "$M/a/drop/moved" , dup 1 , close , use 1 , write 'a part' , \
		touch "$T/moved" , await "$T/go" >"$T/got.moved" &
	eventually test -e "$T/written" -a -e "$T/moved"
	cp "$T/bytes" "$M/a/drop/whole"
	umount -f "$M" || true
	ended
	touch "$T/go"
	wait "$writer" || true
	while is_mounted "$M"; do umount -l "$M"; done
	mount_store
	holds "$T/bytes" whole
}

test_eight_processes_drop_at_once()
{
	local i pids=()
	start
	for i in 1 2 3 4 5 6 7 8; do
		(for j in $(seq 15); do
			printf 'from %d\nnumber %d\n' "$i" "$j" >"$T/src.$i"
			cp "$T/src.$i" "$M/a/drop/p$i-$j"
		done) & pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	eq 120 "$(cat "$M"/a/shard-* | wc -l)" records
	eq 120 "$(ls "$M/a/blobs" | wc -l)" blobs
	for i in 1 4 8; do
		eq 1 "$(grep -c "$(printf 'from %d\nnumber 9\n' "$i" | sha256sum | cut -d' ' -f1)" \
			"$M/a/$(shard_of "p$i-9" 16)")" "p$i-9 in its shard"
	done
}

test_a_large_file()
{
	start
	random_bytes 30000000 9 >"$T/large"
	cp "$T/large" "$M/a/drop/large.bin"
	holds "$T/large" large.bin
	remount
	same "$T/large" "$M/a/blobs/$(ls "$M/a/blobs")" "after a remount"
}

test_several_lines_are_a_claim_check_under_every_policy()
{
	local policy
	start
	for policy in split reject claim-check; do
		echo "{\"large_records\": {\"policy\": \"$policy\"}}" >"$M/a/config"
		echo "$policy" >>"$T/lines"
		cp "$T/lines" "$M/a/drop/$policy"
		holds "$T/lines" "$policy"
	done
}

run_tests "$@"
