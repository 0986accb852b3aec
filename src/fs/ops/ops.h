/* SPDX-License-Identifier: MIT */
/* The FUSE operations, as libfuse calls them. Each answers its request exactly once. */
#ifndef FS_OPS_H
#define FS_OPS_H

#include "fs.h"

/* ops_lookup.c: names */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t nodeid, uint64_t lookups);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);

/* ops_attr.c */
void op_getattr(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t nodeid, struct stat *attr, int to_set,
	struct fuse_file_info *fi);

/* ops_statfs.c */
void op_statfs(fuse_req_t req, fuse_ino_t nodeid);

/* ops_dir.c: directories and what changes them */
void op_opendir(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi);
void op_readdir(
	fuse_req_t req, fuse_ino_t nodeid, size_t bytes, off_t offset, struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t nodeid, int datasync, struct fuse_file_info *fi);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
	const char *to, unsigned flags);
void op_link(fuse_req_t req, fuse_ino_t nodeid, fuse_ino_t to_parent, const char *to);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);

/* ops_open.c */
void op_open(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	struct fuse_file_info *fi);

/* ops_close.c: each close(2) of a descriptor, and the last one */
void op_flush(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi);
/*
 * Closes a handle as op_release() does, where no request asks for it. With `discard`, what it has
 * uploaded is not committed.
 */
void close_handle(struct fs *fs, struct handle *handle, bool discard);

/* ops_read.c */
void op_read(
	fuse_req_t req, fuse_ino_t nodeid, size_t bytes, off_t offset, struct fuse_file_info *fi);
void op_lseek(
	fuse_req_t req, fuse_ino_t nodeid, off_t offset, int whence, struct fuse_file_info *fi);
void op_poll(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi,
	struct fuse_pollhandle *pollhandle);

/* ops_write.c */
void op_write(fuse_req_t req, fuse_ino_t nodeid, const char *data, size_t bytes, off_t offset,
	struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t nodeid, int datasync, struct fuse_file_info *fi);

/* ops_lock.c: advisory locks */
void op_getlk(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi, struct flock *lock);
void op_setlk(
	fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi, struct flock *lock, int wait);
void op_flock(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi, int operation);

/* ops_xattr.c */
void op_getxattr(fuse_req_t req, fuse_ino_t nodeid, const char *name, size_t bytes);
void op_listxattr(fuse_req_t req, fuse_ino_t nodeid, size_t bytes);
void op_setxattr(fuse_req_t req, fuse_ino_t nodeid, const char *name, const char *value,
	size_t bytes, int flags);
void op_removexattr(fuse_req_t req, fuse_ino_t nodeid, const char *name);

#endif
