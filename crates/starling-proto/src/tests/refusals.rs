//! Each check of a field has a message that only it refuses.

use proptest::prelude::*;
use prost::Message as _;

use super::{ad, addr, client_messages, grant, hello, key, lease, node_messages};
use crate::{
    AdError, BlobHeader, BlobRequest, ClientMessage, DecodeError, JobAd, Message, NodeMessage,
    ParseTicketError, Ticket,
    limits::{
        AD_TTL_MS_MAX, BLOB_SIZE_BYTES_MAX, CLOCK_SKEW_MS_MAX, CONTROL_MESSAGE_SIZE_BYTES_MAX,
        TEXT_SIZE_BYTES_MAX,
    },
    wire::{self, client_to_node, node_to_client},
};

/// How a good message is spoilt, and what the error begins with.
type Case<T> = (fn(&mut T), &'static str);

fn hello_error(change: impl FnOnce(&mut wire::Hello)) -> String {
    let wire = wire::NodeToClient::decode(&*NodeMessage::Hello(hello()).encode()).unwrap();
    let Some(node_to_client::Message::Hello(mut hello)) = wire.message else { unreachable!() };
    change(&mut hello);
    let message = Some(node_to_client::Message::Hello(hello));
    NodeMessage::decode(&wire::NodeToClient { message }.encode_to_vec()).unwrap_err().to_string()
}

fn grant_error(change: impl FnOnce(&mut wire::Grant)) -> String {
    let wire = wire::ClientToNode::decode(&*ClientMessage::Grant(grant()).encode()).unwrap();
    let Some(client_to_node::Message::Grant(mut grant)) = wire.message else { unreachable!() };
    change(&mut grant);
    let message = Some(client_to_node::Message::Grant(grant));
    ClientMessage::decode(&wire::ClientToNode { message }.encode_to_vec()).unwrap_err().to_string()
}

fn ad_error(change: impl FnOnce(&mut wire::JobAd)) -> String {
    let mut wire = wire::JobAd::decode(&*ad().encode()).unwrap();
    change(&mut wire);
    JobAd::decode(&wire.encode_to_vec()).unwrap_err().to_string()
}

#[test]
fn a_hello_with_a_wrong_field_is_refused_by_its_name() {
    let cases: [Case<wire::Hello>; 9] = [
        (|h| h.systems.clear(), "NodeToClient.hello.systems is empty"),
        (
            |h| h.systems = vec![h.systems[0].clone(); 9],
            "NodeToClient.hello.systems has 9 entries, at most 8 are allowed",
        ),
        (|h| h.systems[0].kinds.clear(), "NodeToClient.hello.systems[0].kinds is empty"),
        (
            |h| h.systems[0].kinds[1].kind = 0,
            "NodeToClient.hello.systems[0].kinds[1].kind is 0, expected 1 to 4294967295",
        ),
        (
            |h| h.systems[0].kinds = vec![wire::OfferedKind::default(); 17],
            "NodeToClient.hello.systems[0].kinds has 17 entries, at most 16 are allowed",
        ),
        (
            |h| h.systems[0].kinds[0].needs[1].po2 = 25,
            "NodeToClient.hello.systems[0].kinds[0].needs[1].po2 is 25, expected 13 to 24",
        ),
        (
            |h| h.systems[0].kinds[0].needs = vec![wire::Need::default(); 14],
            "NodeToClient.hello.systems[0].kinds[0].needs has 14 entries, at most 13 are allowed",
        ),
        (|h| h.slots = 0, "NodeToClient.hello.slots is 0, expected 1 to 1024"),
        (
            |h| h.systems[0].system = "x".repeat(129),
            "NodeToClient.hello.systems[0].system has 129 bytes, at most 128 are allowed",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(hello_error(change), expected);
    }
}

#[test]
fn a_grant_with_a_wrong_field_is_refused_by_its_path() {
    let cases: [Case<wire::Grant>; 18] = [
        (|g| g.lease = None, "grant.lease is missing"),
        (
            |g| g.lease.as_mut().unwrap().job_id.truncate(15),
            "grant.lease.job_id has 15 bytes where 16 are expected",
        ),
        (|g| g.system = "x".repeat(129), "grant.system has 129 bytes, at most 128 are allowed"),
        (|g| g.task = None, "grant.task is missing"),
        (|g| task(g).kind = 0, "grant.task.kind is 0, expected 1 to 4294967295"),
        (|g| task(g).end = 12, "grant.task is about nothing: 12..12"),
        (|g| g.arguments = vec![0; 257], "grant.arguments has 257 bytes, at most 256 are allowed"),
        (
            |g| g.renew_within_ms = u64::MAX,
            "grant.renew_within_ms is 18446744073709551615, expected",
        ),
        (|g| g.deadline_ms = u64::MAX, "grant.deadline_ms is 18446744073709551615, expected"),
        (
            |g| g.inputs = vec![wire::Input::default(); 33],
            "grant.inputs has 33 entries, at most 32 are allowed",
        ),
        (|g| g.inputs[1].blob = None, "grant.inputs[1].blob is missing"),
        (
            |g| g.inputs[1].blob.as_mut().unwrap().reference.truncate(31),
            "grant.inputs[1].blob.reference has 31 bytes where 32 are expected",
        ),
        (
            |g| g.inputs[0].blob.as_mut().unwrap().size_bytes = BLOB_SIZE_BYTES_MAX + 1,
            "grant.inputs[0].blob.size_bytes is 268435457, expected 0 to 268435456",
        ),
        (
            |g| g.inputs[0].holders = vec![wire::PeerAddr::default(); 5],
            "grant.inputs[0].holders has 5 entries, at most 4 are allowed",
        ),
        (
            |g| holder(g).node_id = [2; 32].to_vec(),
            "grant.inputs[0].holders[0].node_id is not an ed25519 public key",
        ),
        (
            |g| holder(g).direct_addrs = vec!["10.0.0.1:1".into(); 17],
            "grant.inputs[0].holders[0].direct_addrs has 17 entries, at most 16 are allowed",
        ),
        (
            |g| holder(g).relay_url = Some("file:///etc/passwd".into()),
            "grant.inputs[0].holders[0].relay_url is \"file:///etc/passwd\", expected an http",
        ),
        (
            // Within the bound, until the letters are escaped.
            |g| holder(g).relay_url = Some(format!("http://a.b/{}", "é".repeat(250))),
            "grant.inputs[0].holders[0].relay_url is \"http://a.b/",
        ),
    ];
    for (change, expected) in cases {
        let error = grant_error(change);
        assert!(error.starts_with(&format!("ClientToNode.{expected}")), "{error}");
    }
}

fn task(grant: &mut wire::Grant) -> &mut wire::Task {
    grant.task.as_mut().unwrap()
}

fn holder(grant: &mut wire::Grant) -> &mut wire::PeerAddr {
    &mut grant.inputs[0].holders[0]
}

#[test]
fn an_address_that_cannot_be_dialed_is_refused() {
    let not_one_machine = [
        "0.0.0.0:7000",
        "[::]:7000",
        "224.0.0.1:7000",
        "255.255.255.255:7000",
        "[ff02::1]:7000",
        "[::ffff:224.0.0.1]:7000",
    ];
    for text in
        ["", "host.example:7000", "10.0.0.1", "10.0.0.1:0"].into_iter().chain(not_one_machine)
    {
        let error = ad_error(|ad| ad.client.as_mut().unwrap().direct_addrs = vec![text.into()]);
        let expected = format!("JobAd.client.direct_addrs is {text:?}, expected IP:PORT");
        assert_eq!(error, expected);
    }
}

#[test]
fn an_ipv4_address_that_is_written_as_an_ipv6_one_is_taken_for_what_it_is() {
    let mut ad = wire::JobAd::decode(&*ad().encode()).unwrap();
    ad.client.as_mut().unwrap().direct_addrs = vec!["[::ffff:127.0.0.1]:7000".into()];
    let client = JobAd::decode(&ad.encode_to_vec()).unwrap().client;
    assert_eq!(client.direct, ["127.0.0.1:7000".parse().unwrap()]);
    assert_eq!(client.network(), None, "loopback is nobody's network");
}

#[test]
fn an_ad_with_a_wrong_field_is_refused_by_its_name() {
    assert_eq!(ad_error(|ad| ad.job_id.push(0)), "JobAd.job_id has 17 bytes where 16 are expected");
    assert!(ad_error(|ad| ad.client = None).starts_with("JobAd.client is missing"));
    assert_eq!(ad_error(|ad| ad.systems.clear()), "JobAd.systems is empty");
    assert_eq!(
        ad_error(|ad| ad.systems[0].kinds.push(0)),
        "JobAd.systems[0].kinds[2].kind is 0, expected 1 to 4294967295"
    );
    assert_eq!(ad_error(|ad| ad.ttl_ms = 0), "JobAd.ttl_ms is 0, expected 1 to 600000");
    assert_eq!(
        ad_error(|ad| ad.ttl_ms = AD_TTL_MS_MAX + 1),
        "JobAd.ttl_ms is 600001, expected 1 to 600000"
    );
}

#[test]
fn messages_of_an_unknown_kind_are_refused() {
    // Field 99, which no version has, with an empty message in it.
    let unknown = [0x9a, 0x06, 0x00];
    for error in [
        NodeMessage::decode(&unknown).unwrap_err().to_string(),
        ClientMessage::decode(&[]).unwrap_err().to_string(),
    ] {
        assert!(error.ends_with("message is missing or of a kind that this version does not know"));
    }
    let status = wire::BlobHeader { status: 7, size_bytes: 0 }.encode_to_vec();
    assert_eq!(
        BlobHeader::decode(&status).unwrap_err().to_string(),
        "BlobHeader.status is 7, which this version does not know"
    );
    let failure =
        wire::Failure { lease: Some(lease().to_wire()), class: 0, message: String::new() };
    let message = Some(node_to_client::Message::Failed(failure));
    let error = NodeMessage::decode(&wire::NodeToClient { message }.encode_to_vec()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "NodeToClient.failed.class is 0, which this version does not know"
    );
}

#[test]
fn a_goodbye_says_why_and_names_the_job_that_is_over() {
    let goodbye = |reason: i32, job_id: Vec<u8>| {
        let goodbye = wire::Goodbye { reason, job_id, message: String::new() };
        let message = Some(client_to_node::Message::Goodbye(goodbye));
        ClientMessage::decode(&wire::ClientToNode { message }.encode_to_vec())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        goodbye(0, vec![]),
        "ClientToNode.goodbye.reason is 0, which this version does not know"
    );
    assert_eq!(
        goodbye(6, vec![]),
        "ClientToNode.goodbye.reason is 6, which this version does not know"
    );
    assert_eq!(goodbye(1, vec![]), "ClientToNode.goodbye.job_id has 0 bytes where 16 are expected");
}

#[test]
fn a_task_that_is_more_than_done_is_refused() {
    let renew = wire::Renew { lease: Some(lease().to_wire()), done_permille: 1001, waits: false };
    let message = Some(node_to_client::Message::Renew(renew));
    let error = NodeMessage::decode(&wire::NodeToClient { message }.encode_to_vec()).unwrap_err();
    assert_eq!(error.to_string(), "NodeToClient.renew.done_permille is 1001, expected 0 to 1000");
}

#[test]
fn a_message_over_its_limit_is_not_decoded() {
    let bytes = vec![0; CONTROL_MESSAGE_SIZE_BYTES_MAX + 1];
    let error = NodeMessage::decode(&bytes).unwrap_err();
    assert!(matches!(error, DecodeError::TooLarge { size_bytes: 65_537, .. }), "{error}");
    assert!(matches!(BlobRequest::decode(&[0; 257]), Err(DecodeError::TooLarge { .. })));
    assert!(matches!(JobAd::verify(&[0; 4097], 0), Err(AdError::Decode(_))));
}

#[test]
fn blob_numbers_out_of_range_are_refused() {
    let too_far = BLOB_SIZE_BYTES_MAX + 1;
    let error =
        BlobHeader::decode(&BlobHeader::Found { size_bytes: too_far }.encode()).unwrap_err();
    assert!(error.to_string().starts_with("BlobHeader.size_bytes is 268435457"), "{error}");
}

#[test]
fn the_words_of_a_peer_cannot_drive_a_terminal() {
    let reason = "\u{1b}[2Jgone\nERROR forged \u{202e}line".to_owned();
    let leaving = Some(node_to_client::Message::Leaving(wire::Leaving { reason }));
    let bytes = wire::NodeToClient { message: leaving }.encode_to_vec();
    let reason = " [2Jgone ERROR forged  line".to_owned();
    assert_eq!(NodeMessage::decode(&bytes), Ok(NodeMessage::Leaving { reason }));
}

#[test]
fn our_own_words_are_cut_rather_than_refused() {
    let reason = "ä".repeat(TEXT_SIZE_BYTES_MAX);
    let sent = ClientMessage::Revoke { lease: lease(), reason }.encode();
    let Ok(ClientMessage::Revoke { reason, .. }) = ClientMessage::decode(&sent) else {
        panic!("a revocation came back as something else");
    };
    assert_eq!(reason, "ä".repeat(TEXT_SIZE_BYTES_MAX / 2));
}

#[test]
fn an_ad_counts_only_from_its_client_and_in_its_time() {
    let ad = ad();
    let signed = ad.sign(&key());
    let issued = ad.issued_at_unix_ms;
    assert_eq!(JobAd::verify(&signed, issued), Ok(ad.clone()));

    let mut forged = wire::Signed::decode(&*signed).unwrap();
    *forged.payload.last_mut().unwrap() ^= 1;
    let error = JobAd::verify(&forged.encode_to_vec(), issued).unwrap_err();
    assert!(matches!(error, AdError::BadSignature { .. }), "{error}");

    let stranger = iroh_base::SecretKey::from_bytes(&[8; 32]);
    let error = JobAd::verify(&ad.sign(&stranger), issued).unwrap_err();
    assert!(matches!(error, AdError::WrongSigner { .. }), "{error}");

    // The same bytes under no domain, or another one, are not an ad.
    let mut bare = wire::Signed::decode(&*signed).unwrap();
    bare.signature = key().sign(&bare.payload).to_bytes().to_vec();
    let error = JobAd::verify(&bare.encode_to_vec(), issued).unwrap_err();
    assert!(matches!(error, AdError::BadSignature { .. }), "{error}");

    let early = issued - CLOCK_SKEW_MS_MAX;
    let late = issued + ad.ttl_ms + CLOCK_SKEW_MS_MAX;
    assert!(JobAd::verify(&signed, early).is_ok() && JobAd::verify(&signed, late).is_ok());
    for wrong_time in [early - 1, late + 1, 0, u64::MAX] {
        let error = JobAd::verify(&signed, wrong_time).unwrap_err();
        assert!(matches!(error, AdError::NotNow { .. }), "{error}");
    }
}

#[test]
fn a_mistyped_ticket_is_refused_and_says_so() {
    let text = Ticket(addr()).to_string();
    assert_eq!(text.to_uppercase().parse(), Ok(Ticket(addr())));
    assert_eq!(format!("  {text}\n").parse(), Ok(Ticket(addr())));

    let error = |text: &str| text.parse::<Ticket>().unwrap_err();
    let flip = |c: char| if c == 'a' { "b" } else { "a" };
    for index in "starling".len()..text.len() {
        let mut wrong = text.clone();
        wrong.replace_range(index..=index, flip(text.as_bytes()[index].into()));
        assert_eq!(error(&wrong), ParseTicketError::BadChecksum, "{wrong}");
    }
    assert_eq!(error(&text[..text.len() - 1]), ParseTicketError::BadChecksum);
    assert_eq!(error("starling"), ParseTicketError::BadChecksum);
    assert!(matches!(error("sterling"), ParseTicketError::NoTicket { .. }));
    assert!(matches!(error(""), ParseTicketError::NoTicket { .. }));
    assert!(matches!(error("stärling"), ParseTicketError::NoTicket { .. }));
    assert_eq!(error("starling1"), ParseTicketError::BadCharacter { character: '1', position: 9 });
    assert!(matches!(error(&"starling".repeat(1000)), ParseTicketError::TooLong { .. }));
}

#[test]
fn every_cut_message_is_refused_or_valid_but_never_a_panic() {
    let nodes = node_messages().iter().map(Message::encode).collect::<Vec<_>>();
    let clients = client_messages().iter().map(Message::encode).collect::<Vec<_>>();
    for bytes in nodes.iter().chain(&clients) {
        for end in 0..bytes.len() {
            decode_as_everything(&bytes[..end]);
        }
    }
}

fn decode_as_everything(bytes: &[u8]) {
    let _ = NodeMessage::decode(bytes);
    let _ = ClientMessage::decode(bytes);
    let _ = BlobRequest::decode(bytes);
    let _ = BlobHeader::decode(bytes);
    let _ = JobAd::decode(bytes);
    let _ = JobAd::verify(bytes, 0);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        decode_as_everything(&bytes);
    }

    #[test]
    fn a_message_with_some_bytes_changed_never_panics(
        message in 0..14_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let nodes = node_messages();
        let mut bytes = match nodes.get(message) {
            Some(message) => message.encode(),
            None => client_messages()[message - nodes.len()].encode(),
        };
        for (index, byte) in changes {
            // The smallest message has two bytes.
            *index.get_mut(&mut bytes) = byte;
        }
        decode_as_everything(&bytes);
    }

    #[test]
    fn random_text_is_no_ticket(text in "(starling)?.{0,200}") {
        prop_assert!(text.parse::<Ticket>().is_err());
    }
}
