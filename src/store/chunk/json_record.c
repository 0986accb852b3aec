/* SPDX-License-Identifier: MIT */
/*
 * Every appended byte is scanned, so scanning must be fast. It counts escapes sixteen bytes at a
 * time, and looks at single bytes only where some are not ASCII.
 */
#include "json_record.h"

#include "claim_check.h"
#include "when.h"

#include <assert.h>
#include <string.h>

typedef uint8_t lanes __attribute__((vector_size(16)));
enum {
	LANES = sizeof(lanes),
	BLOCK_LANES = 64, /* a count in a lane stays below 256 */
	BLOCK_BYTES = BLOCK_LANES * LANES,
};

typedef int8_t signed_lanes __attribute__((vector_size(16)));

/* Counts of kinds of bytes in a block. A true comparison gives all ones, which is -1. */
struct census {
	lanes doubled; /* how many are `"`, `\\` or newline: one byte more each */
	lanes special; /* whether any is another control character or not ASCII */
};

static inline void census_add(struct census *c, lanes v)
{
	lanes newline = (lanes)(v == '\n');
	c->doubled -= (lanes)(v == '"') | (lanes)(v == '\\') | newline;
	c->special |= (lanes)((signed_lanes)v < ' ') & ~newline;
}

static inline lanes load(const uint8_t *p)
{
	lanes v;
	memcpy(&v, p, sizeof v);
	return v;
}

/* Loads fewer than LANES bytes, padded with bytes that need no escape. */
static inline lanes load_last(const uint8_t *p, size_t n)
{
	lanes v;
	memset(&v, 'x', sizeof v);
	memcpy(&v, p, n);
	return v;
}

static inline bool any(lanes v)
{
	uint64_t words[2];
	memcpy(words, &v, sizeof words);
	return words[0] | words[1];
}

static unsigned lanes_sum(lanes v)
{
	unsigned sum = 0;
	for (int i = 0; i < LANES; i++)
		sum += v[i];
	return sum;
}

/*
 * The bytes that escapes of control characters add beyond the census: five each, or one for a short
 * escape. Also reports whether all bytes are ASCII.
 */
static unsigned control_bytes(const uint8_t *p, size_t n, bool *ret_ascii)
{
	lanes controls = {0}, shorts = {0}, all = {0};
	for (size_t i = 0; i < n; i += LANES) {
		lanes v = n - i < LANES ? load_last(p + i, n - i) : load(p + i);
		lanes newline = (lanes)(v == '\n');
		controls -= (lanes)(v < ' ') & ~newline;
		shorts -= (lanes)(v - '\b' < 6) & ~newline & ~(lanes)(v == '\v');
		all |= v;
	}
	*ret_ascii = !any((lanes)(all > 0x7f));
	return 5 * lanes_sum(controls) - 4 * lanes_sum(shorts);
}

/* Scans at most BLOCK_BYTES. */
static void scan_block(struct json_scan *scan, const uint8_t *p, size_t n)
{
	struct census c = {0};
	size_t i = 0;
	for (; n - i >= LANES; i += LANES)
		census_add(&c, load(p + i));
	if (i < n)
		census_add(&c, load_last(p + i, n - i));
	scan->escape_bytes += lanes_sum(c.doubled);
	if (!any(c.special) && utf8_run_ends_whole(&scan->text))
		return;
	bool ascii;
	scan->escape_bytes += control_bytes(p, n, &ascii);
	if (!ascii || !utf8_run_ends_whole(&scan->text))
		scan->broken = !utf8_run_add(&scan->text, p, n);
}

void json_scan(struct json_scan *scan, const void *data, size_t bytes)
{
	const uint8_t *p = data;
	scan->bytes += bytes;
	while (bytes && !scan->broken) {
		size_t n = bytes < BLOCK_BYTES ? bytes : BLOCK_BYTES;
		scan_block(scan, p, n);
		p += n;
		bytes -= n;
	}
}

