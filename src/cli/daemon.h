/* SPDX-License-Identifier: MIT */
/*
 * Goes to the background. The exit code of the command shows whether the mount is usable;
 * fuse_daemonize(3) cannot do that, because its parent exits with 0 before that is known.
 */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

/*
 * Forks. In the child returns 0 and a descriptor for daemon_ready(). The parent does not return:
 * it exits with 0 when the child is ready, else with the child's exit code.
 */
int daemon_fork(int *ret_ready_fd);

/* In the child: leaves the terminal and the directory, and lets the parent exit. */
void daemon_ready(int ready_fd);

#endif
