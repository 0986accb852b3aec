/* SPDX-License-Identifier: MIT */
/*
 * The room live/: views that are read once through, here called feeds, and the reads and polls that
 * wait for more in them.
 *
 *   feed        reads on in a feed, and reads ahead for a poll
 *   feed_read   a read(2), which may have to wait
 *   feed_poll   a poll(2), likewise
 *   feeds       all of them, for the end of the mount
 *
 * Lock order: the lock of the handle that an appender writes by, a parked read's, its feed's, the
 * store's. A poll's lock is taken under its feed's.
 *
 * Uses tree/ and what tree/ uses, and reply/.
 */
