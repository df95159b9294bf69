//! What every broker has to do with our client.

mod disturbed;
mod everyday;
mod exactly_once;
mod sessions;

use crate::Stage;
use crate::broker::Broker;
use crate::expected::Expected;

type Peaceful = fn(Stage<'_>);
type Disturbing = fn(&mut dyn Broker, &Expected);

/// Nobody but the device notices.
pub(crate) const PEACEFUL: [(&str, Peaceful); 14] = [
    (
        "a wrong password is refused",
        everyday::a_wrong_password_is_refused,
    ),
    (
        "every quality of service both ways",
        everyday::every_qos_both_ways,
    ),
    (
        "QoS 2 works, or is given up",
        everyday::qos_2_works_or_is_given_up,
    ),
    (
        "a hundred kilobytes in chunks",
        everyday::a_hundred_kilobytes_in_chunks,
    ),
    (
        "a retained message is kept, then cleared",
        everyday::a_retained_message_is_kept_then_cleared,
    ),
    (
        "a will is published on death",
        everyday::a_will_is_published_on_death,
    ),
    (
        "wildcards and overlapping subscriptions",
        everyday::wildcards_and_overlapping_subscriptions,
    ),
    (
        "messages wait for a device that is away",
        sessions::messages_wait_for_a_device_that_is_away,
    ),
    (
        "what was not acknowledged comes again after a cut",
        sessions::what_was_not_acknowledged_comes_again,
    ),
    (
        "a second client of the same name takes over",
        sessions::a_second_client_takes_over,
    ),
    (
        "a full queue drops by its own rule",
        sessions::a_full_queue_drops_by_its_own_rule,
    ),
    (
        "a lost answer to QoS 2 is asked for again",
        exactly_once::a_lost_answer_to_qos_2_is_asked_for_again,
    ),
    (
        "exactly once, wherever the link is cut",
        exactly_once::exactly_once_wherever_the_link_is_cut,
    ),
    (
        "exactly once, although the broker holds the old link",
        exactly_once::exactly_once_although_the_broker_holds_the_old_link,
    ),
];

/// The broker itself comes to harm, or is asked for a version that it may not have.
pub(crate) const DISTURBING: [(&str, Disturbing); 6] = [
    (
        "a version that is not spoken is refused",
        disturbed::a_version_that_is_not_spoken_is_refused,
    ),
    (
        "a new certificate is followed, and that of a stranger refused",
        disturbed::a_new_certificate_is_followed_and_that_of_a_stranger_refused,
    ),
    (
        "a broker that stands still is left",
        disturbed::a_broker_that_stands_still_is_left,
    ),
    (
        "a broker is killed in traffic",
        disturbed::a_broker_is_killed_in_traffic,
    ),
    (
        "exactly once over a broker that stands still",
        exactly_once::exactly_once_over_a_broker_that_stands_still,
    ),
    (
        "QoS 2 ends, although the broker is killed",
        exactly_once::qos_2_ends_although_the_broker_is_killed,
    ),
];
