/* SPDX-License-Identifier: MIT */
#include "options.h"

#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fuse_lowlevel.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

enum action {
	PASS,	   /* libfuse knows it */
	DROP,	   /* ignored: for mount(8), fstab or other programs, or always so */
	READ_ONLY, /* ours */
	READ_WRITE,
	BLOBS,
	SET_TRACE,
	REFUSE_AUTO,
	REFUSE_REMOUNT,
	REFUSE_PERMISSIONS,
};

struct known {
	const char *name; /* with a "=" or "-" at its end: what begins so */
	enum action action;
};

static const struct known known[] = {
	{"ro", READ_ONLY},
	{"rw", READ_WRITE},
	{"blobs=", BLOBS},
	{"trace=", SET_TRACE},
	{"allow_other", PASS},
	{"nosuid", PASS},
	{"nodev", PASS},
	{"noexec", PASS},
	{"exec", PASS},
	{"async", PASS},
	{"sync", PASS},
	{"dirsync", PASS},
	{"noatime", PASS},
	{"default_permissions", DROP}, /* always on */
	{"fsname=", DROP},	       /* always the store */
	{"subtype=", DROP},	       /* always streamfs */
	{"suid", DROP},		       /* a stream has no such files; libfuse's nosuid stays */
	{"dev", DROP},
	{"atime", DROP},
	{"diratime", DROP},
	{"nodiratime", DROP},
	{"relatime", DROP},
	{"norelatime", DROP},
	{"strictatime", DROP},
	{"nostrictatime", DROP},
	{"lazytime", DROP},
	{"nolazytime", DROP},
	{"silent", DROP},
	{"loud", DROP},
	{"defaults", DROP},
	{"auto", DROP},
	{"noauto", DROP},
	{"nofail", DROP},
	{"user", DROP},
	{"user=", DROP},
	{"nouser", DROP},
	{"users", DROP},
	{"nousers", DROP},
	{"owner", DROP},
	{"noowner", DROP},
	{"group", DROP},
	{"nogroup", DROP},
	{"_netdev", DROP},
	{"comment=", DROP},
	{"helper=", DROP},
	{"uhelper=", DROP},
	{"x-", DROP},
	{"X-", DROP},
	{"auto_unmount", REFUSE_AUTO},
	{"remount", REFUSE_REMOUNT},
	{"nodefault_permissions", REFUSE_PERMISSIONS},
	{"no_default_permissions", REFUSE_PERMISSIONS},
	{"default_permissions=", REFUSE_PERMISSIONS},
};

static const struct known *find_known(const char *option)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		const char *name = known[i].name;
		size_t n = strlen(name);
		bool begins = name[n - 1] == '=' || name[n - 1] == '-';
		if (begins ? strncmp(option, name, n) == 0 : strcmp(option, name) == 0)
			return &known[i];
	}
	return NULL;
}

static int refuse(const char *option, const char *why)
{
	fprintf(stderr, "streamfs: -o %s: %s\n", option, why);
	return -EINVAL;
}

/* Keeps the value of "name=value", of which the last one holds. */
static int take_value(char **field, const char *option, const char *none)
{
	const char *value = strchr(option, '=') + 1;
	if (*value == '\0')
		return refuse(option, none);
	free(*field);
	*field = strdup(value);
	return *field ? 0 : -ENOMEM;
}

static int take_option(struct cli_options *options, const char *option, bool sloppy)
{
	const struct known *k = find_known(option);
	if (!k)
		return sloppy ? 0 : refuse(option, "unknown option");
	switch (k->action) {
	case PASS:
		return fuse_opt_add_opt_escaped(&options->kernel, option) < 0 ? -ENOMEM : 0;
	case DROP:
		return 0;
	case READ_ONLY:
	case READ_WRITE:
		options->read_only = k->action == READ_ONLY;
		return 0;
	case BLOBS:
		return take_value(&options->blob_dir, option, "names no directory");
	case SET_TRACE:
		return take_value(&options->trace, option, "names no area");
	case REFUSE_AUTO:
		return refuse(option, "not offered: the mount of a dead daemon must stay visible");
	case REFUSE_REMOUNT:
		return refuse(option, "not offered: unmount it and mount it again");
	case REFUSE_PERMISSIONS:
		return refuse(option, "not offered: permissions are always checked");
	}
	return -EINVAL;
}

