/* SPDX-License-Identifier: MIT */
/* Assertions of locks: they pass with the lock held, and abort without it. */
#include "lock.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

START_TEST(held_locks_pass)
{
	pthread_mutex_lock(&mutex);
	ASSERT_LOCKED(&mutex);
	pthread_mutex_unlock(&mutex);
	pthread_rwlock_rdlock(&rwlock);
	ASSERT_RDLOCKED(&rwlock);
	pthread_rwlock_unlock(&rwlock);
	pthread_rwlock_wrlock(&rwlock);
	ASSERT_RDLOCKED(&rwlock);
	ASSERT_WRLOCKED(&rwlock);
	pthread_rwlock_unlock(&rwlock);
}
END_TEST

START_TEST(a_wait_on_a_condition_gives_the_lock_back)
{
	pthread_cond_t never = PTHREAD_COND_INITIALIZER;
	struct timespec past = {0};
	pthread_mutex_lock(&mutex);
	pthread_cond_timedwait(&never, &mutex, &past);
	ASSERT_LOCKED(&mutex);
	pthread_mutex_unlock(&mutex);
}
END_TEST

#ifdef DEBUG_LOCKS
enum { WANT_SIGNAL = SIGABRT };
#else
enum { WANT_SIGNAL = 0 };
#endif

/* The failed assertion's text would look like a failure of this test. */
static void silence(void)
{
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
}

START_TEST(a_free_mutex_aborts)
{
	silence();
	ASSERT_LOCKED(&mutex);
}
END_TEST

START_TEST(a_mutex_given_back_aborts)
{
	silence();
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	ASSERT_LOCKED(&mutex);
}
END_TEST

static void *hold_all(void *context)
{
	(void)context;
	pthread_mutex_lock(&mutex);
	pthread_rwlock_wrlock(&rwlock);
	return NULL;
}

static void let_another_hold(void)
{
	pthread_t thread;
	silence();
	ck_assert_int_eq(pthread_create(&thread, NULL, hold_all, NULL), 0);
	pthread_join(thread, NULL);
}

START_TEST(a_mutex_of_another_thread_aborts)
{
	let_another_hold();
	ASSERT_LOCKED(&mutex);
}
END_TEST

START_TEST(a_rwlock_of_another_thread_aborts)
{
	let_another_hold();
	ASSERT_WRLOCKED(&rwlock);
}
END_TEST

START_TEST(a_free_rwlock_aborts)
{
	silence();
	ASSERT_RDLOCKED(&rwlock);
}
END_TEST

START_TEST(a_shared_rwlock_is_not_exclusive)
{
	silence();
	pthread_rwlock_rdlock(&rwlock);
	ASSERT_WRLOCKED(&rwlock);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lock");
	TCase *tcase = tcase_create("lock");
	tcase_add_test(tcase, held_locks_pass);
	tcase_add_test(tcase, a_wait_on_a_condition_gives_the_lock_back);
	tcase_add_test_raise_signal(tcase, a_free_mutex_aborts, WANT_SIGNAL);
	tcase_add_test_raise_signal(tcase, a_mutex_given_back_aborts, WANT_SIGNAL);
	tcase_add_test_raise_signal(tcase, a_mutex_of_another_thread_aborts, WANT_SIGNAL);
	tcase_add_test_raise_signal(tcase, a_rwlock_of_another_thread_aborts, WANT_SIGNAL);
	tcase_add_test_raise_signal(tcase, a_free_rwlock_aborts, WANT_SIGNAL);
	tcase_add_test_raise_signal(tcase, a_shared_rwlock_is_not_exclusive, WANT_SIGNAL);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
