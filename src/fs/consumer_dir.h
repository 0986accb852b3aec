/* SPDX-License-Identifier: MIT */
/*
 * The directory consumers/ of a stream, the consumers in it and their checkpoints.
 *
 * A checkpoint's file is there as soon as its consumer is. cp -r does not expect that: in a
 * directory that it has made itself it creates each file and takes one that is there for an error.
 * So the thread that made a consumer is not shown a file in it that it is about to create, as long
 * as nothing was set in it.
 */
#ifndef FS_CONSUMER_DIR_H
#define FS_CONSUMER_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fs;
struct node;
struct node_identity;

/* Makes a consumer for this thread. */
int consumer_make(
	struct fs *fs, struct node *dir, const char *name, pid_t tid, struct node_identity *ret_id);
/* rename(2) within the directory. */
int consumer_rename(struct node *dir, const char *name, const char *to, bool noreplace);
/* rm of a checkpoint: it is as new. */
int consumer_forget(struct node *dir, const char *name);
/* A thread creates a checkpoint's file. */
int consumer_create_file(
	struct fs *fs, struct node *dir, const char *name, pid_t tid, struct node_identity *ret_id);
/* Whether the thread is about to create this checkpoint's file, having made the directory. */
bool consumer_is_copied(struct fs *fs, const struct node *dir, uint32_t number, pid_t tid);

/* The text of a checkpoint's file; the caller's to free(). */
int consumer_render(const struct node *node, char **ret_text, size_t *ret_bytes);
/* Sets it to a decimal offset; the log is told what is wrong with one that is not taken. */
int consumer_set(const struct node *node, const char *text, size_t bytes);

#endif
