/* SPDX-License-Identifier: MIT */
/* The command line of streamfs, in its own form and in that of mount(8)'s helpers. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>

struct cli_options {
	char *store;	  /* as given; NULL with help or version */
	char *mountpoint; /* as given */
	char *blob_dir;	  /* as given; NULL: in the store */
	char *trace;	  /* areas to trace, as given; NULL: none are named */
	char *kernel;	  /* options for libfuse, escaped, separated by commas */
	bool read_only, foreground, debug, fake, help, version;
};

/* Fills `options`, which is zero. -EINVAL, with a message on standard error, or -ENOMEM. */
int options_parse(struct cli_options *options, int argc, char **argv);
void options_fini(struct cli_options *options);

#endif
