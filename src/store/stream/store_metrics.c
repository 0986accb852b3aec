/* SPDX-License-Identifier: MIT */
/* The store's counters in Prometheus's text format. */
#include "buf.h"
#include "cleanup.h"
#include "consumer_lag.h"
#include "shard_name.h"
#include "store.h"
#include "stream.h"
#include "streams.h"

#include <errno.h>
#include <string.h>

static int put_metric(
	struct buf *b, const char *name, const char *type, const char *help, uint64_t value)
{
	return buf_printf(b, "# HELP streamfs_%s %s\n# TYPE streamfs_%s %s\nstreamfs_%s %llu\n",
		name, help, name, type, name, (unsigned long long)value);
}

static int put_sync_histogram(struct buf *b, const struct store_metrics *m)
{
	uint64_t below = 0;
	int r = buf_printf(b, "# HELP streamfs_sync_seconds Time that a sync of a shard took.\n"
			      "# TYPE streamfs_sync_seconds histogram\n");
	for (int i = 0; r == 0 && i < SYNC_BUCKETS; i++) {
		below += metric_get(&m->sync_buckets[i]);
		r = buf_printf(b, "streamfs_sync_seconds_bucket{le=\"%g\"} %llu\n",
			(double)sync_bucket_us[i] / 1e6, (unsigned long long)below);
	}
	below += metric_get(&m->sync_buckets[SYNC_BUCKETS]);
	return r < 0 ? r
		     : buf_printf(b,
			       "streamfs_sync_seconds_bucket{le=\"+Inf\"} %llu\n"
			       "streamfs_sync_seconds_sum %.9f\nstreamfs_sync_seconds_count %llu\n",
			       (unsigned long long)below, (double)metric_get(&m->sync_ns) / 1e9,
			       (unsigned long long)below);
}

static int put_store(struct buf *b, const struct store_metrics *m)
{
	const struct {
		const char *name, *type, *help;
		const atomic_uint_fast64_t *value;
	} rows[] = {
		{"open_writers", "gauge", "Handles open for appending.", &m->open_writers},
		{"syncs_total", "counter", "Syncs of shards.", &m->syncs},
		{"sync_failures_total", "counter", "Syncs that failed.", &m->sync_failures},
		{"write_failures_total", "counter", "Writes that the disk refused.",
			&m->write_failures},
		{"recoveries_total", "counter", "Shards whose unfinished end was cut.",
			&m->recoveries},
		{"torn_bytes_total", "counter", "Bytes that were cut so.", &m->torn_bytes},
		{"quarantined_chunks_total", "counter", "Damaged parts that were found on opening.",
			&m->quarantined_chunks},
		{"checksum_errors_total", "counter", "Reads that met damage.", &m->checksum_errors},
		{"segments_merged_total", "counter", "Segments rewritten with larger chunks.",
			&m->segments_merged},
		{"blobs_swept_total", "counter", "Blobs removed that no record named.",
			&m->blobs_swept},
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < sizeof rows / sizeof *rows; i++)
		r = put_metric(
			b, rows[i].name, rows[i].type, rows[i].help, metric_get(rows[i].value));
	return r < 0 ? r : put_sync_histogram(b, m);
}

/* One family of per-stream figures: all samples of a name stand together. */
struct family {
	struct buf *out;
	const char *name;
	size_t offset; /* of the counter in struct stream_metrics */
};

static int put_stream(void *context, struct sfs_stream *stream)
{
	const struct family *f = context;
	char name[SFS_NAME_MAX + 1];
	sfs_stream_name(stream, name);
	const void *metrics = (const char *)&stream->home.metrics + f->offset;
	return buf_printf(f->out, "streamfs_%s{stream=\"%s\"} %llu\n", f->name, name,
		(unsigned long long)metric_get(metrics));
}

static int put_streams(struct sfs_store *store, struct buf *b)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} rows[] = {
		{"records_total", "Records appended.", offsetof(struct stream_metrics, records)},
		{"bytes_in_total", "Bytes of text appended.",
			offsetof(struct stream_metrics, bytes_in)},
		{"bytes_stored_total", "Bytes written to segments for them.",
			offsetof(struct stream_metrics, bytes_stored)},
		{"records_without_key_total", "Records in which the key rule found no key.",
			offsetof(struct stream_metrics, keyless)},
		{"records_refused_total", "Records refused for their size.",
			offsetof(struct stream_metrics, rejected)},
		{"claim_checks_total", "Records whose payload went to the blobs.",
			offsetof(struct stream_metrics, claims)},
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < sizeof rows / sizeof *rows; i++) {
		struct family f = {b, rows[i].name, rows[i].offset};
		r = buf_printf(b, "# HELP streamfs_%s %s\n# TYPE streamfs_%s counter\n",
			rows[i].name, rows[i].help, rows[i].name);
		if (r == 0)
			r = streams_each(store, put_stream, &f);
	}
	return r;
}

/* Per-shard gauges, by the same way. */
struct shard_family {
	struct buf *out;
	int which;
};

static const struct {
	const char *name, *help;
} shard_rows[] = {
	{"shard_size_bytes", "Bytes of text ever written to the shard."},
	{"shard_stored_bytes", "Bytes that its segments take."},
	{"shard_sequence_next", "Sequence number of its next record."},
	{"shard_unsynced_bytes", "Bytes of text that are not durable yet."},
	{"shard_damaged_bytes", "Bytes of text that cannot be read."},
	{"shard_failed", "1 if a disk error made it read-only."},
};

