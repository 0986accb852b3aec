/* SPDX-License-Identifier: MIT */
/*
 * The room of caches: keeps the kernel's caches right, and keeps what must be known of readers and
 * openers between requests.
 *
 *   cached_shard, notifier, followers   the page cache of a shard that grows and is trimmed
 *   reading                             a handle's position in a file that was trimmed
 *   intent                              what each thread last opened a file for
 *
 * Uses proc/, util, libfuse and the store.
 */
