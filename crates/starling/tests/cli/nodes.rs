//! What a client needs from elsewhere and does not get: nodes, memory, a port, Docker.

use std::{fs, net::UdpSocket, os::unix::fs::PermissionsExt};

use starling_cost::CostModel;
use starling_proto::Ticket;
use starling_types::TaskKind;

use crate::harness::{Home, Process, WAITING, eventually, guest, input};

/// Starts a client that waits for nodes, and returns it with its ticket.
fn waiting_client(home: &Home, args: &[&str]) -> (Process, String) {
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    let prove = ["prove", &guest, "--input", &input];
    let mut client = home.start(&[&prove, args, &WAITING].concat());
    let ticket = client.wait_for("ticket: ");
    (client, ticket)
}

#[test]
fn without_a_node_the_job_gives_up_and_says_so() {
    let home = Home::new();
    home.prove(&[&guest("sha-chain"), "--input", &input("sha-chain-100"), "--json"])
        .fails(4, &["no node is connected", "starling node", "give the same command again"]);
    assert_eq!(home.jobs()[0]["phase"], "open");
}

#[test]
fn a_node_with_too_little_memory_is_told_by_the_numbers() {
    let home = Home::new();
    let elsewhere = Home::new();
    let (client, ticket) = waiting_client(&home, &["--node-wait", "8"]);
    let mut node =
        elsewhere.start(&["node", "--client", &ticket, "--memory", "100MiB", "--loopback"]);
    node.wait_for("serving a client");
    let po2 = Some("18".parse().unwrap());
    let needs = format!("needs {}", CostModel::ADMISSION.memory(TaskKind::Lift, po2));
    client.wait().fails(4, &["enough memory", &needs, "has 100 MiB"]);
    // The client takes its leave, and the node, started for it alone, ends too.
    node.wait().succeeds();
}

#[test]
fn a_node_that_takes_only_joins_gets_no_segment() {
    let home = Home::new();
    let elsewhere = Home::new();
    let (client, ticket) = waiting_client(&home, &["--node-wait", "8"]);
    let mut node = elsewhere.start(&["node", "--client", &ticket, "--kinds", "join", "--loopback"]);
    node.wait_for("serving a client");
    client.wait().fails(4, &["no connected node", "lift"]);
    node.wait().succeeds();
    home.run(&["node", "--client", &ticket, "--kinds", "fold"]).fails(2, &["fold", "lift-receipt"]);
}

#[test]
fn a_job_out_of_time_can_be_resumed() {
    let home = Home::new();
    let (client, _) = waiting_client(&home, &["--timeout", "1", "--json"]);
    let ran = client.wait();
    let jobs = home.jobs();
    let job = jobs[0]["job"].as_str().unwrap();
    ran.fails(4, &["--timeout", &format!("starling job resume {job}")]);
    assert_eq!(jobs[0]["phase"], "open");
    // By the first digits of its id, too.
    let resume = ["job", "resume", &job[..6], "--node-wait", "1"];
    home.run(&[&resume[..], &WAITING].concat()).fails(4, &["no node is connected"]);
    assert_eq!(home.jobs()[0]["runs"], 2);
}

#[test]
fn a_port_in_use_is_named() {
    let home = Home::new();
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = held.local_addr().unwrap().to_string();
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    home.run(&["prove", &guest, "--input", &input, "--local", "0", "--bind", &addr])
        .fails(1, &[&addr, "in use"]);
    home.run(&["node", "--bind", &addr]).fails(1, &[&addr, "in use"]);
}

#[test]
fn groth16_without_docker_is_refused_before_the_guest_runs() {
    let home = Home::new();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let (guest, input) = (guest("fail"), input("fail-endless"));
    let refused = |texts: &[&str]| {
        let mut command =
            home.command(&["prove", &guest, "--input", &input, "--receipt-kind", "groth16"]);
        command.env("PATH", &bin);
        home.start_command(command).wait().fails(1, texts);
    };
    refused(&["docker is not installed", "--receipt-kind succinct"]);

    // Installed, without its daemon.
    let docker = bin.join("docker");
    fs::write(
        &docker,
        "#!/bin/sh\n[ \"$1\" = --version ] || { echo no daemon here >&2; exit 1; }\n",
    )
    .unwrap();
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
    refused(&["the docker daemon does not answer", "no daemon here"]);
    assert!(home.jobs().is_empty());
}

