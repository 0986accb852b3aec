/* SPDX-License-Identifier: MIT */
/*
 * bench-latency_redis COUNT PORT: adds COUNT events to a stream of the redis-server on loopback,
 * XADD by XADD, while another process waits for each in XREAD BLOCK. Prints what latency_run()
 * does. The stream is removed before.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "latency.h"

static redisContext *connect_to(const char *port)
{
	redisContext *redis = redisConnect("127.0.0.1", (int)number(port));

	if (!redis || redis->err)
		die("redis: %s", redis ? redis->errstr : "no memory");
	return redis;
}

static redisReply *expect(redisContext *redis, redisReply *reply, int type)
{
	errno = 0;
	if (!reply)
		die("redis: %s", redis->errstr);
	if (reply->type != type)
		die("redis: %s", reply->type == REDIS_REPLY_ERROR ? reply->str : "another reply");
	return reply;
}

static void *open_writer(char **arguments)
{
	return connect_to(arguments[0]);
}

static void write_event(void *argument, const char *event)
{
	redisContext *redis = argument;
	redisReply *reply = redisCommand(redis, "XADD latency * e %b", event, (size_t)EVENT_BYTES);

	freeReplyObject(expect(redis, reply, REDIS_REPLY_STRING));
}

/* Streams, then entries, then an entry's id and its fields. */
static uint64_t take_entries(struct latency *latency, redisReply *reply, char *last, size_t size)
{
	redisReply *entries = reply->element[0]->element[1];
	uint64_t left = 1;

	for (size_t i = 0; i < entries->elements && left > 0; i++) {
		redisReply *entry = entries->element[i];
		left = latency_take(latency, entry->element[1]->element[1]->str);
		snprintf(last, size, "%s", entry->element[0]->str);
	}
	return left;
}

static void read_events(struct latency *latency, char **arguments)
{
	redisContext *redis = connect_to(arguments[0]);
	char last[64] = "0";
	uint64_t left;

	freeReplyObject(expect(redis, redisCommand(redis, "DEL latency"), REDIS_REPLY_INTEGER));
	latency_ready(latency);
	do {
		redisReply *reply = redisCommand(redis, "XREAD BLOCK 0 STREAMS latency %s", last);
		left = take_entries(
			latency, expect(redis, reply, REDIS_REPLY_ARRAY), last, sizeof(last));
		freeReplyObject(reply);
	} while (left > 0);
	redisFree(redis);
}

int main(int argc, char **argv)
{
	static const struct latency_sides sides = {open_writer, write_event, read_events};

	if (argc != 3)
		die("usage: bench-latency_redis COUNT PORT");
	latency_run(&sides, number(argv[1]), argv + 2);
	return 0;
}
