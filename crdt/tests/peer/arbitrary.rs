//! Generators of messages, narrow enough that equal ids happen.

use octopoid_crdt::peer::{ClaimAnswer, Message, Rival};
use proptest::prelude::*;

use super::samples::{cluster, id, key, messages};

fn ids(most: usize) -> impl Strategy<Value = Vec<octopoid_crdt::ids::RecordId>> {
    prop::collection::btree_set(0_u8..30, 0..most).prop_map(|ids| ids.into_iter().map(id).collect())
}

fn rival() -> impl Strategy<Value = Rival> {
    (0_u8..30, 0_u8..5, prop_oneof![0_u64..4, any::<u64>()], any::<bool>()).prop_map(|(of, author, epoch, started)| Rival {
        id: id(of),
        author: key(author),
        epoch,
        started,
    })
}

fn answer() -> impl Strategy<Value = ClaimAnswer> {
    (0_u8..30, prop::collection::btree_set(rival(), 0..4))
        .prop_map(|(of, rivals)| ClaimAnswer { of: id(of), rivals: rivals.into_iter().collect() })
}

pub fn message() -> impl Strategy<Value = Message> {
    let renewals =
        messages().into_iter().find_map(|(_, message)| if let Message::Renew { renewals } = message { Some(renewals) } else { None });
    let renewals = renewals.expect("there is a sample");
    prop_oneof![
        (any::<u64>(), any::<u64>(), any::<[u8; 32]>()).prop_map(|(a, b, digest)| Message::Hello {
            low: a.min(b),
            high: a.max(b),
            cluster: cluster(),
            digest
        }),
        any::<[u8; 32]>().prop_map(|digest| Message::Digest { digest }),
        (prop::collection::btree_map(0_u8..9, ids(5), 0..5), any::<bool>()).prop_map(|(tips, more)| Message::Tips {
            tips: tips.into_iter().map(|(author, ids)| (key(author), ids.into_iter().collect())).collect(),
            more
        }),
        ids(9).prop_map(|ids| Message::Unknown { ids }),
        (any::<u64>(), prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5))
            .prop_map(|(number, records)| Message::Records { number, records }),
        (any::<u64>(), ids(4), prop::collection::vec(answer(), 0..4)).prop_map(|(number, waiting, answers)| Message::Ack {
            number,
            waiting,
            answers
        }),
        (0_usize..3).prop_map(move |count| Message::Renew { renewals: renewals.iter().cycle().take(count).cloned().collect() }),
        ".{0,60}".prop_map(|text| Message::Presence { text }),
        ".{0,60}".prop_map(|reason| Message::Struck { reason }),
        ".{0,60}".prop_map(|reason| Message::Bye { reason }),
    ]
}