unsigned json_digits(uint64_t number)
{
	unsigned digits = 1;
	for (; number >= 10; number /= 10)
		digits++;
	return digits;
}

/* A line without the key member, the payload member and the digits of its place. */
static const char bare_line[] = "{\"shard\":\"shard-\",\"sequence\":,\"offset\":,\"time\":\"\",}\n";
enum { BARE_BYTES = sizeof bare_line - 1 + WHEN_TEXT_BYTES, SHARD_DIGITS_MIN = 4 };

static uint64_t key_member_bytes(const char *key, size_t key_bytes)
{
	if (!key || !key_bytes)
		return 0;
	struct json_scan scan = {0};
	json_scan(&scan, key, key_bytes);
	return sizeof "\"key\":\"\"," - 1 + scan.bytes + scan.escape_bytes;
}

static uint64_t payload_member_bytes(const struct json_scan *scan)
{
	if (json_scan_is_utf8(scan))
		return sizeof "\"data\":\"\"" - 1 + scan->bytes + scan->escape_bytes;
	return sizeof "\"data_base64\":\"\"" - 1 + (scan->bytes + 2) / 3 * 4;
}

uint64_t json_unplaced_scanned_bytes(
	const char *key, size_t key_bytes, const struct json_scan *scan)
{
	return BARE_BYTES + key_member_bytes(key, key_bytes) + payload_member_bytes(scan);
}

uint64_t json_unplaced_bytes(
	const char *key, size_t key_bytes, const void *payload, size_t bytes, bool claimed)
{
	if (claimed &&
		claim_check_has_form(payload, bytes)) /* the whole line without its outer braces */
		return BARE_BYTES + key_member_bytes(key, key_bytes) + bytes - 2;
	struct json_scan scan = {0};
	json_scan(&scan, payload, bytes);
	return json_unplaced_scanned_bytes(key, key_bytes, &scan);
}

/* For text of which one line or more is not UTF-8. */
static uint64_t mixed_members_bytes(const char *text, size_t bytes)
{
	uint64_t sum = 0;
	for (const char *p = text, *end = text + bytes; p < end;) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		struct json_scan scan = {0};
		size_t line = newline ? (size_t)(newline - p) : (size_t)(end - p);
		json_scan(&scan, p, line);
		sum += payload_member_bytes(&scan);
		p += line + 1;
	}
	return sum;
}

uint64_t json_unplaced_text_bytes(
	const char *key, size_t key_bytes, const char *text, size_t bytes, uint32_t records)
{
	uint64_t sum = records * (BARE_BYTES + key_member_bytes(key, key_bytes));
	struct json_scan scan = {0};
	json_scan(&scan, text, bytes);
	if (!json_scan_is_utf8(&scan))
		return sum + mixed_members_bytes(text, bytes);
	/* The scan counted each newline as a byte with an escape. */
	return sum + bytes + scan.escape_bytes +
	       records * (payload_member_bytes(&(struct json_scan){0}) - UINT64_C(2));
}

static unsigned shard_digits(uint32_t shard)
{
	unsigned digits = json_digits(shard);
	return digits < SHARD_DIGITS_MIN ? SHARD_DIGITS_MIN : digits;
}

/* The sum of the digits of `count` numbers from `first` on. */
static uint64_t run_digits(uint64_t first, uint64_t count)
{
	uint64_t sum = 0;
	while (count) {
		unsigned digits = json_digits(first);
		uint64_t next = 1; /* the first number with one digit more */
		for (unsigned i = 0; i < digits && next <= UINT64_MAX / 10; i++)
			next *= 10;
		uint64_t run = next > first && next - first < count ? next - first : count;
		sum += run * digits;
		first += run;
		count -= run;
	}
	return sum;
}

