/* SPDX-License-Identifier: MIT */
#include "refusal.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

static bool has_newline(const char *data, size_t bytes)
{
	return memchr(data, '\n', bytes) != NULL;
}

int refusal_begin(
	struct refusal *refusal, int error, const char *data, size_t bytes, bool is_short_write)
{
	assert(error < 0 && bytes && refusal->state == REFUSAL_NONE);
	enum refusal_state state = REFUSAL_PART;
	if (has_newline(data, bytes))
		state = is_short_write ? REFUSAL_END : REFUSAL_NONE;
	*refusal = (struct refusal){
		.state = state,
		.error = error,
		.bytes = bytes,
		.hash = XXH3_64bits(data, bytes),
	};
	return error;
}

/* Whether the bytes that were refused have come again. More may follow them. */
static bool is_repeated(const struct refusal *refusal, const char *data, size_t bytes)
{
	return bytes >= refusal->bytes && XXH3_64bits(data, refusal->bytes) == refusal->hash;
}

/* These bytes are refused with the line. */
static int refuse(struct refusal *refusal, enum refusal_state next)
{
	refusal->state = next;
	return refusal->error;
}

/* These bytes are more of the line. */
static int refuse_more(struct refusal *refusal, const char *data, size_t bytes)
{
	return refuse(refusal, has_newline(data, bytes) ? REFUSAL_NONE : REFUSAL_REST);
}

int refusal_check(struct refusal *refusal, const char *data, size_t bytes)
{
	switch (refusal->state) {
	case REFUSAL_NONE:
		return 0;
	case REFUSAL_END:
		if (is_repeated(refusal, data, bytes))
			return refuse(refusal, REFUSAL_NONE);
		refusal_end(refusal);
		return 0;
	case REFUSAL_PART:
		if (is_repeated(refusal, data, bytes))
			return refuse(refusal, REFUSAL_PART);
		return refuse_more(refusal, data, bytes);
	case REFUSAL_REST:
		return refuse_more(refusal, data, bytes);
	}
	assert(!"a state that there is not");
	return 0;
}

void refusal_end(struct refusal *refusal)
{
	refusal->state = REFUSAL_NONE;
}
