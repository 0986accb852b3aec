/* SPDX-License-Identifier: MIT */
#include "leftovers.h"

#include <string.h>

void leftovers_fini(struct leftovers *leftovers)
{
	buf_fini(&leftovers->paths);
}

int leftovers_add(struct leftovers *leftovers, const char *path)
{
	return buf_append(&leftovers->paths, path, strlen(path) + 1);
}

void leftovers_report(const struct leftovers *leftovers, struct checker *checker, bool remove)
{
	const char *path = (const char *)leftovers->paths.data;
	const char *end = path ? path + leftovers->paths.size : path;
	for (; path < end; path += strlen(path) + 1) {
		bool removed = remove && disk_unlink(checker_disk(checker),
						 checker_streams(checker), path) == 0;
		checker_finding(checker, removed,
			"streams/%s: left behind by a write that was cut short", path);
	}
}
