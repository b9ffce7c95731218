//! The frames of the join protocol: canonical CBOR arrays, type first, at most 1 KiB.

use minicbor::Decoder;

use crate::{
    ids::{AuthorKey, ClusterId, Name},
    peer::limits,
    record::CborWriter as Writer,
};

/// What a new member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The cluster.
    pub cluster: ClusterId,
    /// The wire bytes of its Genesis record, whose body hashes to the cluster's id.
    pub genesis: Vec<u8>,
    /// The member that let the joiner in, where the first sync comes from: the key of this connection.
    pub host: AuthorKey,
}

/// Why a host does not let somebody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The host belongs to a cluster of another name.
    #[error("there is no cluster of this name here")]
    NoSuchCluster,
    /// The host's node may let nobody in.
    #[error("this machine is not an admin of its cluster: ask one that is")]
    NotAdmin,
    /// Too many requests wait.
    #[error("too many machines ask to join at once: try again later")]
    Busy,
    /// A person said no.
    #[error("the request was denied")]
    Denied,
    /// The request or ticket is unknown here, or its time is over.
    #[error("the request or ticket has expired or is not known here: ask anew")]
    Expired,
    /// The ticket has let somebody in.
    #[error("the ticket was used before: make another one")]
    Used,
    /// The frames do not fit each other: a fault, or somebody in between.
    #[error("the request does not fit what was said before: ask anew")]
    Mismatch,
}

/// One frame of the join protocol. The joiner says the odd ones, the host the even ones.
#[derive(Clone, PartialEq, Eq)]
pub enum JoinFrame {
    /// Asks to join a cluster by name; `commitment` hides a nonce.
    Ask { cluster: Name, machine: Name, commitment: [u8; 32] },
    /// The host's nonce and cluster.
    Challenge { cluster: ClusterId, nonce: [u8; 32] },
    /// Opens the commitment; from now on both sides show the code.
    Reveal { nonce: [u8; 32] },
    /// The request waits for a person.
    Waiting,
    /// The joiner's person has confirmed the code; said again until there is an answer.
    Confirm,
    /// The joiner is let in.
    Welcome(Welcome),
    /// The joiner's person does not confirm the code.
    Withdraw,
    /// The joiner is not let in.
    Refused(Refusal),
    /// Shows a ticket's secret.
    Redeem { cluster: ClusterId, machine: Name, secret: [u8; 32] },
}

impl std::fmt::Debug for JoinFrame {
    /// Shows the type; never a nonce or secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ask { .. } => "Ask",
            Self::Challenge { .. } => "Challenge",
            Self::Reveal { .. } => "Reveal",
            Self::Waiting => "Waiting",
            Self::Confirm => "Confirm",
            Self::Welcome(_) => "Welcome",
            Self::Withdraw => "Withdraw",
            Self::Refused(_) => "Refused",
            Self::Redeem { .. } => "Redeem",
        })
    }
}

/// States why bytes are not a frame of the join protocol.
#[derive(Debug, thiserror::Error)]
pub enum JoinFrameError {
    /// More bytes than a step may have.
    #[error("a step of joining has at most {} bytes, this one {found}", limits::JOIN_FRAME)]
    Size {
        /// The size found.
        found: usize,
    },
    /// A later version's frame, or none at all.
    #[error("the step is malformed, or of a later version")]
    Form,
}

impl From<minicbor::decode::Error> for JoinFrameError {
    fn from(_: minicbor::decode::Error) -> Self {
        Self::Form
    }
}

macro_rules! refusals {
    ($($number:literal $name:ident)*) => {
        const fn number(refusal: Refusal) -> u64 {
            match refusal { $(Refusal::$name => $number,)* }
        }
        fn refusal(number: u64) -> Result<Refusal, JoinFrameError> {
            match number { $($number => Ok(Refusal::$name),)* _ => Err(JoinFrameError::Form) }
        }
    };
}

refusals!(1 NoSuchCluster 2 NotAdmin 3 Busy 4 Denied 5 Expired 6 Used 7 Mismatch);

