/* SPDX-License-Identifier: MIT */
/*
 * The check of a store as a whole. It goes by the files alone: no stream is opened and nothing is
 * recovered, so that what recovery would stumble over is found and named.
 */
#include "checker.h"

#include "cleanup.h"
#include "diag.h"
#include "remove_tree.h"
#include "store_directory.h"
#include "store_document.h"
#include "store.h"
#include "stream.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>

enum { LINE_BYTES = 1024, PROGRESS_STEP_BYTES = 1 << 20 };

/* Names come from the disk and lines go to a terminal. */
static void tell(
	struct check *check, bool repaired, const char *prefix, const char *format, va_list args)
{
	char line[LINE_BYTES];
	int n = snprintf(line, sizeof line, "%s", prefix);
	vsnprintf(line + n, sizeof line - (size_t)n, format, args);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	check->options->finding(check->options->context, line, repaired);
}

void check_finding(struct check *check, bool repaired, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(check, repaired, "", format, args);
	va_end(args);
	if (repaired)
		check->summary.repaired++;
	else
		check->summary.unrepaired++;
}

void check_note(struct check *check, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(check, false, "note: ", format, args);
	va_end(args);
}

int check_trouble(struct check *check, const char *path, int error)
{
	if (error == -ENOMEM)
		return error;
	check_finding(check, false, "%s: %s", path,
		error == -ELOOP	    ? "a link in place of a file or directory"
		: error == -EBADMSG ? "not a file"
		: error == -ENOTDIR ? "not a directory"
				    : strerror(-error));
	return 0;
}

void check_progress(struct check *check, uint64_t bytes)
{
	check->done_bytes += bytes;
	if (!check->options->progress ||
		check->done_bytes - check->told_bytes < PROGRESS_STEP_BYTES)
		return;
	check->told_bytes = check->done_bytes;
	check->options->progress(check->options->context,
		check->done_bytes < check->total_bytes ? check->done_bytes : check->total_bytes,
		check->total_bytes);
}

/* ---- names ---- */

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

void names_fini(struct names *names)
{
	free(names->list);
	buf_fini(&names->text);
	*names = (struct names){0};
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_entries(DIR *listing, struct names *names)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(listing);
		if (!entry)
			return -errno;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		int r = buf_append(&names->text, entry->d_name, strlen(entry->d_name) + 1);
		if (r < 0)
			return r;
		names->count++;
	}
}

static int sort_names(struct names *names)
{
	names->list = calloc(names->count ? names->count : 1, sizeof *names->list);
	if (!names->list)
		return -ENOMEM;
	char *p = (char *)names->text.data;
	for (size_t i = 0; i < names->count; i++, p += strlen(p) + 1)
		names->list[i] = p;
	qsort(names->list, names->count, sizeof *names->list, compare_names);
	return 0;
}

int names_read(struct check *check, int dir, const char *path, struct names *ret_names)
{
	int fd;
	int r = disk_open(&check->store->env.disk, dir, path, O_RDONLY | O_DIRECTORY, &fd);
	if (r < 0)
		return r;
	_cleanup_(cleanup_dir) DIR *listing = fdopendir(fd);
	if (!listing) {
		close(fd);
		return -ENOMEM;
	}
	struct names names = {0};
	r = read_entries(listing, &names);
	if (r == 0)
		r = sort_names(&names);
	if (r < 0)
		names_fini(&names);
	else
		*ret_names = names;
	return r;
}

bool name_ends(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);
	return n > m && !strcmp(name + n - m, suffix);
}

bool name_is_temporary(const char *name)
{
	return name_ends(name, DISK_TMP_SUFFIX);
}

/* ---- how much there is to do ---- */

enum { DEPTH_MAX = 4 }; /* streams/NAME/blobs/ab/FILE */

