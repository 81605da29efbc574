//! Guests that do what the machine does not do, and guests that run into their limit.

use super::*;
use crate::{GuestFault, machine::Cause};

/// Where a tiny guest's code begins, and its first instruction after counting down.
const FIRST: u32 = 0x0020_0800 + 4 * 4;

fn fault(instructions: &[u32]) -> GuestFault {
    let guest = tiny(Tiny::doing(1, instructions).end(End::Halted(0)));
    let mut segments = 0;
    let count = |_| {
        segments += 1;
        Ok(())
    };
    let error = execute(&guest, options(&[], 16), count, &AtomicBool::new(false)).unwrap_err();
    assert_eq!(segments, 0, "nothing leaves that cannot be proved: {error}");
    let ExecuteError::Faulted(fault) = error else { panic!("{error}") };
    fault
}

#[test]
fn what_the_machine_does_not_do_is_named_with_its_address() {
    // `li t0, 1` and `addi t0, t0, 1`: odd addresses.
    let odd = 0x0010_0293;
    let cases: [(&[u32], u32, Cause, &str); 9] = [
        (&[0x0010_0073], 0, Cause::Breakpoint, "must not get to"),
        (&[0x0000_0053], 0, Cause::Illegal { word: 0x53 }, "floating point"),
        (&[0x0000_4501], 0, Cause::Illegal { word: 0x4501 }, "compressed"),
        (&[0xc000_1073], 0, Cause::Illegal { word: 0xc000_1073 }, "abort"),
        // `lw t1, 0(zero)`, `sw t1, 4(zero)`
        (&[0x0000_2303], 0, Cause::LoadOutside { address: 0 }, "null pointer"),
        (&[0x0060_2223], 0, Cause::StoreOutside { address: 4 }, "null pointer"),
        // `lui t0, 0x10000`, `addi t0, t0, 1`, `lw t1, 0(t0)`
        (
            &[0x1000_02b7, 0x0012_8293, 0x0002_a303],
            2,
            Cause::LoadMisaligned { address: 0x1000_0001 },
            "aligned",
        ),
        // A `ret` whose funct3 is 1: it would run, and no segment of it could be proved.
        (&[odd, 0x0000_9067], 1, Cause::Illegal { word: 0x9067 }, "must be clear to be proved"),
        // `li t0, 7`, `ecall`: a call that the kernel has the machine answer.
        (&[0x0070_0293, 0x0000_0073], 1, Cause::Poseidon2, "different memory"),
    ];
    for (instructions, at, cause, meaning) in cases {
        let fault = fault(instructions);
        assert_eq!(fault.fault.pc, FIRST + 4 * at, "{fault}");
        assert_eq!(fault.fault.cause, cause, "{fault}");
        assert!(fault.meaning.is_some_and(|known| known.contains(meaning)), "{fault}");
    }
    // `jr zero`
    let jump = fault(&[0x0000_0067]);
    assert_eq!((jump.fault.pc, jump.fault.cause), (0, Cause::Outside));
    assert!(jump.to_string().contains("null function pointer"), "{jump}");
}

#[test]
fn a_stack_that_is_used_up_is_called_so() {
    // Down from the lowest address: `lui sp, 0x10`, then `addi sp, sp, -16` and `sw ra, 12(sp)`.
    let fault = fault(&[0x0001_0137, 0xff01_0113, 0x0011_2623]);
    assert_eq!(fault.fault.cause, Cause::StoreOutside { address: 0xfffc });
    assert!(fault.to_string().contains("its stack is used up"), "{fault}");
}

#[test]
fn a_limit_lets_as_many_user_cycles_pass_as_it_says_and_not_one_more() {
    let with = |cycle_limit| {
        let options = ExecuteOptions { cycle_limit, ..options(&1_u32.to_le_bytes(), PO2) };
        run(&guest("sha-chain.bin"), options).map(|(execution, _)| execution.user_cycles)
    };
    let needed = with(None).unwrap();
    assert_eq!(with(Some(needed)).unwrap(), needed);
    for limit in [needed - 1, needed - 2, 1, 0] {
        let error = with(Some(limit)).unwrap_err();
        assert!(matches!(error, ExecuteError::CycleLimit { .. }), "{limit}: {error}");
        let text = format!("the guest did not end within {limit} user cycles");
        assert_eq!(error.to_string(), text);
    }
}
