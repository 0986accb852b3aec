/* SPDX-License-Identifier: MIT */
/*
 * The room of operations: the FUSE requests, in families of one file each. Each request is answered
 * exactly once: in the body of its operation or, where it has to wait, in the one continuation beside
 * it. Functions that answer are named after it (reply_…, node_reply_…, sync_reply_…).
 *
 * Uses all other rooms, util, libfuse and the store.
 */
