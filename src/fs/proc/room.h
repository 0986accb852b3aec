/* SPDX-License-Identifier: MIT */
/*
 * The room of processes: what /proc shows of the threads and processes that use the mount. Any of
 * it can be hidden (hidepid, another PID namespace, another user), so every function has a result
 * for that case. No function follows a link to a file of the mount: it would wait for this daemon.
 *
 * Uses util.
 */
