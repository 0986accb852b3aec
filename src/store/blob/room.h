/* SPDX-License-Identifier: MIT */
/*
 * The room of blobs: large payloads, stored once each under their SHA-256. payload.h collects one
 * of any size in bounded memory; blobs.h stores, opens, reads, compares and sweeps them.
 *
 * Uses: chunk, rules.
 */
