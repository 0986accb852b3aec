/* SPDX-License-Identifier: MIT */
/*
 * bench-redis PORT COUNT INPUT: adds COUNT lines of INPUT to one stream of the redis-server on
 * loopback, XADD by XADD with DEPTH of them under way, and prints the nanoseconds that one took on
 * average. The stream is removed before and after, outside the measured part.
 */
#include "bench.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH = 1000 };

static void expect_reply(redisContext *redis)
{
	redisReply *reply;

	if (redisGetReply(redis, (void **)&reply) != REDIS_OK)
		die("redis: %s", redis->errstr);
	errno = 0;
	if (reply->type == REDIS_REPLY_ERROR)
		die("redis: %s", reply->str);
	freeReplyObject(reply);
}

static void forget_stream(redisContext *redis)
{
	redisAppendCommand(redis, "DEL bench");
	expect_reply(redis);
}

static void add_line(redisContext *redis, struct input *input)
{
	const char *words[] = {"XADD", "bench", "*", "e", NULL};
	size_t bytes[] = {4, 5, 1, 1, 0};

	words[4] = input_line(input, &bytes[4]);
	bytes[4]--; /* the newline ends a line, and is no part of an event */
	redisAppendCommandArgv(redis, 5, words, bytes);
}

int main(int argc, char **argv)
{
	struct input input;
	redisContext *redis;
	uint64_t count, start;

	if (argc != 4)
		die("usage: bench-redis PORT COUNT INPUT");
	redis = redisConnect("127.0.0.1", (int)number(argv[1]));
	if (!redis || redis->err)
		die("redis: %s", redis ? redis->errstr : "no memory");
	count = number(argv[2]);
	input_load(&input, argv[3]);
	forget_stream(redis);

	start = now_ns();
	for (uint64_t done = 0, batch; done < count; done += batch) {
		batch = count - done < DEPTH ? count - done : DEPTH;
		for (uint64_t i = 0; i < batch; i++)
			add_line(redis, &input);
		for (uint64_t i = 0; i < batch; i++)
			expect_reply(redis);
	}
	printf("%" PRIu64 "\n", (now_ns() - start) / count);

	forget_stream(redis);
	redisFree(redis);
	return 0;
}
