"""A cache of single records in Redis, in front of any store.

A read never returns a version older than one whose commit was answered before the read began, in any process, as long
as Redis answers all of them. Otherwise a read may be up to two seconds stale. Each record has one key in Redis,
which is in one of four states:

- **Absent.** A reader puts a *lease* there, a random token that expires after half a second, and reads the store.
- **A lease.** Its reader replaces it by an entry, if it is still there. Other readers read the store.
- **An entry**, the record. It expires after one and a half seconds, so it is never older than two.
- **A block**, a set of the tokens of writers. Readers read the store, and put nothing there.

A writer adds its token to the blocks of the records it changes, commits, and then removes its token. If Redis was
restarted or has evicted a block, the writer deletes the key instead. Either way, an entry or a lease from before the
commit is gone when the commit is answered. If the outcome of the commit is unknown, the block is left to expire.

Removing a user removes records whose ids the writer does not know. So entries of owned records also contain a
*generation*, a random text under one more key, which the removal of any user blocks and deletes like a record. An entry
of another generation is ignored.

All commands use one connection, which is restored in the background. No call waits for a missing connection.
"""
