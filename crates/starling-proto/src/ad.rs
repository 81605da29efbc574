//! Job ads: a client's signed word that it has work, spread by gossip.
//!
//! An ad is a hint. It outlives the connection it came over and passes through strangers' hands, so it
//! is signed; what it says is still only its client's word.

use iroh_base::{PublicKey, SecretKey, Signature};
use prost::Message as _;
use starling_types::{JobId, MemoryBytes, NodeId};
use thiserror::Error;

use crate::{
    PeerAddr, Wanted,
    error::DecodeError,
    field,
    limits::{AD_SIZE_BYTES_MAX, AD_TTL_MS_MAX, CLOCK_SKEW_MS_MAX},
    message::{Message, decode_as, decode_within},
    system, wire,
};

/// What every signature of an ad begins to sign, so that it can never pass for a signature of anything
/// else that the same key signs.
const AD_DOMAIN: &[u8] = b"starling job ad v1\0";

/// That a client has work, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobAd {
    /// The job.
    pub job: JobId,
    /// Whom to dial; also who must have signed.
    pub client: PeerAddr,
    /// The proof systems that it is of, and what there is to do; at least one.
    pub systems: Vec<Wanted>,
    /// The least memory with which a node can help, as far as the client knows.
    pub memory: MemoryBytes,
    /// When the ad was signed, in milliseconds since 1970, by the client's clock.
    pub issued_at_unix_ms: u64,
    /// How long it is valid, in milliseconds; at most [`AD_TTL_MS_MAX`].
    pub ttl_ms: u64,
}

/// Why an ad was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdError {
    /// It is not an ad at all.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its signature is not one of its signer over its payload.
    #[error("the job ad is not signed by {signer}, as it says")]
    BadSignature {
        /// Who is said to have signed.
        signer: NodeId,
    },
    /// Somebody signed an ad for a client that is somebody else.
    #[error(
        "the job ad for the client {client} is signed by {signer}; only the client may sign it"
    )]
    WrongSigner {
        /// The client that it names.
        client: NodeId,
        /// Who signed.
        signer: NodeId,
    },
    /// It is over, or was signed by a clock that runs far ahead.
    #[error(
        "the job ad of {client:#} was issued {issued_at_unix_ms} ms after 1970 for {ttl_ms} ms, and it is {now_unix_ms} ms \
         now; if it is fresh, one of the two clocks is wrong"
    )]
    NotNow {
        /// The client that signed it.
        client: NodeId,
        /// When it was issued, by the client's clock.
        issued_at_unix_ms: u64,
        /// How long it is valid.
        ttl_ms: u64,
        /// The time here.
        now_unix_ms: u64,
    },
}

impl JobAd {
    /// The ad as it is spread: signed with the client's `key`.
    pub fn sign(&self, key: &SecretKey) -> Vec<u8> {
        let payload = self.encode();
        let signature = key.sign(&signed_bytes(&payload)).to_bytes().into();
        let signer = key.public().as_bytes().to_vec();
        wire::Signed { payload, signer, signature }.encode_to_vec()
    }

    /// The ad in `bytes`, which [`Self::sign`] made, after checking everything that can be checked.
    ///
    /// # Errors
    /// When the bytes are not an ad, the signature is not the client's, or the ad is not valid at
    /// `now_unix_ms`.
    pub fn verify(bytes: &[u8], now_unix_ms: u64) -> Result<Self, AdError> {
        let Envelope { payload, signer, signature } = Envelope::decode(bytes)?;
        let signer_id = NodeId(*signer.as_bytes());
        signer
            .verify(&signed_bytes(&payload), &signature)
            .map_err(|_| AdError::BadSignature { signer: signer_id })?;
        let ad = Self::decode(&payload)?;
        if ad.client.node_id != signer_id {
            return Err(AdError::WrongSigner { client: ad.client.node_id, signer: signer_id });
        }
        if !ad.is_valid_at(now_unix_ms) {
            let Self { issued_at_unix_ms, ttl_ms, .. } = ad;
            return Err(AdError::NotNow {
                client: signer_id,
                issued_at_unix_ms,
                ttl_ms,
                now_unix_ms,
            });
        }
        Ok(ad)
    }

    /// Whether the ad counts at `now_unix_ms`, as far as the clocks can be trusted.
    pub fn is_valid_at(&self, now_unix_ms: u64) -> bool {
        let latest_issue = now_unix_ms.saturating_add(CLOCK_SKEW_MS_MAX);
        let end = self.issued_at_unix_ms.saturating_add(self.ttl_ms);
        self.issued_at_unix_ms <= latest_issue
            && now_unix_ms <= end.saturating_add(CLOCK_SKEW_MS_MAX)
    }
}

fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    [AD_DOMAIN, payload].concat()
}

impl Message for JobAd {
    const NAME: &'static str = "JobAd";
    const SIZE_BYTES_MAX: usize = AD_SIZE_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        wire::JobAd {
            job_id: self.job.0.into(),
            client: Some(self.client.to_wire()),
            systems: self.systems.iter().map(Wanted::to_wire).collect(),
            memory_bytes: self.memory.0,
            issued_at_unix_ms: self.issued_at_unix_ms,
            ttl_ms: self.ttl_ms,
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_as(bytes, |wire: wire::JobAd| {
            let client = field::present("client", wire.client)?;
            Ok(Self {
                job: field::job_id("job_id", &wire.job_id)?,
                client: PeerAddr::from_wire(&client).map_err(|e| e.within("client"))?,
                systems: system::wanted(&wire.systems)?,
                memory: MemoryBytes(wire.memory_bytes),
                issued_at_unix_ms: wire.issued_at_unix_ms,
                ttl_ms: field::in_range("ttl_ms", wire.ttl_ms, 1, AD_TTL_MS_MAX)?,
            })
        })
    }
}

/// A signed payload, well-formed but not verified.
struct Envelope {
    payload: Vec<u8>,
    signer: PublicKey,
    signature: Signature,
}

impl Envelope {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_within("Signed", AD_SIZE_BYTES_MAX, bytes, |wire: wire::Signed| {
            let signer = field::node_id("signer", &wire.signer)?;
            Ok(Self {
                payload: wire.payload,
                signer: PublicKey::from_bytes(&signer.0).expect("checked one line above"),
                signature: Signature::from_bytes(&field::array("signature", &wire.signature)?),
            })
        })
    }
}
