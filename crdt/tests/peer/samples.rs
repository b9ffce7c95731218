//! One fixed frame of every type.

use octopoid_crdt::{
    ids::{AuthorKey, ClusterId, Name, RecordId},
    peer::{
        ClaimAnswer, Message, Rival,
        join::{JoinFrame, Refusal, Ticket, Welcome},
        renewal::Renewals,
    },
    record::{Access, Signer},
};

pub fn id(byte: u8) -> RecordId {
    RecordId([byte; 32])
}

pub fn key(byte: u8) -> AuthorKey {
    AuthorKey([byte; 32])
}

pub fn cluster() -> ClusterId {
    ClusterId([9; 32])
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a sample name is well formed")
}

pub fn messages() -> Vec<(&'static str, Message)> {
    let signer = Signer::from_seed(&[7; 32]);
    let mut renewals = Renewals::default();
    renewals.opened(id(6), signer.author());
    let renewal = renewals.sign(&signer, cluster(), id(6), 300, 2).expect("it is open").renewal().clone();
    let rivals = vec![
        Rival { id: id(7), author: key(2), epoch: 3, started: true },
        Rival { id: id(8), author: key(3), epoch: 70_000, started: false },
    ];
    let text = |text: &str| text.to_owned();
    let messages = vec![
        Message::Hello { low: 1, high: 2, cluster: cluster(), digest: [4; 32] },
        Message::Digest { digest: [5; 32] },
        Message::Tips { tips: [(key(1), [id(1), id(2)].into()), (key(2), [].into())].into(), more: true },
        Message::Unknown { ids: vec![id(1), id(2)] },
        Message::Records { number: 300, records: vec![vec![0x8a, 1, 2], vec![3; 70]] },
        Message::Ack {
            number: 300,
            waiting: vec![id(3)],
            answers: vec![ClaimAnswer { of: id(6), rivals }, ClaimAnswer { of: id(9), rivals: vec![] }],
        },
        Message::Renew { renewals: vec![renewal] },
        Message::Presence { text: text("{\"agents\":2,\"host\":\"müller\"}") },
        Message::Struck { reason: text("frames of records are out of order") },
        Message::Bye { reason: text("stopping") },
    ];
    messages.into_iter().map(|message| (message.name(), message)).collect()
}

pub fn join_frames() -> Vec<(&'static str, JoinFrame)> {
    vec![
        ("join_ask", JoinFrame::Ask { cluster: name("home"), machine: name("laptop"), commitment: [1; 32] }),
        ("join_challenge", JoinFrame::Challenge { cluster: cluster(), nonce: [2; 32] }),
        ("join_reveal", JoinFrame::Reveal { nonce: [3; 32] }),
        ("join_waiting", JoinFrame::Waiting),
        ("join_confirm", JoinFrame::Confirm),
        ("join_welcome", JoinFrame::Welcome(Welcome { cluster: cluster(), genesis: vec![8; 200], host: key(4) })),
        ("join_withdraw", JoinFrame::Withdraw),
        ("join_refused", JoinFrame::Refused(Refusal::Expired)),
        ("join_redeem", JoinFrame::Redeem { cluster: cluster(), machine: name("laptop"), secret: [5; 32] }),
    ]
}

pub fn ticket() -> Ticket {
    Ticket {
        cluster: cluster(),
        inviter: key(4),
        access: Access::Worker,
        expires_ms: 1_760_000_000_000,
        secret: [5; 32],
        addresses: vec!["/ip4/192.168.1.20/tcp/41000".into(), "/ip4/127.0.0.1/tcp/41000".into()],
    }
}
