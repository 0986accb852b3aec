/* SPDX-License-Identifier: MIT */
/*
 * bench-jetstream PORT COUNT INPUT: publishes COUNT lines of INPUT asynchronously to one JetStream
 * stream (file storage, one replica) of the nats-server on loopback, waits for every
 * acknowledgement, and prints the nanoseconds that one took on average. The stream is made before
 * and removed after, outside the measured part.
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <nats/nats.h>
#include <stdio.h>

enum { PENDING = 4096 };

static void check(natsStatus status, const char *what)
{
	errno = 0;
	if (status != NATS_OK)
		die("%s: %s", what, natsStatus_GetText(status));
}

/* An event that the server refused would make it look faster than it is. */
static void refused(jsCtx *jet, jsPubAckErr *error, void *closure)
{
	(void)jet;
	(void)closure;
	errno = 0;
	die("JetStream: %s", error->ErrText);
}

static void make_stream(jsCtx *jet)
{
	jsStreamConfig config;
	const char *subjects[] = {"bench"};

	jsStreamConfig_Init(&config);
	config.Name = "bench";
	config.Subjects = subjects;
	config.SubjectsLen = 1;
	config.Storage = js_FileStorage;
	check(js_AddStream(NULL, jet, &config, NULL, NULL), "add stream");
}

static uint64_t publish(jsCtx *jet, struct input *input, uint64_t count)
{
	uint64_t start = now_ns();

	for (uint64_t i = 0; i < count; i++) {
		size_t bytes;
		const char *line = input_line(input, &bytes);
		check(js_PublishAsync(jet, "bench", line, (int)bytes - 1, NULL), "publish");
	}
	check(js_PublishAsyncComplete(jet, NULL), "acknowledgements");
	return now_ns() - start;
}

int main(int argc, char **argv)
{
	struct input input;
	natsConnection *connection = NULL;
	jsCtx *jet = NULL;
	jsOptions options;
	char url[64];
	uint64_t count;

	if (argc != 4)
		die("usage: bench-jetstream PORT COUNT INPUT");
	snprintf(url, sizeof(url), "nats://127.0.0.1:%u", (unsigned int)number(argv[1]));
	count = number(argv[2]);
	input_load(&input, argv[3]);

	check(natsConnection_ConnectTo(&connection, url), url);
	jsOptions_Init(&options);
	options.PublishAsync.MaxPending = PENDING;
	options.PublishAsync.StallWait = 10000;
	options.PublishAsync.ErrHandler = refused;
	check(natsConnection_JetStream(&jet, connection, &options), "JetStream");
	make_stream(jet);
	printf("%" PRIu64 "\n", publish(jet, &input, count) / count);
	check(js_DeleteStream(jet, "bench", NULL, NULL), "delete stream");

	jsCtx_Destroy(jet);
	natsConnection_Destroy(connection);
	nats_Close();
	return 0;
}
