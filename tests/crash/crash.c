/* SPDX-License-Identifier: MIT */
/*
 * Kills a process that appends, again and again, and opens what it leaves: every acknowledged
 * record is there, whole, once and in order; at most what was being attempted comes on top; what
 * was read after one crash is the same after the next.
 *
 *   crash [ROUNDS]     STREAMFS_SEED=N repeats a run's random choices; STREAMFS_LONG=1: 1,000
 * rounds
 */
#include "streamfs/shard.h"
#include "streamfs/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { THREADS = 6, SHARDS = 2, ROUNDS_SHORT = 25, ROUNDS_LONG = 1000, LONG_RECORD = 1300000 };

/* What the killed process leaves of what it was told. Counts of records, by thread. */
struct shared {
	atomic_uint attempted[THREADS], acknowledged[THREADS];
	atomic_bool ready;
};

/* What was found so far. */
static struct {
	uint64_t size, hash;
} seen[SHARDS];

static struct shared *shared;
static char path[64];
static uint64_t seed;
static unsigned crash_round;

static int remove_one(const char *name, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(name);
}

static _Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "round %u: ", crash_round);
	vfprintf(stderr, format, args);
	fprintf(stderr, "; the store is left in %s\n", path);
	va_end(args);
	_exit(EXIT_FAILURE);
}

static void must(int result, const char *what)
{
	if (result < 0)
		fail("%s: %s", what, strerror(-result));
}

static uint64_t next_random(uint64_t below)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed % below;
}

static void report(void *context, enum sfs_severity severity, const char *line)
{
	(void)context;
	if (severity == SFS_ERROR)
		fail("reported: %s", line);
}

static struct sfs_store *open_store(void)
{
	static const struct sfs_store_options options = {
		.segment_chunks = 200, .segment_bytes = 4 << 20, .report = report};
	struct sfs_store *store;
	struct sfs_diag diag;
	int r = sfs_store_open(path, &options, &diag, &store);
	if (r < 0)
		fail("%s", diag.text);
	return store;
}

/* --- records --- */

static size_t record_length(unsigned thread, unsigned i)
{
	uint64_t x = (thread + 1) * 0x9E3779B97F4A7C15u ^ (i + 1) * 0xC2B2AE3D27D4EB4Fu;
	x ^= x >> 29;
	return thread == 0 && i % 300 == 299 ? LONG_RECORD : x % (x % 50 ? 200 : 20000);
}

/* "thread number checksum filling", all of which follow from the first two. */
static size_t make_record(char *line, unsigned thread, unsigned i)
{
	size_t filling = record_length(thread, i);
	char *p = line + 40;
	uint64_t x = thread * 1000003 + i + 1;
	for (size_t k = 0; k < filling; k++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		p[k] = (char)(k % 32 < 16 ? 'a' + (x >> 40) % 26 : '.');
	}
	snprintf(line, 41, "%02u %010u %016" PRIx64 "         ", thread, i,
		(uint64_t)XXH3_64bits(p, filling));
	memmove(line + 31, p, filling);
	line[31 + filling] = '\n';
	return 32 + filling;
}

/* --- the process that is killed --- */

static struct sfs_stream *stream;

/* Writes `count` records of a thread as one; long ones come in pieces, as from the kernel. */
static void append(struct sfs_writer *writer, char *buffer, unsigned thread, unsigned count)
{
	unsigned first = shared->acknowledged[thread];
	size_t bytes = 0;
	for (unsigned k = 0; k < count; k++)
		bytes += make_record(buffer + bytes, thread, first + k);
	shared->attempted[thread] = first + count;
	for (size_t at = 0; at < bytes;) {
		size_t taken, piece = bytes - at < 1 << 20 ? bytes - at : 1 << 20;
		must(sfs_writer_write(writer, buffer + at, piece, &taken), "write");
		at += taken;
	}
	shared->acknowledged[thread] = first + count;
}

static void *append_for_ever(void *context)
{
	unsigned thread = (unsigned)(uintptr_t)context;
	struct sfs_shard *shard;
	struct sfs_writer *writer;
	char *buffer = malloc(LONG_RECORD + 200000);
	must(sfs_stream_shard(stream, thread % SHARDS, &shard), "shard");
	must(sfs_writer_open_shard(shard, &writer), "writer");
	for (unsigned i = 0; buffer; i++) {
		/* Several at once only where all surely fit one write, which is all or nothing. */
		append(writer, buffer, thread, thread == 0 ? 1 : 1 + i % 4);
		if (thread == 1)
			must(sfs_writer_sync_wait(writer), "sync");
		shared->ready = true;
	}
	return NULL;
}

static _Noreturn void run_writers(void)
{
	pthread_t threads[THREADS];
	must(sfs_stream_lookup(open_store(), "orders", &stream), "lookup");
	for (uintptr_t i = 0; i < THREADS; i++)
		must(-pthread_create(&threads[i], NULL, append_for_ever, (void *)i), "thread");
	for (;;)
		pause();
}

static _Noreturn void run_recovery(void)
{
	struct sfs_shard *shard;
	must(sfs_stream_lookup(open_store(), "orders", &stream), "lookup");
	for (uint32_t i = 0; i < SHARDS; i++)
		must(sfs_stream_shard(stream, i, &shard), "shard");
	_exit(EXIT_SUCCESS);
}

static void sleep_us(uint64_t us)
{
	struct timespec t = {
		.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000)};
	nanosleep(&t, NULL);
}

