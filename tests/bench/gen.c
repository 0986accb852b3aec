/* SPDX-License-Identifier: MIT */
/*
 * bench-gen COUNT [SEED]: sensor events on stdout, the same ones for the same seed. Each is exactly
 * 119 bytes of JSON and a newline, 120 bytes a line:
 *
 *   {"sensorId":"<uuid>_100017","temperature":147.24,"status":"OK","timestamp":1675686126310}
 *
 * A thousand sensors report in random order, a million events in a second of event time, a few
 * milliseconds out of order; one event in 32 has another status.
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SENSORS = 1000,
	FIRST_SENSOR = 100000, /* six digits each */
	EVENTS_PER_MS = 1000,
	JITTER_MS = 32,
	EVENT_BYTES = 119,
	UUID_BYTES = 36,
};

static const uint64_t FIRST_MS = 1675686126310;

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void make_uuid(uint64_t *state, char uuid[UUID_BYTES + 1])
{
	uint64_t a = next_random(state), b = next_random(state);

	snprintf(uuid, UUID_BYTES + 1, "%08x-%04x-4%03x-%04x-%012" PRIx64, (uint32_t)a,
		(uint32_t)(a >> 32) & 0xffff, (uint32_t)(a >> 48) & 0xfff,
		((uint32_t)b & 0x3fff) | 0x8000, b >> 16);
}

static void print_event(uint64_t *state, char (*uuids)[UUID_BYTES + 1], uint64_t index)
{
	uint64_t r = next_random(state);
	unsigned int sensor = (unsigned int)(r % SENSORS);
	unsigned int temperature = 10000 + (unsigned int)((r >> 16) % 10000);
	const char *status = (r >> 40) % 32 ? "OK" : "NO";
	uint64_t time_ms = FIRST_MS + index / EVENTS_PER_MS + (r >> 48) % JITTER_MS;
	int bytes = printf("{\"sensorId\":\"%s_%u\",\"temperature\":%u.%02u,\"status\":\"%s\","
			   "\"timestamp\":%" PRIu64 "}\n",
		uuids[sensor], FIRST_SENSOR + sensor, temperature / 100, temperature % 100, status,
		time_ms);

	if (bytes != EVENT_BYTES + 1)
		die("event %" PRIu64 " took %d bytes", index, bytes);
}

int main(int argc, char **argv)
{
	static char uuids[SENSORS][UUID_BYTES + 1];
	uint64_t state;

	if (argc < 2 || argc > 3)
		die("usage: bench-gen COUNT [SEED]");
	state = argc > 2 ? number(argv[2]) : 1;
	for (size_t i = 0; i < SENSORS; i++)
		make_uuid(&state, uuids[i]);
	for (uint64_t i = 0, count = number(argv[1]); i < count; i++)
		print_event(&state, uuids, i);
	if (fflush(stdout) != 0)
		die("stdout");
	return 0;
}
