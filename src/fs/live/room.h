/* SPDX-License-Identifier: MIT */
/*
 * The room of live views: views that are read once, from beginning to end (feeds), and the reads
 * and polls that wait for more in them.
 *
 *   feed        reads a feed, and reads ahead for a poll
 *   feed_read   a read(2), which may have to wait
 *   feed_poll   a poll(2), likewise
 *   feeds       all of them, for the end of the mount
 *
 * Lock order: the lock of the appender's handle, that of a parked read, that of its feed, the
 * store's. A poll's lock is taken under its feed's.
 *
 * Uses tree/ and what tree/ uses, and reply/.
 */
