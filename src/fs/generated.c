/* SPDX-License-Identifier: MIT */
#include "generated.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer_dir.h"
#include "fs.h"
#include "log.h"

static const char readme[] =
	"streamfs: a stream is a directory, a shard is an append-only file, a record is a line.\n"
	"\n"
	"  .streamfs/README      this; version: of the program; metrics: counters, for Prometheus\n"
	"  .streamfs/defaults    JSON: the settings that new streams start with; write it to "
	"change them\n"
	"\n"
	"  mkdir orders          makes a stream; rmdir removes one without records, mv renames\n"
	"  orders/shard-0000     append records to this shard, read them back, tail -f them\n"
	"  orders/put            append here: each record goes to the shard of its key\n"
	"  orders/keys/user-42   append: records with that key; read: that key's records\n"
	"  orders/drop/          copy whole files here: one record each, the file's name is its "
	"key\n"
	"  orders/blobs/         the payloads of large records, by their SHA-256\n"
	"  orders/all            the records of every shard, merged by arrival\n"
	"  orders/json/...       the same views as JSON lines, with sequence, time and key\n"
	"  orders/since/15m/...  the same from a time on: an age, 2026-11-23T10:00:00Z, Unix time\n"
	"  orders/live/...       the same from now on; a read waits until there is more\n"
	"                        (ls and grep -r of orders do not show all, keys, json, since, "
	"live)\n"
	"  orders/consumers/     mkdir billing: a file per shard with the byte offset it has "
	"reached\n"
	"  orders/config         JSON: the stream's settings; write an object to change some of "
	"them\n"
	"  orders/trim           write a position: what is before it goes\n"
	"  orders/stats          JSON: shards, ranges, sizes, ratio, lag of consumers\n"
	"\n"
	"  echo '{\"total\":12}' >> orders/put;  tail -f orders/shard-0000;  cat "
	"orders/live/json/all\n"
	"  cp photo.jpg orders/drop/;  cat orders/$(tail -n1 orders/shard-0000 | jq -r "
	".claim_check.path)\n"
	"  echo '{\"shards\":4}' > orders/config;  echo '{\"retention_hours\":168}' > "
	"orders/config\n"
	"  echo 7d > orders/trim;  echo all > orders/trim;  echo shard-0000:52100 > orders/trim\n"
	"  tail -c +$((1 + $(cat orders/consumers/billing/shard-0000))) orders/shard-0000\n"
	"\n"
	"What a write(2) that returned has stored survives the death of the daemon, after fsync(2) "
	"the loss\n"
	"of power. To write a shard takes O_APPEND (>>); what would cut or remove it is EPERM. Why "
	"a setting\n"
	"is refused (EINVAL) is in the log: journalctl -t streamfs; with streamfs -f standard "
	"error.\n";

enum { STORE_FORMAT = 1 };

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
	snprintf(text, sizeof(text), "streamfs %s\nformat %d\n", SFS_VERSION, STORE_FORMAT);
	return copy_text(text, ret_text, ret_bytes);
}

int generated_render(struct fs *fs, const struct node *node, char **ret_text, size_t *ret_bytes)
{
	switch (node->id.kind) {
	case NODE_README:
		return copy_text(readme, ret_text, ret_bytes);
	case NODE_VERSION:
		return render_version(ret_text, ret_bytes);
	case NODE_METRICS:
		return sfs_store_metrics(fs->store, ret_text, ret_bytes);
	case NODE_DEFAULTS:
		return sfs_store_defaults(fs->store, ret_text, ret_bytes);
	case NODE_CONFIG:
		return sfs_stream_config(node->id.stream, ret_text, ret_bytes);
	case NODE_CHECKPOINT:
		return consumer_render(node, ret_text, ret_bytes);
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

static int patch(struct fs *fs, const struct node *node, const char *text, size_t bytes,
	struct sfs_diag *diag)
{
	switch (node->id.kind) {
	case NODE_TRIM:
		return sfs_stream_trim(node->id.stream, text, bytes, diag);
	case NODE_CONFIG:
		return sfs_stream_patch_config(node->id.stream, text, bytes, diag);
	default:
		return sfs_store_patch_defaults(fs->store, text, bytes, diag);
	}
}

static const char *file_name(enum node_kind kind)
{
	if (kind == NODE_TRIM)
		return "trim";
	return kind == NODE_CONFIG ? "config" : "defaults";
}

int generated_patch(struct fs *fs, const struct node *node, const char *text, size_t bytes)
{
	struct sfs_diag diag = {0};
	char name[SFS_NAME_MAX + 1] = ".streamfs";
	if (node->id.kind == NODE_CHECKPOINT)
		return consumer_set(node, text, bytes);
	int r = patch(fs, node, text, bytes, &diag);
	if (r != -EINVAL)
		return r;
	if (node->id.stream)
		sfs_stream_name(node->id.stream, name);
	log_warning("%s/%s: %s", name, file_name(node->id.kind), diag.text);
	return r;
}
