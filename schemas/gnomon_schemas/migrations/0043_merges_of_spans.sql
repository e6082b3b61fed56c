-- A merge that writes column by column takes three quarters of the CPU of one that goes row by row, whatever the
-- size. It needs a part with a file for each column, which what one flush brings (some 70 MB at the most) must not
-- become, and was done from 268 MB and 131,072 rows on only. See docs/adr/0019.
ALTER TABLE spans{on_cluster} MODIFY SETTING
    min_bytes_for_wide_part = 134217728,
    vertical_merge_algorithm_min_rows_to_activate = 16384;
