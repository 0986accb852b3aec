/* SPDX-License-Identifier: MIT */
/*
 * The room of advisory locks. They belong to inode numbers, not to file objects. The filesystem
 * keeps them and not the kernel, since one file here has several inodes.
 *
 * Uses util.
 */
