/* SPDX-License-Identifier: MIT */
/*
 * Readers of every kind against writers of every kind on one shard.
 *
 *     coherence STREAM ROUNDS SEED
 *
 * The text that the shard will have is made beforehand, so that every byte of it is known. Writers
 * take turns at appending the next piece, each by another way, and readers read all the while. Two
 * numbers in shared memory bound what a reader may see: what was acknowledged before its read began
 * must be there, what was not even attempted when it ended must not. After its own append a writer
 * reads as well. The shard must be empty and the only one of its stream.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WRITERS = 3,
	READERS = 4,
	LINE_BYTES_MAX = 9000,
	BIG_EVERY = 400, /* rounds from one big append to the next */
	BIG_BYTES = 2500000,
	TAIL_BYTES = 20000, /* how far back from the end most reads begin */
	PATH_BYTES = 4096,
};

struct shared {
	pthread_mutex_t turn;
	size_t next_round; /* guarded by turn */
	atomic_size_t acknowledged;
	atomic_size_t attempted;
	atomic_bool failed;
	atomic_bool done;
	atomic_size_t reads;
};

struct work {
	char shard[PATH_BYTES], put[PATH_BYTES], key[PATH_BYTES], drop[PATH_BYTES];
	size_t rounds;
	size_t *ends; /* ends[i]: where round i's piece ends */
	char *text;
	struct shared *shared;
};

/* What one process keeps open. */
struct seat {
	const struct work *work;
	const char *name;
	uint64_t random;
	int reader;	 /* open to read since the start */
	size_t position; /* where `reader` has read up to */
	int holder;	 /* open to append */
	int put_holder;
	int both;	  /* O_RDWR | O_APPEND */
	const char *kept; /* mapping of the whole shard-to-be */
	char *buffer;
	size_t buffer_bytes;
};

static sigjmp_buf bus_error;

static void on_bus_error(int signal_number)
{
	(void)signal_number;
	siglongjmp(bus_error, 1);
}

static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void wrong(const struct seat *seat, const char *how, const char *what, size_t a, size_t b)
{
	fprintf(stderr, "%s: %s: %s (%zu, %zu; acknowledged %zu)\n", seat->name, how, what, a, b,
		atomic_load(&seat->work->shared->acknowledged));
	atomic_store(&seat->work->shared->failed, true);
	_exit(1);
}

static void failed_call(const struct seat *seat, const char *how)
{
	wrong(seat, how, strerror(errno), 0, 0);
}

static int open_or_end(const struct seat *seat, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		failed_call(seat, "open");
	return fd;
}

/* --- reading ---------------------------------------------------------------------------- */

/* Bytes from `offset` on that a read returned: they are right, reach `least` and not too far. */
static void check(const struct seat *seat, const char *how, const char *bytes, size_t offset,
	size_t count, size_t least)
{
	const struct work *w = seat->work;
	size_t most = atomic_load(&w->shared->attempted);

	if (offset + count > most)
		wrong(seat, how, "more than was ever written", offset + count, most);
	if (offset + count < least)
		wrong(seat, how, "acknowledged text is missing", offset + count, least);
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != w->text[offset + i])
			wrong(seat, how, bytes[i] ? "a wrong byte" : "a NUL", offset + i,
				(size_t)bytes[i]);
}

static size_t acknowledged(const struct seat *seat)
{
	return atomic_load(&seat->work->shared->acknowledged);
}

static size_t some_offset(struct seat *seat, size_t end)
{
	uint64_t r = draw(&seat->random);

	if (!end)
		return 0;
	if (r % 8 == 0)
		return (size_t)(draw(&seat->random) % end);
	size_t back = (size_t)(draw(&seat->random) % TAIL_BYTES);
	return back < end ? end - back : 0;
}

