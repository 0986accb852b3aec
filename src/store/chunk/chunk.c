/* SPDX-License-Identifier: MIT */
/*
 * The frame is written by liblz4's frame API, so that the lz4 tool reads it, and read by hand:
 * its checksum is verified first, it always has the same shape (independent blocks, a checksum of
 * the text behind them), and so a block can be decompressed straight into the caller's buffer. The
 * checksum of the text is for the lz4 tool alone; XXH3 over the frame is faster and comes earlier.
 */
#include "chunk.h"

#include <errno.h>
#include <lz4.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
	FRAME_HEADER_BYTES = 7, /* magic, FLG, BD, HC */
	FRAME_END_BYTES = 8,	/* end mark, XXH32 of the text */
	FRAME_FLG = 0x64,	/* version 01, independent blocks, content checksum */
	META_PACK_MIN = 64,	/* shorter meta is not worth compressing */
};
#define FRAME_MAGIC 0x184D2204u
#define FRAME_BLOCK_RAW 0x80000000u

struct encoder {
	LZ4F_cctx *lz4;
	struct buf frame;
	struct buf head; /* struct chunk_header, then the stored meta */
	struct chunk chunk;
	const char *text; /* what was encoded; borrowed */
	uint64_t unplaced_json_bytes;
	bool encoded; /* a chunk waits to be sealed */
};

struct encoder *encoder_new(void)
{
	struct encoder *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	if (LZ4F_isError(LZ4F_createCompressionContext(&e->lz4, LZ4F_VERSION))) {
		free(e);
		return NULL;
	}
	return e;
}

void encoder_free(struct encoder *encoder)
{
	if (!encoder)
		return;
	LZ4F_freeCompressionContext(encoder->lz4);
	buf_fini(&encoder->frame);
	buf_fini(&encoder->head);
	free(encoder);
}

/* The smallest block size that holds the text in one block. */
static LZ4F_blockSizeID_t block_size_id(size_t text_bytes)
{
	if (text_bytes <= 64 << 10)
		return LZ4F_max64KB;
	if (text_bytes <= 256 << 10)
		return LZ4F_max256KB;
	return text_bytes <= 1 << 20 ? LZ4F_max1MB : LZ4F_max4MB;
}

/* Adds what a call of the frame API wrote; its errors cannot come from sound arguments. */
static int advance(struct buf *frame, size_t written)
{
	if (LZ4F_isError(written))
		return -ENOMEM;
	frame->size += written;
	return 0;
}

static void put_le32(struct buf *b, uint32_t n)
{
	struct le32 v = le32(n);
	memcpy(b->data + b->size, &v, sizeof v);
	b->size += sizeof v;
}

static int encode_frame(struct encoder *e, const struct chunk_input *input)
{
	const LZ4F_preferences_t preferences = {
		.frameInfo = {.blockSizeID = block_size_id(input->text_bytes),
			.blockMode = LZ4F_blockIndependent,
			.contentChecksumFlag = LZ4F_contentChecksumEnabled},
		.autoFlush = 1,
	};
	const LZ4F_compressOptions_t stable = {.stableSrc = 1};
	struct buf *f = &e->frame;
	f->size = 0;
	int r = buf_reserve(f, LZ4F_compressBound(input->text_bytes, &preferences) +
				       LZ4F_HEADER_SIZE_MAX + FRAME_END_BYTES);
	if (r == 0)
		r = advance(f, LZ4F_compressBegin(e->lz4, f->data, f->capacity, &preferences));
	if (r < 0)
		return r;
	if (!input->compress) {
		put_le32(f, (uint32_t)input->text_bytes | FRAME_BLOCK_RAW);
		memcpy(f->data + f->size, input->text, input->text_bytes);
		f->size += input->text_bytes;
		put_le32(f, 0);
		put_le32(f, XXH32(input->text, input->text_bytes, 0));
		return 0;
	}
	r = advance(f, LZ4F_compressUpdate(e->lz4, f->data + f->size, f->capacity - f->size,
			       input->text, input->text_bytes, &stable));
	if (r == 0)
		r = advance(f, LZ4F_compressEnd(
				       e->lz4, f->data + f->size, f->capacity - f->size, &stable));
	return r;
}

/* Puts the meta behind the room for the header, compressed where that is shorter. */
static int encode_meta(struct encoder *e, const struct buf *meta)
{
	struct buf *h = &e->head;
	size_t raw = meta ? meta->size : 0;
	h->size = 0;
	int r = buf_reserve(h, sizeof(struct chunk_header) + raw);
	if (r < 0)
		return r;
	h->size = sizeof(struct chunk_header);
	e->chunk.meta_raw_bytes = e->chunk.meta_bytes = (uint32_t)raw;
	if (!raw)
		return 0;
	int packed = raw < META_PACK_MIN
			     ? 0
			     : LZ4_compress_default((const char *)meta->data,
				       (char *)h->data + h->size, (int)raw, (int)raw - 1);
	if (packed > 0) {
		e->chunk.meta_bytes = (uint32_t)packed;
		e->chunk.incompatible |= CHUNK_META_LZ4;
	} else {
		memcpy(h->data + h->size, meta->data, raw);
	}
	h->size += e->chunk.meta_bytes;
	return 0;
}

