/* SPDX-License-Identifier: MIT */
#include "claim_check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char line_start[] = "{\"claim_check\":{", line_end[] = "}}";

size_t claim_check_write(const struct claim *claim, char line[CLAIM_CHECK_SIZE])
{
	char hex[DIGEST_HEX_SIZE];
	digest_to_hex(claim->digest, hex);
	int n = snprintf(line, CLAIM_CHECK_SIZE,
		"%s\"sha256\":\"%s\",\"bytes\":%" PRIu64 ",\"path\":\"blobs/%s\"%s", line_start,
		hex, claim->payload_bytes, hex, line_end);
	assert(n > 0 && n < CLAIM_CHECK_SIZE);
	return (size_t)n;
}

bool claim_check_has_form(const char *line, size_t bytes)
{
	const size_t start = sizeof line_start - 1, end = sizeof line_end - 1;
	return bytes >= start + end && memcmp(line, line_start, start) == 0 &&
	       memcmp(line + bytes - end, line_end, end) == 0;
}

bool claim_check_names(const void *line, size_t bytes, const struct claim *claim)
{
	char hex[DIGEST_HEX_SIZE], digest[96], size[48];
	digest_to_hex(claim->digest, hex);
	int n = snprintf(digest, sizeof digest, "\"sha256\":\"%s\"", hex);
	int m = snprintf(size, sizeof size, "\"bytes\":%" PRIu64 ",", claim->payload_bytes);
	return memmem(line, bytes, digest, (size_t)n) && memmem(line, bytes, size, (size_t)m);
}
