/* SPDX-License-Identifier: MIT */
/* Where there is no libFuzzer: runs each file of the corpora, which are directories. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void run_file(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(name);
		exit(1);
	}
	uint8_t *data = malloc((size_t)st.st_size + 1);
	if (!data || read(fd, data, (size_t)st.st_size) != st.st_size) {
		perror(name);
		exit(1);
	}
	close(fd);
	LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	free(data);
}

static unsigned run_corpus(const char *path)
{
	DIR *directory = opendir(path);
	if (!directory) {
		perror(path);
		exit(1);
	}
	unsigned files = 0;
	for (struct dirent *entry; (entry = readdir(directory));) {
		if (entry->d_name[0] == '.')
			continue;
		run_file(dirfd(directory), entry->d_name);
		files++;
	}
	closedir(directory);
	return files;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		unsigned files = run_corpus(argv[i]);
		printf("%s: %u files\n", argv[i], files);
		if (!files)
			return 1;
	}
	return argc < 2;
}