static size_t read_up(struct seat *seat, const char *how, int fd, size_t want)
{
	size_t got = 0;

	while (got < want) {
		ssize_t n = read(fd, seat->buffer + got, want - got);
		if (n < 0)
			failed_call(seat, how);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return got;
}

static void by_opening(struct seat *seat)
{
	size_t least = acknowledged(seat), offset = some_offset(seat, least);
	int fd = open_or_end(seat, seat->work->shard, O_RDONLY);

	if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
		failed_call(seat, "open, read");
	size_t got = read_up(seat, "open, read", fd, seat->buffer_bytes);
	close(fd);
	check(seat, "open, read", seat->buffer, offset, got, least);
}

static void by_held_descriptor(struct seat *seat)
{
	size_t least = acknowledged(seat);
	size_t got = read_up(seat, "held descriptor", seat->reader, seat->buffer_bytes);

	check(seat, "held descriptor", seat->buffer, seat->position, got, least);
	seat->position += got;
}

static void by_pread(struct seat *seat, const char *how, int fd)
{
	size_t least = acknowledged(seat), offset = some_offset(seat, least);
	size_t want = 1 + (size_t)(draw(&seat->random) % (2 * TAIL_BYTES));
	ssize_t got = pread(fd, seat->buffer, want, (off_t)offset);

	if (got < 0)
		failed_call(seat, how);
	check(seat, how, seat->buffer, offset, (size_t)got,
		least < offset + want ? least : offset + want);
}

static size_t size_by_fstat(struct seat *seat, size_t least)
{
	struct stat st;

	if (fstat(seat->reader, &st))
		failed_call(seat, "fstat");
	check(seat, "fstat", NULL, (size_t)st.st_size, 0, least);
	return (size_t)st.st_size;
}

static void by_fstat(struct seat *seat)
{
	size_by_fstat(seat, acknowledged(seat));
}

static void by_stat(struct seat *seat)
{
	size_t least = acknowledged(seat);
	struct stat st;

	if (stat(seat->work->shard, &st))
		failed_call(seat, "stat");
	check(seat, "stat", NULL, (size_t)st.st_size, 0, least);
}

static void copy_mapped(struct seat *seat, const char *how, const char *from, size_t bytes)
{
	if (sigsetjmp(bus_error, 1))
		wrong(seat, how, "bus error", bytes, 0);
	memcpy(seat->buffer, from, bytes);
}

static void by_fresh_mapping(struct seat *seat)
{
	size_t least = acknowledged(seat), end = size_by_fstat(seat, least);
	size_t offset = some_offset(seat, least) & ~(size_t)4095;

	if (end == offset)
		return;
	char *map = mmap(NULL, end - offset, PROT_READ, MAP_SHARED, seat->reader, (off_t)offset);
	if (map == MAP_FAILED)
		failed_call(seat, "mmap");
	copy_mapped(seat, "mmap", map, end - offset);
	munmap(map, end - offset);
	check(seat, "mmap", seat->buffer, offset, end - offset, least);
}

static void by_kept_mapping(struct seat *seat)
{
	size_t least = acknowledged(seat), end = size_by_fstat(seat, least);
	size_t offset = some_offset(seat, least);

	copy_mapped(seat, "kept mapping", seat->kept + offset, end - offset);
	check(seat, "kept mapping", seat->buffer, offset, end - offset, least);
}

static void read_somehow(struct seat *seat)
{
	switch (draw(&seat->random) % 8) {
	case 0:
		by_opening(seat);
		break;
	case 1:
		by_held_descriptor(seat);
		break;
	case 2:
		by_pread(seat, "pread", seat->reader);
		break;
	case 3:
		by_fstat(seat);
		break;
	case 4:
		by_stat(seat);
		break;
	case 5:
		by_fresh_mapping(seat);
		break;
	case 6:
		by_kept_mapping(seat);
		break;
	default:
		by_pread(seat, "pread of a descriptor to read and append", seat->both);
	}
	atomic_fetch_add(&seat->work->shared->reads, 1);
}

/* --- writing ---------------------------------------------------------------------------- */

static void write_all(struct seat *seat, int fd, const char *bytes, size_t count)
{
	while (count) {
		ssize_t n = write(fd, bytes, count);
		if (n < 0)
			failed_call(seat, "write");
		bytes += n;
		count -= (size_t)n;
	}
}

static void close_or_end(struct seat *seat, int fd)
{
	if (close(fd))
		failed_call(seat, "close");
}

static void by_open_write_close(struct seat *seat, const char *path, const char *text, size_t bytes)
{
	int fd = open_or_end(seat, path, O_WRONLY | O_APPEND);

	write_all(seat, fd, text, bytes);
	close_or_end(seat, fd);
}

/* One line of a length that is kept as it is: as a file that becomes a record. */
static void by_drop(struct seat *seat, const char *text, size_t bytes)
{
	char path[PATH_BYTES + 32];

	if (memchr(text, '\n', bytes) != text + bytes - 1 || bytes > LINE_BYTES_MAX) {
		by_open_write_close(seat, seat->work->key, text, bytes);
		return;
	}
	snprintf(path, sizeof(path), "%s/%d", seat->work->drop, (int)getpid());
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		failed_call(seat, "open in drop");
	write_all(seat, fd, text, bytes);
	close_or_end(seat, fd);
}

/* The rest of the line comes later; what has no newline yet must not be seen. */
static void in_two_pieces(struct seat *seat, const char *text, size_t bytes)
{
	size_t line = bytes;

	while (line > 1 && text[line - 2] != '\n')
		line--;
	size_t cut = line - 1 + (bytes - line) / 2;
	write_all(seat, seat->holder, text, cut);
	struct stat st;
	if (fstat(seat->reader, &st))
		failed_call(seat, "fstat");
	if ((size_t)st.st_size != (size_t)(text - seat->work->text) + line - 1)
		wrong(seat, "unfinished line", "wrong size", (size_t)st.st_size, line - 1);
	write_all(seat, seat->holder, text + cut, bytes - cut);
}

static void ended_by_close(struct seat *seat, const char *text, size_t bytes)
{
	by_open_write_close(seat, seat->work->shard, text, bytes - 1);
}

static void by_a_child(struct seat *seat, const char *text, size_t bytes, bool inherited)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (inherited)
			write_all(seat, seat->holder, text, bytes);
		else
			by_open_write_close(seat, seat->work->shard, text, bytes);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		wrong(seat, "child", "failed", 0, 0);
}

