//! What has arrived of a numbered sequence.

use std::collections::BTreeSet;

use mqtt_std::QoS;

/// The numbers of one quality of service, from 0. Its size does not grow with the traffic as long as nothing is lost.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// All below have arrived, or, at QoS 0, have not been asked for.
    below: u32,
    /// What has arrived out of order.
    beyond: BTreeSet<u32>,
    /// Arrived for the first time.
    pub(crate) arrived: u32,
    /// Arrived once more.
    pub(crate) again: u32,
}

impl Ledger {
    /// Notes an arrival.
    pub(crate) fn note(&mut self, qos: QoS, number: u32) {
        if number < self.below || !self.beyond.insert(number) {
            self.again += 1;
            return;
        }
        self.arrived += 1;
        if qos == QoS::AtMostOnce {
            self.beyond.clear();
            self.below = number + 1;
        }
        while self.beyond.remove(&self.below) {
            self.below += 1;
        }
    }

    /// Whether all of the first `sent` have arrived.
    pub(crate) fn has_all(&self, sent: u32) -> bool {
        self.below >= sent
    }

    /// What must not be.
    pub(crate) fn faults(&self, qos: QoS, sent: u32) -> impl Iterator<Item = &'static str> {
        let lost = qos != QoS::AtMostOnce && self.arrived != sent;
        let doubled = qos != QoS::AtLeastOnce && self.again != 0;
        let silent = self.arrived == 0;
        [
            lost.then_some("lost"),
            doubled.then_some("doubled or out of order"),
            silent.then_some("nothing arrived"),
        ]
        .into_iter()
        .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(qos: QoS, numbers: &[u32]) -> Ledger {
        let mut ledger = Ledger::default();
        for number in numbers {
            ledger.note(qos, *number);
        }
        ledger
    }

    #[test]
    fn a_gap_is_a_loss_until_it_is_filled() {
        let mut ledger = ledger(QoS::AtLeastOnce, &[0, 1, 3]);
        assert!(!ledger.has_all(4));
        assert!(ledger.faults(QoS::AtLeastOnce, 4).eq(["lost"]));
        ledger.note(QoS::AtLeastOnce, 2);
        assert!(ledger.has_all(4) && ledger.beyond.is_empty());
        assert_eq!(ledger.faults(QoS::AtLeastOnce, 4).next(), None);
    }

    #[test]
    fn only_at_least_once_may_come_twice() {
        for (qos, faults) in [
            (QoS::AtMostOnce, 1),
            (QoS::AtLeastOnce, 0),
            (QoS::ExactlyOnce, 1),
        ] {
            let ledger = ledger(qos, &[0, 1, 1]);
            assert_eq!(ledger.faults(qos, 2).count(), faults, "{qos:?}");
        }
    }

    #[test]
    fn what_was_sent_at_most_once_may_be_missing() {
        let ledger = ledger(QoS::AtMostOnce, &[0, 5, 9]);
        assert_eq!((ledger.arrived, ledger.again), (3, 0));
        assert_eq!(ledger.faults(QoS::AtMostOnce, 10).next(), None);
    }
}
