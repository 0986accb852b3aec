/* SPDX-License-Identifier: MIT */
/*
 * Many writers at once, and the check that nothing of theirs was lost, doubled, torn or reordered.
 *
 *     swarm write  -n WRITERS -k RECORDS -m MODE -r ROUND [-a ACKS] FILE…
 *     swarm verify -n WRITERS -k RECORDS -r ROUND [-a ACKS] FILE…
 *
 * Writer i appends to FILE i modulo their number. MODE: hold (a write a record), open (open, write,
 * close), close (the close ends the line), batch (large writes cut anywhere), sync (fsync after
 * each), mixed (writer by writer). ACKS is a file that keeps, per writer, what was acknowledged and
 * what attempted: with it, the end of the daemon ends a writer in peace, and verify wants
 * acknowledged <= found <= attempted. Without it every record must be there.
 * Each record tells its round, writer and sequence number and is a function of them. Verify checks
 * lines of other rounds for form only.
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

enum { WRITERS_MAX = 256, FILL_MAX = 300, LINE_MAX_BYTES = 512, BATCH_BYTES = 300000 };

struct acks {
	uint64_t acked, attempted;
};

struct swarm {
	unsigned writers, records, round;
	const char *mode;
	struct acks *acks; /* NULL: none are kept */
	char **files;
	unsigned file_count;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static size_t make_line(char *line, unsigned round, unsigned writer, unsigned sequence)
{
	uint64_t hash = mix(((uint64_t)round << 44) + ((uint64_t)writer << 32) + sequence + 1);
	int n = sprintf(line, "{\"w\":\"w%u\",\"r\":%u,\"s\":%u,\"f\":\"", writer, round, sequence);

	for (uint64_t fill = hash % FILL_MAX; fill; fill--) {
		hash = mix(hash);
		line[n++] = (char)('a' + hash % 26);
	}
	memcpy(line + n, "\"}\n", 3);
	return (size_t)n + 3;
}

/*
 * True where it is the daemon's death that ended a writer. Besides ENOTCONN and ECONNABORTED the
 * kernel answers EIO to a request that the daemon was just fetching; that counts only if the mount
 * is dead soon after.
 */
static bool forgiven(const struct swarm *s, unsigned writer)
{
	if (!s->acks)
		return false;
	for (int i = 0; errno == EIO && i < 2000; i++) {
		usleep(5000);
		errno = 0;
		if (!access(s->files[writer % s->file_count], F_OK))
			errno = EIO;
	}
	return errno == ENOTCONN || errno == ECONNABORTED;
}

static int give_up(const struct swarm *s, unsigned writer, unsigned sequence, const char *what)
{
	const char *reason = strerror(errno);

	if (forgiven(s, writer))
		return 1;
	fprintf(stderr, "writer %u, record %u: %s: %s\n", writer, sequence, what, reason);
	_exit(1);
}

static int write_all(int fd, const char *bytes, size_t count)
{
	while (count) {
		ssize_t n = write(fd, bytes, count);
		if (n < 0)
			return -1;
		bytes += n;
		count -= (size_t)n;
	}
	return 0;
}

static void attempt(const struct swarm *s, unsigned writer, uint64_t records)
{
	if (s->acks)
		s->acks[writer].attempted = records;
}

static void acknowledge(const struct swarm *s, unsigned writer, uint64_t records)
{
	if (s->acks)
		s->acks[writer].acked = records;
}

static const char *file_of(const struct swarm *s, unsigned writer)
{
	return s->files[writer % s->file_count];
}

static int open_append(const struct swarm *s, unsigned writer)
{
	return open(file_of(s, writer), O_WRONLY | O_APPEND | O_CLOEXEC);
}

/* Open, write and close for each record; `cut`: in two pieces and without the newline. */
static int write_reopening(const struct swarm *s, unsigned writer, bool cut)
{
	char line[LINE_MAX_BYTES];

	for (unsigned i = 0; i < s->records; i++) {
		size_t bytes = make_line(line, s->round, writer, i);
		size_t first = cut ? bytes / 2 : bytes, rest = cut ? bytes - first - 1 : 0;
		attempt(s, writer, i + 1);
		int fd = open_append(s, writer);
		if (fd < 0)
			return give_up(s, writer, i, "open");
		if (write_all(fd, line, first) || write_all(fd, line + first, rest))
			return give_up(s, writer, i, "write");
		if (close(fd))
			return give_up(s, writer, i, "close");
		acknowledge(s, writer, i + 1);
	}
	return 0;
}

