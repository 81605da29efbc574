//! The bytes of every message. A difference here breaks the protocol: peers of other versions would
//! read something else, and a new ALPN is due.

use prost::Message as _;
use starling_types::Reference;

use super::{ad, addr, client_messages, grant, key, lease, node_messages};
use crate::{BlobHeader, BlobRequest, ClientMessage, Grant, Message, NodeMessage, Ticket, field};

fn check(messages: &[impl Message], golden: &[&str]) {
    let encoded: Vec<_> = messages.iter().map(|message| hex::encode(message.encode())).collect();
    assert_eq!(encoded, golden);
}

#[test]
fn node_messages_have_their_bytes() {
    check(
        &node_messages(),
        &[
            "0a400a0e737461726c696e6720302e312e3012210a1572697363302d7a6b766d20332e312e302d72632e\
             31120801020405060307081880808080102014280230cc08",
            "1200",
            "1a1a0a150a100505050505050505050505050505050510ac0210a403",
            "22170a150a100505050505050505050505050505050510ac02",
            "2a490a150a100505050505050505050505050505050510ac0212270a20ababababababababababababab\
             ababababababababababababababababababab1080d0860318b960208080809003",
            "32280a150a100505050505050505050505050505050510ac0210011a0d6f7574206f66206d656d6f7279",
            "3a090a0773746f70706564",
            "42170a150a100505050505050505050505050505050510ac02",
        ],
    );
}

#[test]
fn a_renewal_that_tells_of_no_progress_says_nothing_of_it() {
    check(
        &[NodeMessage::Renew { lease: lease(), done_permille: 0 }],
        &["1a170a150a100505050505050505050505050505050510ac02"],
    );
}

#[test]
fn client_messages_have_their_bytes() {
    check(
        &client_messages(),
        &[
            "0a190a0e737461726c696e6720302e312e3011efcdab8967452301",
            "12fa010a150a100505050505050505050505050505050510ac02121572697363302d7a6b766d20332e31\
             2e302d72632e311a060803100c180e20122a87010a270a20abababababababababababababababababab\
             abababababababababababababab1080d08603125c0a20ea4a6c63e29c520abef5507b132ec5f9954776\
             aebebe7b92421eea691446d22c12103139322e3136382e312e353a37303030120a5b3a3a315d3a373030\
             301a1a68747470733a2f2f72656c61792e6578616d706c652e6f72672f2a290a270a20ababababababab\
             ababababababababababababababababababababababababab1080d0860330904e38c0cf2440808080c2\
             03",
            "1a270a150a100505050505050505050505050505050510ac02120e646f6e6520656c73657768657265",
            "22190a150a100505050505050505050505050505050510ac021001",
            "2a1508041a11746865206a6f622069732070726f766564",
            "2a140801121005050505050505050505050505050505",
        ],
    );
}

#[test]
fn every_task_has_its_bytes() {
    let tasks = [
        ("prove/7", "080110071808"),
        ("lift/7", "080210071808"),
        ("lift-receipt/7", "080410071808"),
        ("join/12..14", "0803100c180e"),
        ("keccak/0", "08051801"),
        ("union/0..3", "08061803"),
        ("resolve/1", "080710011802"),
        ("unwrap", "08081801"),
    ];
    for (name, golden) in tasks {
        let task = field::task_to_wire(name.parse().unwrap());
        assert_eq!(hex::encode(task.encode_to_vec()), golden, "{name}");
    }
}

#[test]
fn a_grant_ahead_in_a_job_that_counts_work_has_its_bytes() {
    let task = "unwrap".parse().unwrap();
    let grant = Grant { task, inputs: vec![], work_claims: true, ahead: true, ..grant() };
    check(
        &[ClientMessage::Grant(grant)],
        &["12470a150a100505050505050505050505050505050510ac02121572697363302d7a6b766d20332e312e\
             302d72632e311a0408081801201230904e38c0cf2440808080c20348015001"],
    );
}

#[test]
fn blob_messages_have_their_bytes() {
    let request = BlobRequest { reference: Reference([0xab; 32]) };
    check(&[request], &["0a20abababababababababababababababababababababababababababababababab"]);
    check(
        &[BlobHeader::Found { size_bytes: 6_400_000 }, BlobHeader::Absent, BlobHeader::Refused],
        &["08011080d08603", "0802", "0803"],
    );
}

#[test]
fn a_signed_ad_has_its_bytes() {
    assert_eq!(
        hex::encode(ad().sign(&key())),
        "0a9e010a1005050505050505050505050505050505125c0a20ea4a6c63e29c520abef5507b132ec5f995\
         4776aebebe7b92421eea691446d22c12103139322e3136382e312e353a37303030120a5b3a3a315d3a37\
         3030301a1a68747470733a2f2f72656c61792e6578616d706c652e6f72672f1a1572697363302d7a6b76\
         6d20332e312e302d72632e3122020203281430808080c2033880d095ffbc3140e0d4031220ea4a6c63e2\
         9c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c1a40b9d43229720db52b8e907143d0\
         196221ecee2055d4646a59be9030d2cddfac7a60269bb6673c939c1c556c5d28e6c16c537faf7c5f1bae\
         dc942eab399a3e3304"
    );
}

#[test]
fn a_ticket_has_its_text() {
    assert_eq!(
        Ticket(addr()).to_string(),
        "starlingaefcb2sknrr6fhcsbk7pkud3cmxml6mvi53k5pv6pojeehxknekenurmciidcojsfyytmobogexd\
         korxgaydaeqklm5dumk5hi3tambqdingq5duobztulzpojswyylzfzsxqylnobwgkltpojts6lwkxmfq"
    );
}
