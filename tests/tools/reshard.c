/* SPDX-License-Identifier: MIT */
/*
 * Writers that go on while the number of shards changes, and the check of what they left.
 *
 *     reshard write -n WRITERS -c COUNTS -s STOP STREAM
 *     reshard verify -n WRITERS -c COUNTS FILE…
 *
 * Each writer appends records with one of 1,000 keys to STREAM/put until the file STOP is there,
 * half of them opening it anew for each record, and leaves in COUNTS how many it wrote. Any error
 * ends it with status 1. Verify reads the shards in the order given, parents before children: each
 * record is there once, and those of one writer with one key are in its order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS_MAX = 64, KEYS = 1000, LINE_MAX_BYTES = 256, BATCH = 8 };

static unsigned key_of(unsigned writer, uint64_t sequence)
{
	uint64_t x = ((uint64_t)writer << 40 ^ sequence) * 0x9e3779b97f4a7c15u;
	return (unsigned)((x ^ x >> 29) % KEYS);
}

static size_t make_line(char *line, unsigned writer, uint64_t sequence)
{
	return (size_t)sprintf(line, "{\"id\":\"key-%u\",\"w\":%u,\"s\":%llu}\n",
		key_of(writer, sequence), writer, (unsigned long long)sequence);
}

static _Noreturn void fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static int open_put(const char *stream)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/put", stream);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		fail("open");
	return fd;
}

/* One write(2) of some records; the number of records. */
static unsigned write_some(int fd, unsigned writer, uint64_t sequence)
{
	char text[BATCH * LINE_MAX_BYTES];
	unsigned count = 1 + (unsigned)(sequence % BATCH);
	size_t bytes = 0;
	for (unsigned i = 0; i < count; i++)
		bytes += make_line(text + bytes, writer, sequence + i);
	for (size_t at = 0; at < bytes;) {
		ssize_t n = write(fd, text + at, bytes - at);
		if (n <= 0)
			fail("write");
		at += (size_t)n;
	}
	return count;
}

static _Noreturn void run_writer(
	const char *stream, const char *stop, unsigned writer, uint64_t *count)
{
	bool reopen = writer % 2;
	int fd = open_put(stream);
	while (access(stop, F_OK) < 0) {
		*count += write_some(fd, writer, *count);
		if (writer % 4 == 2 && *count % 16 == 0 && fsync(fd) < 0)
			fail("fsync");
		if (!reopen)
			continue;
		if (close(fd) < 0)
			fail("close");
		fd = open_put(stream);
	}
	if (close(fd) < 0)
		fail("close");
	_exit(0);
}

static int write_all(const char *stream, const char *stop, unsigned writers, uint64_t *counts)
{
	int result = 0;
	for (unsigned i = 0; i < writers; i++) {
		pid_t child = fork();
		if (child < 0)
			fail("fork");
		if (!child)
			run_writer(stream, stop, i, &counts[i]);
	}
	for (unsigned i = 0; i < writers; i++) {
		int status;
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
			result = 1;
	}
	return result;
}

struct seen {
	unsigned writers;
	const uint64_t *counts;
	uint8_t *once[WRITERS_MAX];
	uint64_t next[WRITERS_MAX][KEYS]; /* the least that may come now */
	uint64_t records;
};

static bool check_line(struct seen *seen, const char *line)
{
	unsigned key, writer;
	unsigned long long s;
	char expected[LINE_MAX_BYTES];
	if (sscanf(line, "{\"id\":\"key-%u\",\"w\":%u,\"s\":%llu}", &key, &writer, &s) != 3 ||
		writer >= seen->writers || s >= seen->counts[writer]) {
		printf("no record of any writer: %s", line);
		return false;
	}
	make_line(expected, writer, s);
	if (strcmp(line, expected) || seen->once[writer][s]) {
		printf("%s: %s", seen->once[writer][s] ? "doubled" : "not what was written", line);
		return false;
	}
	if (s < seen->next[writer][key]) {
		printf("after number %llu of its writer and key: %s",
			(unsigned long long)seen->next[writer][key] - 1, line);
		return false;
	}
	seen->once[writer][s] = 1;
	seen->next[writer][key] = s + 1;
	seen->records++;
	return true;
}

static bool check_file(struct seen *seen, const char *name)
{
	char line[LINE_MAX_BYTES];
	FILE *file = fopen(name, "r");
	if (!file)
		fail(name);
	bool good = true;
	while (good && fgets(line, sizeof line, file))
		good = check_line(seen, line);
	if (ferror(file))
		fail(name);
	fclose(file);
	return good;
}

static int verify(unsigned writers, const uint64_t *counts, char **files, int file_count)
{
	static struct seen seen;
	uint64_t written = 0;
	bool good = true;
	seen.writers = writers;
	seen.counts = counts;
	for (unsigned i = 0; i < writers; i++) {
		written += counts[i];
		seen.once[i] = calloc(counts[i] + 1, 1);
		if (!seen.once[i])
			fail("memory");
	}
	for (int i = 0; good && i < file_count; i++)
		good = check_file(&seen, files[i]);
	for (unsigned i = 0; i < writers; i++)
		free(seen.once[i]);
	printf("%llu of %llu records\n", (unsigned long long)seen.records,
		(unsigned long long)written);
	return !good || seen.records != written;
}

static uint64_t *map_counts(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	size_t bytes = WRITERS_MAX * sizeof(uint64_t);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		fail(name);
	void *counts = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED)
		fail(name);
	close(fd);
	return counts;
}

int main(int argc, char **argv)
{
	const char *stop = NULL, *counts = NULL;
	unsigned writers = 0;
	int option;
	bool write = argc > 1 && !strcmp(argv[1], "write");
	while (argc > 1 && (option = getopt(argc - 1, argv + 1, "n:c:s:")) != -1) {
		if (option == 'n')
			writers = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'c')
			counts = optarg;
		else if (option == 's')
			stop = optarg;
	}
	if (argc < 2 || !writers || writers > WRITERS_MAX || !counts || (write && !stop) ||
		optind + 1 >= argc) {
		fputs("usage: reshard write|verify -n WRITERS -c COUNTS [-s STOP] STREAM|FILE…\n",
			stderr);
		return 2;
	}
	char **names = argv + 1 + optind;
	if (write)
		return write_all(names[0], stop, writers, map_counts(counts));
	return verify(writers, map_counts(counts), names, argc - 1 - optind);
}
