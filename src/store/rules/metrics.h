/* SPDX-License-Identifier: MIT */
/* Counters. Each is read and written alone; together they are a picture of about one moment. */
#ifndef STORE_METRICS_H
#define STORE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

enum { SYNC_BUCKETS = 12 };

struct store_metrics {
	atomic_uint_fast64_t syncs;
	atomic_uint_fast64_t sync_ns;
	atomic_uint_fast64_t sync_buckets[SYNC_BUCKETS + 1]; /* not cumulative; the last: above */
	atomic_uint_fast64_t sync_failures;
	atomic_uint_fast64_t write_failures;
	atomic_uint_fast64_t open_writers;
	atomic_uint_fast64_t recoveries; /* shards whose end was mended */
	atomic_uint_fast64_t torn_bytes;
	atomic_uint_fast64_t quarantined_chunks;
	atomic_uint_fast64_t checksum_errors; /* reads that found damage */
	atomic_uint_fast64_t segments_merged;
	atomic_uint_fast64_t blobs_swept;
};

struct stream_metrics {
	atomic_uint_fast64_t records;	   /* appended since the store was opened */
	atomic_uint_fast64_t bytes_in;	   /* of their text */
	atomic_uint_fast64_t bytes_stored; /* of the chunks that were written */
	atomic_uint_fast64_t keyless;	   /* records in which the key rule found no key */
	atomic_uint_fast64_t rejected;	   /* records that were refused for their size */
	atomic_uint_fast64_t claims;
};

static inline void metric_add(atomic_uint_fast64_t *metric, uint64_t n)
{
	atomic_fetch_add_explicit(metric, n, memory_order_relaxed);
}
static inline uint64_t metric_get(const atomic_uint_fast64_t *metric)
{
	return atomic_load_explicit(metric, memory_order_relaxed);
}

/* Upper bounds of the buckets, in microseconds. */
extern const uint64_t sync_bucket_us[SYNC_BUCKETS];
void metrics_sync(struct store_metrics *metrics, uint64_t ns);

#endif
