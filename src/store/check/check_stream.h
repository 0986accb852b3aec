/* SPDX-License-Identifier: MIT */
/* The check of one stream. */
#ifndef STORE_CHECK_STREAM_H
#define STORE_CHECK_STREAM_H

#include "checker.h"

/* Checks the stream in directory `name` below streams/, and keeps its id in mind. */
int check_stream(struct checker *checker, const char *name);
/* When all streams were checked: reports two streams of one id. */
void check_stream_ids(struct checker *checker);

#endif
