/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void die(const char *format, ...)
{
	int saved = errno;
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, saved ? ": %s\n" : "\n", strerror(saved));
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t number(const char *text)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value == 0)
		die("not a positive number: %s", text);
	return value;
}

void input_load(struct input *input, const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) < 0)
		die("%s", path);
	input->bytes = (size_t)status.st_size;
	input->at = 0;
	input->data = malloc(input->bytes + 1);
	if (!input->data)
		die("%s", path);
	for (size_t have = 0; have < input->bytes;) {
		ssize_t got = read(fd, input->data + have, input->bytes - have);
		if (got <= 0)
			die("%s", path);
		have += (size_t)got;
	}
	close(fd);
	errno = 0;
	if (input->bytes == 0 || input->data[input->bytes - 1] != '\n')
		die("%s: its last line has no end", path);
}

const char *input_line(struct input *input, size_t *ret_bytes)
{
	const char *line, *end;

	if (input->at == input->bytes)
		input->at = 0;
	line = input->data + input->at;
	end = memchr(line, '\n', input->bytes - input->at);
	*ret_bytes = (size_t)(end - line) + 1;
	input->at += *ret_bytes;
	return line;
}

void write_once(int fd, const char *data, size_t bytes)
{
	ssize_t written = write(fd, data, bytes);

	if (written < 0)
		die("write");
	errno = 0;
	if ((size_t)written != bytes)
		die("write: %zd of %zu bytes", written, bytes);
}
