/* SPDX-License-Identifier: MIT */
#include "shard_walk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { TEXT_BYTES = 512 }; /* of a finding, without its path */

void walk_init(struct shard_walk *walk, struct checker *checker, struct sfs_shard *shard)
{
	*walk = (struct shard_walk){.checker = checker, .shard = shard, .fd = -1};
}

void walk_fini(struct shard_walk *walk)
{
	if (walk->fd >= 0)
		close(walk->fd);
	buf_fini(&walk->stored);
	buf_fini(&walk->meta);
	buf_fini(&walk->text);
}

void walk_finding(struct shard_walk *walk, bool repaired, uint64_t offset, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	walk->findings++;
	checker_finding(
		walk->checker, repaired, "%s: offset %" PRIu64 ": %s", walk->path, offset, text);
}

void walk_file_finding(
	struct shard_walk *walk, bool repaired, const char *path, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	walk->findings++;
	checker_finding(walk->checker, repaired, "streams/%s: %s", path, text);
}