/* Cuts the next option off, at a comma; a backslash takes the next character as it is. */
static char *next_option(char **list)
{
	char *start = *list, *to = start, *from = start;
	if (!start)
		return NULL;
	for (; *from && *from != ','; from++) {
		if (*from == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	*list = *from ? from + 1 : NULL;
	*to = '\0';
	return start;
}

static int take_list(struct cli_options *options, const char *list, bool sloppy)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *option;
	if (!copy)
		return -ENOMEM;
	while ((option = next_option(&rest))) {
		int r = *option ? take_option(options, option, sloppy) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_paths(struct cli_options *options, int count, char **paths)
{
	if (options->help || options->version)
		return 0;
	if (count != 2 || !*paths[0] || !*paths[1]) {
		fprintf(stderr, "streamfs: %s; try streamfs -h\n",
			count > 2 ? "too many arguments" : "STORE and MOUNTPOINT are needed");
		return -EINVAL;
	}
	options->store = strdup(paths[0]);
	options->mountpoint = strdup(paths[1]);
	return options->store && options->mountpoint ? 0 : -ENOMEM;
}

/* `c` is what getopt returned. A long flag has no letter: the message shows it as given. */
static int bad_flag(int c, char **argv)
{
	const char *what = c == ':' ? "lacks its value" : "is unknown";
	if (optopt)
		fprintf(stderr, "streamfs: flag -%c %s; try streamfs -h\n", optopt, what);
	else
		fprintf(stderr, "streamfs: flag %s is unknown; try streamfs -h\n",
			argv[optind - 1]);
	return -EINVAL;
}

static int parse_own(struct cli_options *options, int argc, char **argv)
{
	static const struct option words[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int r = 0, c;
	while (r == 0 && (c = getopt_long(argc, argv, ":o:fdhV", words, NULL)) != -1) {
		if (c == 'o')
			r = take_list(options, optarg, false);
		else if (c == 'f')
			options->foreground = true;
		else if (c == 'd')
			options->debug = options->foreground = true;
		else if (c == 'h')
			options->help = true;
		else if (c == 'V')
			options->version = true;
		else
			r = bad_flag(c, argv);
	}
	return r < 0 ? r : take_paths(options, argc - optind, argv + optind);
}

/* mount.TYPE STORE MOUNTPOINT [-sfnv] [-o options] [-t type] */
static int parse_helper(struct cli_options *options, int argc, char **argv)
{
	/* -s may come last, and is about all options. */
	bool sloppy = false;
	int r = 0, c;
	while ((c = getopt(argc, argv, ":o:t:sfnvrwhV")) != -1)
		sloppy |= c == 's';
	optind = 0;
	while (r == 0 && (c = getopt(argc, argv, ":o:t:sfnvrwhV")) != -1) {
		if (c == 'o')
			r = take_list(options, optarg, sloppy);
		else if (c == 'f')
			options->fake = true;
		else if (c == 'r' || c == 'w')
			options->read_only = c == 'r';
		else if (c == 'h')
			options->help = true;
		else if (c == 'V')
			options->version = true;
		else if (c == '?' || c == ':')
			r = bad_flag(c, argv);
	}
	return r < 0 ? r : take_paths(options, argc - optind, argv + optind);
}

int options_parse(struct cli_options *options, int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = argc < 1 ? "" : slash ? slash + 1 : argv[0];
	opterr = 0;
	optind = 0; /* glibc: from the start */
	return strncmp(name, "mount.", 6) == 0 ? parse_helper(options, argc, argv)
					       : parse_own(options, argc, argv);
}

void options_fini(struct cli_options *options)
{
	free(options->store);
	free(options->mountpoint);
	free(options->blob_dir);
	free(options->trace);
	free(options->kernel);
}
