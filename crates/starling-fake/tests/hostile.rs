//! Enemies at work beside a job of the fake system: each behaviour of `starling-hostile`, over the real wire, against a client with
//! an honest node beside it, or against a node with an honest client beside it. The honest peer finishes; the leases that the
//! enemy gets, the bytes that are taken of it, the memory and the log of who is attacked stay under what is said here.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use starling_fake::{Enemy, Expected, Played, Scene, Sum, Victim, raw};

/// The job: some thirty tasks.
const SEGMENTS: u32 = 16;
const SIZE_BYTES: u32 = 16 << 10;
const PACE: Duration = Duration::from_millis(20);

/// How many enemies there are at a time, with as many keys as they come and go with.
const COUNT: u64 = 8;
const KEYS: u64 = 32;

/// How long the job may take: a few seconds by itself on a machine that tests on all cores, and what the longest wait for an
/// enemy takes, which is a lease that expires in silence or a result that stops coming.
const TIME_MAX: Duration = Duration::from_secs(60);

/// The memory of who is attacked: what it takes by itself, and what all that is unread of these enemies may take.
const MEMORY_BYTES_MAX: u64 = 160 << 20;

/// The lines that it logs: what a person wants to know of a run, what peers may cause at once, and so many in each second that
/// it is attacked (`starling_net::Quota`).
const LOG_LINES_MAX: usize = 150 + 600;
const LOG_LINES_PER_SECOND_MAX: usize = 20;

/// The leases that the enemies are granted together: a few for each key before the first pause, and then fewer and fewer. Failed
/// leases of one task would otherwise come back as fast as the wire lets them.
const LEASES_MAX: u64 = 40 * KEYS;

/// The bytes that are taken of them unasked, on each of their connections: what [`starling_net::limits`] lets wait unread, and
/// what is on its way.
const UNASKED_BYTES_MAX: u64 = 2 * starling_net::limits::UNREAD_BYTES_MAX as u64;

fn scene<'a>(programs: &'a Path, victim: Victim, behaviour: &'a str) -> Scene<'a> {
    let enemy = Some(Enemy { behaviour, count: COUNT, keys: KEYS });
    Scene { programs, victim, enemy, segments: SEGMENTS, size_bytes: SIZE_BYTES, pace: PACE }
}

/// The folder with the programs.
fn programs() -> &'static Path {
    let _ = (env!("CARGO_BIN_EXE_starling-fake-client"), env!("CARGO_BIN_EXE_starling-fake-node"));
    let _ = env!("CARGO_BIN_EXE_starling-fake-prover");
    Path::new(env!("CARGO_BIN_EXE_starling-hostile")).parent().unwrap()
}

/// What the job must deliver.
fn expected() -> Sum {
    let of = |range: std::ops::Range<u32>| {
        let raw: Vec<_> = range.map(|index| raw(index, SIZE_BYTES)).collect();
        Expected::of(raw.iter().map(Vec::as_slice)).whole().unwrap()
    };
    // One keccak request for every eight segments.
    of(0..SEGMENTS).joined(of(SEGMENTS..SEGMENTS + SEGMENTS / 8)).unwrap()
}

/// Holds the machine for one scene: what one enemy costs is not to be another's success.
static MACHINE: Mutex<()> = Mutex::new(());

/// The honest peer finishes, and who was attacked has stayed within its bounds.
fn holds(victim: Victim, behaviour: &str) -> Played {
    let _machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let played = scene(programs(), victim, behaviour).play().unwrap_or_else(|error| {
        panic!("{behaviour}: {error}");
    });
    println!("{behaviour}, {victim:?}: {played:?}");
    assert_eq!(played.delivered, [expected()]);
    assert!(played.took < TIME_MAX, "{:?}", played.took);
    let memory = played.memory_peak_bytes;
    assert!((1..MEMORY_BYTES_MAX).contains(&memory), "{memory} bytes");
    let seconds = 1 + played.watched.as_secs() as usize;
    let lines_max = LOG_LINES_MAX + LOG_LINES_PER_SECOND_MAX * seconds;
    assert!(played.log_line_count <= lines_max, "{} lines", played.log_line_count);
    let deeds = played.deeds;
    assert!(deeds.connections + deeds.messages > 0, "it has attacked");
    assert!(deeds.leases <= LEASES_MAX, "{} leases", deeds.leases);
    let bytes_max = UNASKED_BYTES_MAX * deeds.connections;
    assert!(deeds.bytes <= bytes_max, "{} bytes", deeds.bytes);
    played
}

/// Each behaviour, and whom it attacks.
macro_rules! enemies {
    ($($(#[$attribute:meta])* $name:ident: $behaviour:literal, $victim:ident;)*) => {
        /// The behaviours that a test here tries.
        const TRIED: &[&str] = &[$($behaviour),*];
        $(#[test]
        $(#[$attribute])*
        fn $name() {
            holds(Victim::$victim, $behaviour);
        })*
    };
}

enemies! {
    a_client_holds_no_streams_that_it_did_not_ask_for: "opens-uni", Client;
    a_client_waits_for_nobody_who_says_nothing: "silent-hello", Client;
    a_client_throws_out_who_sends_no_messages: "garbage", Client;
    a_client_serves_others_beside_slow_readers: "slow-reader", Client;
    a_client_does_without_nodes_that_never_ask: "never-asks", Client;
    a_client_is_not_kept_busy_by_comings_and_goings: "reconnect-flood", Client;
    a_client_gives_dropped_leases_to_others: "drop-lease", Client;
    a_client_is_not_fooled_by_late_results: "late-results", Client;
    a_client_grants_little_to_who_declines: "decline-all", Client;
    a_client_backs_up_what_stalls: "stalls", Client;
    a_client_logs_little_of_failures: "failed-flood", Client;
    a_client_does_not_blame_itself_without_end: "blame-flood", Client;
    a_client_goes_on_without_results_that_there_are_not: "absent-blob", Client;
    a_client_takes_no_other_bytes: "wrong-blob", Client;
    a_client_is_not_held_up_by_promises: "huge-claim", Client;
    a_client_is_not_held_up_by_drops: "drip-feed", Client;
    a_node_hears_of_honest_clients_among_false_ones: "fake-ads", Node;
    a_node_leaves_clients_without_work: "grant-nothing", Node;
    a_node_leaves_clients_whose_inputs_nobody_has: "withhold-inputs", Node;
    a_node_holds_no_streams_that_it_did_not_ask_for: "opens-uni", Node;
    a_node_waits_for_nobody_who_says_nothing: "silent-hello", Node;
    a_node_throws_out_who_sends_no_messages: "garbage", Node;
}

#[test]
fn every_behaviour_is_tried() {
    let listed = Command::new(env!("CARGO_BIN_EXE_starling-hostile")).arg("list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let listed: BTreeSet<&str> = listed.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(listed, TRIED.iter().copied().collect());
}