static uint64_t shard_figure(struct sfs_shard *shard, int which)
{
	SCOPED_LOCK(&shard->lock);
	switch (which) {
	case 0:
		return shard->end.offset;
	case 1:
		return shard->stored_bytes;
	case 2:
		return shard->end.sequence;
	case 3:
		return shard->end.offset - shard->sync.synced_offset;
	case 4:
		return shard->gap_bytes;
	default:
		return shard->failed;
	}
}

static int put_shards(void *context, struct sfs_stream *stream)
{
	const struct shard_family *f = context;
	int r = 0;
	pthread_rwlock_rdlock(&stream->home.lock);
	for (size_t i = 0; r == 0 && i < stream->table.count; i++) {
		struct sfs_shard *shard = stream->table.shards[i];
		if (atomic_load(&shard->opened))
			r = buf_printf(f->out,
				"streamfs_%s{stream=\"%s\",shard=\"" SHARD_NAME_FORMAT "\"} %llu\n",
				shard_rows[f->which].name, stream->home.name, shard->number,
				(unsigned long long)shard_figure(shard, f->which));
	}
	pthread_rwlock_unlock(&stream->home.lock);
	return r;
}

static int put_all_shards(struct sfs_store *store, struct buf *b)
{
	int r = 0;
	for (int i = 0; r == 0 && i < (int)(sizeof shard_rows / sizeof *shard_rows); i++) {
		struct shard_family f = {b, i};
		r = buf_printf(b, "# HELP streamfs_%s %s\n# TYPE streamfs_%s gauge\n",
			shard_rows[i].name, shard_rows[i].help, shard_rows[i].name);
		if (r == 0)
			r = streams_each(store, put_shards, &f);
	}
	return r;
}

/* How far each consumer is behind, in each shard. */
struct lag_row {
	char stream[SFS_NAME_MAX + 1], consumer[SFS_NAME_MAX + 1];
	struct consumer_lag lag;
};

struct lag_rows {
	struct buf rows; /* struct lag_row[] */
	char stream[SFS_NAME_MAX + 1];
};

static int note_lag(void *context, const char *name, const struct consumer_lag *lag)
{
	struct lag_rows *rows = context;
	struct lag_row row = {.stream = ""};
	if (!lag)
		return 0;
	memcpy(row.stream, rows->stream, sizeof row.stream);
	snprintf(row.consumer, sizeof row.consumer, "%s", name);
	row.lag = *lag;
	return buf_append(&rows->rows, &row, sizeof row);
}

static int note_stream_lag(void *context, struct sfs_stream *stream)
{
	struct lag_rows *rows = context;
	sfs_stream_name(stream, rows->stream);
	int r = consumer_lag_each(stream, note_lag, rows);
	return r == -ENOMEM ? r : 0; /* one that cannot be read has no figures */
}

static int put_lag(struct buf *b, const struct lag_row *row, int which)
{
	static const char *const names[] = {"records", "bytes", "seconds"};
	const double figures[] = {
		(double)row->lag.records, (double)row->lag.bytes, row->lag.seconds};
	return buf_printf(b,
		"streamfs_consumer_lag_%s{stream=\"%s\",consumer=\"%s\",shard=\"" SHARD_NAME_FORMAT
		"\"} "
		"%.*f\n",
		names[which], row->stream, row->consumer, row->lag.shard, which == 2 ? 3 : 0,
		figures[which]);
}

static int put_lags(struct sfs_store *store, struct buf *b)
{
	static const char *const heads[] = {
		"# HELP streamfs_consumer_lag_records Records that a consumer has not processed.\n"
		"# TYPE streamfs_consumer_lag_records gauge\n",
		"# HELP streamfs_consumer_lag_bytes Bytes of text that it has not processed.\n"
		"# TYPE streamfs_consumer_lag_bytes gauge\n",
		"# HELP streamfs_consumer_lag_seconds Time since the first of these records came.\n"
		"# TYPE streamfs_consumer_lag_seconds gauge\n"};
	struct lag_rows rows = {.stream = ""};
	int r = streams_each(store, note_stream_lag, &rows);
	const struct lag_row *row = (const struct lag_row *)(void *)rows.rows.data;
	size_t count = rows.rows.size / sizeof *row;
	for (int which = 0; r == 0 && which < 3; which++) {
		r = buf_append(b, heads[which], strlen(heads[which]));
		for (size_t i = 0; r == 0 && i < count; i++)
			r = put_lag(b, &row[i], which);
	}
	buf_fini(&rows.rows);
	return r;
}

int sfs_store_metrics(struct sfs_store *store, char **ret_text, size_t *ret_bytes)
{
	struct buf b = {0};
	int r = put_store(&b, &store->env.metrics);
	if (r == 0)
		r = put_streams(store, &b);
	if (r == 0)
		r = put_all_shards(store, &b);
	if (r == 0)
		r = put_lags(store, &b);
	if (r < 0) {
		buf_fini(&b);
		return r;
	}
	*ret_text = (char *)b.data;
	*ret_bytes = b.size;
	return 0;
}
