//! What is encoded comes back as it was, for any values within the limits.

use std::net::SocketAddr;

use proptest::{collection::vec, option, prelude::*};
use starling_types::{
    BlobRef, ClientRun, Epoch, FailureClass, IndexRange, JobId, KindCode, MemoryBytes, MemoryTable,
    Millis, NodeId, Po2, Reference, Role, SystemName, Task,
};

use crate::{
    BlobHeader, BlobRequest, ClientMessage, Done, Failure, GoodbyeReason, Grant, Hello, Input,
    JobAd, LeaseId, Message, NodeMessage, Offer, PeerAddr, Ticket, Wanted, Welcome, is_dialable,
    limits::{
        AD_SIZE_BYTES_MAX, AD_TTL_MS_MAX, ARGUMENTS_SIZE_BYTES_MAX, BLOB_SIZE_BYTES_MAX,
        CONTROL_MESSAGE_SIZE_BYTES_MAX, DIRECT_ADDR_COUNT_MAX, DONE_PERMILLE_MAX, DURATION_MS_MAX,
        HOLDER_COUNT_MAX, INPUT_COUNT_MAX, RELAY_URL_SIZE_BYTES_MAX, SLOT_COUNT_MAX,
        SYSTEM_COUNT_MAX, SYSTEM_NAME_SIZE_BYTES_MAX, TASK_KIND_COUNT_MAX, TEXT_SIZE_BYTES_MAX,
    },
};

fn text() -> impl Strategy<Value = String> {
    // Clean text, up to the limit.
    "[ -~äß漢]{0,300}".prop_filter("fits", |text| text.len() <= TEXT_SIZE_BYTES_MAX)
}

fn secret() -> impl Strategy<Value = iroh_base::SecretKey> {
    any::<[u8; 32]>().prop_map(|bytes| iroh_base::SecretKey::from_bytes(&bytes))
}

fn direct() -> impl Strategy<Value = SocketAddr> {
    any::<SocketAddr>().prop_filter("can be dialed", |addr| {
        // A flow label is not part of an address in text, and an IPv4 address written as an IPv6 one comes as what it is.
        let in_text = addr.to_string().parse() == Ok(*addr);
        in_text && addr.ip().to_canonical() == addr.ip() && is_dialable(addr)
    })
}

fn addr_of(node_id: NodeId) -> impl Strategy<Value = PeerAddr> {
    let relay = "https?://[a-z]{1,20}\\.example/[a-z]{0,20}".prop_map(|url| url.parse().unwrap());
    (vec(direct(), 0..=DIRECT_ADDR_COUNT_MAX), option::of(relay))
        .prop_map(move |(direct, relay)| PeerAddr { node_id, direct, relay })
}

fn addr() -> impl Strategy<Value = PeerAddr> {
    secret().prop_flat_map(|key| addr_of(NodeId(*key.public().as_bytes())))
}

fn blob() -> impl Strategy<Value = BlobRef> {
    (any::<[u8; 32]>(), 0..=BLOB_SIZE_BYTES_MAX)
        .prop_map(|(reference, size_bytes)| BlobRef { reference: Reference(reference), size_bytes })
}

fn po2() -> impl Strategy<Value = Po2> {
    (Po2::MIN..=Po2::MAX).prop_map(|po2| po2.try_into().unwrap())
}

fn kind() -> impl Strategy<Value = KindCode> {
    (1..=u32::MAX).prop_map(KindCode)
}

fn task() -> impl Strategy<Value = Task> {
    let range = (0..u32::MAX, 1..u32::MAX)
        .prop_map(|(start, count)| IndexRange::new(start, start.saturating_add(count)).unwrap());
    (kind(), range).prop_map(|(kind, range)| Task { kind, range })
}

fn table() -> impl Strategy<Value = MemoryTable> {
    let by_po2 = prop::collection::btree_map(po2(), memory(), 0..=12);
    (by_po2, option::of(memory())).prop_map(|(by_po2, any)| MemoryTable { by_po2, any })
}

fn offer() -> impl Strategy<Value = Offer> {
    let kinds = prop::collection::btree_map(kind(), table(), 1..=TASK_KIND_COUNT_MAX);
    (system_name(), kinds, any::<u32>()).prop_map(|(system, kinds, speed_permille)| Offer {
        system,
        kinds,
        speed_permille,
    })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let kinds = prop::collection::btree_set(kind(), 1..=TASK_KIND_COUNT_MAX);
    (system_name(), kinds).prop_map(|(system, kinds)| Wanted { system, kinds })
}

fn lease() -> impl Strategy<Value = LeaseId> {
    (any::<[u8; 16]>(), any::<u64>())
        .prop_map(|(job, epoch)| LeaseId { job: JobId(job), epoch: Epoch(epoch) })
}

fn system_name() -> impl Strategy<Value = SystemName> {
    "[ -~]{0,128}".prop_map(SystemName::new)
}