#[test]
fn a_node_that_could_take_nothing_is_refused_and_one_that_could_take_less_than_it_says_is_warned() {
    let home = Home::new();
    let node = |more: &[&str]| home.run(&[&["node", "--loopback"], more].concat());
    let joins = ["--kinds", "join", "--memory"];
    let join = CostModel::ADMISSION.memory(TaskKind::Join, None);
    let needs = format!("join, needs {} MiB", join.0.div_ceil(1 << 20));
    node(&[&joins[..], &["1MiB"]].concat())
        .fails(2, &["too little for any task", &needs, "--memory"]);
    node(&["--memory", "1"]).fails(2, &["1 MiB for proving is too little for any task"]);
    let no_room = ["--disk-budget", "1", "--memory", "1GiB"];
    node(&no_room).fails(2, &["--disk-budget of 1 bytes", "give 4 MiB or more"]);
    let mut greedy = home.start(&["node", "--loopback", "--memory", "1000TiB"]);
    greedy.wait_for("a process can have");
    let elsewhere = Home::new();
    let mut idle = elsewhere.start(&["node", "--loopback", "--memory", "1GiB", "--slots", "64"]);
    idle.wait_for("run at a time");
}

/// What others can read of the processes below this one, and what only their owner can.
#[cfg(target_os = "linux")]
fn shown_of_descendants(of: u32) -> Vec<String> {
    let parent = |id: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let ids = fs::read_dir("/proc").unwrap();
    let ids = ids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_below = |id: &u32| {
        std::iter::successors(parent(*id), |id| parent(*id)).any(|ancestor| ancestor == of)
    };
    let shown = |id: u32| {
        let read = |name: &str| fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
        let shown = [read("cmdline"), read("environ")].concat();
        String::from_utf8_lossy(&shown).replace('\0', "\n")
    };
    ids.filter(is_below).map(shown).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_local_node_and_its_prover_have_no_ticket_and_no_key_in_arguments_or_environment() {
    let home = Home::new();
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    let prove = ["prove", &guest, "--input", &input, "--segment-po2", "14", "--local", "1"];
    let client = home.start(&prove);
    let mut shown = Vec::new();
    // The node, and the prover that it starts.
    eventually(|| {
        shown = shown_of_descendants(client.id());
        ["--supervised", "prover"].iter().all(|word| shown.iter().any(|one| one.contains(word)))
    });
    let key = fs::read(home.data_dir().join("key")).unwrap();
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    for process in &shown {
        for word in process.split(['\n', '=']) {
            assert!(word.parse::<Ticket>().is_err(), "a ticket: {process}");
            let is_key = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(!is_key && !word.contains(&key), "a key: {process}");
        }
    }
}

#[test]
fn a_node_that_no_client_has_started_does_not_wait_to_be_told_whom_to_prove_for() {
    let home = Home::new();
    home.run(&["node", "--supervised"]).fails(1, &["no client has told", "--client TICKET"]);
}

#[test]
fn what_one_prover_of_a_user_was_promised_another_does_not_count_on() {
    let home = Home::new();
    let command = |home: &Home, args: &[&str]| {
        let mut command = home.command(args);
        command.env("XDG_RUNTIME_DIR", home.path());
        command
    };
    let bound = || {
        let ran = home.start_command(command(&home, &["doctor", "--quick", "--json"])).wait();
        let found: serde_json::Value =
            serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
        found["memory_bound"].as_str().unwrap().to_owned()
    };
    assert!(!bound().contains("other provers"), "{}", bound());
    let args = ["node", "--loopback", "--bind", "127.0.0.1:0", "--memory", "1000TiB"];
    let mut greedy = home.start_command(command(&home, &args));
    greedy.wait_for("waiting for jobs");
    let of_others = bound();
    assert!(of_others.contains("0 MiB that are left"), "{of_others}");
    assert!(of_others.contains("other provers of this user may take"), "{of_others}");
    greedy.signal("KILL");
    greedy.wait();
    assert!(!bound().contains("other provers"), "a note without its process counts for nothing");
}
