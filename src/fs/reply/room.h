/* SPDX-License-Identifier: MIT */
/*
 * The room of replies: how requests are answered. The store's results become the errnos that programs
 * see here and nowhere else.
 *
 * Uses libfuse.
 */
