//! The bytes of every message. A difference here breaks the protocol: peers of other versions would
//! read something else, and a new ALPN is due.

use std::{collections::BTreeSet, fs, path::Path};

use starling_types::Reference;

use super::{ad, addr, client_messages, grant, key, node_messages};
use crate::{BlobHeader, BlobRequest, ClientMessage, Grant, Message, Ticket};

fn check(messages: &[impl Message], golden: &[&str]) {
    let encoded: Vec<_> = messages.iter().map(|message| hex::encode(message.encode())).collect();
    assert_eq!(encoded, golden);
}

#[test]
fn node_messages_have_their_bytes() {
    check(
        &node_messages(),
        &[
            "0a480a3e0a1072697363302f61353464633835612f32121608021208080e10808080960112080812\
             10808080a202120a08031206108080809101120308ac0218cc081080808080101802",
            "1200",
            "1a1a0a150a100505050505050505050505050505050510ac0210a403",
            "22190a150a100505050505050505050505050505050510ac021001",
            "2a490a150a100505050505050505050505050505050510ac0212270a20ababababababababababab\
             ababababababababababababababababababababab1080d0860318b960208080809003",
            "32280a150a100505050505050505050505050505050510ac0210011a0d6f7574206f66206d656d6f\
             7279",
            "3a090a0773746f70706564",
            "1a190a150a100505050505050505050505050505050510ac021801",
        ],
    );
}

#[test]
fn client_messages_have_their_bytes() {
    check(
        &client_messages(),
        &[
            "0a0909efcdab8967452301",
            "12f5010a150a100505050505050505050505050505050510ac02121072697363302f613534646338\
             35612f321a060803100c180e220212002a89010a270a20ababababababababababababababababab\
             ababababababababababababababab1080d0860310011a5c0a20ea4a6c63e29c520abef5507b132e\
             c5f9954776aebebe7b92421eea691446d22c12103139322e3136382e312e353a37303030120a5b3a\
             3a315d3a373030301a1a68747470733a2f2f72656c61792e6578616d706c652e6f72672f2a2b0a27\
             0a20abababababababababababababababababababababababababababababababab1080d0860310\
             0230904e38c0cf24",
            "1a270a150a100505050505050505050505050505050510ac02120e646f6e6520656c736577686572\
             65",
            "22190a150a100505050505050505050505050505050510ac021001",
            "2a1508041a11746865206a6f622069732070726f766564",
            "2a140801121005050505050505050505050505050505",
        ],
    );
}

fn grant_ahead() -> ClientMessage {
    let grant = Grant { arguments: vec![], inputs: vec![], ahead: true, ..grant() };
    ClientMessage::Grant(grant)
}

#[test]
fn a_grant_ahead_has_its_bytes() {
    check(
        &[grant_ahead()],
        &["123a0a150a100505050505050505050505050505050510ac02121072697363302f61353464633835\
             612f321a060803100c180e30904e38c0cf244001"],
    );
}

#[test]
fn blob_messages_have_their_bytes() {
    let request = BlobRequest { reference: Reference([0xab; 32]) };
    check(&[request], &["0a20abababababababababababababababababababababababababababababababab"]);
    check(
        &[
            BlobHeader::Found { size_bytes: 6_400_000 },
            BlobHeader::Absent,
            BlobHeader::Refused,
            BlobHeader::Busy,
        ],
        &["08011080d08603", "0802", "0803", "0804"],
    );
}

#[test]
fn a_signed_ad_has_its_bytes() {
    assert_eq!(
        hex::encode(ad().sign(&key())),
        "0a99010a1005050505050505050505050505050505125c0a20ea4a6c63e29c520abef5507b132ec5\
         f9954776aebebe7b92421eea691446d22c12103139322e3136382e312e353a37303030120a5b3a3a\
         315d3a373030301a1a68747470733a2f2f72656c61792e6578616d706c652e6f72672f1a160a1072\
         697363302f61353464633835612f321202020320808080c2032880d095ffbc3130e0d4031220ea4a\
         6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c1a4097c5c7125ed98f04\
         c3d4f40f4b62e231cc1a97e37b82ebbed2c23daf6b1ab64638cf8229e164dcc898f6d0c79f4634fb\
         5d05274009221304a8608116c670720a"
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

/// The files of a folder of `fuzz/seeds`.
fn seeds(folder: &str) -> BTreeSet<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(folder);
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn fuzzing_begins_with_the_bytes_of_today() {
    let of_nodes = node_messages().iter().map(Message::encode).collect();
    assert_eq!(seeds("node_message"), of_nodes);
    let clients = client_messages().into_iter().chain([grant_ahead()]);
    assert_eq!(seeds("client_message"), clients.map(|message| message.encode()).collect());
    assert_eq!(seeds("job_ad"), [ad().encode(), ad().sign(&key())].into());
    let request = BlobRequest { reference: Reference([0xab; 32]) }.encode();
    assert!(seeds("blob_messages").contains(&request));
    assert!(seeds("ticket").contains(&Ticket(addr()).to_string().into_bytes()));
}
