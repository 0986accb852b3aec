/* SPDX-License-Identifier: MIT */
/*
 * Every byte of the binary files of a store, and nothing else. docs/format.md is the specification;
 * chunk.c, index.c and watermark.c are the only files that put or get these structures.
 *
 * A segment, and a blob too, is a sequence of chunks:
 *
 *     [struct chunk_header][meta][LZ4 frame: text]
 *      `--- one LZ4 skippable frame ---'
 */
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H

#include "bytes.h"
#include "streamfs/store.h"

#include <assert.h>
#include <stddef.h>

#define FORMAT_SKIPPABLE_MAGIC 0x184D2A53u /* one of LZ4's sixteen skippable frames */
#define FORMAT_CHUNK_MAGIC 0x314B4843u	   /* "CHK1" */
#define FORMAT_INDEX_MAGIC 0x31584449u	   /* "IDX1" */
#define FORMAT_WATERMARK_MAGIC 0x314B5257u /* "WRK1" */

enum {
	FORMAT_VERSION = SFS_STORE_FORMAT, /* of the store as a whole, in streamfs.json */
	CHUNK_TEXT_MAX = 4 << 20,	   /* text bytes of a chunk: one 4 MiB LZ4 block at most */
	CHUNK_TEXT_TARGET = 1 << 20,	   /* of one that is cut from something long */
	CHUNK_META_MAX = 64 << 20,	   /* raw meta bytes of a chunk */
	CHUNK_FRAME_MAX = CHUNK_TEXT_MAX + (64 << 10),
};

/* chunk_header.incompatible: a reader that does not know a set bit must not use the chunk. */
enum {
	CHUNK_META_LZ4 = 1 << 0,  /* meta is one LZ4 block of meta_raw_bytes */
	CHUNK_CONTINUES = 1 << 1, /* the first record began in an earlier chunk */
	CHUNK_OPEN_END = 1 << 2,  /* the last record goes on in the next chunk */
	CHUNK_INCOMPATIBLE_KNOWN = 7,
};

struct chunk_header {
	struct le32 skippable_magic;
	struct le32 skippable_bytes; /* sizeof(struct chunk_header) - 8 + meta_bytes */
	struct le32 magic;
	struct le16 compatible; /* no bit is defined yet; unknown ones are ignored */
	struct le16 incompatible;
	struct le64 owner;	 /* whose chunk: the shard's tag, or the first bytes of a digest */
	struct le64 text_offset; /* in the shard or blob */
	struct le64 first_sequence; /* of the record that the first byte belongs to */
	struct le64 arrival_ms;	    /* of the first record, Unix time; never decreases in a shard */
	struct le64 synced_offset;  /* text before it was durable when this was written */
	struct le64 json_offset;    /* JSON of the shard's records that ended before; blobs: 0 */
	struct le64 json_bytes;	    /* JSON of the records that end in this chunk; blobs: 0 */
	struct le32 text_bytes;	    /* 1 to CHUNK_TEXT_MAX */
	struct le32 record_count;   /* newlines that end a record in this chunk */
	struct le32 frame_bytes;
	struct le32 meta_bytes;		   /* as stored */
	struct le32 meta_raw_bytes;	   /* unpacked */
	struct le32 last_arrival_delta_ms; /* arrival of the last record less arrival_ms */
	struct le64 meta_hash;		   /* XXH3-64 of the stored meta */
	struct le64 frame_hash;		   /* XXH3-64 of the LZ4 frame */
	struct le64 header_hash;	   /* XXH3-64 of all of the header before this field */
};
static_assert(sizeof(struct chunk_header) == 120, "chunk header");
static_assert(offsetof(struct chunk_header, owner) == 16, "chunk owner");
static_assert(offsetof(struct chunk_header, json_offset) == 56, "chunk json offset");
static_assert(offsetof(struct chunk_header, text_bytes) == 72, "chunk text bytes");
static_assert(offsetof(struct chunk_header, header_hash) == 112, "chunk header hash");

/*
 * Meta is a sequence of sections: type (1 byte), payload bytes (LEB128), payload. A reader skips
 * types that it does not know.
 */
enum meta_section {
	META_KEY = 1,	 /* the one key of all records: its bytes */
	META_KEYS = 2,	 /* count, then {bytes, key} each; then per record a code:
			  * 0 the next key of the table, 1 no key, n the key n - 2 */
	META_TIMES = 3,	 /* runs {records, ms since the run before}, the first from arrival_ms */
	META_CLAIMS = 4, /* count, then {records between claims, SHA-256, payload bytes} */
};

/* NNN.idx: struct index_header, then struct index_entry of each chunk, by rising text offset. */
struct index_header {
	struct le32 magic;
	struct le32 entry_count;
	struct le64 owner;
	struct le64 segment_bytes;     /* size of the segment file that it describes */
	struct le64 first_header_hash; /* header_hash of the segment's first chunk */
	struct le64 last_header_hash;  /* ... and of its last: a rewritten segment has others */
	struct le64 end_offset;	       /* text offset behind the last chunk */
	struct le64 end_sequence;
	struct le64 end_json_offset;
	struct le64 last_arrival_ms;
	struct le64 hash; /* XXH3-64 of the entries, seeded by that of the header before this */
};
static_assert(sizeof(struct index_header) == 80, "index header");

struct index_entry {
	struct le64 text_offset;
	struct le64 file_offset;
	struct le64 first_sequence;
	struct le64 json_offset;
	struct le64 arrival_ms;
	struct le32 stored_bytes; /* header, meta and frame */
	struct le32 flags;	  /* enum index_flag */
};
static_assert(sizeof(struct index_entry) == 48, "index entry");

enum index_flag {
	INDEX_HAS_META = 1 << 0,
	INDEX_OPEN_END = 1 << 1,
	INDEX_CONTINUES = 1 << 2,
	INDEX_DAMAGED = 1 << 3, /* in memory only: a gap that answers -EBADMSG */
};

/* synced: two slots, each in a sector of its own, written in turn. */
struct watermark_slot {
	struct le32 magic;
	struct le32 reserved; /* zero */
	struct le64 owner;
	struct le64 counter;	     /* the valid slot with the greater one counts */
	struct le64 synced_offset;   /* text before it is durable */
	struct le64 synced_sequence; /* of the record at synced_offset */
	struct le64 synced_json_offset;
	struct le64 horizon_offset;   /* text before it was trimmed */
	struct le64 horizon_sequence; /* of the record at horizon_offset */
	struct le64 horizon_json_offset;
	struct le64 horizon_arrival_ms; /* of the last record before it; 0: none was trimmed */
	struct le64 hash;		/* XXH3-64 of all before this field */
};
static_assert(sizeof(struct watermark_slot) == 88, "watermark slot");
enum { WATERMARK_SLOT_STRIDE = 512 };

#endif