/* Runs `work` in a process of its own and kills it after a while. */
static void run_and_kill(void (*work)(void), bool when_ready, uint64_t us)
{
	shared->ready = false;
	pid_t child = fork();
	if (child < 0)
		fail("fork: %s", strerror(errno));
	if (!child)
		work();
	int status;
	while (when_ready && !shared->ready) {
		if (waitpid(child, &status, WNOHANG) == child)
			fail("the writers ended by themselves");
		sleep_us(200);
	}
	sleep_us(us);
	kill(child, SIGKILL);
	if (waitpid(child, &status, 0) != child)
		fail("waitpid: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) != EXIT_SUCCESS)
		fail("the process that was to be killed failed");
}

/* --- what it leaves --- */

static char *read_all(struct sfs_shard *shard, uint64_t size)
{
	char *text = malloc(size + 1);
	for (uint64_t at = 0; text && at < size;) {
		size_t n = 0;
		must(sfs_shard_read(shard, at, text + at, size - at, &n), "read");
		if (!n)
			fail("the text ends at %" PRIu64 " of %" PRIu64, at, size);
		at += n;
	}
	return text;
}

static uint64_t check_lines(const char *text, uint64_t size, unsigned next[THREADS])
{
	uint64_t lines = 0;
	char *line = malloc(LONG_RECORD + 100);
	for (uint64_t at = 0; at < size; lines++) {
		unsigned thread = (unsigned)strtoul(text + at, NULL, 10);
		if (thread >= THREADS)
			fail("offset %" PRIu64 ": no record", at);
		size_t bytes = make_record(line, thread, next[thread]);
		if (bytes > size - at || memcmp(text + at, line, bytes))
			fail("offset %" PRIu64 ": not record %u of thread %u", at, next[thread],
				thread);
		next[thread]++;
		at += bytes;
	}
	free(line);
	return lines;
}

static void check_shard(uint32_t number, unsigned next[THREADS])
{
	struct sfs_shard *shard;
	struct sfs_shard_info info;
	must(sfs_stream_shard(stream, number, &shard), "shard");
	sfs_shard_info(shard, &info);
	if (info.size_bytes < seen[number].size || info.quarantined_bytes)
		fail("shard %u: %" PRIu64 " bytes, was %" PRIu64 "; %" PRIu64 " quarantined",
			number, info.size_bytes, seen[number].size, info.quarantined_bytes);
	char *text = read_all(shard, info.size_bytes);
	if (seen[number].size && XXH3_64bits(text, seen[number].size) != seen[number].hash)
		fail("shard %u: what was read before has changed", number);
	if (check_lines(text, info.size_bytes, next) != info.next_sequence)
		fail("shard %u: %" PRIu64 " is not how many records it has", number,
			info.next_sequence);
	seen[number].size = info.size_bytes;
	seen[number].hash = XXH3_64bits(text, info.size_bytes);
	free(text);
	sfs_shard_unref(shard);
}

static void check_store(void)
{
	unsigned next[THREADS] = {0};
	struct sfs_store *store = open_store();
	must(sfs_stream_lookup(store, "orders", &stream), "lookup");
	for (uint32_t i = 0; i < SHARDS; i++)
		check_shard(i, next);
	for (unsigned t = 0; t < THREADS; t++) {
		if (next[t] < shared->acknowledged[t] || next[t] > shared->attempted[t])
			fail("thread %u: %u acknowledged, %u attempted, %u found", t,
				shared->acknowledged[t], shared->attempted[t], next[t]);
		shared->acknowledged[t] = shared->attempted[t] = next[t];
	}
	sfs_stream_unref(stream);
	must(sfs_store_close(store), "close");
}

static void make_store(void)
{
	static const char config[] = "{\"shards\":2,\"flush_interval_ms\":20,"
				     "\"large_records\":{\"policy\":\"split\"}}";
	const struct sfs_owner owner = {0755, 0, 0};
	struct sfs_store *store = open_store();
	struct sfs_diag diag;
	must(sfs_stream_create(store, "orders", &owner, &stream), "create");
	must(sfs_stream_patch_config(stream, config, sizeof config - 1, &diag), "config");
	sfs_stream_unref(stream);
	must(sfs_store_close(store), "close");
	memset(seen, 0, sizeof seen);
	for (unsigned t = 0; t < THREADS; t++)
		shared->acknowledged[t] = shared->attempted[t] = 0;
}

static void remove_store(void)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0)
		fail("%s: %s", path, strerror(errno));
}

static void one_round(void)
{
	enum { ANEW = 40 }; /* rounds after which a store has grown enough */
	if (crash_round % ANEW == 0) {
		if (crash_round)
			remove_store();
		make_store();
	}
	run_and_kill(run_writers, true, next_random(crash_round % 4 ? 40000 : 150000));
	if (next_random(5) == 0)
		run_and_kill(run_recovery, false, next_random(8000));
	check_store();
}

int main(int argc, char **argv)
{
	const char *long_run = getenv("STREAMFS_LONG"), *given = getenv("STREAMFS_SEED");
	unsigned rounds = long_run && *long_run ? ROUNDS_LONG : ROUNDS_SHORT;
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
	printf("crash: %u rounds, STREAMFS_SEED=%" PRIu64 "\n", rounds, seed);
	fflush(stdout);
	const char *tmp = getenv("TMPDIR");
	snprintf(path, sizeof path, "%.40s/streamfs-crash-XXXXXX", tmp ? tmp : "/tmp");
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !mkdtemp(path))
		fail("%s", strerror(errno));
	uint64_t records = 0;
	for (crash_round = 0; crash_round < rounds; crash_round++)
		one_round();
	for (unsigned t = 0; t < THREADS; t++)
		records += shared->acknowledged[t];
	printf("crash: all acknowledged records found; %" PRIu64 " in the last store\n", records);
	remove_store();
	return EXIT_SUCCESS;
}
