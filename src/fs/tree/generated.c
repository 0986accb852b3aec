/* SPDX-License-Identifier: MIT */
#include "generated.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "log.h"
#include "tree.h"

static const char readme[] =
	"streamfs: a stream is a directory, a shard is an append-only file, a record is a line.\n"
	"\n"
	"    MOUNTPOINT/\n"
	"      .streamfs/            README, version, metrics, defaults\n"
	"      orders/               a stream; mkdir makes one\n"
	"        shard-0000          a shard: one record a line; read it, append to it\n"
	"        put                 append here: the key of a record picks its shard\n"
	"        keys/user-42        append records with this key; read them\n"
	"        all                 the records of all shards, in order of arrival\n"
	"        json/...            the same as JSON, with sequence, time and key\n"
	"        since/15m/...       the same, from a point in time on\n"
	"        live/...            the same, from now on; a read waits for more\n"
	"        drop/               copy a file here: one record, its name is the key\n"
	"        blobs/SHA256        the payloads of large records, read-only\n"
	"        consumers/billing/  a consumer; mkdir makes one\n"
	"          shard-0000        its checkpoint: the byte offset it has reached\n"
	"        config              JSON: the settings; write it to change them\n"
	"        stats               JSON: shards, hash ranges, sizes, ratio, lag\n"
	"        trim                write a position: the records before it go\n"
	"\n"
	"rmdir removes a stream without records, mv renames it. ls and grep -r of a stream do\n"
	"not show all, keys, json, since and live. Commands, in the directory of a stream:\n"
	"    echo '{\"total\":12}' >> put; tail -f shard-0000; cat live/all; cat since/15m/all\n"
	"    cp photo.jpg drop/; cat $(tail -n1 shard-0000 | jq -r .claim_check.path)\n"
	"    echo '{\"shards\":4,\"retention_hours\":168}' > config\n"
	"    echo 7d > trim; echo all > trim; echo shard-0000:52100 > trim\n"
	"    tail -c +$((1 + $(cat consumers/billing/shard-0000))) shard-0000\n"
	"After write(2), a record survives the death of the daemon; after fsync(2), power loss.\n"
	"A shard can be opened to write only with O_APPEND (>>). New streams get the settings of\n"
	".streamfs/defaults. The log has the reason of every EINVAL: journalctl -t streamfs.\n";

static int copy_text(const char *text, char **ret_text, size_t *ret_bytes)
{
	char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*ret_text = copy;
	*ret_bytes = strlen(copy);
	return 0;
}

static int render_version(char **ret_text, size_t *ret_bytes)
{
	char text[128];
	snprintf(
		text, sizeof(text), "streamfs %s\nformat %d\n", STREAMFS_VERSION, SFS_STORE_FORMAT);
	return copy_text(text, ret_text, ret_bytes);
}

int generated_render(struct tree *tree, const struct node *node, char **ret_text, size_t *ret_bytes)
{
	switch (node->id.kind) {
	case NODE_README:
		return copy_text(readme, ret_text, ret_bytes);
	case NODE_VERSION:
		return render_version(ret_text, ret_bytes);
	case NODE_METRICS:
		return sfs_store_metrics(tree->store, ret_text, ret_bytes);
	case NODE_DEFAULTS:
		return sfs_store_defaults(tree->store, ret_text, ret_bytes);
	case NODE_CONFIG:
		return sfs_stream_config(node->id.stream, ret_text, ret_bytes);
	case NODE_CHECKPOINT:
		return checkpoint_render(node, ret_text, ret_bytes);
	case NODE_STATS:
		return sfs_stream_stats(node->id.stream, ret_text, ret_bytes);
	case NODE_TRIM:
		return sfs_stream_horizons(node->id.stream, ret_text, ret_bytes);
	default:
		return -EINVAL;
	}
}

bool generated_is_setting(enum node_kind kind)
{
	return kind == NODE_CONFIG || kind == NODE_DEFAULTS || kind == NODE_TRIM ||
	       kind == NODE_CHECKPOINT;
}

static int patch(struct tree *tree, const struct node *node, const char *text, size_t bytes,
	struct sfs_diag *diag)
{
	switch (node->id.kind) {
	case NODE_TRIM:
		return sfs_stream_trim(node->id.stream, text, bytes, diag);
	case NODE_CONFIG:
		return sfs_stream_patch_config(node->id.stream, text, bytes, diag);
	default:
		return sfs_store_patch_defaults(tree->store, text, bytes, diag);
	}
}

static const char *file_name(enum node_kind kind)
{
	if (kind == NODE_TRIM)
		return "trim";
	return kind == NODE_CONFIG ? "config" : "defaults";
}

int generated_patch(struct tree *tree, const struct node *node, const char *text, size_t bytes)
{
	struct sfs_diag diag = {0};
	char name[SFS_NAME_MAX + 1] = ".streamfs";
	if (node->id.kind == NODE_CHECKPOINT)
		return checkpoint_set(node, text, bytes);
	int r = patch(tree, node, text, bytes, &diag);
	if (r != -EINVAL)
		return r;
	if (node->id.stream)
		sfs_stream_name(node->id.stream, name);
	log_warning("%s/%s: %s", name, file_name(node->id.kind), diag.text);
	return r;
}
