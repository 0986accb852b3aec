/* SPDX-License-Identifier: MIT */
#include "metrics.h"

const uint64_t sync_bucket_us[SYNC_BUCKETS] = {
	100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 500000, 2500000};

void metrics_sync(struct store_metrics *metrics, uint64_t ns)
{
	int bucket = 0;
	while (bucket < SYNC_BUCKETS && ns > sync_bucket_us[bucket] * 1000)
		bucket++;
	metric_add(&metrics->syncs, 1);
	metric_add(&metrics->sync_ns, ns);
	metric_add(&metrics->sync_buckets[bucket], 1);
}