fn goodbye_reason() -> impl Strategy<Value = GoodbyeReason> {
    let job_over = any::<[u8; 16]>().prop_map(|job| GoodbyeReason::JobOver { job: JobId(job) });
    prop_oneof![
        job_over,
        Just(GoodbyeReason::Dismissed),
        Just(GoodbyeReason::WrongSystem),
        Just(GoodbyeReason::ShuttingDown),
        Just(GoodbyeReason::Busy),
    ]
}

fn memory() -> impl Strategy<Value = MemoryBytes> {
    any::<u64>().prop_map(MemoryBytes)
}

fn node_message() -> impl Strategy<Value = NodeMessage> {
    let systems = vec(offer(), 1..=SYSTEM_COUNT_MAX);
    let hello = (systems, memory(), 1..=SLOT_COUNT_MAX)
        .prop_map(|(systems, memory, slots)| NodeMessage::Hello(Hello { systems, memory, slots }));
    let done = (lease(), blob(), 0..=DURATION_MS_MAX, memory()).prop_map(
        |(lease, result, prove_ms, peak_memory)| {
            NodeMessage::Done(Done { lease, result, prove_ms, peak_memory })
        },
    );
    let classes = [
        FailureClass::Memory,
        FailureClass::Disk,
        FailureClass::Node,
        FailureClass::Input,
        FailureClass::Task,
    ];
    let failed = (lease(), prop::sample::select(classes.to_vec()), text())
        .prop_map(|(lease, class, message)| NodeMessage::Failed(Failure { lease, class, message }));
    prop_oneof![
        hello,
        Just(NodeMessage::WorkRequested),
        (lease(), 0..=DONE_PERMILLE_MAX, any::<bool>()).prop_map(
            |(lease, done_permille, waits)| NodeMessage::Renew { lease, done_permille, waits }
        ),
        (lease(), any::<bool>()).prop_map(|(lease, busy)| NodeMessage::Decline { lease, busy }),
        done,
        failed,
        text().prop_map(|reason| NodeMessage::Leaving { reason }),
    ]
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    let welcome =
        any::<u64>().prop_map(|run| ClientMessage::Welcome(Welcome { run: ClientRun(run) }));
    let role = prop::sample::select(vec![Role::Input, Role::Challenge]);
    let input = (blob(), role, vec(addr(), 0..=HOLDER_COUNT_MAX))
        .prop_map(|(blob, role, holders)| Input { blob, role, holders });
    // With the longest addresses of as many holders more would not fit whole.
    let inputs = vec(input, 0..=INPUT_COUNT_MAX / 4);
    let times = (0..=DURATION_MS_MAX, 0..=DURATION_MS_MAX);
    let name = (lease(), system_name());
    let arguments = vec(any::<u8>(), 0..=ARGUMENTS_SIZE_BYTES_MAX);
    let grant = (name, task(), arguments, inputs, times, any::<bool>()).prop_map(
        |((lease, system), task, arguments, inputs, (renew_within, deadline), ahead)| {
            let (renew_within, deadline) = (Millis(renew_within), Millis(deadline));
            ClientMessage::Grant(Grant {
                lease,
                system,
                task,
                arguments,
                inputs,
                renew_within,
                deadline,
                ahead,
            })
        },
    );
    prop_oneof![
        welcome,
        grant,
        (lease(), text()).prop_map(|(lease, reason)| ClientMessage::Revoke { lease, reason }),
        (lease(), any::<bool>(), text()).prop_map(|(lease, accepted, reason)| {
            ClientMessage::Verdict { lease, accepted, reason }
        }),
        (goodbye_reason(), text())
            .prop_map(|(reason, message)| ClientMessage::Goodbye { reason, message }),
    ]
}

