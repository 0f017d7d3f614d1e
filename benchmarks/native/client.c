/*
 * The load of the HTTP measures: many connections, HTTP/1.1, one request at a time on each.
 *
 *     client port=N connections=N mode=loop seconds=S warm=S | mode=once | mode=burst | mode=hold [path=PATH]
 *            [trust=FILE]
 *
 * loop: each connection asks again as soon as it is answered. once: all connect at the same time and ask once. burst:
 * connections stand, then all ask at the same time. hold: connections stand until standard input ends.
 *
 * Prints "begun" when the time of a loop begins, and one JSON object: what was asked, how long it took, the distribution
 * in microseconds. Each response is checked: its status, its size, and by its ETag that it answers this request.
 */

#include "requests.h"

#define AHEAD 64
#define PATIENCE 20
#define REQUEST 2048
#define RESPONSE 8192

enum state { CONNECTING, SECURING, WAITING, IDLE };

struct connection {
    int descriptor, inSize, outSize, outSent;
    enum state state;
    SSL *tls;
    double asked;
    uint32_t expected;
    struct visitor visitor;
    char in[RESPONSE], out[REQUEST];
};

static int poller, port, connections, answered, greeted, opened;
static enum { LOOP, ONCE, BURST, HOLD } mode;
static const char *path;
static SSL_CTX *context;
static struct connection *all;
static double start, end;
static float *times;
static size_t timesSize, timesRoom;

static int descending(const void *first, const void *second) {
    float one = *(const float *)first, other = *(const float *)second;
    return (one < other) - (one > other);
}

static float percentile(double share) {
    if (!timesSize) return 0;
    return times[(size_t)((timesSize - 1) * (1 - share))] * 1e6f;
}

