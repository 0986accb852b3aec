/* SPDX-License-Identifier: MIT */
/* streamfs.json: the store's uuid, the next stream id, owner and default settings. */
#ifndef STREAM_STORE_DOCUMENT_H
#define STREAM_STORE_DOCUMENT_H

#include "store.h"

#define STORE_DOCUMENT "streamfs.json"

/* Writes it from the store's fields; the caller holds config_lock. Durable. */
int store_document_save(struct sfs_store *store);
/* Reads it into the fields. -ENOENT, -EBADMSG, -EPROTONOSUPPORT, with `diag`. */
int store_document_load(struct sfs_store *store, struct sfs_diag *diag);

#endif
