/* SPDX-License-Identifier: MIT */
/*
 * A chunk: the unit of appending, checking and (one day) replicating. Encoding is in two halves:
 * chunk_encode() does the work that needs no order (compression, hashes) and chunk_seal() stamps
 * offset, sequence and time on it, which is cheap and done under the shard's lock.
 *
 * Invariants:
 *  1. A chunk is sealed once after it was encoded. What is between the two (chunk_continues(),
 *     chunk_json_bytes()) changes nothing.
 *  2. The frame decompresses to `text_bytes` bytes in independent blocks; `lz4 -d` reads it.
 *  3. record_count is the number of newlines that end a record in the chunk.
 *  4. Decoding never trusts a length before its checksum, nor a checksum without bounds.
 */
#ifndef STORE_CHUNK_H
#define STORE_CHUNK_H

#include "buf.h"
#include "format.h"
#include "position.h"
#include "json_record.h"

#include <stdbool.h>
#include <sys/uio.h>

/* A chunk's header in host order. */
struct chunk {
	uint64_t owner;
	uint64_t text_offset;
	uint64_t first_sequence;
	uint64_t arrival_ms;
	uint64_t last_arrival_ms;
	uint64_t synced_offset;
	uint64_t json_offset;
	uint64_t json_bytes;
	uint64_t meta_hash;
	uint64_t frame_hash;
	uint64_t header_hash;
	uint32_t text_bytes;
	uint32_t record_count;
	uint32_t frame_bytes;
	uint32_t meta_bytes;
	uint32_t meta_raw_bytes;
	uint16_t incompatible; /* CHUNK_... flags */
};

static inline uint32_t chunk_stored_bytes(const struct chunk *c)
{
	return (uint32_t)sizeof(struct chunk_header) + c->meta_bytes + c->frame_bytes;
}
/* The positions at which a chunk of a shard begins and ends. */
static inline struct position chunk_start(const struct chunk *c)
{
	return (struct position){c->text_offset, c->first_sequence, c->json_offset};
}
static inline struct position chunk_end(const struct chunk *c)
{
	return (struct position){c->text_offset + c->text_bytes,
		c->first_sequence + c->record_count, c->json_offset + c->json_bytes};
}

/*
 * Compression state and the buffers of one chunk in the making; reused from chunk to chunk. One
 * thread at a time. About 16 KiB while idle.
 */
struct encoder;
struct encoder *encoder_new(void); /* NULL: no memory */
void encoder_free(struct encoder *encoder);

struct chunk_input {
	const void *text;
	size_t text_bytes;	/* 1 to CHUNK_TEXT_MAX */
	const struct buf *meta; /* raw sections; NULL or empty: none */
	uint32_t record_count;
	uint16_t flags;	     /* CHUNK_CONTINUES, CHUNK_OPEN_END */
	bool compress;	     /* false: an LZ4 frame of uncompressed blocks */
	uint64_t json_bytes; /* of the records that end in it, unplaced (json_record.h) */
};
/*
 * Makes the frame and the meta and leaves them in the encoder. The text is borrowed until
 * chunk_json_bytes() was called, if it is. 0 or -ENOMEM, -EINVAL.
 */
int chunk_encode(struct encoder *encoder, const struct chunk_input *input);

struct chunk_order {
	uint64_t owner;
	struct position start;
	uint64_t arrival_ms;
	uint64_t last_arrival_ms;
	uint64_t synced_offset;
	uint64_t json_bytes;
};
/* Whether the encoded chunk begins inside of a record. */
bool chunk_continues(const struct encoder *encoder);
/* JSON bytes of the encoded chunk's records at this place. */
uint64_t chunk_json_bytes(const struct encoder *encoder, const struct json_place *place);
/*
 * Completes the encoded chunk: what it is, and its bytes as two iovecs (header with meta, frame),
 * borrowed until the encoder's next use.
 */
void chunk_seal(struct encoder *encoder, const struct chunk_order *order, struct chunk *ret_chunk,
	struct iovec ret_iov[2]);

/*
 * Reads a header from at least sizeof(struct chunk_header) bytes. -EBADMSG: not one, or not sound;
 * -EPROTONOSUPPORT: sound, but with incompatible flags unknown here.
 */
int chunk_parse(const void *bytes, struct chunk *ret_chunk);

/*
 * Checks a stored frame against its header and decompresses it. `text` has room for
 * chunk->text_bytes. -EBADMSG if anything is off.
 */
int chunk_decode(const struct chunk *chunk, const void *frame, void *text);
/* Checks the stored meta and appends its raw sections to `ret_meta`. -EBADMSG, -ENOMEM. */
int chunk_decode_meta(const struct chunk *chunk, const void *meta, struct buf *ret_meta);

#endif
