/* SPDX-License-Identifier: MIT */
/*
 * One system call after the other, as the arguments say, with a line of output for each: `ok VALUE`
 * or the name of its errno. Operations are separated by a lone comma:
 *
 *     sys open wa FILE , write 'x\n' , fsync , close
 *
 * FLAGS are letters: r w + (read and write) a (append) t (truncate) c (create) x (exclusive)
 * s (O_SYNC) d (O_DSYNC) p (O_PATH). TEXT knows \n \r \t \\ and \xHH. There are ten descriptors,
 * `use N` picks the one that the following operations work on (0 at first).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { SLOTS = 10, READ_MAX = 1 << 20, ARGS_MAX = 3 };

struct state {
	int fds[SLOTS];
	int slot;
};

struct operation {
	const char *name;
	int args;
	long long (*run)(struct state *s, char **args); /* -1: errno is set */
};

static int *current(struct state *s)
{
	return &s->fds[s->slot];
}

static long long number(const char *text)
{
	return strtoll(text, NULL, 0);
}

static int open_flags(const char *letters)
{
	int flags = strchr(letters, '+') ? O_RDWR : strchr(letters, 'w') ? O_WRONLY : O_RDONLY;
	static const struct {
		char letter;
		int flag;
	} known[] = {{'a', O_APPEND}, {'t', O_TRUNC}, {'c', O_CREAT}, {'x', O_EXCL}, {'s', O_SYNC},
		{'d', O_DSYNC}, {'p', O_PATH}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strchr(letters, known[i].letter))
			flags |= known[i].flag;
	return flags;
}

static size_t unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from != '\\') {
			*to++ = *from;
			continue;
		}
		from++;
		if (*from == 'x') {
			char hex[3] = {from[1], from[2], 0};
			*to++ = (char)strtoul(hex, NULL, 16);
			from += 2;
		} else {
			*to++ = *from == 'n'   ? '\n'
				: *from == 'r' ? '\r'
				: *from == 't' ? '\t'
					       : *from;
		}
	}
	return (size_t)(to - text);
}

static void print_bytes(const char *bytes, size_t count)
{
	fputs("ok ", stdout);
	for (size_t i = 0; i < count; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (c == '\n')
			fputs("\\n", stdout);
		else if (c < ' ' || c > '~')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	putchar('\n');
}

static long long run_open(struct state *s, char **args)
{
	*current(s) = open(args[1], open_flags(args[0]), 0644);
	return *current(s) < 0 ? -1 : 0;
}

struct thread_open {
	const char *path;
	int flags;
	int fd;
	int error;
};

static void *open_and_end(void *context)
{
	struct thread_open *o = context;
	o->fd = open(o->path, o->flags, 0644);
	o->error = errno;
	return NULL;
}

/* By a thread that has ended when this returns. */
static long long run_thread_open(struct state *s, char **args)
{
	struct thread_open o = {.path = args[1], .flags = open_flags(args[0])};
	pthread_t thread;

	if (pthread_create(&thread, NULL, open_and_end, &o) || pthread_join(thread, NULL))
		return -1;
	*current(s) = o.fd;
	errno = o.error;
	return o.fd < 0 ? -1 : 0;
}

/* Anew, what is open: FLAGS, of a descriptor that has no name to look up. */
static long long run_reopen(struct state *s, char **args)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", *current(s));
	int fd = open(path, open_flags(args[0]));
	if (fd < 0)
		return -1;
	close(*current(s));
	*current(s) = fd;
	return 0;
}

static long long run_use(struct state *s, char **args)
{
	s->slot = (int)number(args[0]) % SLOTS;
	return s->slot;
}

static long long run_write(struct state *s, char **args)
{
	return write(*current(s), args[0], unescape(args[0]));
}

/* Durable by itself: RWF_DSYNC. */
static long long run_dwrite(struct state *s, char **args)
{
	struct iovec text = {.iov_base = args[0], .iov_len = unescape(args[0])};
	return pwritev2(*current(s), &text, 1, -1, RWF_DSYNC);
}

/* One write(2) of COUNT times a byte and, with LAST, that byte instead at the end. */
static long long run_fill(struct state *s, char **args)
{
	size_t count = (size_t)number(args[1]);
	char *bytes = malloc(count + 1);
	size_t last = unescape(args[2]);

	if (!bytes)
		return -1;
	memset(bytes, args[0][0], count);
	if (last && count)
		bytes[count - 1] = args[2][0];
	ssize_t n = write(*current(s), bytes, count);
	int error = errno;
	free(bytes);
	errno = error;
	return n;
}

static long long run_pwrite(struct state *s, char **args)
{
	return pwrite(*current(s), args[1], unescape(args[1]), number(args[0]));
}

/* Reads print the bytes themselves and answer -2: nothing more to print. */
static long long show(const char *bytes, ssize_t n)
{
	if (n < 0)
		return -1;
	print_bytes(bytes, (size_t)n);
	return -2;
}

