/* SPDX-License-Identifier: MIT */
/*
 * The mount: a store shown as a filesystem until it is unmounted or the program is signalled.
 */
#ifndef FS_SESSION_H
#define FS_SESSION_H

#include <errno.h>
#include <stdbool.h>

struct fuse_args;
struct sfs_store;

enum { FS_EMOUNT = ECONNREFUSED }; /* fs_serve() returns -FS_EMOUNT where mounting failed */

struct fs_options {
	const char *mountpoint;
	bool read_only;
	bool foreground;
	bool debug;
	struct fuse_args *args; /* program name and libfuse's -o options; borrowed, may grow */
	void (*ready)(void *context); /* called once, when the mount answers; may be NULL */
	void *ready_context;
};

/*
 * Mounts and serves. SIGINT, SIGTERM and SIGHUP end it as an unmount does. When it returns,
 * whatever was open for writing is closed, and unfinished lines have become records. The store
 * stays the caller's. Returns 0, -FS_EMOUNT (libfuse has printed why) or another negative errno.
 */
int fs_serve(struct sfs_store *store, const struct fs_options *options);

#endif