static int write_holding(const struct swarm *s, unsigned writer, bool sync)
{
	char line[LINE_MAX_BYTES];
	int fd = open_append(s, writer);

	if (fd < 0)
		return give_up(s, writer, 0, "open");
	for (unsigned i = 0; i < s->records; i++) {
		size_t bytes = make_line(line, s->round, writer, i);
		attempt(s, writer, i + 1);
		if (write_all(fd, line, bytes))
			return give_up(s, writer, i, "write");
		if (sync && fsync(fd))
			return give_up(s, writer, i, "fsync");
		acknowledge(s, writer, i + 1);
	}
	return close(fd) ? give_up(s, writer, s->records, "close") : 0;
}

/* Records one after the other in memory, written in pieces that end anywhere. */
static int write_batches(const struct swarm *s, unsigned writer)
{
	char *bytes = malloc(BATCH_BYTES + LINE_MAX_BYTES);
	int fd = open_append(s, writer);
	unsigned made = 0, complete = 0;
	size_t held = 0;

	if (!bytes || fd < 0)
		return give_up(s, writer, 0, "open");
	while (made < s->records || held) {
		size_t want = 1 + mix(((uint64_t)writer << 32) + made + held) % BATCH_BYTES;
		while (held < want && made < s->records)
			held += make_line(bytes + held, s->round, writer, made++);
		size_t piece = held < want ? held : want;
		for (size_t i = 0; i < piece; i++)
			complete += bytes[i] == '\n';
		/* The kernel may have handed over a part that ends records of the next piece. */
		attempt(s, writer, made);
		if (write_all(fd, bytes, piece))
			return give_up(s, writer, complete, "write");
		acknowledge(s, writer, complete);
		memmove(bytes, bytes + piece, held - piece);
		held -= piece;
	}
	free(bytes);
	return close(fd) ? give_up(s, writer, s->records, "close") : 0;
}

static int run_writer(const struct swarm *s, unsigned writer)
{
	static const char *const modes[] = {"hold", "open", "close", "batch", "sync"};
	const char *mode = s->mode;

	if (!strcmp(mode, "mixed"))
		mode = modes[writer % 5];
	if (!strcmp(mode, "open") || !strcmp(mode, "close"))
		return write_reopening(s, writer, !strcmp(mode, "close"));
	if (!strcmp(mode, "hold") || !strcmp(mode, "sync"))
		return write_holding(s, writer, !strcmp(mode, "sync"));
	if (!strcmp(mode, "batch"))
		return write_batches(s, writer);
	fprintf(stderr, "swarm: %s: no such mode\n", mode);
	_exit(2);
}

