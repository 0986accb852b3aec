/* SPDX-License-Identifier: MIT */
/*
 * The room of advisory locks, by inode number and apart from the files themselves. The kernel leaves
 * them to the filesystem, since one file here has several inodes.
 *
 * Uses util.
 */
