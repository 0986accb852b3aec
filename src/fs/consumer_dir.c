/* SPDX-License-Identifier: MIT */
#include "consumer_dir.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caller.h"
#include "cleanup.h"
#include "fs.h"
#include "log.h"
#include "names.h"
#include "streamfs/consumer.h"

int consumer_make(
	struct fs *fs, struct node *dir, const char *name, pid_t tid, struct node_identity *ret_id)
{
	int r = sfs_consumer_create(dir->id.stream, name);
	if (r == 0)
		r = names_consumer(dir, name, ret_id);
	if (r == 0)
		intent_note(fs->intents, tid, ret_id->ino, INTENT_CREATE);
	return r;
}

/* rename(2) may replace an empty directory, which no consumer ever is. */
int consumer_rename(struct node *dir, const char *name, const char *to, bool noreplace)
{
	int r = sfs_consumer_rename(dir->id.stream, name, to);
	return r == -EEXIST && !noreplace ? -ENOTEMPTY : r;
}

int consumer_forget(struct node *dir, const char *name)
{
	uint32_t number;
	uint64_t offset;
	if (!names_parse_shard(name, &number))
		return -ENOENT;
	int r = sfs_consumer_get(dir->id.stream, dir->id.consumer, number, &offset);
	if (r == -EBADMSG)
		return 0; /* so that rm -r gets rid of a damaged one */
	if (r < 0 || !offset)
		return r;
	return sfs_consumer_set(dir->id.stream, dir->id.consumer, number, 0);
}

int consumer_create_file(
	struct fs *fs, struct node *dir, const char *name, pid_t tid, struct node_identity *ret_id)
{
	uint32_t number;
	if (!names_parse_shard(name, &number) || !sfs_stream_has_shard(dir->id.stream, number))
		return -EPERM;
	if (!sfs_consumer_exists(dir->id.stream, dir->id.consumer))
		return -ENOENT;
	int r = names_checkpoint(dir, number, ret_id);
	if (r == 0)
		intent_note(fs->intents, tid, ret_id->ino, INTENT_WRITE);
	return r;
}

/* For where /proc does not tell what the thread does. */
static bool is_cp(pid_t tid)
{
	char path[64], name[8] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)tid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, name, sizeof(name)) == 3 && memcmp(name, "cp\n", 3) == 0;
}

bool consumer_is_copied(struct fs *fs, const struct node *dir, uint32_t number, pid_t tid)
{
	uint64_t offset;
	if (tid == 0 || intent_get(fs->intents, tid, dir->id.ino) != INTENT_CREATE)
		return false;
	uint64_t ino = names_checkpoint_ino(dir->id.stream, dir->id.consumer, number);
	if (intent_get(fs->intents, tid, ino) == INTENT_WRITE ||
		!(caller_creates(tid) || is_cp(tid)))
		return false;
	return sfs_consumer_get(dir->id.stream, dir->id.consumer, number, &offset) == 0 && !offset;
}

int consumer_render(const struct node *node, char **ret_text, size_t *ret_bytes)
{
	uint64_t offset;
	int r = sfs_consumer_get(node->id.stream, node->id.consumer, node->id.number, &offset);
	if (r < 0)
		return r;
	int n = asprintf(ret_text, "%" PRIu64 "\n", offset);
	if (n < 0)
		return -ENOMEM;
	*ret_bytes = (size_t)n;
	return 0;
}

/* One decimal number, with white space around it or not. */
static int parse_offset(const char *text, size_t bytes, uint64_t *ret_offset)
{
	uint64_t offset = 0;
	while (bytes && isspace((unsigned char)text[bytes - 1]))
		bytes--;
	for (; bytes && isspace((unsigned char)*text); text++)
		bytes--;
	if (!bytes)
		return -EINVAL;
	for (size_t i = 0; i < bytes; i++) {
		unsigned digit = (unsigned char)text[i] - (unsigned)'0';
		if (digit > 9 || __builtin_mul_overflow(offset, 10, &offset) ||
			__builtin_add_overflow(offset, digit, &offset))
			return -EINVAL;
	}
	*ret_offset = offset;
	return 0;
}

static void log_refusal(const struct node *node, const char *reason)
{
	char stream[SFS_NAME_MAX + 1];
	sfs_stream_name(node->id.stream, stream);
	log_warning("%s/consumers/%s/shard-%04u: %s", stream, node->id.consumer, node->id.number,
		reason);
}

int consumer_set(const struct node *node, const char *text, size_t bytes)
{
	uint64_t offset;
	int r = parse_offset(text, bytes, &offset);
	if (r < 0) {
		log_refusal(node, "what was written is not a decimal number");
		return r;
	}
	r = sfs_consumer_set(node->id.stream, node->id.consumer, node->id.number, offset);
	if (r == -EINVAL) {
		char reason[80];
		snprintf(reason, sizeof(reason),
			"%" PRIu64 " is past the end, or no record begins there", offset);
		log_refusal(node, reason);
	}
	return r;
}
