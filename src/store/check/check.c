/* SPDX-License-Identifier: MIT */
/*
 * The check of a store as a whole. It goes by the files alone: no stream is opened and nothing is
 * recovered, so that it finds and reports what recovery would repair or stumble over.
 */
#include "check_stream.h"
#include "checker.h"
#include "cleanup.h"
#include "diag.h"
#include "file_names.h"
#include "remove_tree.h"
#include "segment.h"
#include "store_directory.h"
#include "store_document.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* ---- how much there is to do ---- */

enum { DEPTH_MAX = 4 }; /* streams/NAME/blobs/ab/FILE */

static int count_bytes(struct checker *checker, int dir, const char *path, int depth)
{
	struct file_names names;
	int r = file_names_read(checker_disk(checker), dir, path, &names);
	if (r < 0)
		return r == -ENOMEM ? r : 0; /* the walk itself reports it */
	_cleanup_close_ int fd = -1;
	if (disk_open(checker_disk(checker), dir, path, O_RDONLY | O_DIRECTORY, &fd) < 0)
		vector_clear(&names.list);
	for (size_t i = 0; r == 0 && i < names.list.count; i++) {
		struct stat st;
		if (fstatat(fd, names.list.items[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			r = count_bytes(checker, fd, names.list.items[i], depth + 1);
		else if (S_ISREG(st.st_mode) && file_name_ends(names.list.items[i], SEGMENT_SUFFIX))
			checker->total_bytes += (uint64_t)st.st_size;
	}
	file_names_fini(&names);
	return r;
}

static int count_all(struct checker *checker)
{
	const struct sfs_store *store = checker->store;
	if (!checker->options->progress)
		return 0;
	int r = count_bytes(checker, store->env.streams_dir, ".", 0);
	if (r == 0 && store->blob_dir >= 0 && checker->has_document)
		r = count_bytes(checker, store->blob_dir, store->uuid, 1);
	if (r == 0)
		checker->options->progress(checker->options->context, 0, checker->total_bytes);
	return r;
}

/* ---- opening ---- */

/* A document that looks damaged may be of a format whose checksum this program does not know. */
static int check_format(struct checker *checker, struct sfs_diag *diag)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	enum { FILE_MAX = 16 << 20 };
	if (disk_slurp(checker_disk(checker), checker->store->dir, STORE_DOCUMENT, FILE_MAX, &text,
		    &bytes) < 0)
		return 0;
	json_t *document = json_loadb(text, bytes, 0, NULL);
	json_t *format = json_object_get(document, "format");
	bool other = json_is_integer(format) && json_integer_value(format) != FORMAT_VERSION;
	if (other)
		diag_set(diag, "%s: format version %lld; this program knows version %d",
			checker->store->path, (long long)json_integer_value(format),
			FORMAT_VERSION);
	json_decref(document);
	return other ? -EPROTONOSUPPORT : 0;
}

static int check_document(struct checker *checker, struct sfs_diag *diag)
{
	struct sfs_diag reason = {.text = ""};
	int r = store_document_load(checker->store, &reason);
	checker->has_document = r == 0;
	if (r == 0)
		return 0;
	if (r == -EPROTONOSUPPORT)
		*diag = reason;
	if (r == -ENOMEM || r == -EPROTONOSUPPORT)
		return r;
	r = check_format(checker, diag);
	if (r == 0)
		checker_finding(checker, false, "%s",
			*reason.text ? reason.text : STORE_DOCUMENT ": cannot be read");
	return r;
}

static int open_blob_dir(struct checker *checker, struct sfs_diag *diag)
{
	const char *path = checker->options->blob_dir;
	if (!path)
		return 0;
	checker->store->blob_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (checker->store->blob_dir >= 0)
		return 0;
	int r = -errno;
	diag_set(diag, "%s: %s", path, strerror(-r));
	return r;
}

static int open_store(struct checker *checker, struct sfs_diag *diag)
{
	struct sfs_store *store = checker->store;
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
	return r < 0 ? r : open_blob_dir(checker, diag);
}

/* ---- walking ---- */

/* The directory of a stream whose making or removal was cut short. */
static void check_half_made(struct checker *checker, const char *name)
{
	struct sfs_store *store = checker->store;
	int r = -EROFS;
	if (checker->options->repair) {
		r = disk_unlink(&store->env.disk, store->env.streams_dir, name);
		if (r == -EISDIR || r == -EPERM)
			r = remove_tree(checker_disk(checker), checker_streams(checker), name);
	}
	checker_finding(checker, r == 0,
		"streams/%s: left behind by the making or removal of a stream", name);
}

static int check_streams(struct checker *checker)
{
	struct sfs_store *store = checker->store;
	struct file_names names;
	int r = disk_open(&store->env.disk, store->dir, "streams", O_RDONLY | O_DIRECTORY,
		&store->env.streams_dir);
	if (r == 0)
		r = count_all(checker);
	if (r == 0)
		r = file_names_read(checker_disk(checker), store->env.streams_dir, ".", &names);
	if (r == -ENOENT) {
		checker_finding(checker, false, "streams: missing");
		return 0;
	}
	if (r < 0)
		return checker_trouble(checker, "streams", r);
	for (size_t i = 0; r == 0 && i < names.list.count; i++) {
		const char *name = names.list.items[i];
		if (sfs_stream_name_valid(name))
			r = check_stream(checker, name);
		else if (name[0] == '.' && file_name_is_temporary(name))
			check_half_made(checker, name);
		else
			checker_note(
				checker, "streams/%s: not a stream's name; not looked at", name);
	}
	file_names_fini(&names);
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

/*
 * A document that was written by half. It goes beside a good one; beside a bad one it may be all
 * that is left.
 */
static void check_leftover(struct checker *checker, const char *name)
{
	bool removed = checker->options->repair && checker->has_document &&
		       disk_unlink(checker_disk(checker), checker->store->dir, name) == 0;
	checker_finding(checker, removed, "%s: left behind by a write that was cut short", name);
}

static int check_top(struct checker *checker)
{
	struct file_names names;
	int r = file_names_read(checker_disk(checker), checker->store->dir, ".", &names);
	if (r < 0)
		return checker_trouble(checker, checker->store->path, r);
	for (size_t i = 0; i < names.list.count; i++) {
		if (!strcmp(names.list.items[i], STORE_DOCUMENT DISK_TMP_SUFFIX))
			check_leftover(checker, names.list.items[i]);
		else if (!is_known(names.list.items[i]))
			checker_note(checker, "%s: not a file of the store", names.list.items[i]);
	}
	file_names_fini(&names);
	return 0;
}

static int run(struct checker *checker, struct sfs_diag *diag)
{
	int r = open_store(checker, diag);
	if (r == 0)
		r = check_document(checker, diag);
	if (r == 0)
		r = check_top(checker);
	if (r == 0)
		r = check_streams(checker);
	if (r == 0)
		check_stream_ids(checker);
	if (r == 0 && checker->options->progress)
		checker->options->progress(
			checker->options->context, checker->total_bytes, checker->total_bytes);
	return r;
}

int sfs_store_check(const char *path, const struct sfs_check_options *options,
	struct sfs_diag *diag, struct sfs_check_summary *ret_summary)
{
	const struct sfs_store_options how = {.read_only = !options->repair};
	struct checker checker = {.options = options, .store = store_new(path, &how)};
	if (!checker.store)
		return -ENOMEM;
	struct sfs_diag scratch, *d = diag ? diag : &scratch;
	d->text[0] = 0;
	int r = run(&checker, d);
	if (r < 0 && !d->text[0])
		diag_set(d, "%s: %s", path, strerror(-r));
	vector_fini(&checker.stream_ids);
	store_free(checker.store);
	if (r == 0)
		*ret_summary = checker.summary;
	return r;
}
