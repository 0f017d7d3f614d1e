/*
 * The origin of the HTTP measures: HTTP/1.1, a KiB of body, fields that vary as those of a real service do.
 *
 *     origin port=N [certificate=FILE key=FILE] [tell=1]
 *
 * Prints "ready". A request for /hang gets no answer; told to tell, it prints how many hang each tenth of a second.
 */

#include "common.h"

#define BODY 1024
#define REQUEST 4096

struct connection {
    int descriptor, accepted, inSize, outSize, outSent, hanging;
    SSL *tls;
    char in[REQUEST], out[REQUEST];
};

static int poller, hanging, requests;
static char body[BODY], date[64];
static uint64_t state = 88172645463325252ull;

static const struct {
    const char *prefix, *type, *caching;
} KINDS[] = {
    {"/static/", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
    {"/images/", "image/webp", "public, max-age=86400"},
    {"/api/", "application/json", "private, no-cache"},
    {"/", "text/html; charset=utf-8", "public, max-age=60, stale-while-revalidate=30"},
};

static void finish(struct connection *this) {
    hanging -= this->hanging;
    close(this->descriptor);
    if (this->tls) SSL_free(this->tls);
    free(this);
}

#define PUT(literal) (memcpy(out, literal, sizeof literal - 1), out + sizeof literal - 1)

static char *putText(char *out, const char *value) {
    size_t size = strlen(value);
    memcpy(out, value, size);
    return out + size;
}

/* @return: how many bytes the response to a request for this path has. */
static int respond(char *start, const char *path, size_t size) {
    char *out = start;
    int kind = 0;
    while (strncmp(path, KINDS[kind].prefix, strlen(KINDS[kind].prefix))) kind++;
    uint64_t identifier = randomNext(&state);
    out = PUT("HTTP/1.1 200 OK\r\nServer: origin/1.4\r\nDate: ");
    out = putText(out, date);
    out = PUT("\r\nContent-Type: ");
    out = putText(out, KINDS[kind].type);
    out = PUT("\r\nContent-Length: 1024\r\nCache-Control: ");
    out = putText(out, KINDS[kind].caching);
    out = PUT("\r\nETag: \"");
    out = hexadecimal(out, hash(path, size), 8);
    out = PUT("-400\"\r\nX-Request-Id: ");
    out = hexadecimal(out, identifier, 16);
    out = hexadecimal(out, randomNext(&state), 16);
    out = PUT("\r\nVary: Accept-Encoding\r\n");
    if (!(++requests & 7)) {
        out = PUT("Set-Cookie: last=");
        out = hexadecimal(out, identifier >> 16, 12);
        out = PUT("; Path=/; HttpOnly; SameSite=Lax\r\n");
    }
    out = PUT("\r\n");
    memcpy(out, body, BODY);
    return out + BODY - start;
}

/* @return: whether the connection lives. */
static int flush(struct connection *this) {
    while (this->outSent < this->outSize) {
        ssize_t sent = give(this->descriptor, this->tls, this->out + this->outSent, this->outSize - this->outSent);
        if (sent == -1) {
            watch(poller, EPOLL_CTL_MOD, this->descriptor, EPOLLIN | EPOLLOUT, this);
            return 1;
        }
        if (sent < 0) return 0;
        this->outSent += sent;
    }
    this->outSent = this->outSize = 0;
    return 1;
}

static int serve(struct connection *this) {
    if (this->tls && !this->accepted) {
        ERR_clear_error();
        int result = SSL_accept(this->tls), error = SSL_get_error(this->tls, result);
        if (result <= 0) return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
        this->accepted = 1;
    }
    if (this->outSize) {
        if (!flush(this)) return 0;
        if (this->outSize) return 1;
        watch(poller, EPOLL_CTL_MOD, this->descriptor, EPOLLIN, this);
    }
    do {
        ssize_t got = take(this->descriptor, this->tls, this->in + this->inSize, REQUEST - 1 - this->inSize);
        if (got == -1) return 1;
        if (got <= 0) return 0;
        this->inSize += got;
        this->in[this->inSize] = 0;
        char *end = memmem(this->in, this->inSize, "\r\n\r\n", 4);
        if (!end) continue;
        /* One request at a time: our clients do not pipeline, and GET has no body. */
        if (end + 4 - this->in != this->inSize || memcmp(this->in, "GET ", 4)) return 0;
        char *path = this->in + 4, *stop = strchr(path, ' ');
        if (!stop) return 0;
        this->inSize = 0;
        if (!strncmp(path, "/hang", 5)) {
            hanging++;
            this->hanging++;
            continue;
        }
        this->outSize = respond(this->out, path, stop - path);
        if (!flush(this)) return 0;
    } while (this->tls && SSL_has_pending(this->tls));
    return 1;
}

int main(int count, char **arguments) {
    (void)count;
    int listener = listening(number(arguments, "port", 0)), tell = number(arguments, "tell", 0);
    const char *certificate = text(arguments, "certificate", NULL);
    SSL_CTX *context = NULL;
    if (certificate) {
        context = SSL_CTX_new(TLS_server_method());
        if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, text(arguments, "key", ""), SSL_FILETYPE_PEM) != 1)
            fail("the certificate");
        /* Plain clients with a connection to a request: no use for tickets. */
        SSL_CTX_set_num_tickets(context, 0);
    }
    memset(body, 'x', BODY);
    poller = epoll_create1(0);
    watch(poller, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    printf("ready\n");
    fflush(stdout);
    double spoke = 0;
    time_t dated = 0;
    struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, 100);
        time_t today = time(NULL);
        if (today != dated) {
            struct tm parts;
            dated = today;
            strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&today, &parts));
        }
        for (int at = 0; at < ready; at++) {
            struct connection *this = events[at].data.ptr;
            if (this) {
                if (!serve(this)) finish(this);
                continue;
            }
            for (;;) {
                int one = 1, descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (descriptor < 0) {
                    if (errno == EAGAIN) break;
                    fail("accept");
                }
                setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                this = calloc(1, sizeof *this);
                this->descriptor = descriptor;
                if (context) {
                    this->tls = SSL_new(context);
                    SSL_set_fd(this->tls, descriptor);
                }
                watch(poller, EPOLL_CTL_ADD, descriptor, EPOLLIN, this);
            }
        }
        if (tell && now() - spoke > 0.1) {
            spoke = now();
            printf("%d\n", hanging);
            fflush(stdout);
        }
    }
}
