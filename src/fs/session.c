/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <string.h>

#include "committer.h"
#include "feed_read.h"
#include "locks.h"
#include "log.h"
#include "notifier.h"
#include "ops.h"
#include "stopper.h"
#include "trace.h"
#include "trim_watch.h"
#include "upload.h"

enum {
	MAX_WRITE_BYTES = 1024 * 1024,
	MAX_THREADS = 32,
	MAX_IDLE_THREADS = 8,
};

/*
 * The kernel keeps its pages as appends come (EXPLICIT_INVAL_DATA); the notifier drops those that
 * must go. No write may linger in the kernel (WRITEBACK_CACHE). A truncation must be a request of
 * its own (ATOMIC_O_TRUNC). READDIRPLUS would count lookups that no program asked for.
 */
static void choose_capabilities(struct fuse_conn_info *conn)
{
	const unsigned unwanted = FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_WRITE |
				  FUSE_CAP_SPLICE_MOVE | FUSE_CAP_SPLICE_READ |
				  FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_READDIRPLUS |
				  FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ATOMIC_O_TRUNC;
	const unsigned wanted = FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_FLOCK_LOCKS |
				FUSE_CAP_POSIX_LOCKS | FUSE_CAP_PARALLEL_DIROPS |
				FUSE_CAP_ASYNC_READ;
	conn->want &= ~unwanted;
	conn->want |= wanted & conn->capable;
	conn->max_write = MAX_WRITE_BYTES;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;
	choose_capabilities(conn);
	TRACE(request, "init: protocol %u.%u, capabilities %#x of %#x", conn->proto_major,
		conn->proto_minor, conn->want, conn->capable);
	if (fs->options->ready)
		fs->options->ready(fs->options->ready_context);
}

static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.statfs = op_statfs,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.mkdir = op_mkdir,
	.rmdir = op_rmdir,
	.unlink = op_unlink,
	.rename = op_rename,
	.link = op_link,
	.symlink = op_symlink,
	.mknod = op_mknod,
	.create = op_create,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.fsync = op_fsync,
	.release = op_release,
	.lseek = op_lseek,
	.poll = op_poll,
	.getlk = op_getlk,
	.setlk = op_setlk,
	.flock = op_flock,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.setxattr = op_setxattr,
	.removexattr = op_removexattr,
};

static int fs_init(struct fs *fs, struct sfs_store *store, const struct fs_options *options)
{
	*fs = (struct fs){.options = options};
	int r = tree_init(&fs->tree, store);
	lock_waits_init(&fs->lock_waits);
	feeds_init(&fs->feeds);
	sync_replies_init(&fs->sync_replies);
	fs->locks = lock_table_new();
	fs->committer = committer_new();
	return r == 0 && fs->locks && fs->committer ? 0 : -ENOMEM;
}

static void fs_fini(struct fs *fs)
{
	committer_free(fs->committer);
	lock_table_free(fs->locks);
	sync_replies_fini(&fs->sync_replies);
	feeds_fini(&fs->feeds);
	lock_waits_fini(&fs->lock_waits);
	tree_fini(&fs->tree);
}

static int loop(struct fuse_session *session)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(config, MAX_THREADS);
	fuse_loop_cfg_set_idle_threads(config, MAX_IDLE_THREADS);
	int r = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	return r;
}

/* Everything that a request left with another thread gets its answer. */
static void answer_parked(struct fs *fs)
{
	lock_waits_cancel(&fs->lock_waits, fs->locks);
	committer_free(fs->committer);
	fs->committer = NULL;
	feed_read_end_all(&fs->feeds);
	trim_watch_stop(fs);
	sync_replies_wait(&fs->sync_replies);
}

/* Its end came: a descriptor of it was closed, and nothing was written since. */
static bool is_complete(const struct upload_handle *upload)
{
	return upload->flushed && !upload->unflushed;
}

/*
 * What is still open. An unmount waits for the last close(2), but not for the RELEASE that reports
 * it, so uploads are complete then; a signal, or a connection that is broken off, can come at any
 * moment of an upload.
 */
static void close_all(struct fs *fs, bool unmounted)
{
	struct handle *handle;
	unsigned left = 0;
	while ((handle = handle_first(&fs->tree.handles))) {
		bool discard = handle->kind == HANDLE_UPLOAD &&
			       !(unmounted && is_complete(&handle->upload));
		left += discard && upload_wants_commit(handle->upload.upload);
		close_handle(fs, handle, discard);
	}
	left += drop_discard_all(&fs->tree.drop);
	if (left)
		log_warning(
			"%u files in drop directories were not complete and are discarded", left);
}

static int serve(struct fs *fs, struct stopper *stopper)
{
	int r = feeds_start(&fs->feeds);
	if (r == 0)
		r = notifier_start(fs->session, &fs->notifier);
	if (r == 0) {
		trim_watch_start(fs);
		r = stopper_start(stopper, fs->session, fs->notifier);
		if (r == 0) {
			r = loop(fs->session);
			stopper_end(stopper);
		} else {
			notifier_stop(fs->notifier);
		}
		answer_parked(fs);
	}
	fuse_session_unmount(fs->session);
	close_all(fs, r == 0 && !stopper->signalled);
	feeds_stop(&fs->feeds);
	notifier_free(fs->notifier);
	return r < 0 ? r : 0;
}

/* Signals are caught from before the mount to after it: none may leave a mount without a daemon. */
static int mount_and_serve(struct fs *fs)
{
	struct stopper stopper;
	int r = stopper_catch(&stopper);
	if (r < 0)
		return r;
	r = -FS_EMOUNT;
	if (fuse_session_mount(fs->session, fs->options->mountpoint) == 0)
		r = serve(fs, &stopper);
	stopper_release(&stopper);
	return r;
}

int fs_serve(struct sfs_store *store, const struct fs_options *options)
{
	struct fs fs;
	int r = fs_init(&fs, store, options);
	if (r == 0 && options->debug && fuse_opt_add_arg(options->args, "-d") != 0)
		r = -ENOMEM;
	if (r == 0) {
		fs.session = fuse_session_new(options->args, &operations, sizeof(operations), &fs);
		r = fs.session ? mount_and_serve(&fs) : -EINVAL;
	}
	if (fs.session)
		fuse_session_destroy(fs.session);
	fs_fini(&fs);
	return r;
}
