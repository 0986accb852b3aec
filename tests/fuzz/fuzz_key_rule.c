/* SPDX-License-Identifier: MIT */
/*
 * Input: a byte that picks the kind of rule, then the pointer or separator up to a NUL, then the
 * record. What is found must be a valid key in the record or the scratch, and in a JSON document
 * what a walk through jansson's tree finds.
 */
#include "../unit/key_reference.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static bool lies_in(const char *at, size_t bytes, const char *area, size_t area_bytes)
{
	return at >= area && bytes <= area_bytes && (size_t)(at - area) <= area_bytes - bytes;
}

static void compare(const char *pointer, const char *record, size_t bytes, int result,
	const char *key, size_t key_bytes)
{
	if (memchr(record, '\0', bytes)) /* jansson passes over one behind a bare value */
		return;
	json_t *document =
		json_loadb(record, bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (document && reference_depth(document) <= KEY_RULE_JSON_DEPTH_MAX)
		must(reference_agrees(reference_walk(document, pointer), result, key, key_bytes));
	json_decref(document);
}

static int make_rule(uint8_t kind, const char *text, struct key_rule *ret_rule)
{
	if (kind & 1)
		return key_rule_field(kind >> 1, text, ret_rule);
	return key_rule_json(text, ret_rule);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const uint8_t *nul = bytes > 1 ? memchr(data + 1, '\0', bytes - 1) : NULL;
	struct key_rule rule;
	if (!nul || make_rule(data[0], (const char *)data + 1, &rule) < 0)
		return 0;

	size_t record_bytes = bytes - (size_t)(nul + 1 - data);
	char *record = malloc(record_bytes ? record_bytes : 1); /* its exact end is guarded */
	must(record);
	memcpy(record, nul + 1, record_bytes);

	char scratch[SFS_KEY_MAX_BYTES];
	const char *key = NULL;
	size_t key_bytes = 0;
	int r = key_rule_find(&rule, record, record_bytes, scratch, &key, &key_bytes);
	must(r == 0 || (r == -ENOENT && !key && !key_bytes));
	if (r == 0) {
		must(sfs_key_valid(key, key_bytes));
		must(lies_in(key, key_bytes, record, record_bytes) ||
			lies_in(key, key_bytes, scratch, sizeof scratch));
	}
	if (rule.kind == KEY_RULE_JSON)
		compare(rule.pointer, record, record_bytes, r, key, key_bytes);

	free(record);
	key_rule_fini(&rule);
	return 0;
}