static void by_writev(struct seat *seat, const char *text, size_t bytes)
{
	struct iovec iov[2] = {
		{(char *)text, bytes / 3}, {(char *)text + bytes / 3, bytes - bytes / 3}};
	ssize_t n = writev(seat->holder, iov, 2);

	if (n < 0)
		failed_call(seat, "writev");
	write_all(seat, seat->holder, text + n, bytes - (size_t)n);
}

static void append_somehow(struct seat *seat, const char *text, size_t bytes)
{
	const struct work *w = seat->work;

	switch (draw(&seat->random) % 19) {
	case 0:
	case 1:
	case 2:
		by_open_write_close(seat, w->shard, text, bytes);
		break;
	case 3:
	case 4:
		write_all(seat, seat->holder, text, bytes);
		break;
	case 5:
	case 6:
		by_open_write_close(seat, w->put, text, bytes);
		break;
	case 7:
	case 8:
		write_all(seat, seat->put_holder, text, bytes);
		break;
	case 9:
	case 10:
		in_two_pieces(seat, text, bytes);
		break;
	case 11:
		ended_by_close(seat, text, bytes);
		break;
	case 12:
		by_a_child(seat, text, bytes, false);
		break;
	case 13:
		by_a_child(seat, text, bytes, true);
		break;
	case 14:
		by_writev(seat, text, bytes);
		break;
	case 15:
	case 16:
		by_open_write_close(seat, w->key, text, bytes);
		break;
	case 17:
		by_drop(seat, text, bytes);
		break;
	default:
		write_all(seat, seat->both, text, bytes);
	}
}

/* False: all rounds are done. */
static bool take_turn(struct seat *seat)
{
	const struct work *w = seat->work;
	struct shared *shared = w->shared;

	if (pthread_mutex_lock(&shared->turn))
		wrong(seat, "turn", "another writer failed", 0, 0);
	size_t round = shared->next_round++;
	if (round < w->rounds) {
		size_t start = round ? w->ends[round - 1] : 0, end = w->ends[round];
		atomic_store(&shared->attempted, end);
		append_somehow(seat, w->text + start, end - start);
		atomic_store(&shared->acknowledged, end);
	}
	pthread_mutex_unlock(&shared->turn);
	return round < w->rounds;
}

/* --- setting up ------------------------------------------------------------------------- */

static void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("coherence: mmap");
		exit(2);
	}
	return memory;
}

