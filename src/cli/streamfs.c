/* SPDX-License-Identifier: MIT */
/*
 * streamfs STORE MOUNTPOINT: refuses what it can while the caller's terminal is there, then opens
 * the store and serves it until the unmount.
 */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "streamfs/store.h"

#include "cleanup.h"
#include "clock.h"
#include "daemon.h"
#include "log.h"
#include "mounts.h"
#include "options.h"
#include "process.h"
#include "session.h"
#include "trace.h"

enum { CLOSING_MS = 10000 };

struct paths {
	char *store, *mountpoint, *blob_dir;
};

struct state {
	bool background;
	bool answered; /* the mount was usable */
	int ready_fd;
};

static const char usage[] =
	"usage: streamfs STORE MOUNTPOINT [-o opt,...] [-f] [-d] [-h] [-V]\n"
	"\n"
	"Shows the streams in the directory STORE as a filesystem at MOUNTPOINT.\n"
	"A missing or empty STORE becomes a new store.\n"
	"\n"
	"  -o ro            read only\n"
	"  -o blobs=DIR     keep the payloads of large records in DIR\n"
	"  -o trace=AREAS   log what happens inside, by area: append+sync; see streamfs(1)\n"
	"  -o allow_other   let other users in, as far as the permissions allow\n"
	"  -f               stay in the foreground and log to standard error\n"
	"  -d               like -f, and log every FUSE request\n"
	"  -h, --help       print this text\n"
	"  -V, --version    print the versions of streamfs and libfuse\n"
	"\n"
	"To unmount: umount or fusermount3 -u. Exit status: 0 the mount is usable (with -f: it\n"
	"was unmounted), 1 wrong usage, 2 system error, 32 the mount failed.\n";

