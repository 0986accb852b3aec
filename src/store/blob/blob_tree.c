/* SPDX-License-Identifier: MIT */
#include "blob_tree.h"

#include "cleanup.h"
#include "dir.h"

#include <string.h>

bool blob_tree_is_temporary(const char *name)
{
	size_t n = strlen(name), suffix = strlen(DISK_TMP_SUFFIX);
	return n > suffix && !strcmp(name + n - suffix, DISK_TMP_SUFFIX);
}

bool blob_tree_digest(const char *name, uint8_t digest[DIGEST_BYTES])
{
	char hex[DIGEST_HEX_SIZE];
	if (strchr(name, '.') != name + DIGEST_HEX_SIZE - 1)
		return false;
	memcpy(hex, name, DIGEST_HEX_SIZE - 1);
	hex[DIGEST_HEX_SIZE - 1] = 0;
	return digest_from_hex(hex, digest) == 0;
}

bool blob_tree_is_blob(const struct blob_walk *walk, const char *name, uint8_t digest[DIGEST_BYTES])
{
	return !memcmp(name, walk->fan_name, 2) && blob_tree_digest(name, digest) &&
	       !strcmp(name + DIGEST_HEX_SIZE - 1, ".lz4");
}

static bool is_fan(const char *name)
{
	return strspn(name, "0123456789abcdef") == 2 && !name[2];
}

static int walk_files(struct blob_walk *walk, DIR *dir)
{
	const char *name;
	int r = blobs_check_stop(walk->blobs);
	while (r == 0 && (r = dir_next(dir, &name)) == 0 && name) {
		r = walk->file(walk, dirfd(dir), name);
		if (r == 0)
			r = blobs_check_stop(walk->blobs);
	}
	return r;
}

static int walk_fan(struct blob_walk *walk, const char *name)
{
	_cleanup_closedir_ DIR *dir = NULL;
	memcpy(walk->fan_name, name, sizeof walk->fan_name);
	int r = dir_open(walk->blobs->disk, walk->blobs->dir, walk->fan_name, &dir);
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0; /* it went meanwhile, or a stranger put it there */
	if (r == 0)
		r = walk_files(walk, dir);
	return r == 0 && walk->leave ? walk->leave(walk, walk->fan_name) : r;
}

int blob_tree_walk(struct blob_walk *walk)
{
	if (walk->blobs->dir < 0)
		return 0;
	_cleanup_closedir_ DIR *dir = NULL;
	int r = dir_open(walk->blobs->disk, walk->blobs->dir, ".", &dir);
	const char *name;
	while (r == 0 && (r = dir_next(dir, &name)) == 0 && name) {
		if (is_fan(name))
			r = walk_fan(walk, name);
		else if (walk->stray)
			r = walk->stray(walk, name);
	}
	return r;
}