static int count_bytes(struct check *check, int dir, const char *path, int depth)
{
	struct names names;
	int r = names_read(check, dir, path, &names);
	if (r < 0)
		return r == -ENOMEM ? r : 0; /* whoever walks it for real tells */
	_cleanup_close_ int fd = -1;
	if (disk_open(&check->store->env.disk, dir, path, O_RDONLY | O_DIRECTORY, &fd) < 0)
		names.count = 0;
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		struct stat st;
		if (fstatat(fd, names.list[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			r = count_bytes(check, fd, names.list[i], depth + 1);
		else if (S_ISREG(st.st_mode) && name_ends(names.list[i], SEGMENT_SUFFIX))
			check->total_bytes += (uint64_t)st.st_size;
	}
	names_fini(&names);
	return r;
}

static int count_all(struct check *check)
{
	const struct sfs_store *store = check->store;
	if (!check->options->progress)
		return 0;
	int r = count_bytes(check, store->env.streams_dir, ".", 0);
	if (r == 0 && store->blob_dir >= 0 && check->has_document)
		r = count_bytes(check, store->blob_dir, store->uuid, 1);
	if (r == 0)
		check->options->progress(check->options->context, 0, check->total_bytes);
	return r;
}

/* ---- opening ---- */

/* A damaged document may be one of another format, whose checksum this program does not know. */
static int check_format(struct check *check, struct sfs_diag *diag)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	enum { FILE_MAX = 16 << 20 };
	if (disk_slurp(&check->store->env.disk, check->store->dir, STORE_DOCUMENT, FILE_MAX, &text,
		    &bytes) < 0)
		return 0;
	json_t *document = json_loadb(text, bytes, 0, NULL);
	json_t *format = json_object_get(document, "format");
	bool other = json_is_integer(format) && json_integer_value(format) != FORMAT_VERSION;
	if (other)
		diag_set(diag, "%s: format version %lld; this program knows version %d",
			check->store->path, (long long)json_integer_value(format), FORMAT_VERSION);
	json_decref(document);
	return other ? -EPROTONOSUPPORT : 0;
}

static int check_document(struct check *check, struct sfs_diag *diag)
{
	struct sfs_diag reason = {.text = ""};
	int r = store_document_load(check->store, &reason);
	check->has_document = r == 0;
	if (r == 0)
		return 0;
	if (r == -EPROTONOSUPPORT)
		*diag = reason;
	if (r == -ENOMEM || r == -EPROTONOSUPPORT)
		return r;
	r = check_format(check, diag);
	if (r == 0)
		check_finding(check, false, "%s",
			*reason.text ? reason.text : STORE_DOCUMENT ": cannot be read");
	return r;
}

static int open_blob_dir(struct check *check, struct sfs_diag *diag)
{
	const char *path = check->options->blob_dir;
	if (!path)
		return 0;
	check->store->blob_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (check->store->blob_dir >= 0)
		return 0;
	int r = -errno;
	diag_set(diag, "%s: %s", path, strerror(-r));
	return r;
}

static int open_store(struct check *check, struct sfs_diag *diag)
{
	struct sfs_store *store = check->store;
	store->dir = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir < 0) {
		int r = -errno;
		diag_set(diag, "%s: %s", store->path, strerror(-r));
		return r;
	}
	struct stat st;
	if (fstatat(store->dir, STORE_DOCUMENT, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int r = -errno;
		diag_set(diag, "%s: %s", store->path, r == -ENOENT ? "not a store" : strerror(-r));
		return r;
	}
	int r = store_directory_lock(store, diag);
	return r < 0 ? r : open_blob_dir(check, diag);
}

/* ---- walking ---- */

/* A directory that carries the name of a stream in the making, or of one that is being removed. */
static void check_half_made(struct check *check, const char *name)
{
	struct sfs_store *store = check->store;
	int r = -EROFS;
	if (check->options->repair) {
		r = disk_unlink(&store->env.disk, store->env.streams_dir, name);
		if (r == -EISDIR || r == -EPERM)
			r = remove_tree(&store->env.disk, store->env.streams_dir, name);
	}
	check_finding(check, r == 0, "streams/%s: left behind by the making or removal of a stream",
		name);
}

static int check_streams(struct check *check)
{
	struct sfs_store *store = check->store;
	struct names names;
	int r = disk_open(&store->env.disk, store->dir, "streams", O_RDONLY | O_DIRECTORY,
		&store->env.streams_dir);
	if (r == 0)
		r = count_all(check);
	if (r == 0)
		r = names_read(check, store->env.streams_dir, ".", &names);
	if (r == -ENOENT) {
		check_finding(check, false, "streams: missing");
		return 0;
	}
	if (r < 0)
		return check_trouble(check, "streams", r);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		const char *name = names.list[i];
		if (sfs_stream_name_valid(name))
			r = check_stream(check, name);
		else if (name[0] == '.' && name_is_temporary(name))
			check_half_made(check, name);
		else
			check_note(check, "streams/%s: not a stream's name; not looked at", name);
	}
	names_fini(&names);
	return r;
}

static bool is_known(const char *name)
{
	static const char *const known[] = {STORE_DOCUMENT, "lock", "streams", "lost+found"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(name, known[i]))
			return true;
	return false;
}

/* A half-written document is of no use beside a good one, and may be the last one beside a bad. */
static void check_leftover(struct check *check, const char *name)
{
	bool removed = check->options->repair && check->has_document &&
		       disk_unlink(&check->store->env.disk, check->store->dir, name) == 0;
	check_finding(check, removed, "%s: left behind by a write that was cut short", name);
}

static int check_top(struct check *check)
{
	struct names names;
	int r = names_read(check, check->store->dir, ".", &names);
	if (r < 0)
		return check_trouble(check, check->store->path, r);
	for (size_t i = 0; i < names.count; i++) {
		if (!strcmp(names.list[i], STORE_DOCUMENT DISK_TMP_SUFFIX))
			check_leftover(check, names.list[i]);
		else if (!is_known(names.list[i]))
			check_note(check, "%s: not a file of the store", names.list[i]);
	}
	names_fini(&names);
	return 0;
}

static int run(struct check *check, struct sfs_diag *diag)
{
	int r = open_store(check, diag);
	if (r == 0)
		r = check_document(check, diag);
	if (r == 0)
		r = check_top(check);
	if (r == 0)
		r = check_streams(check);
	if (r == 0)
		check_stream_ids(check);
	if (r == 0 && check->options->progress)
		check->options->progress(
			check->options->context, check->total_bytes, check->total_bytes);
	return r;
}

int sfs_store_check(const char *path, const struct sfs_check_options *options,
	struct sfs_diag *diag, struct sfs_check_summary *ret_summary)
{
	const struct sfs_store_options how = {.read_only = !options->repair};
	struct check check = {.options = options, .store = store_new(path, &how)};
	if (!check.store)
		return -ENOMEM;
	struct sfs_diag scratch, *d = diag ? diag : &scratch;
	d->text[0] = 0;
	int r = run(&check, d);
	if (r < 0 && !d->text[0])
		diag_set(d, "%s: %s", path, strerror(-r));
	buf_fini(&check.streams);
	store_free(check.store);
	if (r == 0)
		*ret_summary = check.summary;
	return r;
}
