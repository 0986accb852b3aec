/* SPDX-License-Identifier: MIT */
#include "daemon.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

static _Noreturn void wait_for_child(pid_t child, int ready_fd)
{
	char byte;
	ssize_t n;
	int status;
	do
		n = read(ready_fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(EXIT_SUCCESS);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			_exit(EXIT_SYSTEM);
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "streamfs: the daemon died: %s\n", strsignal(WTERMSIG(status)));
		_exit(EXIT_SYSTEM);
	}
	/* Exit 0 means a usable mount. A daemon that was stopped early never had one. */
	_exit(WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_MOUNT);
}

int daemon_fork(int *ret_ready_fd)
{
	int ends[2];
	/* A lock file of the caller, for instance, must not stay open as long as the mount. */
	closefrom(STDERR_FILENO + 1);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t child = fork();
	if (child < 0) {
		int r = -errno;
		close(ends[0]);
		close(ends[1]);
		return r;
	}
	if (child > 0) {
		close(ends[1]);
		wait_for_child(child, ends[0]);
	}
	close(ends[0]);
	*ret_ready_fd = ends[1];
	return 0;
}

void daemon_ready(int ready_fd)
{
	/* Until now Ctrl-C reached both processes. */
	setsid();
	int r = chdir("/");
	(void)r; /* at worst the old directory stays busy */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
	signal(SIGPIPE, SIG_IGN); /* no process may be left at the other end */
	ssize_t n = write(ready_fd, "", 1);
	(void)n;
	close(ready_fd);
}
