/* SPDX-License-Identifier: MIT */
/*
 * The room of writing: from the bytes of a write(2) to records in shards. writer.c cuts lines,
 * finds keys and routes; upload_record.c makes one record of a whole file; records.h turns records into
 * chunks and appends them; workspace.h lends the buffers.
 *
 * Uses: stream and all below it.
 */
