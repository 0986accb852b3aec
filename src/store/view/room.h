/* SPDX-License-Identifier: MIT */
/*
 * The room of views: the records of a stream as someone wants to read them. view.c puts a start, a
 * form and a selection together; fan_in.h brings the records of many shards into one order;
 * json_reader.h reads JSON lines at any offset; keys.c lists partition keys.
 *
 * Uses: stream and all below it.
 */
