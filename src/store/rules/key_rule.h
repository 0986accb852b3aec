/* SPDX-License-Identifier: MIT */
/*
 * The rule by which `put` finds a record's partition key: a JSON pointer (RFC 6901), a field
 * between separators, or none. It runs for every record of the append path, so it builds no tree
 * and stops at the value. It checks the syntax of the JSON up to there, and ignores what follows.
 * The first of duplicate members counts.
 */
#ifndef STORE_KEY_RULE_H
#define STORE_KEY_RULE_H

#include "streamfs/stream.h"

enum key_rule_kind { KEY_RULE_NONE, KEY_RULE_JSON, KEY_RULE_FIELD };

enum { KEY_RULE_SEPARATOR_MAX = 16, KEY_RULE_POINTER_MAX = 1024, KEY_RULE_JSON_DEPTH_MAX = 64 };

struct key_rule_token; /* one unescaped step of a pointer */

struct key_rule {
	enum key_rule_kind kind;
	char *pointer;		       /* JSON: as given; "" is the whole record */
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
 * Finds the key of a record, which comes without its newline. The key lies in the record or in
 * `scratch`.
 *   JSON   A string is unescaped. A number, true and false keep their text. Null, objects and
 *          arrays are no keys.
 *   FIELD  The last field does not include a CR at the end of the record.
 * -ENOENT: there is no key, or it is not valid (sfs_key_valid()).
 */
int key_rule_find(const struct key_rule *rule, const char *record, size_t bytes,
	char scratch[SFS_KEY_MAX_BYTES], const char **ret_key, size_t *ret_key_bytes);

#endif
