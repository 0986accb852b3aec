/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/file.h>

#include "locks.h"
#include "ops.h"
#include "reply.h"

static void on_interrupt(fuse_req_t req, void *context)
{
	struct fs *fs = fs_of(req);
	struct lock_wait *wait = context;
	if (!lock_wait_interrupt(wait, req))
		return;
	lock_cancel(fs->locks, wait, -EINTR);
	lock_wait_put(wait, 1);
}

static void on_granted(void *context, int result)
{
	struct lock_wait *wait = context;
	fuse_req_t req = wait->req;
	lock_wait_put(wait, 1);
	reply_result(req, result);
}

/* The interrupt handler comes first: an interrupt is reported only once. */
static void lock_parked(fuse_req_t req, uint64_t ino, enum lock_kind kind, uint64_t owner,
	const struct lock_range *range)
{
	struct fs *fs = fs_of(req);
	struct lock_wait *wait = lock_wait_take(&fs->lock_waits, req);
	if (!wait) {
		fuse_reply_err(req, ENOLCK);
		return;
	}
	fuse_req_interrupt_func(req, on_interrupt, wait);
	int r = lock_set(fs->locks, ino, kind, owner, range, true, on_granted, wait);
	if (r != -EINPROGRESS) {
		lock_wait_put(wait, 2);
		reply_result(req, r);
		return;
	}
	if (lock_wait_interrupted(wait))
		lock_cancel(fs->locks, wait, -EINTR);
	lock_wait_put(wait, 1);
}

static void lock_now(fuse_req_t req, uint64_t ino, enum lock_kind kind, uint64_t owner,
	const struct lock_range *range)
{
	int r = lock_set(fs_of(req)->locks, ino, kind, owner, range, false, NULL, NULL);
	reply_result(req, r);
}

static struct lock_range range_of(const struct flock *lock)
{
	uint64_t first = (uint64_t)lock->l_start;
	return (struct lock_range){
		.first = first,
		.last = lock->l_len ? first + (uint64_t)lock->l_len - 1 : INT64_MAX,
		.type = lock->l_type,
		.pid = (uint32_t)lock->l_pid,
	};
}

void op_getlk(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi, struct flock *lock)
{
	TRACE_REQUEST(req, nodeid);
	struct fs *fs = fs_of(req);
	struct lock_range range = range_of(lock), found;
	lock_get(fs->locks, fs_node(fs, nodeid)->id.ino, fi->lock_owner, &range, &found);
	lock->l_type = (short)found.type;
	if (found.type != F_UNLCK) {
		lock->l_whence = SEEK_SET;
		lock->l_start = (off_t)found.first;
		lock->l_len = found.last >= INT64_MAX ? 0 : (off_t)(found.last - found.first + 1);
		lock->l_pid = (pid_t)found.pid;
	}
	fuse_reply_lock(req, lock);
}

void op_setlk(
	fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi, struct flock *lock, int wait)
{
	TRACE_REQUEST(req, nodeid);
	struct fs *fs = fs_of(req);
	struct lock_range range = range_of(lock);
	uint64_t ino = fs_node(fs, nodeid)->id.ino;
	if (range.type != F_UNLCK && handle_note_lock_owner(fs_handle(fi), fi->lock_owner) < 0) {
		fuse_reply_err(req, ENOLCK);
		return;
	}
	if (wait && range.type != F_UNLCK)
		lock_parked(req, ino, LOCK_POSIX, fi->lock_owner, &range);
	else
		lock_now(req, ino, LOCK_POSIX, fi->lock_owner, &range);
}

static int type_of(int operation)
{
	switch (operation & ~LOCK_NB) {
	case LOCK_SH:
		return F_RDLCK;
	case LOCK_EX:
		return F_WRLCK;
	default:
		return F_UNLCK;
	}
}

void op_flock(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi, int operation)
{
	TRACE_REQUEST(req, nodeid);
	struct fs *fs = fs_of(req);
	struct lock_range range = {.last = INT64_MAX, .type = type_of(operation)};
	uint64_t ino = fs_node(fs, nodeid)->id.ino;
	if (!(operation & LOCK_NB) && range.type != F_UNLCK)
		lock_parked(req, ino, LOCK_FLOCK, fi->lock_owner, &range);
	else
		lock_now(req, ino, LOCK_FLOCK, fi->lock_owner, &range);
}