/* One line, rarely many; sizes such that ends fall on, before and behind page boundaries. */
static size_t make_piece(char *text, size_t offset, size_t round, uint64_t *random)
{
	size_t want = 1, made = 0;

	if (round % BIG_EVERY == BIG_EVERY - 1)
		want = BIG_BYTES / 2 + (size_t)(draw(random) % (BIG_BYTES / 2));
	while (made < want) {
		uint64_t kind = draw(random) % 16;
		size_t line = 2 + (size_t)(draw(random) % (kind == 0 ? LINE_BYTES_MAX : 160));
		size_t left = 4096 - (offset + made) % 4096;
		if (kind == 1 && left > 2)
			line = left; /* ends with the page */
		for (size_t i = 0; i + 1 < line; i++)
			text[made + i] = (char)('!' + draw(random) % 90);
		text[made + line - 1] = '\n';
		made += line;
	}
	return made;
}

static void make_text(struct work *w, uint64_t seed)
{
	size_t room = w->rounds * 1500 + (w->rounds / BIG_EVERY + 2) * (BIG_BYTES + LINE_BYTES_MAX);
	size_t end = 0;

	w->text = shared_memory(room + 65536);
	w->ends = shared_memory(w->rounds * sizeof(*w->ends));
	for (size_t i = 0; i < w->rounds; i++) {
		if (end > room) {
			fputs("coherence: too little room for the text\n", stderr);
			exit(2);
		}
		end += make_piece(w->text + end, end, i, &seed);
		w->ends[i] = end;
	}
}

static void make_shared(struct work *w)
{
	pthread_mutexattr_t attributes;

	w->shared = shared_memory(sizeof(*w->shared));
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&w->shared->turn, &attributes);
}

static void sit_down(struct seat *seat, const struct work *w, const char *name, uint64_t seed)
{
	size_t whole = w->ends[w->rounds - 1];

	*seat = (struct seat){.work = w, .name = name, .random = seed, .buffer_bytes = whole + 1};
	seat->buffer = malloc(seat->buffer_bytes);
	seat->reader = open_or_end(seat, w->shard, O_RDONLY);
	seat->holder = open_or_end(seat, w->shard, O_WRONLY | O_APPEND);
	seat->put_holder = open_or_end(seat, w->put, O_WRONLY | O_APPEND);
	seat->both = open_or_end(seat, w->shard, O_RDWR | O_APPEND);
	seat->kept = mmap(NULL, whole, PROT_READ, MAP_SHARED, seat->reader, 0);
	if (!seat->buffer || seat->kept == MAP_FAILED)
		failed_call(seat, "mmap");
	signal(SIGBUS, on_bus_error);
}

static void run_process(const struct work *w, unsigned i, uint64_t seed)
{
	struct seat seat;
	char name[32];

	snprintf(name, sizeof(name), "%s %u", i < WRITERS ? "writer" : "reader", i);
	sit_down(&seat, w, name, seed + i);
	if (i < WRITERS) {
		while (!atomic_load(&w->shared->failed) && take_turn(&seat))
			read_somehow(&seat);
		_exit(0);
	}
	while (!atomic_load(&w->shared->done))
		read_somehow(&seat);
	by_held_descriptor(&seat);
	_exit(0);
}

/* True if all that ended, ended well. */
static bool wait_for(const pid_t *pids, unsigned count)
{
	bool well = true;

	for (unsigned i = 0; i < count; i++) {
		int status;
		if (waitpid(pids[i], &status, 0) < 0 || status)
			well = false;
	}
	return well;
}

int main(int argc, char **argv)
{
	struct work w = {0};
	pid_t pids[WRITERS + READERS];

	if (argc != 4) {
		fputs("usage: coherence STREAM ROUNDS SEED\n", stderr);
		return 2;
	}
	uint64_t seed = strtoull(argv[3], NULL, 0);
	w.rounds = strtoul(argv[2], NULL, 0);
	snprintf(w.shard, sizeof(w.shard), "%s/shard-0000", argv[1]);
	snprintf(w.put, sizeof(w.put), "%s/put", argv[1]);
	snprintf(w.key, sizeof(w.key), "%s/keys/k", argv[1]);
	snprintf(w.drop, sizeof(w.drop), "%s/drop", argv[1]);
	make_text(&w, seed);
	make_shared(&w);
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			run_process(&w, i, seed * 1000);
	}
	bool well = wait_for(pids, WRITERS);
	atomic_store(&w.shared->done, true);
	well &= wait_for(pids + WRITERS, READERS);
	printf("%zu appends, %zu bytes, %zu reads, seed %s\n", w.rounds, w.ends[w.rounds - 1],
		atomic_load(&w.shared->reads), argv[3]);
	return !well || atomic_load(&w.shared->failed);
}