static char read_buffer[READ_MAX];

static size_t capped(const char *text)
{
	long long n = number(text);
	return n > READ_MAX ? READ_MAX : (size_t)n;
}

static long long run_read(struct state *s, char **args)
{
	return show(read_buffer, read(*current(s), read_buffer, capped(args[0])));
}

static long long run_pread(struct state *s, char **args)
{
	return show(read_buffer, pread(*current(s), read_buffer, capped(args[1]), number(args[0])));
}

static long long run_mmap(struct state *s, char **args)
{
	size_t offset = (size_t)number(args[0]), bytes = capped(args[1]);
	char *map = mmap(NULL, offset + bytes, PROT_READ, MAP_SHARED, *current(s), 0);

	if (map == MAP_FAILED)
		return -1;
	memcpy(read_buffer, map + offset, bytes);
	munmap(map, offset + bytes);
	return show(read_buffer, (ssize_t)bytes);
}

static long long run_seek(struct state *s, char **args)
{
	static const char names[][5] = {"set", "cur", "end", "data", "hole"};
	static const int whence[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE};

	for (size_t i = 0; i < sizeof(whence) / sizeof(whence[0]); i++)
		if (!strcmp(args[0], names[i]))
			return lseek(*current(s), number(args[1]), whence[i]);
	errno = EINVAL;
	return -1;
}

static long long run_fsync(struct state *s, char **args)
{
	(void)args;
	return fsync(*current(s));
}

static long long run_fdatasync(struct state *s, char **args)
{
	(void)args;
	return fdatasync(*current(s));
}

static long long run_close(struct state *s, char **args)
{
	(void)args;
	int fd = *current(s);
	*current(s) = -1;
	return close(fd);
}

static long long run_dup(struct state *s, char **args)
{
	int slot = (int)number(args[0]) % SLOTS;
	s->fds[slot] = dup(*current(s));
	return s->fds[slot] < 0 ? -1 : 0;
}

