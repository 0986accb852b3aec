/* SPDX-License-Identifier: MIT */
/*
 * Nodes: the kernel holds an inode for each. A nodeid is a node's address (the root's is
 * FUSE_ROOT_ID). An inode number (st_ino) stands for a file; one file can have several nodes.
 *
 * Lasting nodes are unique by inode number. A writers' node belongs to one thread of a program. It
 * has the inode number of the file that readers see, but no reader and no other thread shares it:
 * the kernel serializes writes of one inode and, after each, sets its size to a guess that cached
 * readers must not see. The daemon sees threads of another PID namespace as thread 0; each lookup
 * of theirs makes a new writers' node.
 *
 * Invariants:
 *   1. A node lives while the kernel knows it (lookups) or a handle refers to it (refs).
 *   2. Its identity never changes. Of one inode number and thread at most one node is listed.
 *   3. A node that is read through the page cache (cached) is never written by. Once it is direct,
 *      it stays so, is not listed, and no more handles come to read it through the cache.
 *   4. A writers' node that is busy is not given to another open(2).
 *   5. The size that the kernel knows of a readers' node only grows (cached_shard).
 *
 * Thread-safe.
 */
#ifndef FS_NODE_H
#define FS_NODE_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cached_shard.h"
#include "streamfs/blob.h"

struct sfs_shard;
struct sfs_stream;
struct upload;
struct view_path;

enum node_kind {
	NODE_ROOT,
	NODE_CONTROL, /* .streamfs and what is in it */
	NODE_README,
	NODE_VERSION,
	NODE_METRICS,
	NODE_DEFAULTS,
	NODE_STREAM, /* a stream's directory and what is in it */
	NODE_SHARD,
	NODE_SHARD_WRITER,
	NODE_PUT,
	NODE_CONFIG,
	NODE_STATS,
	NODE_TRIM,
	NODE_DROP,
	NODE_UPLOAD,
	NODE_BLOBS,
	NODE_BLOB,
	NODE_CONSUMERS,
	NODE_CONSUMER, /* a consumer's directory and what is in it */
	NODE_CHECKPOINT,
	NODE_VIEW_DIR,
	NODE_VIEW,
};

/* What a blob's attributes need; they never change. */
struct blob_figures {
	uint64_t size_bytes;
	uint64_t stored_bytes;
	uint64_t time_ms;
};

/* The file and, of a writers' node, the thread. Holds references to what it names. */
struct node_identity {
	enum node_kind kind;
	uint64_t ino;
	pid_t tid;		   /* writers' nodes: the thread; else 0 */
	struct sfs_stream *stream; /* all below a stream's directory, and that itself */
	struct sfs_shard *shard;
	struct upload *upload;
	struct view_path *view_path; /* views; owned */
	char digest[SFS_DIGEST_HEX + 1];
	struct blob_figures blob;
	char *consumer;	 /* its name; its own */
	uint32_t number; /* of a checkpoint's shard */
};

void node_identity_fini(struct node_identity *id);

struct node {
	struct node_identity id;
	struct cached_shard cached_shard; /* NODE_SHARD, for the notifier */
	atomic_uint busy; /* handles that are open for writing and not flushed since */

	/* Guarded by the table's lock. */
	RB_ENTRY(node) by_identity;
	LIST_ENTRY(node) all;
	uint64_t lookups;
	uint64_t refs;
	bool listed;	    /* in the tree: a lookup can find it */
	unsigned cached;    /* handles that read it through the page cache */
	atomic_bool direct; /* there will be no more of them; written with the lock */
};

RB_HEAD(node_tree, node);
LIST_HEAD(node_list, node);

struct node_table {
	pthread_mutex_t lock;
	struct node_tree tree;
	struct node_list all;
	struct node root;
};

void node_table_init(struct node_table *table);
/* Frees all nodes, whatever the kernel still knew. */
void node_table_fini(struct node_table *table);

/* The node of a nodeid. Borrowed: lives as long as the request that brought it. */
struct node *node_of(struct node_table *table, uint64_t nodeid);
uint64_t node_id(struct node_table *table, struct node *node);

/*
 * Finds or makes the node of this identity and counts a lookup. A new node takes the identity's
 * references over. A writers' node that is busy is left to its handles and a fresh one is made.
 */
int node_enter(struct node_table *table, struct node_identity *id, struct node **ret_node);
void node_forget(struct node_table *table, struct node *node, uint64_t lookups);

struct node *node_ref(struct node_table *table, struct node *node);
void node_unref(struct node_table *table, struct node *node);

/*
 * Lets no lookup find the stream's files again: the next one makes a new node, which the kernel
 * takes for a new inode, with new attributes.
 */
void node_retire_files(struct node_table *table, uint64_t stream_id);

/*
 * A handle that is to read through the page cache comes and goes. False: it must not, because a
 * handle writes by this node.
 */
bool node_enter_cache(struct node_table *table, struct node *node);
void node_leave_cache(struct node_table *table, struct node *node);
/*
 * Keeps a readers' node out of the page cache for good, and lets no lookup find it again. True if
 * no handle reads it through the cache: then it is safe to write by it.
 */
bool node_make_direct(struct node_table *table, struct node *node);

/*
 * Calls `each` with every node through which the kernel may have cached text of the shard, each
 * with a reference of the callee's.
 */
void node_each_reader(struct node_table *table, const struct sfs_shard *shard,
	void (*each)(void *context, struct node *node), void *context);

/* "/stream/name": how a path into the mount ends that /proc shows of a descriptor. */
enum { NODE_TAIL_MAX = 2048 };
int node_tail(const struct node *node, char *buffer, size_t bytes);

#endif