static uint64_t offset_digits(
	const struct json_place *place, const char *text, size_t bytes, uint32_t records)
{
	unsigned digits = json_digits(place->record_offset);
	if (digits == json_digits(place->text_offset + bytes))
		return (uint64_t)records * digits;
	uint64_t sum = 0, offset = place->record_offset;
	const char *p = text, *end = text + bytes;
	for (uint32_t i = 0; i < records && p; i++) {
		sum += json_digits(offset);
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : NULL;
		offset = p ? place->text_offset + (uint64_t)(p - text) : 0;
	}
	return sum;
}

uint64_t json_place_bytes(
	const struct json_place *place, const char *text, size_t bytes, uint32_t records)
{
	return (uint64_t)records * shard_digits(place->shard) +
	       run_digits(place->first_sequence, records) +
	       offset_digits(place, text, bytes, records);
}

static unsigned record_digits(const struct json_record *r)
{
	return shard_digits(r->shard) + json_digits(r->sequence) + json_digits(r->offset);
}

uint64_t json_record_scanned_bytes(const struct json_record *record, const struct json_scan *scan)
{
	return record_digits(record) +
	       json_unplaced_scanned_bytes(record->key, record->key_bytes, scan);
}

uint64_t json_record_bytes(
	const struct json_record *record, const void *payload, size_t bytes, bool claimed)
{
	return record_digits(record) +
	       json_unplaced_bytes(record->key, record->key_bytes, payload, bytes, claimed);
}

uint64_t json_record_line_bytes(
	const struct json_record *record, const void *line, size_t bytes, bool claimed)
{
	assert(bytes && ((const char *)line)[bytes - 1] == '\n');
	return json_record_bytes(record, line, bytes - 1, claimed);
}

static bool is_plain(uint8_t c)
{
	return c >= ' ' && c != '"' && c != '\\';
}

