Strategy `random`, as NFD's: Interests are balanced over all next hops, several producers of one prefix for one; after a Nack, or where a link goes down, another one is asked.
