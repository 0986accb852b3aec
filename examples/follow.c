/* SPDX-License-Identifier: MIT */
/*
 * The C library without a mount. It opens a store, makes a stream, and appends standard input to
 * one of its shards. Then it prints the shard from its start, and waits for each record as a
 * follower would.
 *
 *     cc follow.c -o follow $(pkg-config --cflags --libs streamfs) -pthread
 *     printf 'one\ntwo\n' | ./follow /tmp/store greetings
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "streamfs/shard.h"
#include "streamfs/store.h"
#include "streamfs/stream.h"
#include "streamfs/writer.h"

enum { PIECE_BYTES = 65536 };

struct follower {
	struct sfs_shard *shard;
	struct sfs_stream *stream;
	pthread_mutex_t mutex; /* guards `end` */
	uint64_t end;	       /* stop there; UINT64_MAX while it is not known */
};

static int check(const char *what, int r)
{
	if (r < 0)
		fprintf(stderr, "follow: %s: %s\n", what, strerror(-r));
	return r;
}

/* Finds the stream or makes it, readable for its owner alone. */
static int obtain_stream(struct sfs_store *store, const char *name, struct sfs_stream **ret_stream)
{
	struct sfs_owner owner = {.mode = 0700, .uid = getuid(), .gid = getgid()};
	int r = sfs_stream_lookup(store, name, ret_stream);
	return r == -ENOENT ? sfs_stream_create(store, name, &owner, ret_stream) : r;
}

/* Appends standard input, a record a line. */
static int append_input(struct sfs_shard *shard)
{
	static char piece[PIECE_BYTES];
	struct sfs_writer *writer;
	ssize_t n = 0;
	int r = sfs_writer_open_shard(shard, &writer);
	if (r < 0)
		return r;
	while (r == 0 && (n = read(STDIN_FILENO, piece, sizeof piece)) > 0) {
		size_t done = 0, taken = 0;
		while (r == 0 && done < (size_t)n) {
			r = sfs_writer_write(writer, piece + done, (size_t)n - done, &taken);
			done += r == 0 ? taken : 0;
		}
	}
	if (r == 0 && n < 0)
		r = -errno;
	if (r == 0)
		r = sfs_writer_end(writer); /* an unfinished last line is a record, too */
	if (r == 0)
		r = sfs_writer_sync_wait(writer); /* from here on it survives power loss */
	int close_error = sfs_writer_close(writer);
	return r < 0 ? r : close_error;
}

static uint64_t follower_end(struct follower *f)
{
	pthread_mutex_lock(&f->mutex);
	uint64_t end = f->end;
	pthread_mutex_unlock(&f->mutex);
	return end;
}

/* Read, wait, read: the whole of following a shard. */
static void *follow(void *context)
{
	static char piece[PIECE_BYTES];
	struct follower *f = context;
	struct sfs_shard_info info;
	sfs_shard_info(f->shard, &info);
	uint64_t offset = info.horizon_offset;
	while (offset < follower_end(f)) {
		size_t n;
		int r = sfs_shard_wait(f->shard, offset, 100);
		if (r == -ETIMEDOUT)
			continue;
		if (check("waiting", r) < 0)
			break;
		r = sfs_shard_read(f->shard, offset, piece, sizeof piece, &n);
		if (check("reading", r) < 0)
			break;
		fwrite(piece, 1, n, stdout);
		offset += n;
	}
	return NULL;
}

static int append_and_follow(struct follower *f)
{
	pthread_t thread;
	int r = -pthread_create(&thread, NULL, follow, f);
	if (r < 0)
		return r;
	r = append_input(f->shard);
	pthread_mutex_lock(&f->mutex);
	f->end = sfs_shard_size(f->shard);
	pthread_mutex_unlock(&f->mutex);
	pthread_join(thread, NULL);
	return r;
}

static int run(struct sfs_store *store, const char *name)
{
	struct follower f = {.mutex = PTHREAD_MUTEX_INITIALIZER, .end = UINT64_MAX};
	int r = check(name, obtain_stream(store, name, &f.stream));
	if (r < 0)
		return r;
	r = check("shard 0", sfs_stream_shard(f.stream, 0, &f.shard));
	if (r == 0) {
		r = check("appending", append_and_follow(&f));
		sfs_shard_unref(f.shard);
	}
	sfs_stream_unref(f.stream);
	return r;
}

int main(int argc, char **argv)
{
	struct sfs_store *store;
	struct sfs_diag diag = {.text = ""};
	struct sfs_store_options options = {.read_only = false};
	if (argc != 3) {
		fprintf(stderr, "usage: follow STORE STREAM <text\n");
		return EXIT_FAILURE;
	}
	if (sfs_store_open(argv[1], &options, &diag, &store) < 0) {
		fprintf(stderr, "follow: %s\n", diag.text);
		return EXIT_FAILURE;
	}
	int r = run(store, argv[2]);
	int close_error = check("closing", sfs_store_close(store));
	return r < 0 || close_error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
