/* SPDX-License-Identifier: MIT */
#include "document.h"

#include "diag.h"
#include "format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { DOCUMENT_MAX_BYTES = 64 << 20, DUMP_FLAGS = JSON_COMPACT | JSON_SORT_KEYS };

static int dump_hash(const json_t *document, char hex[17])
{
	_cleanup_free_ char *text = json_dumps(document, DUMP_FLAGS);
	if (!text)
		return -ENOMEM;
	snprintf(hex, 17, "%016llx", (unsigned long long)XXH3_64bits(text, strlen(text)));
	return 0;
}

int document_save(const struct disk *disk, int dir, const char *path, json_t *document)
{
	char hex[17];
	int r = document ? dump_hash(document, hex) : -ENOMEM;
	if (r < 0)
		return r;
	if (json_object_set_new(document, "checksum", json_string(hex)) < 0)
		return -ENOMEM;
	_cleanup_free_ char *text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
	if (!text)
		return -ENOMEM;
	size_t bytes = strlen(text);
	if (bytes >= DOCUMENT_MAX_BYTES)
		return -EFBIG;
	text[bytes] = '\n'; /* in place of the NUL: the length is what counts from here */
	return disk_replace(disk, dir, path, text, bytes + 1);
}

/* Comes first: another version may have another kind of checksum. */
static int check_format(const json_t *document, const char *path, struct sfs_diag *diag)
{
	const json_t *format = json_object_get(document, "format");
	if (!json_is_integer(format) || json_integer_value(format) == FORMAT_VERSION)
		return 0;
	diag_set(diag, "%s: format version %lld; this program knows version %d", path,
		(long long)json_integer_value(format), FORMAT_VERSION);
	return -EPROTONOSUPPORT;
}

int document_load(const struct disk *disk, int dir, const char *path, struct sfs_diag *diag,
	json_t **ret_document)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	int r = disk_slurp(disk, dir, path, DOCUMENT_MAX_BYTES, &text, &bytes);
	if (r < 0) {
		diag_set(diag, "%s: %s", path, strerror(-r));
		return r == -EFBIG || r == -ELOOP ? -EBADMSG : r;
	}
	json_error_t error;
	_cleanup_json_ json_t *document = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
	r = document ? check_format(document, path, diag) : 0;
	if (r < 0)
		return r;
	char expected[17], hex[17];
	const char *checksum = json_string_value(json_object_get(document, "checksum"));
	if (!checksum || strlen(checksum) != 16) {
		diag_set(diag, "%s: damaged: not a document with a checksum", path);
		return -EBADMSG;
	}
	memcpy(expected, checksum, sizeof expected);
	json_object_del(document, "checksum");
	r = dump_hash(document, hex);
	if (r < 0)
		return r;
	if (strcmp(hex, expected)) {
		diag_set(diag, "%s: damaged: its checksum is %s, not %s", path, hex, expected);
		return -EBADMSG;
	}
	*ret_document = document;
	document = NULL;
	return 0;
}
