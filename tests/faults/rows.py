"""Every fault that has a promise, and the tests that hold it: suites, and functions of tests/test_*.py.

What has no test yet stands in `OPEN`, so that nobody takes silence for proof.
"""

from __future__ import annotations

ROWS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("kill -9 anywhere: rows reported done stay", ("T1", "T2", "test_a_killed_run_resumes_bit_identically")),
    2: ("power loss", ("T3", "test_nothing_is_renamed_before_it_is_synced")),
    3: ("disk full", ("T4", "T4m", "test_hdf5_on_a_full_disk_ends_in_one_clear_line")),
    4: ("fsync or write fails", ("T2", "test_a_commit_that_fails_keeps_the_old_file")),
    5: (
        "several writers, with and without a lock",
        ("T5", "test_a_seal_that_another_process_was_first_with_is_fine"),
    ),
    6: ("a lock outlives its holder", ("test_a_lock_dies_with_its_holder",)),
    7: ("damaged cache", ("T6", "T13", "test_one_flipped_bit_in_a_sealed_file_costs_one_row")),
    8: ("changed data", ("T7", "T13", "test_only_what_changed_is_computed")),
    9: ("image edited during the run", ("test_a_file_that_changed_is_not_believed",)),
    10: ("weights change", ("T13", "test_one_unit_in_the_last_place_changes_the_fingerprint")),
    11: ("code or library changes a number", ("test_rows_computed_again_are_those_of_the_cache",)),
    12: ("rows and labels shifted", ("T8", "test_features_of_other_rows_are_refused")),
    13: ("bad images", ("T9", "test_bad_images_keep_their_rows_within_the_budget")),
    14: ("silent differences of decoders", ("T9", "test_16_bits_are_scaled_not_clipped")),
    15: ("decoder crashes, hangs, bombs", ("T10", "test_an_image_that_hangs_is_found")),
    16: (
        "a worker dies; shared memory is full",
        ("T10", "T10m", "test_a_machine_without_room_for_a_worker_is_told_in_one_line"),
    ),
    17: (
        "accelerator out of memory",
        ("test_out_of_memory_halves_the_micro_batch_inside_the_same_batch_and_remembers",),
    ),
    18: ("signals", ("T11", "test_a_signal_stops_the_run_with_what_is_done")),
    19: ("NaN and Inf", ("test_one_nonfinite_row_is_quarantined_for_its_view_alone",)),
    20: ("a trunk in train mode", ("test_a_trunk_left_in_train_mode_is_refused",)),
    21: ("copies across splits", ("test_equal_files_in_two_splits_or_under_two_labels_are_noted",)),
    22: ("hostile HDF5", ("T12", "test_a_file_that_is_more_than_plain_data_is_refused")),
    23: ("hostile weights and heads", ("T12", "test_a_malicious_pickle_is_refused_and_not_run")),
    24: ("damaged npz", ("test_any_flipped_byte_of_the_memo_is_noticed",)),
    25: ("paths and links that lead out", ("T12", "test_a_link_out_of_the_folder_is_never_followed")),
    26: ("odd names", ("T15", "test_a_shown_path_cannot_drive_a_terminal")),
    27: ("many classes", ("test_21843_classes_are_no_more_than_a_list",)),
    28: ("degenerate data", ("test_data_that_cannot_be_learnt_from_is_refused",)),
    29: ("a cache that is read only", ("test_a_sealed_entry_is_read_without_writing",)),
    30: ("disks without locks", ("T5", "test_a_disk_without_locks_does_not_stop_the_work")),
    31: ("clocks and times put back", ("T7", "test_a_file_dated_in_the_future_is_not_remembered")),
    32: (
        "formats of another time",
        ("test_a_cache_of_every_format_is_read", "test_a_newer_format_is_refused_with_a_remedy"),
    ),
    33: ("removal under a reader", ("T13", "test_a_reader_keeps_what_it_reads")),
}

OPEN = {
    17: "a device-side assert restarts the process",
    21: "near copies",
    24: "a forged memo of hashes whose own digest fits",
    27: "a fit of 21,843 classes below 1 GB",
    29: "a world-writable cache is warned of",
}
