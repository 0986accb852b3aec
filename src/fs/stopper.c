/* SPDX-License-Identifier: MIT */
#include "stopper.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "notifier.h"

/* Must be global: a handler of signals gets no context. */
static volatile sig_atomic_t caught_fd = -1;

static const int caught[] = {SIGHUP, SIGINT, SIGTERM};
enum { CAUGHT = sizeof(caught) / sizeof(caught[0]), NUDGE_US = 10000 };

static void wake(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));
	(void)n; /* fails only where it is awake already */
}

static void on_signal(int number)
{
	int error = errno;
	(void)number;
	wake(caught_fd);
	errno = error;
}

/* Without SA_RESTART: it is also what gets the serving thread out of its wait. */
static void replace_handler(int number, void (*from)(int), void (*to)(int))
{
	struct sigaction now, then = {.sa_handler = to};
	if (sigaction(number, NULL, &now) == 0 && now.sa_handler == from)
		sigaction(number, &then, NULL);
}

int stopper_catch(struct stopper *stopper)
{
	*stopper = (struct stopper){.fd = eventfd(0, EFD_CLOEXEC)};
	if (stopper->fd < 0)
		return -errno;
	caught_fd = stopper->fd;
	for (int i = 0; i < CAUGHT; i++)
		replace_handler(caught[i], SIG_DFL, on_signal);
	replace_handler(SIGPIPE, SIG_DFL, SIG_IGN);
	return 0;
}

void stopper_release(struct stopper *stopper)
{
	for (int i = 0; i < CAUGHT; i++)
		replace_handler(caught[i], on_signal, SIG_DFL);
	replace_handler(SIGPIPE, SIG_IGN, SIG_DFL);
	caught_fd = -1;
	close(stopper->fd);
}

static void wait_for_signal(struct stopper *stopper)
{
	uint64_t count;
	while (read(stopper->fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

static void *run(void *context)
{
	struct stopper *stopper = context;
	wait_for_signal(stopper);
	stopper->signalled = !atomic_load(&stopper->ended);
	notifier_stop(stopper->notifier);
	fuse_session_exit(stopper->session);
	while (!atomic_load(&stopper->ended)) {
		pthread_kill(stopper->server, SIGTERM);
		usleep(NUDGE_US);
	}
	return NULL;
}

int stopper_start(struct stopper *stopper, struct fuse_session *session, struct notifier *notifier)
{
	stopper->session = session;
	stopper->notifier = notifier;
	stopper->server = pthread_self();
	atomic_init(&stopper->ended, false);
	return -pthread_create(&stopper->thread, NULL, run, stopper);
}

void stopper_end(struct stopper *stopper)
{
	atomic_store(&stopper->ended, true);
	wake(stopper->fd);
	pthread_join(stopper->thread, NULL);
}
