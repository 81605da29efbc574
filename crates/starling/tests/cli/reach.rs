//! How others are told to reach a process: by what its user says, and never by itself.

use starling_net::{PeerAddr, Ticket};

use crate::harness::{Home, WAITING, guest, input};

const EXTERNAL: [&str; 2] = ["--external-addr", "203.0.113.7:7000"];

/// The ticket in what a command printed.
fn ticket_in(text: &str) -> Ticket {
    let is_ticket = |word: &&str| word.starts_with("starling") && word.len() > 60;
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.find(is_ticket).unwrap_or_else(|| panic!("no ticket in {text}")).parse().unwrap()
}

/// The ticket of a node that was started and stopped.
fn ticket_of_node(home: &Home, args: &[&str]) -> Ticket {
    let mut node = home.start(&[&["node", "--loopback"], args].concat());
    node.wait_for("waiting for jobs");
    node.signal("TERM");
    ticket_in(&node.wait().stdout)
}

#[test]
fn what_the_user_says_comes_first_in_the_tickets_of_clients_and_nodes() {
    let home = Home::new();
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    let prove = ["prove", &guest, "--input", &input];
    let mut client = home.start(&[&prove[..], &EXTERNAL, &WAITING].concat());
    let Ticket(client) = ticket_in(&client.wait_for("this client's ticket: "));
    let Ticket(node) = ticket_of_node(&home, &EXTERNAL);
    for PeerAddr { direct, .. } in [client, node] {
        assert_eq!(direct[0].to_string(), EXTERNAL[1]);
        assert_eq!(direct.len(), 2, "its own comes after it: {direct:?}");
    }
    for wrong in ["203.0.113.7", "203.0.113.7:0", "example.org:7000", "0.0.0.0:7000"] {
        home.run(&["node", "--external-addr", wrong]).fails(2, &["203.0.113.7:7000"]);
    }
}

#[test]
fn a_process_that_is_given_its_own_ticket_says_so_at_once() {
    let home = Home::new();
    let ticket = ticket_of_node(&home, &[]).to_string();
    for option in ["--client", "--join"] {
        home.run(&["node", "--loopback", option, &ticket])
            .fails(2, &[option, "names this node itself", "printed"]);
    }
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    let prove = ["prove", &guest, "--input", &input];
    let mut client = home.start(&[&prove[..], &WAITING].concat());
    let ticket = client.wait_for("this client's ticket: ");
    drop(client);
    home.run(&[&prove[..], &["--join", &ticket, "--bind", "127.0.0.1:0"]].concat())
        .fails(2, &["this client's own", "a node printed"]);
}

#[test]
fn a_node_waits_for_its_client_as_long_as_it_is_told_to() {
    let (home, elsewhere) = (Home::new(), Home::new());
    let ticket = ticket_of_node(&elsewhere, &[]).to_string();
    let began = std::time::Instant::now();
    home.run(&["node", "--loopback", "--client", &ticket, "--patience", "1"])
        .fails(1, &["can't reach the client"]);
    let seconds = began.elapsed().as_secs();
    assert!((1..45).contains(&seconds), "{seconds} s");
}
