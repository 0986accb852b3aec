#!/bin/bash
# SPDX-License-Identifier: MIT
# A stranger's session: the things one does with files in a shell, done with a stream.
. "${0%/*}/lib.sh"

start()
{
	mount_store
	new_stream orders
	O=$M/orders
	F=$O/shard-0000
}

has_line() { grep -qx -e "$2" "$1"; }

test_pipes_and_redirections()
{
	start
	seq 100 | grep 7 >>"$F"
	seq 100 | grep 7 | cmp - "$F"
	grep -v 1 <"$F" | sort -rn | head -n 2 >"$T/top"
	eq "97 87" "$(echo $(cat "$T/top"))"
	cat "$F" | while read -r n; do echo "got $n"; done | cmp - <(seq 100 | grep 7 | sed 's/^/got /')
	cat >>"$F" <<-EOT
	from a here-document
	EOT
	cat <<<"from a here-string" >>"$F"
	eq "from a here-string" "$(tail -n1 "$F")"
	eq 21 "$(wc -l <"$F")"
}

test_process_substitution()
{
	start
	seq 50 >>"$F"
	diff <(seq 50) "$F"
	comm -3 <(sort "$F") <(seq 50 | sort) >"$T/different"
	eq "" "$(cat "$T/different")"
	seq 51 60 | tee >(cat >>"$F") >"$T/tee"
	eventually has_line "$F" 60
	seq 60 | cmp - "$F"
	paste -d, <(head -n 3 "$F") <(tail -n 3 "$F") >"$T/pairs"
	eq "1,58 2,59 3,60" "$(echo $(cat "$T/pairs"))"
}

test_while_read()
{
	local line n=0
	start
	seq 200 >>"$F"
	while read -r line; do
		n=$((n + line))
	done <"$F"
	eq 20100 "$n"
	head -n 200 "$F" | while IFS= read -r line; do echo "$((line * 2))"; done >>"$F"
	eq 400 "$(wc -l <"$F")" "records after reading and appending to one file"
	mapfile -t lines <"$F"
	eq "200 2" "${lines[199]} ${lines[200]}"
}

test_tail_and_head()
{
	set +o pipefail # what head no longer wants ends its writer by SIGPIPE
	trap - ERR
	start
	text_lines 100000 >>"$F"
	eq "$(text_lines 1)" "$(tail -n +1 "$F" | head -n 1)"
	eq 10 "$(tail -f "$F" | head -n 10 | wc -l)" "tail -f in a pipe"
	eq "$(text_lines 100000 | tail -n 5 | md5sum)" "$(tail -n 5 "$F" | md5sum)"
	eq "$(text_lines 100000 | head -c 777 | md5sum)" "$(head -c 777 "$F" | md5sum)"
	echo after >>"$F"
	eq after "$(tail -n 1 "$F")"
}

test_tail_f_into_a_pipeline()
{
	local pid
	start
	seq 3 >>"$F"
	(tail -n +1 -f "$F" & echo $! >"$T/tail.pid"; wait) | stdbuf -oL grep --line-buffered 7 >"$T/sevens" &
	pid=$!
	seq 4 30 >>"$F"
	eventually has_line "$T/sevens" 27
	seq 31 80 >>"$F"
	eventually has_line "$T/sevens" 79
	eq "$(seq 80 | grep 7 | xargs)" "$(xargs <"$T/sevens")"
	kill "$(cat "$T/tail.pid")"
	wait "$pid" || true
}

test_sort_split_tee_and_friends()
{
	start
	shuf -i 1-5000 --random-source=/bin/bash >>"$F"
	sort -n "$F" | cmp - <(seq 5000)
	split -l 1000 -d "$F" "$T/piece."
	eq 5 "$(ls "$T"/piece.* | wc -l)"
	cat "$T"/piece.* | cmp - "$F"
	seq 10 | tee -a "$F" "$O/put" >"$T/tee"
	eq 5020 "$(wc -l <"$F")"
	uniq -c <(sort "$F") | awk '$1 > 1' | wc -l >"$T/repeated"
	eq 10 "$(cat "$T/repeated")"
	xargs -n 1 -P 4 sh -c 'echo "job $1" >>"$0"' "$F" < <(seq 40)
	eq "$(seq 40 | sed 's/^/job /' | sort)" "$(grep job "$F" | sort)"
}

test_loggers()
{
	local i pids=()
	start
	for i in 1 2 3 4; do
		(for n in $(seq 50); do echo "$(date +%s) worker $i: message $n" >>"$F"; done) & pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	eq 200 "$(grep -cE '^[0-9]+ worker [1-4]: message [0-9]+$' "$F")"
	for i in 1 2 3 4; do
		eq "$(seq 50)" "$(awk -v w="$i:" '$3 == w { print $5 }' "$F")" "order of worker $i"
	done
	(exec >>"$F" 2>&1; echo to stdout; echo to stderr >&2; /bin/echo from a child)
	eq "to stdout to stderr from a child" "$(echo $(tail -n 3 "$F"))"
	{ echo one; echo two; } >>"$F" 2>&1
	nohup sh -c 'echo from nohup' >>"$F" 2>/dev/null
	eq "one two from nohup" "$(echo $(tail -n 3 "$F"))"
}