impl JoinFrame {
    /// Writes the frame's one encoding.
    ///
    /// # Errors
    /// When it is larger than a step may be: only a Welcome with a Genesis that is none.
    pub fn encode(&self) -> Result<Vec<u8>, JoinFrameError> {
        let mut writer = Writer::with_capacity(256);
        let head = |writer: &mut Writer, kind: u64, fields: u64| {
            writer.array(fields + 1);
            writer.uint(kind);
        };
        match self {
            Self::Ask { cluster, machine, commitment } => {
                head(&mut writer, 1, 3);
                writer.text(cluster.as_str());
                writer.text(machine.as_str());
                writer.bytes(commitment);
            }
            Self::Challenge { cluster, nonce } => {
                head(&mut writer, 2, 2);
                writer.bytes(cluster.as_bytes());
                writer.bytes(nonce);
            }
            Self::Reveal { nonce } => {
                head(&mut writer, 3, 1);
                writer.bytes(nonce);
            }
            Self::Waiting => head(&mut writer, 4, 0),
            Self::Confirm => head(&mut writer, 5, 0),
            Self::Welcome(Welcome { cluster, genesis, host }) => {
                head(&mut writer, 6, 3);
                writer.bytes(cluster.as_bytes());
                writer.bytes(genesis);
                writer.bytes(host.as_bytes());
            }
            Self::Withdraw => head(&mut writer, 7, 0),
            Self::Refused(refusal) => {
                head(&mut writer, 8, 1);
                writer.uint(number(*refusal));
            }
            Self::Redeem { cluster, machine, secret } => {
                head(&mut writer, 9, 3);
                writer.bytes(cluster.as_bytes());
                writer.text(machine.as_str());
                writer.bytes(secret);
            }
        }
        let bytes = writer.finish();
        if bytes.len() > limits::JOIN_FRAME { Err(JoinFrameError::Size { found: bytes.len() }) } else { Ok(bytes) }
    }

    /// Reads a frame, in its canonical form only.
    ///
    /// # Errors
    /// When the bytes are anything but what [`JoinFrame::encode`] would write for the result.
    pub fn decode(bytes: &[u8]) -> Result<Self, JoinFrameError> {
        if bytes.len() > limits::JOIN_FRAME {
            return Err(JoinFrameError::Size { found: bytes.len() });
        }
        let mut reader = Decoder::new(bytes);
        let items = reader.array()?.ok_or(JoinFrameError::Form)?;
        let frame = read(&mut reader)?;
        let canonical = reader.position() == bytes.len() && frame.encode()? == bytes;
        if canonical && items <= 4 { Ok(frame) } else { Err(JoinFrameError::Form) }
    }
}

fn read(reader: &mut Decoder<'_>) -> Result<JoinFrame, JoinFrameError> {
    fn fixed<const N: usize>(reader: &mut Decoder<'_>) -> Result<[u8; N], JoinFrameError> {
        reader.bytes()?.try_into().map_err(|_| JoinFrameError::Form)
    }
    fn name(reader: &mut Decoder<'_>) -> Result<Name, JoinFrameError> {
        reader.str()?.parse().map_err(|_| JoinFrameError::Form)
    }
    Ok(match reader.u64()? {
        1 => JoinFrame::Ask { cluster: name(reader)?, machine: name(reader)?, commitment: fixed(reader)? },
        2 => JoinFrame::Challenge { cluster: ClusterId(fixed(reader)?), nonce: fixed(reader)? },
        3 => JoinFrame::Reveal { nonce: fixed(reader)? },
        4 => JoinFrame::Waiting,
        5 => JoinFrame::Confirm,
        6 => JoinFrame::Welcome(Welcome {
            cluster: ClusterId(fixed(reader)?),
            genesis: reader.bytes()?.to_vec(),
            host: AuthorKey(fixed(reader)?),
        }),
        7 => JoinFrame::Withdraw,
        8 => JoinFrame::Refused(refusal(reader.u64()?)?),
        9 => JoinFrame::Redeem { cluster: ClusterId(fixed(reader)?), machine: name(reader)?, secret: fixed(reader)? },
        _ => return Err(JoinFrameError::Form),
    })
}
