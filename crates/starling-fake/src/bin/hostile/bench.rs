//! What each behaviour costs a job: `starling-hostile bench [--rounds N] [BEHAVIOUR ...]`. The same job is played without the enemy
//! and with it, one after the other; of several rounds the median counts.

use std::{path::Path, time::Duration};

use starling_fake::{Enemy, Scene, Victim};

use crate::{
    Result,
    behaviour::{Behaviour, Part},
};

/// The job: some hundred and fifty tasks, so that it takes some seconds beside which a connection counts for little.
const SEGMENTS: u32 = 64;
const SIZE_BYTES: u32 = 16 << 10;
const PACE: Duration = Duration::from_millis(50);

/// How many enemies there are at a time, and how many keys they have.
const COUNT: u64 = 8;
const KEYS: u64 = 64;

/// How many times as long as without an enemy a job may take.
const RATIO_MAX: f64 = 1.5;

pub(crate) async fn run(mut words: impl Iterator<Item = String>) -> Result<()> {
    let (mut rounds, mut names) = (3, Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => rounds = words.next().ok_or("--rounds without a value")?.parse()?,
            _ => names.push(word.parse::<Behaviour>()?),
        }
    }
    if names.is_empty() {
        names = Behaviour::ALL.to_vec();
    }
    let program = std::env::current_exe()?;
    let programs = program.parent().unwrap_or(Path::new(".")).to_owned();
    let measured = tokio::task::spawn_blocking(move || measure(&programs, &names, rounds));
    measured.await?
}

fn measure(programs: &Path, names: &[Behaviour], rounds: usize) -> Result<()> {
    println!("| behaviour | without | with | ratio | memory | log lines |");
    println!("|---|---|---|---|---|---|");
    let mut too_slow = Vec::new();
    for behaviour in names {
        let name = behaviour.to_string();
        let is_for_nodes = matches!(behaviour.part(), Part::Gossip | Part::Client(_));
        let victim = if is_for_nodes { Victim::Node } else { Victim::Client };
        let enemy = Enemy { behaviour: &name, count: COUNT, keys: KEYS };
        let scene = |enemy| Scene {
            programs,
            victim,
            enemy,
            segments: SEGMENTS,
            size_bytes: SIZE_BYTES,
            pace: PACE,
        };
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        let (mut memory, mut lines) = (0, 0);
        for _ in 0..rounds {
            alone.push(scene(None).play()?.took);
            let played = scene(Some(enemy)).play()?;
            beside.push(played.took);
            memory = memory.max(played.memory_peak_bytes);
            lines = lines.max(played.log_line_count);
        }
        let (without, with) = (median(&mut alone), median(&mut beside));
        let ratio = with / without;
        let megabytes = memory as f64 / 1e6;
        println!(
            "| {name} | {without:.1} s | {with:.1} s | {ratio:.2} | {megabytes:.0} MB | {lines} |"
        );
        if ratio > RATIO_MAX {
            too_slow.push(name);
        }
    }
    if too_slow.is_empty() {
        return Ok(());
    }
    Err(format!("more than {RATIO_MAX} times as long: {}", too_slow.join(", ")).into())
}

/// In seconds.
fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}
