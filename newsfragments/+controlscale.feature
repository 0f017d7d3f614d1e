A document of any size may be applied: bounds are for what its aliases stand for. Documents are read and compiled a few times as fast, and a change to one node of a thousand takes less than a second.
