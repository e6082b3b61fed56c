-- Under a full load each span was merged nearly twice within half a minute, six parts of a flush each at a time,
-- which was a fifth of the server's CPU. Now sixteen parts of about the same size are merged at once; what trickles
-- in, and what is old, is still merged in smaller numbers. See docs/adr/0028.
ALTER TABLE spans{on_cluster} MODIFY SETTING merge_selector_base = 16;
