//! `starling doctor`: whether this machine can prove, what it has, and how fast it is.

use std::{net::UdpSocket, path::Path, time::Duration};

use rand::Rng as _;
use serde_json::json;
use starling_child::{ProverProcess, SandboxPolicy};
use starling_cost::{CostModel, Costs};
use starling_store::{DataDir, DiskBudget};
use starling_types::{Po2, TaskKind};
use starling_zkvm::{Backend, ZKVM_VERSION, backend, groth16, selftest::self_test};

use crate::{
    args::{Common, DoctorArgs},
    capacity::Capacity,
    commands::node::prover_config,
    exit::{Code, CommandResult, Exit},
    files,
    machine::{self, Memory},
    output::{Fields, print},
    terminal, yardstick,
};

/// The segment size of the self-test: the smallest that lifts.
const SELF_TEST_PO2: u32 = starling_zkvm::SEGMENT_PO2_MIN;

/// A machine that takes longer than this for the smallest proof is of no use to a network.
const SELF_TEST_DEADLINE: Duration = Duration::from_secs(1800);

/// Hashes in the self-test's chain: a fraction of one segment.
const SELF_TEST_LINKS: u32 = 2;

pub async fn run(common: &Common, args: &DoctorArgs) -> CommandResult {
    let mut problems: Vec<String> = Vec::new();
    let mut fields: Fields = vec![
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("zkvm", json!(format!("risc0-zkvm {ZKVM_VERSION}"))),
        ("cpu", json!(format!("{} cores, {}", machine::cores(), std::env::consts::ARCH))),
        ("vectors", json!(backend::vectors().collect::<Vec<_>>().join(", "))),
        ("vectors_used", json!(backend::vectors_used())),
    ];
    memory(&mut fields, &mut problems);
    disk(&mut fields, &mut problems, &files::data_dir(common)?);
    ports(&mut fields, &mut problems);
    fields.push((
        "groth16",
        json!(
            groth16::check_support()
                .map_or_else(|error| error.to_string(), |()| "available".into())
        ),
    ));
    if !args.quick {
        self_proof(&mut fields, &mut problems).await?;
    }
    let is_healthy = problems.is_empty();
    let told = problems.join("; ");
    fields.push(match common.json {
        true => ("problems", json!(problems)),
        false => ("problems", json!(if is_healthy { "none" } else { &told })),
    });
    if is_healthy {
        return print(common, fields);
    }
    let text = format!("this machine can't take part: {told}");
    let exit = Exit::message(Code::Failed, text);
    if common.json {
        fields.push(("error", exit.object()));
    }
    print(common, fields)?;
    Err(exit.told())
}

fn memory(fields: &mut Fields, problems: &mut Vec<String>) {
    let Memory { for_proving: usable, bound } = Memory::here();
    let capacity = Capacity::of(usable);
    fields.push(("memory_for_proving", json!(usable.to_string())));
    fields.push(("memory_bound", json!(bound.to_string())));
    fields.push(("largest_po2", json!(capacity.largest_po2)));
    fields.push(("largest_po2_usual", json!(capacity.largest_po2_usual)));
    fields.push(("capacity", json!(capacity.to_string())));
    if capacity.joins.is_none() {
        let need = CostModel::ADMISSION.memory(TaskKind::Join, None);
        problems.push(format!(
            "{usable} of memory is usable ({bound}), the smallest task needs {need}"
        ));
    }
}

fn disk(fields: &mut Fields, problems: &mut Vec<String>, dir: &Path) {
    let existing = dir.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    fields.push(("data_dir", json!(dir.display().to_string())));
    if let Err(error) = tempfile::tempfile_in(existing) {
        problems.push(format!("can't write to {}: {error}", existing.display()));
    }
    let free = machine::free_space(existing);
    fields.push(("disk_free_mib", json!(free.map(|free| free >> 20))));
    fields.push(("data_dir_disk", json!(DataDir::disk_fault(dir).unwrap_or("local".into()))));
    let least = DiskBudget::up_to(0).min_free_bytes;
    if free.is_some_and(|free| free < least) {
        problems.push(format!(
            "only {} MiB are free in {}: Starling stores nothing while less than {} MiB are free",
            free.unwrap_or_default() >> 20,
            existing.display(),
            least >> 20
        ));
    }
}

fn ports(fields: &mut Fields, problems: &mut Vec<String>) {
    match UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| socket.local_addr()) {
        Ok(_) => fields.push(("udp", json!("ports can be bound"))),
        Err(error) => problems.push(format!("no UDP port can be bound: {error}")),
    }
}

async fn self_proof(fields: &mut Fields, problems: &mut Vec<String>) -> CommandResult {
    terminal::say(
        "proving a tiny guest, which takes some seconds, or a minute on a slow machine...",
    );
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    let po2 = Po2::try_from(SELF_TEST_PO2).map_err(Exit::usage)?;
    let options = yardstick::execute_options(SELF_TEST_LINKS, po2, seed);
    let mut prover =
        ProverProcess::new(prover_config(None, Backend::default(), SandboxPolicy::Try)?);
    let folder = tempfile::tempdir()?;
    let memory = machine::memory_for_proving();
    let profile = Costs::FAST.profile_for(memory, TaskKind::Lift, Some(po2));
    let guest = yardstick::guest()?;
    let deadline = SELF_TEST_DEADLINE;
    match self_test(guest, options, &mut prover, profile, folder.path(), deadline).await {
        Ok(test) => {
            let work_ms = CostModel::ADMISSION.work_ms(TaskKind::Lift, Some(test.po2)).0;
            let taken_ms = (test.prove_ms + test.lift_ms).max(1);
            fields.push((
                "self_proof",
                json!(format!(
                    "verified: po2 {} proved in {:.1} s, lifted in {:.1} s, profile {profile}",
                    test.po2,
                    test.prove_ms as f64 / 1000.0,
                    test.lift_ms as f64 / 1000.0,
                )),
            ));
            fields.push((
                "self_proof_peak_memory",
                json!(test.peak_memory.map(|peak| peak.to_string())),
            ));
            fields.push(("speed_permille_of_reference_core", json!(work_ms * 1000 / taken_ms)));
        }
        Err(error) => problems.push(error.to_string()),
    }
    if let Some(sandbox) = prover.sandbox() {
        fields.push(("sandbox", json!(sandbox.to_string())));
    }
    Ok(())
}
