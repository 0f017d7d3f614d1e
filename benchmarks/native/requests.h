/*
 * The requests of the HTTP measures: eleven fields each. Paths are some hundreds; cookies and languages belong to a
 * client, and a counter in the cookie moves every tenth request; traceparent is new in each.
 */

#ifndef REQUESTS_H
#define REQUESTS_H

#include "common.h"

#define PATHS 540
#define HOSTS 3

struct target {
    char path[80];
    uint32_t hash;
    int host, accepts;
};

struct visitor {
    uint64_t state, session;
    uint32_t made, agent, language, host;
    int everywhere;
};

static struct target targets[PATHS];
static int firstOf[HOSTS + 1];

static const char *NAMES[HOSTS] = {"www.shop.test", "api.shop.test", "static.shop.test"};

static const char *AGENTS[] = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
    "okhttp/4.12.0",
};

static const char *LANGUAGES[] = {"en-US,en;q=0.9", "de-DE,de;q=0.9,en;q=0.5", "fr-CA,fr;q=0.8,en;q=0.6", "ja,en;q=0.4"};

static const char *ACCEPTS[] = {
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "image/avif,image/webp,image/png,*/*;q=0.8",
    "application/json",
    "*/*",
};

static void target(int at, int host, int accepts, const char *form, int argument) {
    struct target *this = &targets[at];
    snprintf(this->path, sizeof this->path, form, argument);
    this->hash = hash(this->path, strlen(this->path));
    this->host = host;
    this->accepts = accepts;
}

static void prepareTargets(void) {
    int at = 0;
    for (int each = 0; each < 100; each++) target(at++, 0, 0, "/products/%d?ref=front", 10007 + each * 131);
    for (int each = 0; each < 20; each++) target(at++, 0, 0, "/categories/%d/", each + 1);
    for (int each = 0; each < 100; each++) target(at++, 0, 1, "/images/products/%d/large.webp", 10007 + each * 131);
    firstOf[1] = at;
    for (int each = 0; each < 100; each++) target(at++, 1, 2, "/api/v1/users/%d", 500 + each * 17);
    for (int each = 0; each < 100; each++) target(at++, 1, 2, "/api/v1/orders/%d/items?limit=20", 900001 + each * 37);
    for (int each = 0; each < 60; each++) target(at++, 1, 2, "/api/v1/search?page=%d&sort=price", each + 1);
    firstOf[2] = at;
    for (int each = 0; each < 60; each++) target(at++, 2, 3, "/static/js/chunk-%08x.js", 0x5bd1e995u * (each + 1));
    firstOf[3] = at;
    if (at != PATHS) exit(2);
}

/* Over TLS a connection keeps to one host; else it asks any of them. */
static struct visitor visitor(int number, int everywhere) {
    struct visitor this = {.state = 0x9e3779b97f4a7c15ull * (number + 1), .everywhere = everywhere};
    for (int each = 0; each < 4; each++) this.session = randomNext(&this.state);
    this.agent = randomNext(&this.state) % (sizeof AGENTS / sizeof *AGENTS);
    this.language = randomNext(&this.state) % (sizeof LANGUAGES / sizeof *LANGUAGES);
    this.host = number % HOSTS;
    return this;
}

static char *put(char *out, const char *value) {
    size_t size = strlen(value);
    memcpy(out, value, size);
    return out + size;
}

#define PUT(literal) (memcpy(out, literal, sizeof literal - 1), out + sizeof literal - 1)

/* The next request of a visitor. @return: its size. @param expected: gets the hash of the path. */
static int nextRequest(struct visitor *this, const char *path, char *start, uint32_t *expected) {
    uint64_t dice = randomNext(&this->state);
    int first = this->everywhere ? 0 : firstOf[this->host];
    int last = this->everywhere ? PATHS : firstOf[this->host + 1];
    const struct target *to = &targets[first + dice % (last - first)];
    uint32_t visit = this->made++ / 10;
    char *out = start;
    *expected = path ? hash(path, strlen(path)) : to->hash;
    out = PUT("GET ");
    out = put(out, path ? path : to->path);
    out = PUT(" HTTP/1.1\r\nHost: ");
    out = put(out, NAMES[path ? 0 : to->host]);
    out = PUT("\r\nUser-Agent: ");
    out = put(out, AGENTS[this->agent]);
    out = PUT("\r\nAccept: ");
    out = put(out, ACCEPTS[to->accepts]);
    out = PUT("\r\nAccept-Language: ");
    out = put(out, LANGUAGES[this->language]);
    out = PUT("\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: https://www.shop.test");
    out = put(out, targets[(dice >> 32) % 50].path);
    out = PUT("\r\nCookie: sid=");
    out = hexadecimal(out, this->session, 16);
    out = hexadecimal(out, this->session * 0x2545f4914f6cdd1dull, 16);
    out = PUT("; theme=dark; visit=");
    out = hexadecimal(out, visit, 5);
    out = PUT("\r\ntraceparent: 00-");
    out = hexadecimal(out, dice, 16);
    out = hexadecimal(out, randomNext(&this->state), 16);
    out = PUT("-");
    out = hexadecimal(out, randomNext(&this->state) | 1, 16);
    out = PUT("-01\r\nSec-Fetch-Mode: ");
    out = to->accepts ? PUT("cors") : PUT("navigate");
    out = PUT("\r\nSec-Fetch-Site: same-site\r\nPriority: u=");
    *out++ = '1' + to->accepts;
    out = PUT("\r\n\r\n");
    return out - start;
}

#endif
