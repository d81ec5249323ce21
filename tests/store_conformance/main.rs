//! What every implementation of [`keymend::store::Store`] must do, sentence by sentence of the trait's documentation.
//!
//! A check is an async function over a [`kit::Place`]: somewhere to keep data, that can be opened more than once. To run
//! all of them against another implementation, write a `Place` for it and add one `conformance!` line. A place that is
//! `None` skips them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../azurite/mod.rs"]
mod azurite;
mod facts;
mod incidents;
mod jobs;
mod kit;
mod model;
mod signals;
mod together;

/// One test of each check, in modules named after the implementation and the room of the check.
macro_rules! tests {
    ($place:expr; $($room:ident { $($check:ident)+ })+) => {
        $(mod $room {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                let Some(place) = $place else { return };
                crate::$room::$check(&place).await;
            })+
        })+
    };
}

macro_rules! conformance {
    ($implementation:ident: $place:expr, $cases:literal sequences) => {
        mod $implementation {
            tests! { $place;
                signals {
                    new_signals_make_one_job_for_each_subject
                    each_target_is_looked_for_by_its_subject
                    the_same_event_again_changes_nothing
                    an_event_is_known_for_seven_days
                    signals_without_an_event_id_are_told_apart
                    untaken_signals_come_in_order_until_they_are_taken
                    a_dismissed_signal_is_still_known
                    nothing_offered_changes_nothing
                    prune_removes_only_what_was_taken_long_ago
                }
                incidents {
                    a_saved_incident_is_found_by_id_and_key
                    a_save_over_another_version_is_refused
                    there_is_one_open_incident_of_a_key
                    the_list_is_newest_first_and_bounded
                    a_refused_save_stores_nothing_of_itself
                    a_save_stores_its_jobs_and_takes_its_signals
                    a_taken_signal_stays_where_it_is
                    what_ended_long_ago_is_removed
                }
                jobs {
                    a_job_is_handed_out_when_it_is_due
                    the_earliest_due_job_comes_first
                    enqueueing_again_only_moves_a_job_earlier
                    a_held_job_is_handed_out_again_only_after_its_lease
                    a_lease_that_was_taken_over_cannot_finish
                    a_lease_that_ran_out_untaken_can_finish
                    a_finished_job_cannot_be_finished_again
                    a_job_enqueued_while_held_runs_once_more
                    a_job_enqueued_after_its_lease_ended_is_not_lost
                    different_work_on_one_incident_runs_side_by_side
                    a_failed_job_comes_back_when_it_is_said
                    the_tenth_failure_sets_a_job_aside
                    a_job_that_never_finishes_is_set_aside
                    asking_again_forgets_failures
                    asking_again_revives_what_was_set_aside
                    a_job_is_known_until_it_is_done
                    poison_can_be_retried_by_key
                    next_due_is_the_next_time_to_look
                    a_job_is_handed_out_by_its_key_when_it_is_due
                    a_worn_out_job_is_not_handed_out_by_its_key
                    a_job_can_be_set_aside_by_key
                    a_sweep_of_a_whole_store_changes_nothing
                    what_a_clock_that_was_ahead_put_off_is_recalled
                }
                facts {
                    a_fact_is_kept_and_replaced
                    facts_of_a_kind_are_listed_by_key
                    prune_removes_facts_that_nobody_renewed
                }
                together {
                    one_job_goes_to_one_holder
                    of_two_saves_from_one_version_one_wins
                    one_event_offered_by_many_is_accepted_once
                    of_many_new_incidents_of_a_key_one_is_made
                    everything_answered_is_there_after_reopening
                }
            }

            #[test]
            fn any_sequence_of_queue_calls_behaves_like_the_model() {
                crate::model::any_sequence_behaves_like_the_model($cases, || Some(Box::new($place?)));
            }
        }
    };
}

conformance!(sqlite: Some(crate::kit::SqlitePlace::new()), 96 sequences);
conformance!(azure: crate::kit::AzurePlace::new(), 12 sequences);