static int write_swarm(const struct swarm *s)
{
	int failed = 0, status;

	for (unsigned i = 0; i < s->writers; i++) {
		pid_t pid = fork();
		if (pid < 0) {
			perror("swarm: fork");
			return 1;
		}
		if (pid == 0) {
			run_writer(s, i);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed != 0;
}

/* --- verify ----------------------------------------------------------------------------- */

struct count {
	const struct swarm *swarm;
	bool *seen;	 /* [writer][sequence] */
	long long *last; /* per writer, in this file */
	const char *file;
	uint64_t line;
};

static void wrong(const struct count *c, const char *what, unsigned writer, unsigned sequence)
{
	fprintf(stderr, "%s: line %llu: %s (writer %u, record %u)\n", c->file,
		(unsigned long long)c->line, what, writer, sequence);
	exit(1);
}

static void check_line(struct count *c, const char *line, size_t bytes)
{
	char expected[LINE_MAX_BYTES];
	unsigned writer = 0, round = 0, sequence = 0;

	c->line++;
	if (sscanf(line, "{\"w\":\"w%u\",\"r\":%u,\"s\":%u,", &writer, &round, &sequence) != 3)
		wrong(c, "torn: not a record", writer, sequence);
	if (bytes != make_line(expected, round, writer, sequence) || memcmp(line, expected, bytes))
		wrong(c, "torn: not what was written", writer, sequence);
	if (round != c->swarm->round)
		return;
	if (writer >= c->swarm->writers || sequence >= c->swarm->records)
		wrong(c, "never written", writer, sequence);
	bool *seen = &c->seen[(size_t)writer * c->swarm->records + sequence];
	if (*seen)
		wrong(c, "doubled", writer, sequence);
	*seen = true;
	if (c->last[writer] >= (long long)sequence)
		wrong(c, "out of order", writer, sequence);
	c->last[writer] = sequence;
}

static void check_file(struct count *c, const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t bytes;

	if (!file) {
		perror(path);
		exit(1);
	}
	c->file = path;
	c->line = 0;
	for (unsigned i = 0; i < c->swarm->writers; i++)
		c->last[i] = -1;
	while ((bytes = getline(&line, &room, file)) > 0)
		check_line(c, line, (size_t)bytes);
	if (ferror(file)) {
		perror(path);
		exit(1);
	}
	free(line);
	fclose(file);
}

static int check_writer(const struct count *c, unsigned writer)
{
	const struct swarm *s = c->swarm;
	const bool *seen = &c->seen[(size_t)writer * s->records];
	uint64_t least = s->acks ? s->acks[writer].acked : s->records;
	uint64_t most = s->acks ? s->acks[writer].attempted : s->records;
	unsigned found = 0;

	while (found < s->records && seen[found])
		found++;
	for (unsigned i = found; i < s->records; i++) {
		if (!seen[i])
			continue;
		fprintf(stderr, "writer %u: record %u is there, %u is not\n", writer, i, found);
		return 1;
	}
	if (found >= least && found <= most)
		return 0;
	fprintf(stderr, "writer %u: %u records, of %llu acknowledged and %llu attempted\n", writer,
		found, (unsigned long long)least, (unsigned long long)most);
	return 1;
}

static int verify_swarm(const struct swarm *s)
{
	struct count c = {.swarm = s,
		.seen = calloc((size_t)s->writers * s->records, sizeof(bool)),
		.last = calloc(s->writers, sizeof(*c.last))};
	int failed = 0;

	if (!c.seen || !c.last)
		return 1;
	for (unsigned i = 0; i < s->file_count; i++)
		check_file(&c, s->files[i]);
	for (unsigned i = 0; i < s->writers; i++)
		failed |= check_writer(&c, i);
	free(c.seen);
	free(c.last);
	return failed;
}

static struct acks *map_acks(const char *path, bool fresh)
{
	int fd = open(path, O_RDWR | O_CREAT | (fresh ? O_TRUNC : 0), 0644);

	if (fd < 0 || ftruncate(fd, WRITERS_MAX * sizeof(struct acks))) {
		perror(path);
		exit(1);
	}
	void *map = mmap(
		NULL, WRITERS_MAX * sizeof(struct acks), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED) {
		perror(path);
		exit(1);
	}
	return map;
}

static int usage(void)
{
	fputs("usage: swarm write|verify -n WRITERS -k RECORDS [-m MODE] [-r ROUND] [-a ACKS] "
	      "FILE…\n",
		stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct swarm s = {.writers = 16, .records = 100, .mode = "hold"};
	const char *acks = NULL;
	int option;

	if (argc < 3)
		return usage();
	bool write = !strcmp(argv[1], "write");
	while ((option = getopt(argc - 1, argv + 1, "n:k:m:r:a:")) != -1) {
		switch (option) {
		case 'n':
			s.writers = (unsigned)atoi(optarg);
			break;
		case 'k':
			s.records = (unsigned)atoi(optarg);
			break;
		case 'm':
			s.mode = optarg;
			break;
		case 'r':
			s.round = (unsigned)atoi(optarg);
			break;
		case 'a':
			acks = optarg;
			break;
		default:
			return usage();
		}
	}
	s.files = argv + 1 + optind;
	s.file_count = (unsigned)(argc - 1 - optind);
	if (!s.file_count || !s.writers || s.writers > WRITERS_MAX)
		return usage();
	if (acks)
		s.acks = map_acks(acks, write);
	return write ? write_swarm(&s) : verify_swarm(&s);
}
