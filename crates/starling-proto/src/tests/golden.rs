//! The bytes of every message. A difference here breaks the protocol: peers of other versions would
//! read something else, and a new ALPN is due.

use prost::Message as _;
use starling_types::{Epoch, Reference};

use super::{ad, addr, client_messages, grant, key, node_messages};
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
            "0a3e0a0e737461726c696e6720302e312e30121572697363302d7a6b766d20332e312e302d72632e3118\
             8080808010220801020304050607082814300238cc08",
            "1200",
            "1a0608ac0210a403",
            "220308ac02",
            "2a3508ac0212270a20abababababababababababababababababababababababababababababababab10\
             80d0860318b960208080809003",
            "321408ac0210011a0d6f7574206f66206d656d6f7279",
            "3a090a0773746f70706564",
        ],
    );
}

#[test]
fn a_renewal_that_tells_of_no_progress_has_the_bytes_that_older_peers_send() {
    check(&[NodeMessage::Renew { epoch: Epoch(300), done_permille: 0 }], &["1a0308ac02"]);
}

#[test]
fn client_messages_have_their_bytes() {
    check(
        &client_messages(),
        &[
            "0a390a1005050505050505050505050505050505120e737461726c696e6720302e312e301a1572697363\
             302d7a6b766d20332e312e302d72632e31",
            "12cf0108ac0212060803100c180e18122287010a270a20ababababababababababababababababababab\
             ababababababababababababab1080d08603125c0a20ea4a6c63e29c520abef5507b132ec5f9954776ae\
             bebe7b92421eea691446d22c12103139322e3136382e312e353a37303030120a5b3a3a315d3a37303030\
             1a1a68747470733a2f2f72656c61792e6578616d706c652e6f72672f22290a270a20abababababababab\
             abababababababababababababababababababababababab1080d0860328904e30c0cf2438808080c203",
            "1a1308ac02120e646f6e6520656c73657768657265",
            "220508ac021001",
            "2a0a0a086a6f6220646f6e65",
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
fn a_grant_of_a_job_that_counts_work_has_its_bytes() {
    let task = "unwrap".parse().unwrap();
    let grant = Grant { task, inputs: vec![], work_claims: true, ..grant() };
    check(
        &[ClientMessage::Grant(grant)],
        &["121a08ac02120408081801181228904e30c0cf2438808080c2034001"],
    );
}

#[test]
fn blob_messages_have_their_bytes() {
    let request = BlobRequest { reference: Reference([0xab; 32]), offset_bytes: 4096 };
    check(
        &[request],
        &["0a20abababababababababababababababababababababababababababababababab108020"],
    );
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
