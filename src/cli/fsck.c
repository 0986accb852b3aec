/* SPDX-License-Identifier: MIT */
/* fsck.streamfs STORE: checks a store that is not mounted, with fsck(8)'s flags and exit codes. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "streamfs/check.h"

#include "clock.h"
#include "process.h"

/* fsck(8)'s; 1 and 4 add up. */
enum { FSCK_CORRECTED = 1, FSCK_LEFT = 4, FSCK_OPERATIONAL = 8, FSCK_USAGE = 16 };

struct fsck_options {
	const char *store, *blob_dir;
	bool look_only, repair, verbose, help, version;
};

enum { BAR_WIDTH = 40, BAR_DELAY_MS = 1000 };

struct bar {
	bool wanted; /* standard error is a terminal */
	bool drawn;  /* and the bar is on it now */
	int percent; /* as drawn */
	uint64_t start_ns;
};

static const char usage[] =
	"usage: fsck.streamfs STORE [-n] [-p|-a|-y] [-b DIR] [-v] [-h] [-V]\n"
	"\n"
	"Checks every byte of a store that is not mounted. Repairs what it can repair without\n"
	"losing a good byte.\n"
	"\n"
	"  -n               check only, write nothing\n"
	"  -p, -a, -y       repair without asking; this is also the default\n"
	"  -b DIR           the payloads of large records are in DIR; also -o blobs=DIR\n"
	"  -v               print what was checked\n"
	"  -h, --help       print this text\n"
	"  -V, --version    print the version\n"
	"\n"
	"Exit status: 0 no errors, 1 errors corrected, 4 errors left, 5 errors left and others\n"
	"corrected, 8 the check was not possible, 16 wrong usage.\n";

static void bar_clear(struct bar *bar)
{
	if (bar->drawn)
		fputs("\r\033[K", stderr);
	bar->drawn = false;
	bar->percent = -1;
}

static void on_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	struct bar *bar = context;
	uint64_t passed_ms = (clock_monotonic_ns() - bar->start_ns) / 1000000;
	if (!bar->wanted || total_bytes == 0 || passed_ms < BAR_DELAY_MS)
		return;
	double part = (double)done_bytes / (double)total_bytes;
	part = part > 1 ? 1 : part;
	int percent = (int)(part * 100), filled = (int)(part * BAR_WIDTH);
	if (bar->drawn && percent == bar->percent)
		return;
	fprintf(stderr, "\r[%.*s%*s] %3d%%", filled, "########################################",
		BAR_WIDTH - filled, "", percent);
	bar->drawn = true;
	bar->percent = percent;
}

static void on_finding(void *context, const char *line, bool repaired)
{
	bar_clear(context);
	printf("%s%s\n", line, repaired ? " (repaired)" : "");
	fflush(stdout);
}

static int bad_usage(const char *what, const char *value)
{
	fprintf(stderr, "fsck.streamfs: %s%s; try fsck.streamfs -h\n", what, value);
	return -EINVAL;
}

static int take_flag(struct fsck_options *options, int c)
{
	const char flag[] = {'-', (char)optopt, '\0'};
	switch (c) {
	case 'n':
		options->look_only = true;
		return 0;
	case 'p':
	case 'a':
	case 'y':
		options->repair = true;
		return 0;
	case 'b':
		options->blob_dir = optarg;
		return 0;
	case 'o':
		if (strncmp(optarg, "blobs=", 6) != 0)
			return bad_usage("unknown option ", optarg);
		options->blob_dir = optarg + 6;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case 'h':
		options->help = true;
		return 0;
	case 'V':
		options->version = true;
		return 0;
	case 'C': /* fsck(8) asks for a bar on a descriptor; the one on a terminal must do */
	case 'f': /* every check is a full one */
	case 'T': /* fsck(8)'s own, should they get here */
	case 'M':
	case 'R':
		return 0;
	default:
		return bad_usage("unknown flag or missing value: ", optopt ? flag : "--");
	}
}

static int parse(struct fsck_options *options, int argc, char **argv)
{
	static const struct option words[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int r = 0, c;
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, ":npayb:o:vhVC::fTMR", words, NULL)) != -1)
		r = take_flag(options, c);
	if (r < 0 || options->help || options->version)
		return r;
	if (options->look_only && options->repair)
		return bad_usage("-n does not go with -p, -a or -y", "");
	if (argc - optind != 1 || !*argv[optind])
		return bad_usage("one STORE is needed", "");
	if (options->blob_dir && !*options->blob_dir)
		return bad_usage("no directory given for blobs", "");
	options->store = argv[optind];
	return 0;
}

static void print_count(uint64_t n, const char *noun, const char *end)
{
	printf("%" PRIu64 " %s%s%s", n, noun, n == 1 ? "" : "s", end);
}

static void print_summary(
	const struct fsck_options *options, const struct sfs_check_summary *summary)
{
	printf("%s: ", options->store);
	print_count(summary->streams, "stream", ", ");
	print_count(summary->records, "record", ", ");
	if (options->verbose) {
		print_count(summary->shards, "shard", ", ");
		print_count(summary->segments, "segment", ", ");
		print_count(summary->chunks, "chunk", ", ");
		print_count(summary->blobs, "blob", ", ");
	}
	if (summary->repaired + summary->unrepaired == 0) {
		puts("no errors");
		return;
	}
	print_count(summary->repaired, "error", " repaired, ");
	printf("%" PRIu64 " left\n", summary->unrepaired);
}

static int check(const struct fsck_options *options)
{
	struct bar bar = {
		.wanted = isatty(STDERR_FILENO),
		.percent = -1,
		.start_ns = clock_monotonic_ns(),
	};
	struct sfs_check_options how = {
		.repair = !options->look_only,
		.blob_dir = options->blob_dir,
		.finding = on_finding,
		.progress = on_progress,
		.context = &bar,
	};
	struct sfs_check_summary summary = {0};
	struct sfs_diag diag = {.text = ""};
	int r = sfs_store_check(options->store, &how, &diag, &summary);
	bar_clear(&bar);
	if (r < 0) {
		fprintf(stderr, "fsck.streamfs: %s\n", *diag.text ? diag.text : strerror(-r));
		return FSCK_OPERATIONAL;
	}
	print_summary(options, &summary);
	return (summary.repaired ? FSCK_CORRECTED : 0) | (summary.unrepaired ? FSCK_LEFT : 0);
}

/* Findings that did not reach their reader must not look like a clean store. */
static int finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "fsck.streamfs: standard output: %s\n", strerror(errno));
	return code | FSCK_OPERATIONAL;
}

int main(int argc, char **argv)
{
	struct fsck_options options = {0};
	if (process_prepare("fsck.streamfs") < 0 || parse(&options, argc, argv) < 0)
		return FSCK_USAGE;
	if (options.help)
		fputs(usage, stdout);
	else if (options.version)
		printf("fsck.streamfs %s\n", STREAMFS_VERSION);
	else
		return finish(check(&options));
	return finish(0);
}
