#!/bin/sh
# SPDX-License-Identifier: MIT
# Every public header compiles alone, as C99 and as C++, with nothing but the C library.
. "$(dirname "$0")/lib.sh"

needs cc
needs c++
for header in include/streamfs/*.h; do
	for compiler in 'cc -x c -std=c99' 'c++ -x c++ -std=c++11'; do
		# shellcheck disable=SC2086 # words
		$compiler -Iinclude -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$header" 2>&1
	done
	grep -HnE '^#include <' "$header" | grep -vE '<(std[a-z]+|sys/(types|statvfs))\.h>' |
		sed 's/$/: not of the C library/'
done >"$WRONG"
result "the header includes what it uses, and only standard and POSIX headers"