int chunk_encode(struct encoder *encoder, const struct chunk_input *input)
{
	if (!input->text_bytes || input->text_bytes > CHUNK_TEXT_MAX)
		return -EINVAL;
	if (input->meta && input->meta->size > CHUNK_META_MAX)
		return -EINVAL;
	encoder->encoded = false;
	encoder->chunk = (struct chunk){
		.text_bytes = (uint32_t)input->text_bytes,
		.record_count = input->record_count,
		.incompatible = input->flags,
	};
	encoder->text = input->text;
	encoder->unplaced_json_bytes = input->json_bytes;
	int r = encode_frame(encoder, input);
	if (r == 0)
		r = encode_meta(encoder, input->meta);
	if (r < 0)
		return r;
	struct chunk *c = &encoder->chunk;
	c->frame_bytes = (uint32_t)encoder->frame.size;
	c->frame_hash = XXH3_64bits(encoder->frame.data, encoder->frame.size);
	c->meta_hash = XXH3_64bits(encoder->head.data + sizeof(struct chunk_header), c->meta_bytes);
	encoder->encoded = true;
	return 0;
}

bool chunk_continues(const struct encoder *encoder)
{
	assert(encoder->encoded);
	return encoder->chunk.incompatible & CHUNK_CONTINUES;
}

uint64_t chunk_json_bytes(const struct encoder *encoder, const struct json_place *place)
{
	assert(encoder->encoded);
	const struct chunk *c = &encoder->chunk;
	return encoder->unplaced_json_bytes +
	       json_place_bytes(place, encoder->text, c->text_bytes, c->record_count);
}

void chunk_seal(struct encoder *encoder, const struct chunk_order *order, struct chunk *ret_chunk,
	struct iovec ret_iov[2])
{
	assert(encoder->encoded && order->last_arrival_ms >= order->arrival_ms);
	encoder->encoded = false;
	struct chunk *c = &encoder->chunk;
	c->owner = order->owner;
	c->text_offset = order->start.offset;
	c->first_sequence = order->start.sequence;
	c->arrival_ms = order->arrival_ms;
	c->last_arrival_ms = order->last_arrival_ms;
	c->synced_offset = order->synced_offset;
	c->json_offset = order->start.json_offset;
	c->json_bytes = order->json_bytes;
	struct chunk_header h = {
		.skippable_magic = le32(FORMAT_SKIPPABLE_MAGIC),
		.skippable_bytes = le32((uint32_t)sizeof h - 8 + c->meta_bytes),
		.magic = le32(FORMAT_CHUNK_MAGIC),
		.incompatible = le16(c->incompatible),
		.owner = le64(c->owner),
		.text_offset = le64(c->text_offset),
		.first_sequence = le64(c->first_sequence),
		.arrival_ms = le64(c->arrival_ms),
		.synced_offset = le64(c->synced_offset),
		.json_offset = le64(c->json_offset),
		.json_bytes = le64(c->json_bytes),
		.text_bytes = le32(c->text_bytes),
		.record_count = le32(c->record_count),
		.frame_bytes = le32(c->frame_bytes),
		.meta_bytes = le32(c->meta_bytes),
		.meta_raw_bytes = le32(c->meta_raw_bytes),
		.last_arrival_delta_ms = le32((uint32_t)(c->last_arrival_ms - c->arrival_ms)),
		.meta_hash = le64(c->meta_hash),
		.frame_hash = le64(c->frame_hash),
	};
	c->header_hash = XXH3_64bits(&h, offsetof(struct chunk_header, header_hash));
	h.header_hash = le64(c->header_hash);
	memcpy(encoder->head.data, &h, sizeof h);
	*ret_chunk = *c;
	ret_iov[0] = (struct iovec){encoder->head.data, encoder->head.size};
	ret_iov[1] = (struct iovec){encoder->frame.data, encoder->frame.size};
}

/* The bounds of a sound header, whatever its checksum. */
static int check_bounds(const struct chunk *c, uint32_t skippable_bytes)
{
	if (skippable_bytes != sizeof(struct chunk_header) - 8 + (uint64_t)c->meta_bytes)
		return -EBADMSG;
	if (!c->text_bytes || c->text_bytes > CHUNK_TEXT_MAX || c->record_count > c->text_bytes)
		return -EBADMSG;
	if (c->frame_bytes < FRAME_HEADER_BYTES + FRAME_END_BYTES ||
		c->frame_bytes > CHUNK_FRAME_MAX)
		return -EBADMSG;
	if (c->meta_raw_bytes > CHUNK_META_MAX || c->meta_bytes > c->meta_raw_bytes)
		return -EBADMSG;
	if (c->text_offset > INT64_MAX - CHUNK_TEXT_MAX || c->first_sequence > INT64_MAX)
		return -EBADMSG;
	if (c->json_offset > INT64_MAX || c->json_bytes > INT64_MAX - c->json_offset)
		return -EBADMSG;
	return 0;
}