static void broken(struct connection *this, const char *what) {
    fprintf(stderr, "connection %ld, request %u: %s\n", (long)(this - all), this->visitor.made, what);
    if (this->inSize) fprintf(stderr, "%.*s\n", this->inSize > 600 ? 600 : this->inSize, this->in);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void pour(struct connection *this) {
    while (this->outSent < this->outSize) {
        ssize_t sent = give(this->descriptor, this->tls, this->out + this->outSent, this->outSize - this->outSent);
        if (sent == -1) {
            watch(poller, EPOLL_CTL_MOD, this->descriptor, EPOLLIN | EPOLLOUT, this);
            return;
        }
        if (sent < 0) broken(this, "it could not be sent");
        this->outSent += sent;
    }
    this->outSize = this->outSent = 0;
}

static void ask(struct connection *this) {
    this->outSize = nextRequest(&this->visitor, path, this->out, &this->expected);
    this->state = WAITING;
    if (mode != ONCE) this->asked = now();
    pour(this);
}

static void beginConnection(void) {
    struct connection *this = &all[opened];
    this->visitor = visitor(opened++, context == NULL);
    this->asked = now();
    this->descriptor = connecting(port);
    watch(poller, EPOLL_CTL_ADD, this->descriptor, EPOLLOUT, this);
}

/* @return: whether the whole response is there. */
static int complete(struct connection *this) {
    char *stop = memmem(this->in, this->inSize, "\r\n\r\n", 4), etag[16];
    if (!stop) return 0;
    long length = -1;
    int matched = 0;
    if (memcmp(this->in, "HTTP/1.1 200", 12)) broken(this, "not 200");
    hexadecimal(etag, this->expected, 8);
    for (char *line = memchr(this->in, '\n', this->inSize) + 1; line < stop; line = memchr(line, '\n', stop + 2 - line) + 1) {
        if (*line != 'C' && *line != 'c' && *line != 'E' && *line != 'e') continue;
        if (!strncasecmp(line, "content-length:", 15)) length = atol(line + 15);
        if (!strncasecmp(line, "etag: \"", 7)) matched = !memcmp(line + 7, etag, 8);
    }
    if (!matched) broken(this, "the response to another request");
    if (length != 1024) broken(this, "a wrong length");
    long size = stop + 4 - this->in + length;
    if (this->inSize > size) broken(this, "too many bytes");
    return this->inSize == size;
}

static void ended(struct connection *this) {
    double time = now();
    answered++;
    greeted += this->visitor.made == 1;
    this->inSize = 0;
    this->state = IDLE;
    if (start && (mode != LOOP || (time >= start && time < end))) {
        if (timesSize == timesRoom) times = realloc(times, (timesRoom = timesRoom * 2 + 65536) * sizeof *times);
        times[timesSize++] = time - this->asked;
    }
    if (mode == LOOP) ask(this);
    if (mode == ONCE) {
        close(this->descriptor);
        this->descriptor = -1;
    }
}

static void handle(struct connection *this) {
    if (this->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(this->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) broken(this, strerror(error));
        watch(poller, EPOLL_CTL_MOD, this->descriptor, EPOLLIN, this);
        this->state = SECURING;
        if (context) {
            this->tls = SSL_new(context);
            SSL_set_fd(this->tls, this->descriptor);
            SSL_set_tlsext_host_name(this->tls, NAMES[this->visitor.host]);
            SSL_set1_host(this->tls, NAMES[this->visitor.host]);
        }
    }
    if (this->state == SECURING) {
        if (this->tls) {
            ERR_clear_error();
            int result = SSL_connect(this->tls), error = SSL_get_error(this->tls, result);
            if (result <= 0) {
                if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return;
                broken(this, "TLS failed");
            }
        }
        ask(this);
        return;
    }
    if (this->outSize) {
        pour(this);
        if (!this->outSize) watch(poller, EPOLL_CTL_MOD, this->descriptor, EPOLLIN, this);
    }
    do {
        ssize_t got = take(this->descriptor, this->tls, this->in + this->inSize, RESPONSE - this->inSize);
        if (got == -1) return;
        if (got <= 0) broken(this, got ? "the connection broke" : "the connection ended");
        if (this->state != WAITING) broken(this, "an answer to nothing");
        this->inSize += got;
        if (complete(this)) {
            ended(this);
            return;
        }
    } while (this->tls && SSL_has_pending(this->tls));
}

static void turn(int milliseconds) {
    static double heard;
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(poller, events, EVENTS, milliseconds);
    if (ready || !heard) heard = now();
    if (now() - heard > PATIENCE) {
        fprintf(stderr, "%d of %d connections opened, %d answers, then nothing\n", opened, connections, answered);
        exit(1);
    }
    for (int at = 0; at < ready; at++) handle(events[at].data.ptr);
}

/* Connections stand, and each has been answered once, so that what lies behind them stands too. */
static void stand(void) {
    int hanging = path != NULL;
    for (int done = 0; done < connections; turn(1000)) {
        if (hanging) {
            done = 0;
            for (int at = 0; at < opened; at++) done += all[at].state == WAITING && !all[at].outSize;
        } else
            done = greeted;
        while (opened < connections && opened - done < AHEAD) beginConnection();
    }
}

static double ownTime(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **arguments) {
    (void)count;
    const char *way = text(arguments, "mode", "loop"), *trust = text(arguments, "trust", NULL);
    double seconds = number(arguments, "seconds", 1), used = 0;
    port = number(arguments, "port", 0);
    connections = number(arguments, "connections", 1);
    path = text(arguments, "path", NULL);
    mode = !strcmp(way, "once") ? ONCE : !strcmp(way, "burst") ? BURST : !strcmp(way, "hold") ? HOLD : LOOP;
    if (trust) {
        context = SSL_CTX_new(TLS_client_method());
        if (SSL_CTX_load_verify_locations(context, trust, NULL) != 1) fail("the trust");
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x08http/1.1", 9);
    }
    prepareTargets();
    all = calloc(connections, sizeof *all);
    poller = epoll_create1(0);
    if (mode == ONCE) {
        start = now();
        while (opened < connections) beginConnection();
        while (answered < connections) turn(1000);
        end = now();
    } else if (mode == LOOP) {
        stand();
        for (double from = now() + number(arguments, "warm", 0.5); now() < from;) turn(50);
        printf("begun\n");
        fflush(stdout);
        start = now();
        end = start + seconds;
        answered = 0;
        used = ownTime();
        while (now() < end) turn(50);
        used = ownTime() - used;
    } else {
        stand();
        if (mode == HOLD) {
            printf("{\"open\": %d}\n", opened);
            fflush(stdout);
            char ignored;
            return read(0, &ignored, 1) < 0;
        }
        answered = 0;
        start = now();
        for (int at = 0; at < connections; at++) ask(&all[at]);
        while (answered < connections) turn(1000);
        end = now();
    }
    if (mode != LOOP) used = ownTime();
    qsort(times, timesSize, sizeof *times, descending);
    printf("{\"requests\": %zu, \"seconds\": %.6f, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f, \"cpu\": %.3f}\n",
           timesSize, end - start, percentile(0.5), percentile(0.9), percentile(0.99), percentile(1), used);
    return 0;
}