__attribute__((format(printf, 2, 3))) static int fail(int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("streamfs: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return code;
}

static void paths_fini(struct paths *p)
{
	free(p->store);
	free(p->mountpoint);
	free(p->blob_dir);
}

static int check_mountpoint(const char *given, char **ret_path)
{
	struct stat st;
	_cleanup_free_ char *path = NULL;
	int r = stat(given, &st) < 0 ? -errno : 0;
	if (r == -ENOTCONN)
		return fail(EXIT_MOUNT, "%s: its daemon is gone; unmount it first: umount %s",
			given, given);
	if (r == 0 && !S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	if (r == 0)
		r = path_absolute(given, &path);
	if (r < 0)
		return fail(EXIT_MOUNT, "mountpoint %s: %s", given, strerror(-r));
	if (mounts_streamfs_at(path))
		return fail(EXIT_MOUNT, "%s: streamfs is mounted here already", path);
	*ret_path = path;
	path = NULL;
	return 0;
}

static int check_apart(const char *what, const char *dir, const char *mountpoint)
{
	if (path_is_within(dir, mountpoint))
		return fail(EXIT_MOUNT, "%s %s lies inside the mountpoint", what, dir);
	if (path_is_within(mountpoint, dir))
		return fail(EXIT_MOUNT, "mountpoint %s lies inside the %s", mountpoint, what);
	return 0;
}

/* Resolves the paths before the current directory changes. 0 or an exit code. */
static int find_paths(const struct cli_options *options, struct paths *p)
{
	int code = check_mountpoint(options->mountpoint, &p->mountpoint);
	if (code)
		return code;
	int r = path_absolute(options->store, &p->store);
	if (r < 0)
		return fail(EXIT_MOUNT, "store %s: %s", options->store, strerror(-r));
	code = check_apart("store", p->store, p->mountpoint);
	if (code || !options->blob_dir)
		return code;
	r = path_absolute(options->blob_dir, &p->blob_dir);
	if (r < 0)
		return fail(EXIT_MOUNT, "blobs=%s: %s", options->blob_dir, strerror(-r));
	return check_apart("blob directory", p->blob_dir, p->mountpoint);
}

static void report(void *context, enum sfs_severity severity, const char *line)
{
	static const enum log_level levels[] = {
		[SFS_INFO] = LOG_LEVEL_INFO,
		[SFS_WARNING] = LOG_LEVEL_WARNING,
		[SFS_ERROR] = LOG_LEVEL_ERROR,
	};
	(void)context;
	log_line(levels[severity], "%s", line);
}

/* A message of libfuse, without the newline at its end. */
static void log_fuse(enum fuse_log_level level, const char *format, va_list args)
{
	char text[512];
	vsnprintf(text, sizeof text, format, args);
	text[strcspn(text, "\n")] = '\0';
	log_line(level <= FUSE_LOG_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "%s", text);
}

/* In the background, too, the terminal shows why a start failed. */
static void log_fuse_twice(enum fuse_log_level level, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	fputs("streamfs: ", stderr);
	vfprintf(stderr, format, again);
	va_end(again);
	log_fuse(level, format, args);
}

static void ready(void *context)
{
	struct state *state = context;
	state->answered = true;
	if (state->background)
		daemon_ready(state->ready_fd);
}

static int fuse_arguments(
	const struct cli_options *options, const char *store, struct fuse_args *args)
{
	_cleanup_free_ char *list = NULL;
	_cleanup_free_ char *source = NULL;
	if (asprintf(&source, "fsname=%s", store) < 0)
		return -ENOMEM;
	if (fuse_opt_add_opt(&list, "default_permissions,subtype=streamfs") < 0 ||
		fuse_opt_add_opt_escaped(&list, source) < 0 ||
		(options->read_only && fuse_opt_add_opt(&list, "ro") < 0) ||
		(options->kernel && fuse_opt_add_opt(&list, options->kernel) < 0))
		return -ENOMEM;
	if (fuse_opt_add_arg(args, "streamfs") < 0 || fuse_opt_add_arg(args, "-o") < 0 ||
		fuse_opt_add_arg(args, list) < 0)
		return -ENOMEM;
	return 0;
}

/* Mounts and serves an open store; 0 or an exit code. */
static int serve(struct sfs_store *store, const struct cli_options *options,
	const struct paths *paths, struct state *state)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r = fuse_arguments(options, paths->store, &args);
	if (r == 0) {
		struct fs_options fs = {
			.mountpoint = paths->mountpoint,
			.read_only = options->read_only,
			.foreground = options->foreground,
			.debug = options->debug,
			.args = &args,
			.ready = ready,
			.ready_context = state,
		};
		r = fs_serve(store, &fs);
	}
	fuse_opt_free_args(&args);
	if (r == 0)
		return EXIT_SUCCESS;
	if (r == -FS_EMOUNT) /* libfuse has logged the reason */
		return fail(EXIT_MOUNT, "cannot mount on %s", paths->mountpoint);
	if (!state->answered)
		return fail(EXIT_MOUNT, "cannot mount on %s: %s", paths->mountpoint, strerror(-r));
	log_error("serving %s: %s", paths->mountpoint, strerror(-r));
	return EXIT_SYSTEM;
}

/*
 * After an unmount the daemon runs on for a moment, to sync. So a store in use is tried again for a
 * while: "umount, mount" must work. A store that is still mounted is refused at once.
 */
static int open_store(const char *path, const struct sfs_store_options *options,
	struct sfs_diag *diag, struct sfs_store **ret_store)
{
	uint64_t deadline_ns = clock_monotonic_ns() + CLOSING_MS * 1000000ull;
	int r;
	while ((r = sfs_store_open(path, options, diag, ret_store)) == -EBUSY) {
		_cleanup_free_ char *mountpoint = mounts_of_store(path);
		if (mountpoint)
			snprintf(diag->text, sizeof diag->text, "%s: mounted already, at %s", path,
				mountpoint);
		if (mountpoint || clock_monotonic_ns() > deadline_ns)
			break;
		usleep(20000);
	}
	return r;
}

static int run(const struct cli_options *options, const struct paths *paths, struct state *state)
{
	struct sfs_store *store = NULL;
	struct sfs_diag diag = {.text = ""};
	struct sfs_store_options store_options = {
		.read_only = options->read_only,
		.blob_dir = paths->blob_dir,
		.report = report,
	};
	int r = open_store(paths->store, &store_options, &diag, &store);
	if (r < 0)
		return fail(EXIT_MOUNT, "%s%s", *diag.text ? diag.text : strerror(-r),
			r == -EROFS ? "; with -o ro a store can be read there" : "");
	int code = serve(store, options, paths, state);
	r = sfs_store_close(store);
	if (r < 0) {
		log_error(
			"%s: not everything could be made durable: %s", paths->store, strerror(-r));
		return EXIT_SYSTEM;
	}
	return code;
}

/* The paths are checked. Goes to the background, unless -f keeps it here. */
static int start(const struct cli_options *options, const struct paths *paths)
{
	struct state state = {.background = !options->foreground, .ready_fd = -1};
	if (state.background) {
		int r = daemon_fork(&state.ready_fd);
		if (r < 0)
			return fail(EXIT_SYSTEM, "cannot go to the background: %s", strerror(-r));
		log_to_syslog("streamfs");
	}
	if (!options->debug)
		fuse_set_log_func(state.background ? log_fuse_twice : log_fuse);
	return run(options, paths, &state);
}

static int print_version(void)
{
	printf("streamfs %s (libfuse %s)\n", STREAMFS_VERSION, fuse_pkgversion());
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	_cleanup_(options_fini) struct cli_options options = {0};
	_cleanup_(paths_fini) struct paths paths = {0};
	if (process_prepare("streamfs") < 0)
		return EXIT_USAGE;
	int r = options_parse(&options, argc, argv);
	if (r < 0)
		return r == -ENOMEM ? fail(EXIT_SYSTEM, "out of memory") : EXIT_USAGE;
	if (options.version)
		return print_version();
	if (options.help)
		return fputs(usage, stdout) < 0 ? EXIT_SYSTEM : EXIT_SUCCESS;
	if (options.trace && trace_set(options.trace) < 0)
		return fail(EXIT_USAGE, "-o trace=%s: unknown area; there are %s", options.trace,
			trace_area_list);
	int code = find_paths(&options, &paths);
	if (code || options.fake)
		return code;
	return start(&options, &paths);
}
