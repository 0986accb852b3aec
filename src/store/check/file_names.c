/* SPDX-License-Identifier: MIT */
#include "file_names.h"

#include "cleanup.h"
#include "dir.h"
#include "disk.h"

void file_names_fini(struct file_names *names)
{
	vector_fini(&names->list);
	buf_fini(&names->text);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names' text, each with its NUL. */
static int read_text(DIR *dir, struct file_names *names, size_t *ret_count)
{
	const char *name;
	size_t count = 0;
	int r;
	while ((r = dir_next(dir, &name)) == 0 && name) {
		r = buf_append(&names->text, name, strlen(name) + 1);
		if (r < 0)
			return r;
		count++;
	}
	*ret_count = count;
	return r;
}

static int list_text(struct file_names *names, size_t count)
{
	int r = vector_reserve(&names->list, count);
	if (r < 0)
		return r;
	const char *p = (const char *)names->text.data;
	for (size_t i = 0; i < count; i++, p += strlen(p) + 1)
		names->list.items[names->list.count++] = p;
	vector_sort(&names->list, compare_names);
	return 0;
}

int file_names_read(
	const struct disk *disk, int dir, const char *path, struct file_names *ret_names)
{
	_cleanup_closedir_ DIR *listing = NULL;
	int r = dir_open(disk, dir, path, &listing);
	if (r < 0)
		return r;
	struct file_names names = {.list = {NULL}};
	size_t count;
	r = read_text(listing, &names, &count);
	if (r == 0)
		r = list_text(&names, count);
	if (r < 0)
		file_names_fini(&names);
	else
		*ret_names = names;
	return r;
}

bool file_name_ends(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);
	return n > m && !strcmp(name + n - m, suffix);
}

bool file_name_is_temporary(const char *name)
{
	return file_name_ends(name, DISK_TMP_SUFFIX);
}
