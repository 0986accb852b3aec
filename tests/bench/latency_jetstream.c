/* SPDX-License-Identifier: MIT */
/*
 * bench-latency_jetstream COUNT PORT: publishes COUNT events to a JetStream stream (file storage,
 * one replica) of the nats-server on loopback, each acknowledged, while a push consumer that need
 * not acknowledge receives them in another process. Prints what latency_run() does.
 */
#include <errno.h>
#include <nats/nats.h>
#include <stdio.h>

#include "bench.h"
#include "latency.h"

enum { WAIT_MS = 10000 };

static void check(natsStatus status, const char *what)
{
	errno = 0;
	if (status != NATS_OK)
		die("%s: %s", what, natsStatus_GetText(status));
}

/* Lives as long as the process. */
static jsCtx *connect_to(const char *port)
{
	natsConnection *connection = NULL;
	jsCtx *jet = NULL;
	char url[64];

	snprintf(url, sizeof(url), "nats://127.0.0.1:%u", (unsigned int)number(port));
	check(natsConnection_ConnectTo(&connection, url), url);
	check(natsConnection_JetStream(&jet, connection, NULL), "JetStream");
	return jet;
}

static void make_stream(jsCtx *jet)
{
	jsStreamConfig config;
	const char *subjects[] = {"latency"};

	(void)js_DeleteStream(jet, "latency", NULL, NULL);
	jsStreamConfig_Init(&config);
	config.Name = "latency";
	config.Subjects = subjects;
	config.SubjectsLen = 1;
	config.Storage = js_FileStorage;
	check(js_AddStream(NULL, jet, &config, NULL, NULL), "add stream");
}

static void *open_writer(char **arguments)
{
	return connect_to(arguments[0]);
}

static void write_event(void *argument, const char *event)
{
	jsPubAck *acknowledgement = NULL;

	check(js_Publish(&acknowledgement, argument, "latency", event, EVENT_BYTES, NULL, NULL),
		"publish");
	jsPubAck_Destroy(acknowledgement);
}

static void read_events(struct latency *latency, char **arguments)
{
	jsCtx *jet = connect_to(arguments[0]);
	natsSubscription *subscription = NULL;
	jsSubOptions options;
	uint64_t left;

	make_stream(jet);
	jsSubOptions_Init(&options);
	options.Config.AckPolicy = js_AckNone;
	check(js_SubscribeSync(&subscription, jet, "latency", NULL, &options, NULL), "subscribe");
	latency_ready(latency);
	do {
		natsMsg *message = NULL;
		check(natsSubscription_NextMsg(&message, subscription, WAIT_MS), "next message");
		left = latency_take(latency, natsMsg_GetData(message));
		natsMsg_Destroy(message);
	} while (left > 0);
}

int main(int argc, char **argv)
{
	static const struct latency_sides sides = {open_writer, write_event, read_events};

	if (argc != 3)
		die("usage: bench-latency_jetstream COUNT PORT");
	latency_run(&sides, number(argv[1]), argv + 2);
	return 0;
}
