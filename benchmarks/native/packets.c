/*
 * UDP packets: a sender that does not wait, whoever counts, and a round trip at a time.
 *
 *     packets mode=sink bind=ADDRESS port=N
 *         prints "ready"; at SIGTERM how many came, and in how many seconds from the first to the last
 *     packets mode=blast to=ADDRESS port=N size=BYTES rate=N seconds=S flows=N
 *         so many packets a second, of so many bytes with the IP header; a packet of one flow after one of another
 *     packets mode=echo bind=ADDRESS port=N
 *     packets mode=ping to=ADDRESS port=N size=BYTES seconds=S
 *         the distribution of the round trip in microseconds; one that takes a second is lost
 *
 * IPv4 addresses only.
 */

#include "common.h"

#define BATCH 64
#define HEADERS 28
#define MOST_FLOWS 256

static volatile sig_atomic_t ended;

static void end(int signal) {
    (void)signal;
    ended = 1;
}

static struct sockaddr_in address(char **arguments, const char *key) {
    struct sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons(number(arguments, "port", 0))};
    if (inet_pton(AF_INET, text(arguments, key, ""), &result.sin_addr) != 1) fail(key);
    return result;
}

/* A socket on which nothing is waited for longer than a second: a signal may come just before the wait. */
static int datagrams(void) {
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
    struct timeval patience = {.tv_sec = 1};
    if (descriptor < 0) fail("socket");
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return descriptor;
}

static int bound(char **arguments) {
    int descriptor = datagrams();
    struct sockaddr_in own = address(arguments, "bind");
    if (bind(descriptor, (struct sockaddr *)&own, sizeof own) < 0) fail("bind");
    printf("ready\n");
    fflush(stdout);
    return descriptor;
}

static int connected(char **arguments) {
    int descriptor = datagrams();
    struct sockaddr_in far = address(arguments, "to");
    if (connect(descriptor, (struct sockaddr *)&far, sizeof far) < 0) fail("connect");
    return descriptor;
}

static char buffers[BATCH][65536];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static void batch(size_t size) {
    for (int at = 0; at < BATCH; at++) {
        vectors[at] = (struct iovec){.iov_base = buffers[at], .iov_len = size};
        messages[at].msg_hdr = (struct msghdr){.msg_iov = &vectors[at], .msg_iovlen = 1};
    }
}

static void sink(char **arguments) {
    int descriptor = bound(arguments);
    uint64_t received = 0;
    double first = 0, last = 0;
    batch(sizeof buffers[0]);
    while (!ended) {
        int count = recvmmsg(descriptor, messages, BATCH, MSG_WAITFORONE, NULL);
        if (count <= 0) continue;
        last = now();
        if (!received) first = last;
        received += count;
    }
    printf("{\"received\": %llu, \"seconds\": %f}\n", (unsigned long long)received, last - first);
}

static void blast(char **arguments) {
    double rate = number(arguments, "rate", 1000), seconds = number(arguments, "seconds", 1);
    size_t size = number(arguments, "size", 64);
    int flows = number(arguments, "flows", 1), descriptors[MOST_FLOWS], most = flows > 1 ? 1 : BATCH;
    if (flows > MOST_FLOWS) fail("so many flows");
    for (int at = 0; at < flows; at++) descriptors[at] = connected(arguments);
    uint64_t sent = 0, refused = 0;
    batch(size - HEADERS);
    double start = now(), elapsed;
    while ((elapsed = now() - start) < seconds && !ended) {
        uint64_t due = elapsed * rate;
        if (due <= sent) {
            struct timespec pause = {.tv_nsec = 250000};
            clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
            continue;
        }
        uint64_t want = due - sent;
        int count = sendmmsg(descriptors[sent % flows], messages, want < most ? want : most, 0);
        /* A full queue of the device: these are sent, and lost, as on a wire. */
        if (count < 0) refused++, count = 1;
        sent += count;
    }
    printf("{\"sent\": %llu, \"refused\": %llu, \"seconds\": %f}\n", (unsigned long long)sent,
           (unsigned long long)refused, elapsed);
}

static void echo(char **arguments) {
    int descriptor = bound(arguments);
    while (!ended) {
        struct sockaddr_in source;
        socklen_t length = sizeof source;
        ssize_t size = recvfrom(descriptor, buffers[0], sizeof buffers[0], 0, (struct sockaddr *)&source, &length);
        if (size >= 0) sendto(descriptor, buffers[0], size, 0, (struct sockaddr *)&source, length);
    }
}

static int ascending(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return difference < 0 ? -1 : difference > 0;
}

static void ping(char **arguments) {
    double seconds = number(arguments, "seconds", 1), start = now();
    size_t size = number(arguments, "size", 64) - HEADERS, room = 1 << 20, count = 0, lost = 0;
    double *times = malloc(room * sizeof *times);
    int descriptor = connected(arguments);
    for (uint64_t sequence = 0; now() - start < seconds && count < room && !ended; sequence++) {
        memcpy(buffers[0], &sequence, sizeof sequence);
        double begun = now();
        if (send(descriptor, buffers[0], size, 0) < 0) fail("send");
        uint64_t answered = ~sequence;
        do {
            if (recv(descriptor, buffers[1], sizeof buffers[1], 0) < 0) break;
            memcpy(&answered, buffers[1], sizeof answered);
        } while (answered != sequence);
        double taken = now() - begun;
        if (answered == sequence && taken < 1) times[count++] = taken * 1e6;
        else lost++;
    }
    if (!count) fail("no answer");
    qsort(times, count, sizeof *times, ascending);
    printf("{\"p50\": %f, \"p90\": %f, \"p99\": %f, \"count\": %zu, \"lost\": %zu}\n", times[count / 2],
           times[count * 9 / 10], times[count * 99 / 100], count, lost);
}

int main(int count, char **arguments) {
    (void)count;
    /* Not restarted: a signal ends what waits. */
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    const char *mode = text(arguments, "mode", "");
    if (!strcmp(mode, "sink")) sink(arguments);
    else if (!strcmp(mode, "blast")) blast(arguments);
    else if (!strcmp(mode, "echo")) echo(arguments);
    else if (!strcmp(mode, "ping")) ping(arguments);
    else fail("no such mode");
    fflush(stdout);
}
