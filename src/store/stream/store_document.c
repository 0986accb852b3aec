/* SPDX-License-Identifier: MIT */
#include "store_document.h"

#include "diag.h"
#include "document.h"
#include "format.h"
#include "lock.h"
#include "owner_json.h"

#include <errno.h>
#include <string.h>

int store_document_save(struct sfs_store *store)
{
	ASSERT_LOCKED(&store->config_lock);
	_cleanup_json_ json_t *document = json_pack("{s:i,s:{s:[],s:[]},s:s,s:I,s:o,s:o}", "format",
		FORMAT_VERSION, "features", "compatible", "incompatible", "uuid", store->uuid,
		"next_id", (json_int_t)store->reserved_id, "owner", owner_to_json(&store->owner),
		"defaults", settings_to_json(&store->defaults));
	return document_save(&store->env.disk, store->dir, STORE_DOCUMENT, document);
}

static int store_fields(struct sfs_store *store, json_t *document, struct sfs_diag *diag)
{
	json_int_t next_id;
	const char *uuid;
	json_t *owner, *defaults;
	if (json_unpack(document, "{s:s,s:I,s:o,s:o}", "uuid", &uuid, "next_id", &next_id, "owner",
		    &owner, "defaults", &defaults) < 0 ||
		strlen(uuid) != 36 || next_id < 1 || owner_from_json(owner, &store->owner) < 0) {
		diag_set(diag, STORE_DOCUMENT ": a member is missing or wrong");
		return -EBADMSG;
	}
	memcpy(store->uuid, uuid, sizeof store->uuid);
	store->next_id = store->reserved_id = (uint64_t)next_id;
	struct settings settings;
	int r = settings_from_json(defaults, diag, &settings);
	if (r < 0)
		return r == -EINVAL ? -EBADMSG : r;
	settings_fini(&store->defaults);
	store->defaults = settings;
	return 0;
}

int store_document_load(struct sfs_store *store, struct sfs_diag *diag)
{
	_cleanup_json_ json_t *document = NULL;
	int r = document_load(&store->env.disk, store->dir, STORE_DOCUMENT, diag, &document);
	if (r < 0)
		return r;
	json_t *features = json_object_get(document, "features");
	json_t *unknown = json_array_get(json_object_get(features, "incompatible"), 0);
	if (unknown) {
		diag_set(diag, "%s: needs the feature %s, which this program does not know",
			store->path, json_string_value(unknown) ? json_string_value(unknown) : "?");
		return -EPROTONOSUPPORT;
	}
	return store_fields(store, document, diag);
}
