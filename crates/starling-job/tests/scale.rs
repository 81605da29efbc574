//! Ten thousand of everything: what one event costs must not grow with them.
#![allow(clippy::unwrap_used)]

mod world;

use starling_job::{End, Event, Script as _};
use world::*;

/// Nanoseconds that an event takes until `stop`, once the world has begun.
#[allow(clippy::disallowed_types, clippy::disallowed_methods)]
fn nanos_per_event<S: Fake>(world: &mut World<S>, stop: impl Fn(&World<S>) -> bool) -> u128 {
    let (started, before) = (std::time::Instant::now(), world.event_count);
    world.go_on_until(stop);
    started.elapsed().as_nanos() / (world.event_count - before) as u128
}

/// A job that is run by 200 nodes.
fn begun<S: Fake>(script: S) -> World<S> {
    let mut world = World::new(script).with(&[Habit::Honest; 200]);
    world.keeps_disks = false;
    world.begin();
    world
}

/// That an event of a job of ten thousand costs about what one of a thousand does. Ten times would be linear; caches and
/// logarithms make it less than twice on a quiet machine.
fn assert_flat(what: &str, nanos_for: impl Fn(u32) -> u128) {
    let small = nanos_for(1_000).min(nanos_for(1_000));
    let large = nanos_for(10_000);
    assert!(large < 5 * small, "{small} ns an event of 1,000 {what}, {large} of 10,000");
}

#[test]
fn an_event_of_a_job_of_ten_thousand_segments_costs_about_what_one_of_a_thousand_does() {
    assert_flat("segments", |count| {
        let mut world = begun(Segments::new(count));
        let nanos = nanos_per_event(&mut world, |_| false);
        assert!(
            matches!(&world.end, Some(End::Proved(outcome)) if *outcome == proved(count)),
            "{:?}",
            world.end
        );
        assert_eq!(world.accepted_count(), 2 * count as usize - 1);
        nanos
    });
}

/// Each result counts for now, and they are judged four at a time, far more slowly than they come.
#[test]
fn an_event_of_ten_thousand_wide_merges_costs_about_what_one_of_a_thousand_does() {
    assert_flat("leaves", |count| {
        let mut world = begun(Merges(count));
        let nanos = nanos_per_event(&mut world, |_| false);
        assert!(matches!(world.end, Some(End::Proved(_))), "{:?}", world.end);
        nanos
    });
}

/// A chain of resolves is as long as the list: what each costs is seen in its first part.
#[test]
fn a_resolve_of_sixteen_thousand_assumptions_costs_about_what_one_of_a_thousand_does() {
    const RESOLVED: usize = 900;
    let nanos_for = |assumed_count| {
        let mut world = begun(Segments::assuming(2, assumed_count));
        // What is looked at once, at the beginning and the execution's end, is as long as the list.
        world.go_on_until(|world| world.accepted_count() > 10);
        nanos_per_event(&mut world, |world| world.accepted_count() > RESOLVED)
    };
    let (small, large) = (nanos_for(1_024).min(nanos_for(1_024)), nanos_for(16_384));
    assert!(large < 5 * small, "{small} ns an event of 1,024 assumptions, {large} of 16,384");
}

#[test]
fn one_of_ten_thousand_lost_blobs_costs_about_what_one_of_a_thousand_does() {
    assert_flat("lost blobs", |count| {
        // One node is at work, so that nobody's patience ends, and gets nothing done.
        let mut world = World::new(Segments::new(count)).with(&[Habit::Endless]);
        world.keeps_disks = false;
        world.begin();
        world.go_on_until(|world| !world.core.state().needs_source());
        let blobs: Vec<_> = (0..count).map(|index| made_here(0, index)).collect();
        blobs.iter().for_each(|blob| world.lose(*blob));
        let gone = blobs.iter().map(|blob| blob.reference).collect();
        #[allow(clippy::disallowed_types, clippy::disallowed_methods)]
        let started = std::time::Instant::now();
        world.tell(Event::Looked { blobs, gone, pins: vec![] });
        world.go_on_until(|world| world.disk.contains(&made_here(0, count - 1).reference));
        assert_eq!(world.source_runs, 2);
        started.elapsed().as_nanos() / u128::from(count)
    });
}
