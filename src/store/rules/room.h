/* SPDX-License-Identifier: MIT */
/*
 * The room of rules: what decides without touching a byte on disk. A stream's settings and how a
 * change of them is checked, what can be a partition key (key.c) and the rule that finds one in a
 * record, the hash ranges that send a key to a shard, the counters, and the diagnostics with
 * the reason why input was refused.
 *
 * Uses: util, jansson, libmd. Nothing of the store.
 */
