`twistd hermes-proxy` is scheduled in batches (SCHED_BATCH): half the CPU where it shares a core with who sends to it. `--scheduling normal` leaves it as it was.
