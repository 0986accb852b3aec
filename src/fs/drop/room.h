/* SPDX-License-Identifier: MIT */
/*
 * The room of drop directories: the directories (drop), the files in them (upload), and the threads
 * that make records of them (committer).
 *
 * Uses proc, util and the store.
 */
