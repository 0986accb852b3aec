/* SPDX-License-Identifier: MIT */
/*
 * The room of the tree: the files and directories of the mount. Which names there are and what they
 * stand for (dir_names, view_path, consumer_dir, checkpoint), what the kernel knows of them (node, ino,
 * attr), what they contain (generated, listing), and what programs have open (handle). It answers no
 * requests.
 *
 * Uses cache, drop, proc, util and the store.
 */