int chunk_parse(const void *bytes, struct chunk *ret_chunk)
{
	struct chunk_header h;
	memcpy(&h, bytes, sizeof h);
	if (le32_get(h.skippable_magic) != FORMAT_SKIPPABLE_MAGIC ||
		le32_get(h.magic) != FORMAT_CHUNK_MAGIC)
		return -EBADMSG;
	uint64_t hash = XXH3_64bits(&h, offsetof(struct chunk_header, header_hash));
	if (hash != le64_get(h.header_hash))
		return -EBADMSG;
	struct chunk c = {
		.owner = le64_get(h.owner),
		.text_offset = le64_get(h.text_offset),
		.first_sequence = le64_get(h.first_sequence),
		.arrival_ms = le64_get(h.arrival_ms),
		.last_arrival_ms = le64_get(h.arrival_ms) + le32_get(h.last_arrival_delta_ms),
		.synced_offset = le64_get(h.synced_offset),
		.json_offset = le64_get(h.json_offset),
		.json_bytes = le64_get(h.json_bytes),
		.text_bytes = le32_get(h.text_bytes),
		.record_count = le32_get(h.record_count),
		.frame_bytes = le32_get(h.frame_bytes),
		.meta_bytes = le32_get(h.meta_bytes),
		.meta_raw_bytes = le32_get(h.meta_raw_bytes),
		.meta_hash = le64_get(h.meta_hash),
		.frame_hash = le64_get(h.frame_hash),
		.header_hash = hash,
		.incompatible = le16_get(h.incompatible),
	};
	if (c.incompatible & ~CHUNK_INCOMPATIBLE_KNOWN)
		return -EPROTONOSUPPORT;
	int r = check_bounds(&c, le32_get(h.skippable_bytes));
	if (r == 0)
		*ret_chunk = c;
	return r;
}

static uint32_t get_le32(const uint8_t *p)
{
	struct le32 v;
	memcpy(&v, p, sizeof v);
	return le32_get(v);
}

/* One block into the text; how many bytes it gave, or -EBADMSG. */
static ssize_t decode_block(
	const uint8_t *block, uint32_t stored, bool raw, uint8_t *text, size_t room)
{
	if (!raw) {
		int n = LZ4_decompress_safe(
			(const char *)block, (char *)text, (int)stored, (int)room);
		return n < 0 ? -EBADMSG : n;
	}
	if (stored > room)
		return -EBADMSG;
	memcpy(text, block, stored);
	return (ssize_t)stored;
}

int chunk_decode(const struct chunk *chunk, const void *frame, void *text)
{
	if (XXH3_64bits(frame, chunk->frame_bytes) != chunk->frame_hash)
		return -EBADMSG;
	const uint8_t *p = frame, *end = p + chunk->frame_bytes;
	if (get_le32(p) != FRAME_MAGIC || p[4] != FRAME_FLG)
		return -EBADMSG;
	p += FRAME_HEADER_BYTES;
	size_t done = 0;
	while (end - p >= 4) {
		uint32_t word = get_le32(p), stored = word & ~FRAME_BLOCK_RAW;
		p += 4;
		if (!word)
			return end - p == 4 && done == chunk->text_bytes ? 0 : -EBADMSG;
		if (stored > (size_t)(end - p))
			return -EBADMSG;
		ssize_t n = decode_block(p, stored, word & FRAME_BLOCK_RAW, (uint8_t *)text + done,
			chunk->text_bytes - done);
		if (n < 0)
			return -EBADMSG;
		done += (size_t)n;
		p += stored;
	}
	return -EBADMSG;
}

int chunk_decode_meta(const struct chunk *chunk, const void *meta, struct buf *ret_meta)
{
	if (XXH3_64bits(meta, chunk->meta_bytes) != chunk->meta_hash)
		return -EBADMSG;
	if (!(chunk->incompatible & CHUNK_META_LZ4))
		return buf_append(ret_meta, meta, chunk->meta_bytes);
	int r = buf_reserve(ret_meta, chunk->meta_raw_bytes);
	if (r < 0)
		return r;
	int n = LZ4_decompress_safe(meta, (char *)ret_meta->data + ret_meta->size,
		(int)chunk->meta_bytes, (int)chunk->meta_raw_bytes);
	if (n < 0 || (uint32_t)n != chunk->meta_raw_bytes)
		return -EBADMSG;
	ret_meta->size += (size_t)n;
	return 0;
}