fn signed_ad() -> impl Strategy<Value = (iroh_base::SecretKey, JobAd)> {
    secret().prop_flat_map(|key| {
        let client = addr_of(NodeId(*key.public().as_bytes()));
        let times = (any::<u64>(), 1..=AD_TTL_MS_MAX);
        let systems = vec(wanted(), 1..=3);
        (any::<[u8; 16]>(), client, systems, memory(), times).prop_map(
            move |(job, client, systems, memory, (issued_at_unix_ms, ttl_ms))| {
                let job = JobId(job);
                let ad = JobAd { job, client, systems, memory, issued_at_unix_ms, ttl_ms };
                (key.clone(), ad)
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn node_messages_come_back(message in node_message()) {
        prop_assert_eq!(NodeMessage::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn client_messages_come_back(message in client_message()) {
        prop_assert_eq!(ClientMessage::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn blob_messages_come_back(blob in blob()) {
        let BlobRef { reference, size_bytes } = blob;
        let request = BlobRequest { reference };
        prop_assert_eq!(BlobRequest::decode(&request.encode()), Ok(request));
        let others = [BlobHeader::Absent, BlobHeader::Refused, BlobHeader::Busy];
        for header in others.into_iter().chain([BlobHeader::Found { size_bytes }]) {
            prop_assert_eq!(BlobHeader::decode(&header.encode()), Ok(header));
        }
    }

    #[test]
    fn signed_ads_verify((key, ad) in signed_ad()) {
        let now = ad.issued_at_unix_ms;
        prop_assert_eq!(JobAd::verify(&ad.sign(&key), now), Ok(ad));
    }

    #[test]
    fn tickets_come_back(addr in addr()) {
        let ticket = Ticket(addr);
        let text = ticket.to_string();
        prop_assert!(text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
        prop_assert_eq!(text.parse(), Ok(ticket));
    }
}

/// The longest address that a peer may have.
fn longest_addr() -> PeerAddr {
    let direct = "[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535".parse().unwrap();
    let url = format!("https://{}.example/", "a".repeat(50));
    let padding = "p".repeat(RELAY_URL_SIZE_BYTES_MAX - url.len());
    PeerAddr {
        direct: vec![direct; DIRECT_ADDR_COUNT_MAX],
        relay: Some(format!("{url}{padding}").parse().unwrap()),
        ..super::addr()
    }
}

#[test]
fn the_largest_messages_stay_within_their_limits() {
    // The most that the grammar of an ad allows would not fit; two releases side by side do.
    let wanted = Wanted {
        system: SystemName::new("s".repeat(SYSTEM_NAME_SIZE_BYTES_MAX)),
        kinds: (0..TASK_KIND_COUNT_MAX as u32).map(|kind| KindCode(u32::MAX - kind)).collect(),
    };
    let ad = JobAd { client: longest_addr(), systems: vec![wanted; 2], ..super::ad() };
    assert!(ad.sign(&super::key()).len() <= AD_SIZE_BYTES_MAX);
    let ticket = Ticket(longest_addr());
    assert_eq!(ticket.to_string().parse(), Ok(ticket));

    let input = Input {
        holders: vec![longest_addr(); HOLDER_COUNT_MAX + 3],
        role: Role::Challenge,
        blob: BlobRef { reference: Reference([1; 32]), size_bytes: BLOB_SIZE_BYTES_MAX },
    };
    let grant = Grant { inputs: vec![input; INPUT_COUNT_MAX], ..super::grant() };
    let bytes = ClientMessage::Grant(grant).encode();
    assert!(bytes.len() <= CONTROL_MESSAGE_SIZE_BYTES_MAX, "{} bytes", bytes.len());
    // All inputs are there, and holders as far as there is room.
    let Ok(ClientMessage::Grant(sent)) = ClientMessage::decode(&bytes) else { panic!() };
    assert_eq!(sent.inputs.len(), INPUT_COUNT_MAX);
    let holder_count = sent.inputs[0].holders.len();
    assert!((1..HOLDER_COUNT_MAX).contains(&holder_count), "{holder_count}");
}

#[test]
fn a_grant_of_a_wide_merge_names_all_holders_of_all_inputs() {
    let direct = [
        "203.0.113.200:54321",
        "192.168.178.200:54321",
        "[2001:db8:1234:5678:9abc:def0:1234:5678]:54321",
        "[fd00:1234:5678:9abc:def0:1234:5678:9abc]:54321",
    ];
    let holder = PeerAddr {
        direct: direct.map(|addr| addr.parse().unwrap()).into(),
        relay: Some("https://relay.some-company.example.org:8443/".parse().unwrap()),
        ..super::addr()
    };
    let input = Input {
        holders: vec![holder; HOLDER_COUNT_MAX],
        role: Role::Input,
        blob: BlobRef { reference: Reference([1; 32]), size_bytes: BLOB_SIZE_BYTES_MAX },
    };
    let arguments = vec![7; ARGUMENTS_SIZE_BYTES_MAX];
    let grant = Grant { inputs: vec![input; INPUT_COUNT_MAX], arguments, ..super::grant() };
    let bytes = ClientMessage::Grant(grant.clone()).encode();
    assert!(bytes.len() <= CONTROL_MESSAGE_SIZE_BYTES_MAX, "{} bytes", bytes.len());
    assert_eq!(ClientMessage::decode(&bytes), Ok(ClientMessage::Grant(grant)));
}

#[test]
fn a_hello_that_states_all_it_can_fits_into_its_limit() {
    let memory = MemoryBytes(u64::MAX);
    let by_po2 = (Po2::MIN..=Po2::MAX).map(|po2| (po2.try_into().unwrap(), memory)).collect();
    let table = MemoryTable { by_po2, any: Some(memory) };
    let kinds =
        (0..TASK_KIND_COUNT_MAX as u32).map(|kind| (KindCode(u32::MAX - kind), table.clone()));
    let system = SystemName::new("s".repeat(SYSTEM_NAME_SIZE_BYTES_MAX));
    let offer = Offer { system, kinds: kinds.collect(), speed_permille: u32::MAX };
    let hello = Hello { systems: vec![offer; SYSTEM_COUNT_MAX], ..super::hello() };
    let bytes = NodeMessage::Hello(hello.clone()).encode();
    assert!(bytes.len() <= CONTROL_MESSAGE_SIZE_BYTES_MAX, "{} bytes", bytes.len());
    assert_eq!(NodeMessage::decode(&bytes), Ok(NodeMessage::Hello(hello)));
}

#[test]
fn a_usual_grant_is_smaller_than_a_kibibyte() {
    assert!(ClientMessage::Grant(super::grant()).encode().len() < 1024);
}