static int append_escape(struct buf *out, uint8_t c)
{
	static const char shorts[] = {['\b'] = 'b',
		['\t'] = 't',
		['\n'] = 'n',
		['\f'] = 'f',
		['\r'] = 'r',
		['"'] = '"',
		['\\'] = '\\'};
	if (shorts[c])
		return buf_append(out, (char[]){'\\', shorts[c]}, 2);
	const char *hex = "0123456789abcdef";
	return buf_append(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

/* Counts the bytes at the beginning that need no escape. */
static size_t plain_run(const uint8_t *p, size_t n)
{
	size_t i = 0;
	for (; n - i >= LANES; i += LANES) {
		lanes v;
		memcpy(&v, p + i, sizeof v);
		lanes special = (lanes)(v == '"') | (lanes)(v == '\\') | (lanes)(v < (uint8_t)' ');
		uint64_t word[2];
		memcpy(word, &special, sizeof word);
		if (word[0] | word[1])
			break;
	}
	while (i < n && is_plain(p[i]))
		i++;
	return i;
}

static int append_escaped(struct buf *out, const uint8_t *p, size_t n)
{
	int r = buf_reserve(out, n);
	for (size_t i = 0; r == 0 && i < n;) {
		size_t plain = i + plain_run(p + i, n - i);
		if (plain > i)
			r = buf_append(out, p + i, plain - i);
		if (r == 0 && plain < n)
			r = append_escape(out, p[plain++]);
		i = plain;
	}
	return r;
}

/* Encodes one group of 1 to 3 bytes. */
static void encode_group(char text[4], const uint8_t *p, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits =
		(unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
	text[0] = digits[bits >> 18];
	text[1] = digits[bits >> 12 & 63];
	text[2] = n > 1 ? digits[bits >> 6 & 63] : '=';
	text[3] = n > 2 ? digits[bits & 63] : '=';
}

static void append_group(struct buf *out, const uint8_t *p, size_t n)
{
	encode_group((char *)out->data + out->size, p, n);
	out->size += 4;
}

static int append_base64(struct json_payload *w, struct buf *out, const uint8_t *p, size_t n)
{
	int r = buf_reserve(out, (n + 2) / 3 * 4 + 4);
	if (r < 0)
		return r;
	while (n && w->held_bytes) {
		w->held[w->held_bytes++] = *p++;
		n--;
		if (w->held_bytes == 3) {
			append_group(out, w->held, 3);
			w->held_bytes = 0;
		}
	}
	for (; n >= 3; p += 3, n -= 3)
		append_group(out, p, 3);
	for (; n; n--)
		w->held[w->held_bytes++] = *p++;
	return 0;
}

static char *put_text(char *at, const char *text)
{
	size_t bytes = strlen(text);
	memcpy(at, text, bytes);
	return at + bytes;
}

/* Writes at least `width` digits. */
static char *put_number(char *at, uint64_t number, unsigned width)
{
	unsigned digits = json_digits(number);
	if (digits < width)
		digits = width;
	for (unsigned i = digits; i-- > 0; number /= 10)
		at[i] = (char)('0' + number % 10);
	return at + digits;
}

/* Appends everything before the payload member. */
static int append_start(struct buf *out, const struct json_record *record)
{
	enum { START_MAX = 160 };
	int r = buf_reserve(out, START_MAX);
	if (r < 0)
		return r;
	char *at = (char *)out->data + out->size;
	at = put_text(at, "{\"shard\":\"shard-");
	at = put_number(at, record->shard, 4);
	at = put_text(at, "\",\"sequence\":");
	at = put_number(at, record->sequence, 1);
	at = put_text(at, ",\"offset\":");
	at = put_number(at, record->offset, 1);
	at = put_text(at, ",\"time\":\"");
	when_format(record->arrival_ms, at);
	at = put_text(at + WHEN_TEXT_BYTES, "\",");
	out->size = (size_t)((uint8_t *)at - out->data);
	if (!record->key || !record->key_bytes)
		return 0;
	r = buf_append(out, "\"key\":\"", 7);
	if (r == 0)
		r = append_escaped(out, (const uint8_t *)record->key, record->key_bytes);
	return r < 0 ? r : buf_append(out, "\",", 2);
}

int json_payload_head(struct json_payload *payload, struct buf *out,
	const struct json_record *record, const struct json_scan *scan)
{
	*payload = (struct json_payload){.base64 = !json_scan_is_utf8(scan)};
	int r = append_start(out, record);
	if (r < 0)
		return r;
	const char *name = payload->base64 ? "\"data_base64\":\"" : "\"data\":\"";
	return buf_append(out, name, strlen(name));
}

int json_payload_piece(
	struct json_payload *payload, struct buf *out, const void *data, size_t bytes)
{
	return payload->base64 ? append_base64(payload, out, data, bytes)
			       : append_escaped(out, data, bytes);
}

int json_payload_tail(struct json_payload *payload, struct buf *out)
{
	int r = buf_reserve(out, 4);
	if (r < 0)
		return r;
	if (payload->held_bytes)
		append_group(out, payload->held, payload->held_bytes);
	payload->held_bytes = 0;
	return buf_append(out, "\"}\n", 3);
}

static int append_claim(
	struct buf *out, const struct json_record *record, const char *line, size_t bytes)
{
	int r = append_start(out, record);
	if (r == 0)
		r = buf_append(out, line + 1, bytes - 2);
	return r < 0 ? r : buf_append(out, "}\n", 2);
}

int json_record_append(struct buf *out, const struct json_record *record, const void *payload,
	size_t bytes, bool claimed)
{
	if (claimed && claim_check_has_form(payload, bytes))
		return append_claim(out, record, payload, bytes);
	struct json_scan scan = {0};
	struct json_payload w;
	json_scan(&scan, payload, bytes);
	int r = json_payload_head(&w, out, record, &scan);
	if (r == 0)
		r = json_payload_piece(&w, out, payload, bytes);
	return r < 0 ? r : json_payload_tail(&w, out);
}
