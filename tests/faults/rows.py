"""Every fault that has a promise, the tests that hold it, and the guards that T16 takes out to see them turn red.

Tests are suites, and functions of tests/test_*.py. What has no test yet stands in `OPEN`, so that nobody takes
silence for proof.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A fault, the tests of what is promised of it, and names of `guards.GUARDS`."""

    fault: str
    tests: tuple[str, ...]
    guards: tuple[str, ...] = ()


ROWS: dict[int, Row] = {
    1: Row(
        "kill -9 anywhere: rows reported done stay",
        ("T1", "T2", "test_a_killed_run_resumes_bit_identically"),
        ("rename", "temporary file removed"),
    ),
    2: Row("power loss", ("T3", "test_nothing_is_renamed_before_it_is_synced"), ("fsync", "fsync of folders")),
    3: Row("disk full", ("T4", "T4m", "test_hdf5_on_a_full_disk_ends_in_one_clear_line"), ("disk space",)),
    4: Row("fsync or write fails", ("T2", "test_a_commit_that_fails_keeps_the_old_file"), ("rename",)),
    5: Row(
        "several writers, with and without a lock",
        (
            "T5",
            "T17",
            "test_a_seal_that_another_process_was_first_with_is_fine",
            "test_two_writers_of_one_file_leave_one_of_them_whole",
        ),
        ("a temporary name for each writer", "second to a seal"),
    ),
    6: Row("a lock outlives its holder", ("test_a_lock_dies_with_its_holder",), ("locks die",)),
    7: Row(
        "damaged cache",
        (
            "T6",
            "T13",
            "test_one_flipped_bit_in_a_sealed_file_costs_one_row",
            "test_a_damaged_file_beside_a_sealed_file_is_written_again",
        ),
        (
            "digest in a shard's name",
            "row checksum",
            "digest of the sealed file",
            "damage set aside",
            "files beside the sealed one",
            "second look at damage",
        ),
    ),
    8: Row("changed data", ("T7", "T13", "test_only_what_changed_is_computed"), ("times that were put back",)),
    9: Row(
        "image edited during the run", ("test_a_file_that_changed_is_not_believed",), ("content of the file read",)
    ),
    10: Row(
        "weights change", ("T13", "test_one_unit_in_the_last_place_changes_the_fingerprint"), ("seal of its key",)
    ),
    11: Row("code or library changes a number", ("test_rows_computed_again_are_those_of_the_cache",), ("probe",)),
    12: Row(
        "rows and labels shifted",
        ("T8", "test_features_of_other_rows_are_refused"),
        ("digest of the rows", "labels joined to their rows alone", "row checksum"),
    ),
    13: Row("bad images", ("T9", "test_bad_images_keep_their_rows_within_the_budget"), ("budget of bad images",)),
    14: Row(
        "silent differences of decoders", ("T9", "test_16_bits_are_scaled_not_clipped"), ("16 bits", "orientation")
    ),
    15: Row(
        "decoder crashes, hangs, bombs",
        ("T10", "test_an_image_that_hangs_is_found"),
        ("image size", "formats", "quarantine"),
    ),
    16: Row(
        "a worker dies; shared memory is full",
        (
            "T10",
            "T10m",
            "test_a_machine_without_room_for_a_worker_is_told_in_one_line",
            "test_a_run_that_was_stopped_and_goes_on_blames_no_image",
        ),
        ("no room for a worker", "time in which the run was stopped"),
    ),
    17: Row(
        "accelerator out of memory, or lost (its errors are injected: these tests run without one)",
        (
            "test_out_of_memory_halves_the_micro_batch_inside_the_same_batch_and_remembers",
            "test_a_device_side_assert_costs_a_process_and_no_row",
            "test_a_device_that_stays_lost_ends_the_run_and_blames_no_image",
        ),
        ("sizes of batches",),
    ),
    18: Row("signals", ("T11", "test_a_signal_stops_the_run_with_what_is_done"), ("signal handler",)),
    19: Row("NaN and Inf", ("test_one_nonfinite_row_is_quarantined_for_its_view_alone",), ("finite features",)),
    20: Row(
        "a trunk in train mode",
        ("test_a_trunk_left_in_train_mode_is_refused", "test_no_buffer_of_the_trunk_changes_by_a_byte"),
        ("frozen trunk",),
    ),
    21: Row(
        "copies across splits",
        (
            "test_equal_files_in_two_splits_or_under_two_labels_are_noted",
            "test_each_kind_of_twin_is_found_with_its_row_ids",
            "test_training_images_that_val_or_test_holds_are_dropped_and_no_other",
        ),
        ("twins across splits",),
    ),
    22: Row(
        "hostile HDF5",
        ("T12", "test_a_file_that_is_more_than_plain_data_is_refused"),
        ("closed schema", "links in a file", "known filters"),
    ),
    23: Row(
        "hostile weights and heads", ("T12", "test_a_malicious_pickle_is_refused_and_not_run"), ("plain weights",)
    ),
    24: Row(
        "damaged npz",
        ("test_any_flipped_byte_of_the_memo_is_noticed", "test_a_forged_memo_whose_digest_fits_is_no_memo"),
        ("forged memo",),
    ),
    25: Row(
        "paths and links that lead out",
        (
            "T12",
            "test_a_link_out_of_the_folder_is_never_followed_and_a_copy_advised",
            "test_a_listed_file_must_be_there_regular_and_inside",
        ),
        ("regular files", "links that lead out"),
    ),
    26: Row("odd names", ("T15", "test_a_shown_path_cannot_drive_a_terminal"), ("escaped names",)),
    27: Row(
        "many classes",
        ("T15k", "test_21843_classes_are_no_more_than_a_list", "test_many_images_are_scored_block_by_block"),
        ("blocks of rows",),
    ),
    28: Row(
        "degenerate data", ("test_data_that_cannot_be_learnt_from_is_refused",), ("data that can be learnt from",)
    ),
    29: Row(
        "a cache that is read only",
        ("test_a_sealed_entry_is_read_without_writing", "test_a_cache_that_everyone_may_write_to_is_said"),
        ("rights of everyone",),
    ),
    30: Row(
        "disks without locks", ("T5", "test_a_disk_without_locks_does_not_stop_the_work"), ("disks without locks",)
    ),
    31: Row(
        "clocks and times put back",
        (
            "T7",
            "test_a_file_dated_in_the_future_is_not_remembered",
            "test_a_file_that_just_changed_is_not_remembered",
            "test_the_record_written_last_comes_first_whatever_the_clock_says",
        ),
        ("files that just changed", "order of records"),
    ),
    32: Row(
        "formats of another time",
        ("test_a_cache_of_every_format_is_read", "test_a_newer_format_is_refused_with_a_remedy"),
        ("newer formats",),
    ),
    33: Row(
        "removal under a reader",
        ("T13", "T17", "test_a_reader_keeps_what_it_reads", "test_a_damaged_record_costs_no_features"),
        ("garbage is not what is needed", "garbage while a record is damaged"),
    ),
}

OPEN = {
    17: "a real accelerator that runs out of memory or asserts: its errors are injected",
    27: "logistic regression of 21,843 classes below 1 GB: its logits alone are larger",
}
