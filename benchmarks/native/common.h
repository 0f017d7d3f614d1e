/*
 * What the three programs of the HTTP measures share: options, time, paths, and a connection that may be TLS.
 */

#ifndef COMMON_H
#define COMMON_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 512

static inline void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(1);
}

/* The value of KEY=VALUE among the arguments. */
static inline const char *text(char **arguments, const char *key, const char *otherwise) {
    size_t size = strlen(key);
    for (char **each = arguments; *each; each++)
        if (!strncmp(*each, key, size) && (*each)[size] == '=') return *each + size + 1;
    return otherwise;
}

static inline double number(char **arguments, const char *key, double otherwise) {
    const char *value = text(arguments, key, NULL);
    return value ? atof(value) : otherwise;
}

/* Seconds of the monotonic clock. */
static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static inline uint64_t randomNext(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* FNV-1a: the origin's ETag is the hash of the path, so that the client knows whose response it holds. */
static inline uint32_t hash(const char *bytes, size_t size) {
    uint32_t value = 2166136261u;
    while (size--) value = (value ^ (unsigned char)*bytes++) * 16777619u;
    return value;
}

static inline char *hexadecimal(char *out, uint64_t value, int digits) {
    static const char letters[] = "0123456789abcdef";
    for (int at = digits - 1; at >= 0; at--, value >>= 4) out[at] = letters[value & 15];
    return out + digits;
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static inline int listening(int port) {
    int one = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = loopback(port);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0 || listen(descriptor, 4096) < 0)
        fail("listen");
    return descriptor;
}

/* A socket whose connect() has begun. */
static inline int connecting(int port) {
    int one = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = loopback(port);
    if (descriptor < 0) fail("socket");
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) fail("connect");
    return descriptor;
}

static inline void watch(int poller, int operation, int descriptor, uint32_t events, void *data) {
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(poller, operation, descriptor, &event) < 0) fail("epoll_ctl");
}

/* Read and write, TLS or not. -1: not now; 0: the end; -2: broken. */
static inline ssize_t take(int descriptor, SSL *tls, void *buffer, size_t size) {
    if (tls) {
        ERR_clear_error();
        int result = SSL_read(tls, buffer, size);
        if (result > 0) return result;
        switch (SSL_get_error(tls, result)) {
            case SSL_ERROR_WANT_READ:
            case SSL_ERROR_WANT_WRITE: return -1;
            case SSL_ERROR_ZERO_RETURN: return 0;
            default: return -2;
        }
    }
    ssize_t result = recv(descriptor, buffer, size, 0);
    return result >= 0 ? result : errno == EAGAIN ? -1 : -2;
}

static inline ssize_t give(int descriptor, SSL *tls, const void *buffer, size_t size) {
    if (tls) {
        ERR_clear_error();
        int result = SSL_write(tls, buffer, size);
        if (result > 0) return result;
        int error = SSL_get_error(tls, result);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -1 : -2;
    }
    ssize_t result = send(descriptor, buffer, size, MSG_NOSIGNAL);
    return result >= 0 ? result : errno == EAGAIN ? -1 : -2;
}

#endif