# A daemon in a container: it sees none of the processes that use it.
test_users_in_another_pid_namespace()
{
	local writer i
	printf '#!/bin/sh\nexec unshare --pid --fork --kill-child "%s" "$@"\n' "$STREAMFS_BIN" >"$T/inside"
	chmod 755 "$T/inside"
	STREAMFS_BIN=$T/inside
	start
	(for i in $(seq 300); do echo "line $i" >>"$F" || exit 1; done) &
	writer=$!
	for i in $(seq 300); do
		cat "$F" >"$T/got"
		seq -f 'line %g' "$(wc -l <"$T/got")" >"$T/want"
		same "$T/want" "$T/got" "read $i"
	done
	wait "$writer"
	eq 300 "$(wc -l <"$F")"
	(printf a; printf b; echo c) >>"$F"
	eventually has_line "$F" abc
	echo put >"$O/put"
	eq put "$(tail -n1 "$F")"
}

test_json_with_jq()
{
	start
	for i in 1 2 3; do
		jq -cn --argjson i "$i" '{id: $i, item: "thing", price: ($i * 1.5)}' >>"$F"
	done
	eq 9 "$(jq -s 'map(.price) | add' "$F")"
	eq "1 2 3" "$(echo $(jq .id "$F"))"
	jq -c 'select(.id > 1) | .id' "$F" | cmp - <(printf '2\n3\n')
}

test_from_one_stream_to_another()
{
	start
	mkdir "$M/copy"
	text_lines 5000 >>"$F"
	cat "$F" >>"$M/copy/shard-0000"
	cmp "$F" "$M/copy/shard-0000"
	cp "$F" "$M/copy/drop/backup"
	cat "$M/copy/$(tail -n1 "$M/copy/shard-0000" | jq -r .claim_check.path)" | cmp - "$F"
	rsync -a "$F" "$T/backup"
	echo more >>"$F"
	rsync -a --append "$F" "$T/backup"
	cmp "$F" "$T/backup"
}

test_looking_around()
{
	start
	echo x >>"$F"
	cp /etc/passwd "$O/drop/passwd"
	ls -la "$M" "$O" "$M/.streamfs" >"$T/ls"
	has "$(cat "$T/ls")" 'shard-0000$'
	find "$M" -type f >"$T/found"
	has "$(cat "$T/found")" 'orders/config$'
	has "$(find "$M" -name 'shard-*')" "shard-0000$"
	grep -rqx x "$M/orders" --include='shard-*'
	du -s "$M" >"$T/du"
	tar -C "$M" --exclude=put --exclude=stats -cf "$T/all.tar" orders
	tar -xOf "$T/all.tar" orders/shard-0000 | cmp - "$F"
	stat "$F" "$O" >"$T/stat"
	file "$F" >"$T/file" 2>&1 || true
	eq "$O/shard-0000" "$(echo "$O"/sh*)" "a glob"
	[ -r "$F" ] && [ -w "$F" ] && [ ! -x "$F" ] && [ -s "$F" ]
	(cd "$O" && echo y >>shard-0000 && eq y "$(tail -n1 shard-0000)")
}

test_an_editor_looks_but_does_not_overwrite()
{
	start
	seq 20 >>"$F"
	vim -es -u NONE -N -c '%s/1/X/' -c 'w!' -c 'q!' "$F" </dev/null >"$T/vim" 2>&1 || true
	seq 20 | cmp - "$F"
	eq "blobs config drop put shard-0000 stats" \
		"$(ls -A "$O" | grep -E '^(blobs|config|drop|put|shard.*|stats|.*sw.*|.*~|[0-9]+)$' | xargs)"
	vim -es -u NONE -N -c '$r !echo from vim' -c "w >> $F" -c 'q!' "$T/ls.txt" </dev/null \
		>"$T/vim" 2>&1 || true
	has "$(cat "$F")" "^from vim$"
}

pane() { tmux -S "$T/tmux" capture-pane -p -t 0; }
pane_has() { pane | grep -qF -e "$1"; }

# A person at a terminal.
test_at_a_terminal()
{
	start
	TERM=screen tmux -S "$T/tmux" -f /dev/null new-session -d -x 100 -y 30 \
		"cd '$O' && PS1='ready> ' bash --norc -i"
	eventually pane_has "ready>"
	tmux -S "$T/tmux" send-keys 'echo hello >> shard-0000; cat shard-0000' Enter
	eventually has_line "$F" hello
	tmux -S "$T/tmux" send-keys 'cat >> shard-0000' Enter
	tmux -S "$T/tmux" send-keys 'typed by hand' Enter
	eventually has_line "$F" "typed by hand"
	tmux -S "$T/tmux" send-keys C-d
	tmux -S "$T/tmux" send-keys 'tail -f shard-0000' Enter
	eventually pane_has "typed by hand"
	echo "arrived later" >>"$F"
	eventually pane_has "arrived later"
	tmux -S "$T/tmux" send-keys C-c
	tmux -S "$T/tmux" send-keys 'rm shard-0000; echo status $?' Enter
	eventually pane_has "status 1"
	tmux -S "$T/tmux" send-keys 'less shard-0000' Enter
	eventually pane_has "(END)"
	tmux -S "$T/tmux" send-keys q
	tmux -S "$T/tmux" kill-server
	eq 3 "$(wc -l <"$F")" records
}

# What would never end, and fill the disk.
test_a_shard_is_not_appended_to_itself()
{
	start
	seq 5 >>"$F"
	says "input file is output file" bash -c "cat '$F' >>'$F'"
	says "input file is also the output" bash -c "grep 1 '$F' >>'$F'"
	seq 5 | cmp - "$F"
	ln -s "$F" "$T/link"
	says "input file is output file" bash -c "cat '$T/link' >>'$F'"
	seq 6 7 >>"$T/link"
	seq 7 | cmp - "$F"
}

run_tests "$@"
