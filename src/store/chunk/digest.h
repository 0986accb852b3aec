/* SPDX-License-Identifier: MIT */
/* SHA-256 digests, which name blobs. As text they are 64 lower-case hex digits. */
#ifndef CHUNK_DIGEST_H
#define CHUNK_DIGEST_H

#include "vector.h"

#include <stdint.h>

enum { DIGEST_BYTES = 32, DIGEST_HEX_SIZE = 65 /* with the NUL */ };

struct digest {
	uint8_t bytes[DIGEST_BYTES];
};
VECTOR(digests, struct digest);

void digest_to_hex(const uint8_t digest[DIGEST_BYTES], char hex[DIGEST_HEX_SIZE]);
/* -EINVAL: not 64 lower-case hex digits. */
int digest_from_hex(const char *hex, uint8_t digest[DIGEST_BYTES]);
/* The owner of the blob's chunks: its first eight bytes, so each chunk is bound to the digest. */
uint64_t digest_owner(const uint8_t digest[DIGEST_BYTES]);

#endif
