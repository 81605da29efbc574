//! Guests that take something for true: claims of receipts, and results of keccak.

use risc0_circuit_keccak::KECCAK_CONTROL_ROOT;
use risc0_zkvm::ReceiptClaim;

use super::*;
use crate::{OutputParts, codec::decode_keccak_request, leaf::keccak_claim};

#[test]
fn what_a_guest_assumes_is_in_its_output_the_last_first() {
    let claims = [digest(5), digest(6)];
    let guest = tiny(
        Tiny::counting(1)
            .verify(claims[0], Digest::ZERO)
            .verify(claims[1], Digest::ZERO)
            .verify(claims[0], Digest::ZERO)
            .end(End::Halted(0)),
    );
    let given = claims.map(AssumptionId::of_receipt).to_vec();
    let options = ExecuteOptions { assumptions: given, ..options(&[], 16) };
    let (execution, segments) = run(&guest, options).unwrap();
    let assumed = |claim| AssumptionId { claim, control_root: Digest::ZERO };
    let expected = [claims[0], claims[1], claims[0]].map(assumed);
    assert_eq!(execution.assumptions(), expected);

    let output = output_of(&segments);
    assert!(output.journal.as_value().is_err(), "the journal is not for provers");
    assert_eq!(OutputParts::of(&output).as_ref(), execution.output.as_ref());
    assert_eq!(output.digest::<Sha256>(), execution.claim.output);
    let resolved = execution.resolved_claim();
    let stock = ReceiptClaim::ok(guest.image_id(), Vec::new());
    assert_eq!(resolved.digest(), stock.digest::<Sha256>());
}

#[test]
fn a_receipt_that_nobody_gave_is_named() {
    let guest = tiny(Tiny::counting(1).verify(digest(5), Digest::ZERO).end(End::Halted(0)));
    let error = run(&guest, options(&[], 16)).unwrap_err();
    match error {
        ExecuteError::UnknownAssumption { claim, control_root, image_id } => {
            assert_eq!((claim, control_root, image_id), (digest(5), Digest::ZERO, None));
        }
        other => panic!("{other}"),
    }
}

/// Two batches of permutations and what they claim.
fn keccak_batches() -> [Vec<[u64; 25]>; 2] {
    [vec![[1; 25], [2; 25]], vec![[3; 25]]]
}

pub(super) fn keccak_guest() -> (Guest, [AssumptionId; 2]) {
    let batches = keccak_batches();
    let ids = [0, 1].map(|at: usize| AssumptionId {
        claim: keccak_claim(&batches[at]),
        control_root: KECCAK_CONTROL_ROOT,
    });
    let mut program = Tiny::counting(1);
    for (states, id) in batches.into_iter().zip(&ids) {
        program = states.into_iter().fold(program, Tiny::permute);
        program = program.prove_keccak(id.claim, id.control_root);
    }
    let root = AssumptionId::of_union(&ids);
    let program = program.verify_keccak(root.claim, root.control_root).end(End::Halted(0));
    (tiny(program), ids)
}

pub(super) fn keccak_options() -> ExecuteOptions {
    ExecuteOptions { keccak_po2: 14, ..options(&[], 16) }
}

#[test]
fn keccak_requests_leave_in_their_order_and_are_assumed_together() {
    let (guest, ids) = keccak_guest();
    let (execution, all) = run_all(&guest, keccak_options()).unwrap();
    assert_eq!(execution.assumptions(), [ids[0].union(&ids[1])]);
    assert_eq!(all.keccaks.len(), 2);
    for (index, (out, states)) in all.keccaks.iter().zip(keccak_batches()).enumerate() {
        assert_eq!((out.index as usize, out.po2.get()), (index, 14));
        assert_eq!(out.assumption, ids[index]);
        let request = decode_keccak_request(&out.bytes).unwrap();
        assert_eq!((request.po2, request.input), (14, states));
        assert_eq!(
            (request.claim_digest, request.control_root),
            (ids[index].claim, KECCAK_CONTROL_ROOT)
        );
    }
    let again = run_all(&guest, keccak_options()).unwrap().1;
    for (one, two) in all.keccaks.iter().zip(&again.keccaks) {
        assert_eq!(one.bytes, two.bytes);
    }
    for (one, two) in all.segments.iter().zip(&again.segments) {
        assert_eq!(one.bytes, two.bytes);
    }
}

