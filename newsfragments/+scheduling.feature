A busy node is scheduled in batches (SCHED_BATCH) where it measures that this pays: half the CPU, and more throughput, where it shares a core with
who sends to it. `twistd hermes-proxy --scheduling normal` or `batch` keeps it as one or the other.
