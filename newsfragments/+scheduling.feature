`twistd hermes-proxy --scheduling batch` (SCHED_BATCH): half the CPU where a proxy shares a core with who sends to it.