#[test]
fn a_keccak_request_for_something_else_ends_the_execution() {
    let (_, ids) = keccak_guest();
    let others = [(digest(9), KECCAK_CONTROL_ROOT), (ids[1].claim, digest(9))];
    for (claim, control_root) in others {
        let program = Tiny::counting(1).permute([3; 25]).prove_keccak(claim, control_root);
        let error = run_all(&tiny(program.end(End::Halted(0))), keccak_options()).unwrap_err();
        assert!(error.to_string().contains("something else than it hashed"), "{error}");
    }
}

#[test]
fn a_keccak_request_for_nothing_ends_the_execution() {
    let program = Tiny::counting(1).prove_keccak(digest(9), KECCAK_CONTROL_ROOT);
    let error = run_all(&tiny(program.end(End::Halted(0))), keccak_options()).unwrap_err();
    assert!(error.to_string().contains("a keccak proof of nothing"), "{error}");
}

#[test]
fn keccak_results_that_no_request_proves_are_an_unknown_assumption() {
    let root = AssumptionId::of_receipt(digest(5));
    let program = Tiny::counting(1).verify_keccak(root.claim, root.control_root);
    let error = run_all(&tiny(program.end(End::Halted(0))), keccak_options()).unwrap_err();
    assert!(matches!(error, ExecuteError::UnknownAssumption { .. }), "{error}");
}

#[test]
fn a_failing_sink_stops_at_a_keccak_request_too() {
    let (guest, _) = keccak_guest();
    let sink = |_| Err("the disk is full".into());
    let error = execute(&guest, keccak_options(), sink, &AtomicBool::new(false)).unwrap_err();
    assert_eq!(error.to_string(), "can't hand on a part of the execution: the disk is full");
}

#[test]
fn a_keccak_po2_without_a_circuit_is_refused() {
    let options = ExecuteOptions { keccak_po2: 13, ..options(&[], 16) };
    let error = run(&halting_guest(), options).unwrap_err();
    assert!(error.to_string().contains("keccak proofs have po2 14 to 18, not 13"), "{error}");
}

/// The input of `compose` for one receipt.
fn compose_input(image_id: Digest, journal: &[u8]) -> Vec<u8> {
    let sizes = [1, journal.len() as u32].map(u32::to_le_bytes);
    [&sizes[0][..], image_id.as_bytes(), &sizes[1], journal].concat()
}

#[test]
fn the_program_of_a_receipt_that_nobody_gave_is_named_from_the_guests_memory() {
    let (guest, image_id) = (guest("compose.bin"), digest(5));
    let input = compose_input(image_id, b"journal");
    let error = run(&guest, options(&input, PO2)).unwrap_err();
    let expected = ReceiptClaim::ok(image_id, b"journal".to_vec()).digest::<Sha256>();
    match error {
        ExecuteError::UnknownAssumption { claim, image_id: found, .. } => {
            assert_eq!((claim, found), (expected, Some(image_id)));
        }
        other => panic!("{other}"),
    }

    let assumptions = vec![AssumptionId::of_receipt(expected)];
    let options = ExecuteOptions { assumptions, ..options(&input, PO2) };
    let (execution, segments) = run(&guest, options).unwrap();
    assert_eq!(execution.assumptions()[0].proof(), AssumptionId::of_receipt(expected));
    assert_eq!(OutputParts::of(&output_of(&segments)), execution.output);
}

#[test]
fn a_guest_of_the_keccak_accelerator_asks_for_a_proof_of_each_batch() {
    let (guest, input) = (guest("keccak.bin"), 100_u32.to_le_bytes());
    let options = ExecuteOptions { keccak_po2: 14, ..options(&input, PO2) };
    let (_, all) = run_all(&guest, options).unwrap();
    let counts =
        all.keccaks.iter().map(|out| decode_keccak_request(&out.bytes).unwrap().input.len());
    assert_eq!(counts.collect::<Vec<_>>(), [81, 19]);
}
