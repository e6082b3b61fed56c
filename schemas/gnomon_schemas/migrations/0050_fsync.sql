-- After a power cut these tables lacked what the kernel had not written yet, up to half a minute of it, while the
-- inbox and the marks of what is computed said that it was there: charts stayed empty beside their spans.
ALTER TABLE calls_per_minute{on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE calls_per_hour{on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE trace_summaries{on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE trace_slots{on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE trace_coverage{on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE checks_per_minute{on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE drift_features{on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE judge_evaluators{on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE budget_denials{on_cluster} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
-- The marks of duplicates are patches of the part that had the span when it was marked. A part that was merged and
-- is lost with the power takes them with it, though what it was merged from is still there.
ALTER TABLE spans{on_cluster} MODIFY SETTING min_rows_to_fsync_after_merge = 1;
