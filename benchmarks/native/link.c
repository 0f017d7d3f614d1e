/*
 * A long path: a relay that delivers what it reads after half a round trip, as hermes.testing.links does. In C, since
 * that in Python has half a second to do for 1,000 connections with TLS, which would hold up the direct way only.
 *
 *     link port=N target=N trip=SECONDS
 *
 * To connect takes a round trip too, as SYN and its answer do: the relay's kernel accepts at once, so what the client
 * sends within the first round trip is held as if it were sent at its end.
 */

#include "common.h"
#include <sys/timerfd.h>

#define READ 65536

struct piece {
    struct piece *next;
    double due;
    size_t size, sent;
    char bytes[];
};

struct flow;

/* One direction. */
struct way {
    struct flow *flow;
    int from, to;
    struct piece *first, **last;
};

struct flow {
    struct way there, back;
    double stands;
    int waiting;
};

static struct way **heap;
static int heapSize, heapRoom, poller;


static void heapPush(struct way *way) {
    if (heapSize == heapRoom) heap = realloc(heap, (heapRoom = heapRoom * 2 + 1024) * sizeof *heap);
    int at = heapSize++;
    for (int parent; at && heap[parent = (at - 1) / 2]->first->due > way->first->due; at = parent) heap[at] = heap[parent];
    heap[at] = way;
}

static struct way *heapPop(void) {
    struct way *least = heap[0], *moved = heap[--heapSize];
    int at = 0;
    for (int child; (child = at * 2 + 1) < heapSize; at = child) {
        if (child + 1 < heapSize && heap[child + 1]->first->due < heap[child]->first->due) child++;
        if (heap[child]->first->due >= moved->first->due) break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
    return least;
}

static void queue(struct way *way, double due, const char *bytes, size_t size) {
    struct piece *piece = malloc(sizeof *piece + size);
    *piece = (struct piece){.due = due, .size = size};
    memcpy(piece->bytes, bytes, size);
    *way->last = piece;
    way->last = &piece->next;
    if (way->first == piece) heapPush(way);
}

static void finish(struct flow *flow) {
    close(flow->there.from);
    close(flow->there.to);
    free(flow);
}

/* Deliver the first piece, or what its socket takes of it. */
static void deliver(struct way *way) {
    struct piece *piece = way->first;
    while (piece->sent < piece->size) {
        ssize_t sent = send(way->to, piece->bytes + piece->sent, piece->size - piece->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            piece->due = now() + 0.0005;
            heapPush(way);
            return;
        }
        if (sent < 0) break;
        piece->sent += sent;
    }
    int last = !piece->size;
    way->first = piece->next;
    if (!way->first) way->last = &way->first;
    free(piece);
    if (last) {
        shutdown(way->to, SHUT_WR);
        if (!--way->flow->waiting) {
            finish(way->flow);
            return;
        }
    }
    if (way->first) heapPush(way);
}

static void readable(struct way *way, double half) {
    static char buffer[READ];
    for (;;) {
        ssize_t size = recv(way->from, buffer, READ, 0);
        if (size < 0 && errno == EAGAIN) return;
        double time = now(), sent = time < way->flow->stands && way == &way->flow->there ? way->flow->stands : time;
        queue(way, sent + half, buffer, size > 0 ? size : 0);
        if (size <= 0) {
            epoll_ctl(poller, EPOLL_CTL_DEL, way->from, NULL);
            return;
        }
        if (size < READ) return;
    }
}

int main(int count, char **arguments) {
    (void)count;
    double trip = number(arguments, "trip", 0.02);
    int port = number(arguments, "target", 0), listener = listening(number(arguments, "port", 0));
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    poller = epoll_create1(0);
    watch(poller, EPOLL_CTL_ADD, listener, EPOLLIN, &listener);
    watch(poller, EPOLL_CTL_ADD, timer, EPOLLIN, &timer);
    printf("ready\n");
    fflush(stdout);
    struct epoll_event events[EVENTS];
    for (;;) {
        if (heapSize) {
            /* Never zero, which would stop the timer. */
            double due = heap[0]->first->due > 0 ? heap[0]->first->due : 1e-9;
            struct itimerspec when = {.it_value = {.tv_sec = due, .tv_nsec = (due - (time_t)due) * 1e9}};
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
        }
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int at = 0; at < ready; at++) {
            if (events[at].data.ptr == &timer) {
                uint64_t ignored;
                if (read(timer, &ignored, sizeof ignored) < 0 && errno != EAGAIN) fail("the timer");
                continue;
            }
            if (events[at].data.ptr != &listener) {
                readable(events[at].data.ptr, trip / 2);
                continue;
            }
            for (;;) {
                int one = 1, near = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (near < 0) {
                    if (errno == EAGAIN) break;
                    fail("accept");
                }
                setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                int far = connecting(port);
                struct flow *flow = malloc(sizeof *flow);
                *flow = (struct flow){.stands = now() + trip, .waiting = 2};
                flow->there = (struct way){.flow = flow, .from = near, .to = far, .last = &flow->there.first};
                flow->back = (struct way){.flow = flow, .from = far, .to = near, .last = &flow->back.first};
                watch(poller, EPOLL_CTL_ADD, near, EPOLLIN, &flow->there);
                watch(poller, EPOLL_CTL_ADD, far, EPOLLIN, &flow->back);
            }
        }
        for (double time = now(); heapSize && heap[0]->first->due <= time;) deliver(heapPop());
    }
}
