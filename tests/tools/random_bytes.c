/* SPDX-License-Identifier: MIT */
/* random_bytes COUNT SEED: bytes that do not compress, the same ones for the same seed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	enum { WORDS = 8192 };
	static uint64_t words[WORDS];
	if (argc != 3)
		return 2;
	uint64_t left = strtoull(argv[1], NULL, 10);
	uint64_t state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
	while (left) {
		for (size_t i = 0; i < WORDS; i++) { /* splitmix64, by Sebastiano Vigna */
			uint64_t z = state += 0x9e3779b97f4a7c15u;
			z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
			z = (z ^ z >> 27) * 0x94d049bb133111ebu;
			words[i] = z ^ z >> 31;
		}
		size_t bytes = left < sizeof words ? (size_t)left : sizeof words;
		if (fwrite(words, 1, bytes, stdout) != bytes)
			return 1;
		left -= bytes;
	}
	return fflush(stdout) ? 1 : 0;
}
