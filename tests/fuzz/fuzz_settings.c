/* SPDX-License-Identifier: MIT */
/*
 * Input: a JSON text merged into the defaults. What is taken must be within its ranges and come
 * back the same through JSON; what is refused must come with one line that says why.
 */
#include "settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_ranges(const struct settings *s)
{
	must(s->shards >= 1 && s->shards <= SFS_SHARDS_MAX);
	must(s->threshold_bytes >= 1 << 10 && s->threshold_bytes <= 1 << 30);
	must(s->max_record_bytes >= 1 && s->max_record_bytes <= UINT64_C(1) << 62);
	must(s->flush_interval_ms >= 1 && s->flush_interval_ms <= 3600000);
	must(s->large_policy <= LARGE_REJECT && s->compression <= COMPRESSION_NONE);
	must((s->key.kind == KEY_RULE_JSON) == (s->key.pointer != NULL));
	must((s->key.kind == KEY_RULE_FIELD) == (s->key.field > 0));
}

static void check_round_trip(const struct settings *settings)
{
	struct sfs_diag diag;
	struct settings again;
	json_t *first = settings_to_json(settings);
	must(first && settings_from_json(first, &diag, &again) == 0);
	json_t *second = settings_to_json(&again);
	must(json_equal(first, second));
	json_decref(first);
	json_decref(second);
	settings_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct settings base, patched;
	struct sfs_diag diag = {""};
	char *json = malloc(bytes ? bytes : 1); /* its exact end is guarded */
	must(json);
	memcpy(json, data, bytes);
	settings_init(&base);
	int r = settings_patch(&base, json, bytes, &diag, &patched);
	free(json);
	if (r < 0) {
		must(r == -EINVAL && diag.text[0]);
		for (const char *c = diag.text; *c; c++)
			must(*c >= ' ' && *c <= '~');
		return 0;
	}
	check_ranges(&patched);
	check_round_trip(&patched);
	settings_fini(&patched);
	return 0;
}
