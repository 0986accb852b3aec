/* SPDX-License-Identifier: MIT */
/*
 * Decimal numbers as text: digits alone, without a sign, blanks or a base. Leading zeros are
 * digits. A caller that wants none of them, or a fixed width, compares the text's length.
 */
#ifndef UTIL_NUMBER_H
#define UTIL_NUMBER_H

#include <stdint.h>

/* The whole of a string. -EINVAL: not such a number, or more than `max`. */
int number_parse(const char *text, uint64_t max, uint64_t *ret_number);

/*
 * The digits at *text, at least one, and no farther than `end` (exclusive; NULL: the text ends in a
 * NUL). Moves *text behind them; what stands there is for the caller to judge. -EINVAL as above,
 * and *text stays.
 */
int number_take(const char **text, const char *end, uint64_t max, uint64_t *ret_number);

#endif
