/* SPDX-License-Identifier: MIT */
/*
 * A stream's settings: plain values, checked once when JSON is parsed into them. They serve the
 * "settings" of stream.json, the config of a stream, and the store's defaults.
 */
#ifndef STORE_SETTINGS_H
#define STORE_SETTINGS_H

#include "key_rule.h"
#include "streamfs/store.h"

#include <jansson.h>

enum large_policy { LARGE_CLAIM_CHECK, LARGE_SPLIT, LARGE_REJECT };
enum compression { COMPRESSION_LZ4, COMPRESSION_NONE };

struct settings {
	uint32_t shards;	  /* 1 to SFS_SHARDS_MAX */
	uint64_t retention_hours; /* 0: for ever */
	uint64_t retention_bytes; /* 0: no limit */
	enum large_policy large_policy;
	uint64_t threshold_bytes;  /* of large_records: 1 KiB to 1 GiB */
	uint64_t max_record_bytes; /* 1 to 2^62 */
	struct key_rule key;
	enum compression compression;
	uint32_t flush_interval_ms; /* 1 to 3,600,000 */
};

/* The built-in defaults: one shard, claim-check over 1 MiB, 5 GiB at most, lz4, 1000 ms. */
void settings_init(struct settings *settings);
void settings_fini(struct settings *settings); /* frees the key rule's memory */
int settings_copy(const struct settings *from, struct settings *ret_settings);

/*
 * Checks the size of a record, without its newline. 0: the stream accepts it. -EFBIG: it is over
 * max_record_bytes. -EMSGSIZE: it is over the threshold, and large records are rejected.
 */
int settings_admit(const struct settings *settings, uint64_t record_bytes);
/* Whether the payload of such a record becomes a blob, with a claim check as the record. */
bool settings_wants_claim_check(const struct settings *settings, uint64_t record_bytes);

/*
 * Merges a JSON text into `base` (RFC 7386). A null member goes back to the built-in default;
 * objects (large_records) merge; "key" is replaced as a whole.
 *   -EINVAL  with `diag`: not exactly one JSON object (depth <= 64, size <= 64 KiB, no duplicate
 *            members), an unknown member, a wrong type, or a value out of range
 *   -ENOMEM
 */
int settings_patch(const struct settings *base, const char *json, size_t bytes,
	struct sfs_diag *diag, struct settings *ret_settings);

/* Merges a parsed object into the built-in defaults in the same way. */
int settings_from_json(const json_t *object, struct sfs_diag *diag, struct settings *ret_settings);
/* All settings as a new reference. NULL: no memory. "key" is null without a rule. */
json_t *settings_to_json(const struct settings *settings);

#endif
