/* SPDX-License-Identifier: MIT */
#include "consumer_document.h"

#include "cleanup.h"
#include "diag.h"
#include "document.h"
#include "shard.h"
#include "store.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define CONSUMER_SUFFIX ".json"

void consumer_document_file(const char *name, char file[CONSUMER_FILE_MAX])
{
	snprintf(file, CONSUMER_FILE_MAX, "%s" CONSUMER_SUFFIX, name);
}

int consumer_document_name(const char *file, char name[SFS_NAME_MAX + 1])
{
	size_t length = strlen(file), suffix = strlen(CONSUMER_SUFFIX);
	char copy[SFS_NAME_MAX + 1];
	if (length <= suffix || length - suffix > SFS_NAME_MAX ||
		strcmp(file + length - suffix, CONSUMER_SUFFIX) != 0)
		return -EINVAL;
	snprintf(copy, sizeof copy, "%.*s", (int)(length - suffix), file);
	if (!sfs_stream_name_valid(copy))
		return -EINVAL;
	memcpy(name, copy, sizeof copy);
	return 0;
}

int consumer_documents_open(struct sfs_stream *stream, bool make, int *ret_dir)
{
	struct sfs_store *store = stream->store;
	const struct disk *disk = &store->env.disk;
	char path[SHARD_PATH_MAX];
	_cleanup_close_ int parent = -1, dir = -1;
	pthread_rwlock_rdlock(&stream->home.path_lock);
	snprintf(path, sizeof path, "%s/" CONSUMERS_DIR, stream->home.name);
	int r = stream->home.removed ? -ENOENT : 0;
	if (r == 0 && make) {
		r = disk_mkdir(disk, store->env.streams_dir, path);
		r = r == -EEXIST ? 0 : r;
	}
	if (r == 0 && make)
		r = disk_open(disk, store->env.streams_dir, stream->home.name,
			O_RDONLY | O_DIRECTORY, &parent);
	if (r == 0)
		r = disk_open(disk, store->env.streams_dir, path, O_RDONLY | O_DIRECTORY, &dir);
	pthread_rwlock_unlock(&stream->home.path_lock);
	if (r == 0 && make)
		r = disk_sync_dir(disk, parent);
	if (r < 0)
		return r;
	*ret_dir = dir;
	dir = -1;
	return 0;
}

static int checkpoint_from_json(json_t *json, struct checkpoint *ret_checkpoint)
{
	json_int_t shard, offset, sequence;
	if (json_unpack(json, "{s:I,s:I,s:I}", "shard", &shard, "offset", &offset, "sequence",
		    &sequence) < 0 ||
		shard < 0 || shard > UINT32_MAX || offset < 0 || sequence < 0)
		return -EBADMSG;
	*ret_checkpoint =
		(struct checkpoint){(uint32_t)shard, (uint64_t)offset, (uint64_t)sequence};
	return 0;
}

static int checkpoints_from_json(json_t *array, struct checkpoint *checkpoints, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = checkpoint_from_json(json_array_get(array, i), &checkpoints[i]);
		if (r < 0)
			return r;
		if (i && checkpoints[i].shard <= checkpoints[i - 1].shard)
			return -EBADMSG;
	}
	return 0;
}

int consumer_document_load(const struct disk *disk, int dir, const char *file,
	struct sfs_diag *diag, struct checkpoint **ret_checkpoints, size_t *ret_count)
{
	json_t *document;
	int r = document_load(disk, dir, file, diag, &document);
	if (r < 0)
		return r;
	json_t *array = json_object_get(document, "checkpoints");
	size_t count = json_array_size(array);
	_cleanup_free_ struct checkpoint *checkpoints = calloc(count + 1, sizeof *checkpoints);
	r = !checkpoints	   ? -ENOMEM
	    : json_is_array(array) ? checkpoints_from_json(array, checkpoints, count)
				   : -EBADMSG;
	json_decref(document);
	if (r == -EBADMSG)
		diag_set(diag, "%s: its checkpoints are wrong", file);
	if (r < 0)
		return r;
	*ret_checkpoints = checkpoints;
	*ret_count = count;
	checkpoints = NULL;
	return 0;
}

int consumer_document_save(const struct disk *disk, int dir, const char *name,
	const struct checkpoint *checkpoints, size_t count)
{
	char file[CONSUMER_FILE_MAX];
	consumer_document_file(name, file);
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			array, json_pack("{s:I,s:I,s:I}", "shard", (json_int_t)checkpoints[i].shard,
				       "offset", (json_int_t)checkpoints[i].offset, "sequence",
				       (json_int_t)checkpoints[i].sequence));
	json_t *document = json_pack("{s:o}", "checkpoints", array);
	int r = document_save(disk, dir, file, document);
	json_decref(document);
	return r;
}
