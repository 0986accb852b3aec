/* SPDX-License-Identifier: MIT */
/*
 * The rule by which `put` finds a record's partition key: a JSON pointer (RFC 6901), a field
 * between separators, or none. It runs on every record of the append path, so it looks only as far
 * as it must and builds no tree: the JSON before the value is checked for form, what follows is
 * not looked at; of duplicate members the first counts.
 */
#ifndef STORE_KEY_RULE_H
#define STORE_KEY_RULE_H

#include "streamfs/stream.h"

enum key_rule_kind { KEY_RULE_NONE, KEY_RULE_JSON, KEY_RULE_FIELD };

enum { KEY_RULE_SEPARATOR_MAX = 16, KEY_RULE_POINTER_MAX = 1024, KEY_RULE_JSON_DEPTH_MAX = 64 };

struct key_rule_token; /* one unescaped step of a pointer */

struct key_rule {
	enum key_rule_kind kind;
	char *pointer;		       /* JSON: as it was given; "" is the whole record */
	struct key_rule_token *tokens; /* JSON: its steps */
	size_t token_count;
	uint32_t field;				    /* FIELD: counted from 1 */
	char separator[KEY_RULE_SEPARATOR_MAX + 1]; /* FIELD: 1 byte or more, no newline */
};

/* -EINVAL: not a JSON pointer, or longer than KEY_RULE_POINTER_MAX. -ENOMEM. */
int key_rule_json(const char *pointer, struct key_rule *ret_rule);
/* -EINVAL: field 0, or a separator that is empty, too long or has a newline. */
int key_rule_field(uint32_t field, const char *separator, struct key_rule *ret_rule);
int key_rule_copy(const struct key_rule *from, struct key_rule *ret_rule);
void key_rule_fini(struct key_rule *rule);

/*
 * Finds the key of a record (without its newline; a CR at the end belongs to it, except that the
 * last field of a FIELD rule does not include it). The key lies in the record or in `scratch`. A
 * JSON string is unescaped; a number, true and false count as their text as written; null, objects
 * and arrays are no keys. -ENOENT: none, or not a valid one (sfs_key_valid()).
 */
int key_rule_find(const struct key_rule *rule, const char *record, size_t bytes,
	char scratch[SFS_KEY_MAX_BYTES], const char **ret_key, size_t *ret_key_bytes);

#endif
