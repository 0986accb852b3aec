/* SPDX-License-Identifier: MIT */
/*
 * A claim check: the line that a shard has for a large payload, which itself is a blob.
 *
 *     {"claim_check":{"sha256":"DIGEST","bytes":N,"path":"blobs/DIGEST"}}
 *
 * A user may append a line of this form too. Only the mark in the meta of its chunk (meta.h) makes
 * it a claim check.
 */
#ifndef CHUNK_CLAIM_CHECK_H
#define CHUNK_CLAIM_CHECK_H

#include "digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a claim check stands for. */
struct claim {
	uint8_t digest[DIGEST_BYTES];
	uint64_t payload_bytes;
};

enum { CLAIM_CHECK_SIZE = 256 /* a line with its NUL, at most */ };

/* Writes the line, without a newline. Returns its length. */
size_t claim_check_write(const struct claim *claim, char line[CLAIM_CHECK_SIZE]);
/* Whether a line begins and ends as one. The line has no newline. */
bool claim_check_has_form(const char *line, size_t bytes);
/* Whether a line gives the digest and the size of this payload. */
bool claim_check_names(const void *line, size_t bytes, const struct claim *claim);

#endif
