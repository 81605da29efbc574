//! Ten thousand segments: what one event costs must not grow with them.
#![allow(clippy::unwrap_used)]

mod world;

use starling_job::End;
use world::*;

/// Seconds that a job of so many segments takes, over its events; it is run by 200 nodes.
#[allow(clippy::disallowed_types, clippy::disallowed_methods)]
fn nanos_per_event(count: u32) -> u128 {
    let mut world = World::new(Segments::new(count)).with(&[Habit::Honest; 200]);
    world.keeps_disks = false;
    world.begin();
    let started = std::time::Instant::now();
    world.go_on_until(|_| false);
    let elapsed = started.elapsed();
    assert!(
        matches!(&world.end, Some(End::Proved(outcome)) if *outcome == proved(count)),
        "{:?}",
        world.end
    );
    assert_eq!(world.accepted_count(), 2 * count as usize - 1);
    elapsed.as_nanos() / world.event_count as u128
}

#[test]
fn an_event_of_a_job_of_ten_thousand_segments_costs_about_what_one_of_a_thousand_does() {
    let small = nanos_per_event(1_000).min(nanos_per_event(1_000));
    let large = nanos_per_event(10_000);
    // Ten times would be linear; caches and logarithms make it less than twice on a quiet machine.
    assert!(large < 5 * small, "{small} ns an event of 1,000 segments, {large} of 10,000");
}