/* A child that writes TEXT, closes and ends. */
static long long run_child(struct state *s, char **args)
{
	int status;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		ssize_t n = write(*current(s), args[0], unescape(args[0]));
		_exit(n < 0 || close(*current(s)) < 0 ? 1 : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return status;
}

static long long run_size(struct state *s, char **args)
{
	struct stat st;

	(void)args;
	return fstat(*current(s), &st) ? -1 : (long long)st.st_size;
}

static long long run_ftruncate(struct state *s, char **args)
{
	return ftruncate(*current(s), number(args[0]));
}

static long long run_fallocate(struct state *s, char **args)
{
	return fallocate(*current(s), (int)number(args[0]), 0, number(args[1]));
}

static long long run_truncate(struct state *s, char **args)
{
	(void)s;
	return truncate(args[0], number(args[1]));
}

static long long run_unlink(struct state *s, char **args)
{
	(void)s;
	return unlink(args[0]);
}

static long long run_rename(struct state *s, char **args)
{
	(void)s;
	return rename(args[0], args[1]);
}

static long long run_exchange(struct state *s, char **args)
{
	(void)s;
	return renameat2(AT_FDCWD, args[0], AT_FDCWD, args[1], RENAME_EXCHANGE);
}

static long long run_noreplace(struct state *s, char **args)
{
	(void)s;
	return renameat2(AT_FDCWD, args[0], AT_FDCWD, args[1], RENAME_NOREPLACE);
}

static long long run_link(struct state *s, char **args)
{
	(void)s;
	return link(args[0], args[1]);
}

static long long run_symlink(struct state *s, char **args)
{
	(void)s;
	return symlink(args[0], args[1]);
}

static long long run_mknod(struct state *s, char **args)
{
	(void)s;
	return mknod(args[0], S_IFIFO | 0644, 0);
}

static long long run_mkdir(struct state *s, char **args)
{
	(void)s;
	return mkdir(args[0], (mode_t)strtoul(args[1], NULL, 8));
}

static long long run_rmdir(struct state *s, char **args)
{
	(void)s;
	return rmdir(args[0]);
}

static long long run_chmod(struct state *s, char **args)
{
	(void)s;
	return chmod(args[0], (mode_t)strtoul(args[1], NULL, 8));
}

static long long run_fchmod(struct state *s, char **args)
{
	return fchmod(*current(s), (mode_t)strtoul(args[0], NULL, 8));
}

static long long run_setxattr(struct state *s, char **args)
{
	(void)s;
	return setxattr(args[0], args[1], args[2], strlen(args[2]), 0);
}

static long long run_getxattr(struct state *s, char **args)
{
	(void)s;
	return show(read_buffer, getxattr(args[0], args[1], read_buffer, READ_MAX));
}

static long long run_flock(struct state *s, char **args)
{
	int operation = strstr(args[0], "sh") ? LOCK_SH : strstr(args[0], "ex") ? LOCK_EX : LOCK_UN;

	if (strstr(args[0], "nb"))
		operation |= LOCK_NB;
	return flock(*current(s), operation);
}

static int lock_type(const char *name)
{
	return strstr(name, "rd") ? F_RDLCK : strstr(name, "wr") ? F_WRLCK : F_UNLCK;
}

/* POSIX lock TYPE FIRST BYTES; rd, wr, un, and "wait" in the name to wait for it. */
static long long run_lock(struct state *s, char **args)
{
	struct flock lock = {.l_type = (short)lock_type(args[0]),
		.l_whence = SEEK_SET,
		.l_start = number(args[1]),
		.l_len = number(args[2])};
	return fcntl(*current(s), strstr(args[0], "wait") ? F_SETLKW : F_SETLK, &lock);
}

/* The same, of the open file instead of the process. */
static long long run_ofdlock(struct state *s, char **args)
{
	struct flock lock = {.l_type = (short)lock_type(args[0]),
		.l_whence = SEEK_SET,
		.l_start = number(args[1]),
		.l_len = number(args[2])};
	return fcntl(*current(s), strstr(args[0], "wait") ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
}

/* Who is in the way: -2 with "ok free", "ok rd PID" or "ok wr PID". */
static long long run_getlock(struct state *s, char **args)
{
	struct flock lock = {.l_type = (short)lock_type(args[0]),
		.l_whence = SEEK_SET,
		.l_start = number(args[1]),
		.l_len = number(args[2])};

	if (fcntl(*current(s), F_GETLK, &lock))
		return -1;
	if (lock.l_type == F_UNLCK)
		puts("ok free");
	else
		printf("ok %s %d\n", lock.l_type == F_RDLCK ? "rd" : "wr", (int)lock.l_pid);
	return -2;
}

/* Until FILE exists: how two of these programs take turns. */
static long long run_await(struct state *s, char **args)
{
	(void)s;
	for (int i = 0; i < 12000; i++) {
		if (!access(args[0], F_OK))
			return 0;
		usleep(5000);
	}
	errno = ETIMEDOUT;
	return -1;
}

static long long run_touch(struct state *s, char **args)
{
	(void)s;
	int fd = open(args[0], O_WRONLY | O_CREAT, 0644);
	return fd < 0 ? -1 : close(fd);
}

static const struct operation operations[] = {
	{"open", 2, run_open},
	{"thread-open", 2, run_thread_open},
	{"reopen", 1, run_reopen},
	{"use", 1, run_use},
	{"write", 1, run_write},
	{"dwrite", 1, run_dwrite},
	{"fill", 3, run_fill},
	{"pwrite", 2, run_pwrite},
	{"read", 1, run_read},
	{"pread", 2, run_pread},
	{"mmap", 2, run_mmap},
	{"seek", 2, run_seek},
	{"fsync", 0, run_fsync},
	{"fdatasync", 0, run_fdatasync},
	{"close", 0, run_close},
	{"dup", 1, run_dup},
	{"child", 1, run_child},
	{"size", 0, run_size},
	{"ftruncate", 1, run_ftruncate},
	{"fallocate", 2, run_fallocate},
	{"truncate", 2, run_truncate},
	{"unlink", 1, run_unlink},
	{"rename", 2, run_rename},
	{"exchange", 2, run_exchange},
	{"noreplace", 2, run_noreplace},
	{"link", 2, run_link},
	{"symlink", 2, run_symlink},
	{"mknod", 1, run_mknod},
	{"mkdir", 2, run_mkdir},
	{"rmdir", 1, run_rmdir},
	{"chmod", 2, run_chmod},
	{"fchmod", 1, run_fchmod},
	{"setxattr", 3, run_setxattr},
	{"getxattr", 2, run_getxattr},
	{"flock", 1, run_flock},
	{"lock", 3, run_lock},
	{"ofdlock", 3, run_ofdlock},
	{"getlock", 3, run_getlock},
	{"await", 1, run_await},
	{"touch", 1, run_touch},
};

static const struct operation *find(const char *name)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (!strcmp(operations[i].name, name))
			return &operations[i];
	return NULL;
}

static void run_and_print(struct state *s, const struct operation *operation, char **args)
{
	errno = 0;
	long long result = operation->run(s, args);
	if (result == -1)
		puts(strerrorname_np(errno));
	else if (result != -2)
		printf("ok %lld\n", result);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct state s = {.slot = 0};

	memset(s.fds, -1, sizeof(s.fds));
	for (int i = 1; i < argc; i++) {
		const struct operation *operation = find(argv[i]);
		if (!operation || i + operation->args >= argc) {
			fprintf(stderr, "sys: %s: no such operation, or too few arguments\n",
				argv[i]);
			return 2;
		}
		run_and_print(&s, operation, &argv[i + 1]);
		i += operation->args + 1;
		if (i < argc && strcmp(argv[i], ",") != 0) {
			fprintf(stderr, "sys: a comma is missing before %s\n", argv[i]);
			return 2;
		}
	}
	return 0;
}
