#![allow(clippy::unwrap_used)]

use std::{
    cell::RefCell,
    io::{self, Cursor, Read, Write},
    rc::Rc,
};

use risc0_zkvm_platform::syscall::SyscallName;

use super::*;

/// A guest's memory: `bytes` at [`AT`], and zeros up to the end. Counts the pages that are looked at.
struct Memory {
    registers: [u32; 32],
    bytes: Vec<u8>,
    pages_read: usize,
}

const AT: u32 = 0x20_0400;

impl Memory {
    fn new(bytes: &[u8], registers: [u32; 3]) -> Self {
        let mut all = [0; 32];
        for (register, value) in [REG_A3, REG_A4, REG_A5].into_iter().zip(registers) {
            all[register] = value;
        }
        Self { registers: all, bytes: bytes.to_vec(), pages_read: 0 }
    }
}

impl SyscallContext for Memory {
    fn peek_register(&mut self, idx: usize) -> Result<u32> {
        Ok(self.registers[idx])
    }

    fn peek_u32(&mut self, _: ByteAddr) -> Result<u32> {
        bail!("no call reads words")
    }

    fn peek_u8(&mut self, addr: ByteAddr) -> Result<u8> {
        let at = addr.0.checked_sub(AT);
        Ok(at.and_then(|at| self.bytes.get(at as usize)).copied().unwrap_or_default())
    }

    fn peek_region(&mut self, addr: ByteAddr, size: usize) -> Result<Vec<u8>> {
        (0..size as u32).map(|at| self.peek_u8(addr + at)).collect()
    }

    fn read_region(&mut self, addr: ByteAddr, size: usize) -> Result<impl Read> {
        Ok(Cursor::new(self.peek_region(addr, size)?))
    }

    fn peek_page(&mut self, page: u32) -> Result<Vec<u8>> {
        self.pages_read += 1;
        self.peek_region(ByteAddr(page * 1024), 1024)
    }

    fn get_cycle(&self) -> u64 {
        (3 << 32) | 5
    }

    fn get_pc(&self) -> u32 {
        0
    }
}

struct Never;

impl Stop for Never {
    fn is_stopped(&self) -> bool {
        false
    }
}

struct Always;

impl Stop for Always {
    fn is_stopped(&self) -> bool {
        true
    }
}

/// A sink with room for so many bytes.
#[derive(Clone)]
struct Room(Rc<RefCell<Vec<u8>>>, usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Room {
    fn is_full(&self) -> bool {
        self.0.borrow().len() >= self.1
    }
}

fn calls(room: &Room) -> Calls<'static> {
    let mut files = Files::default();
    files.add_reader(fileno::STDIN, Box::new(Cursor::new(b"0123456789".to_vec())));
    files.add_writer(fileno::STDOUT, Box::new(room.clone()));
    Calls::new(Resources {
        args: vec!["zero".into(), "x".repeat(TEXT_BYTES_END)],
        env: BTreeMap::from([("NAME".into(), "value".into())]),
        files,
        keccak_po2: 14,
        on_keccak: Box::new(|_| Ok(())),
        channels: vec!["echo".into()],
        on_channel: Box::new(|_, sent| Ok([&sent[..], b"!"].concat())),
    })
}

fn room(bytes: usize) -> Room {
    Room(Rc::default(), bytes)
}

/// Makes one call; the registers and the words that the guest gets.
fn call(
    calls: &mut Calls<'_>,
    name: SyscallName,
    memory: &mut Memory,
    words: usize,
) -> Result<(Registers, Vec<u8>)> {
    let mut to_guest = vec![0; words * WORD_SIZE];
    let registers = calls.answer(name.as_str(), memory, &Never, &mut to_guest)?;
    Ok((registers, to_guest))
}

#[test]
fn a_read_fills_words_and_the_rest_of_one() {
    let mut calls = calls(&room(0));
    let mut read = |wanted, words| {
        call(&mut calls, SYS_READ, &mut Memory::new(b"", [0, wanted, 0]), words).unwrap()
    };
    assert_eq!(read(7, 1), ([7, u32::from_le_bytes(*b"456\0")], b"0123".to_vec()));
    // The end: what is not there is zero.
    assert_eq!(read(8, 2), ([3, 0], b"789\0\0\0\0\0".to_vec()));
    assert_eq!(read(8, 2), ([0, 0], vec![0; 8]));
}

#[test]
fn a_read_of_less_than_its_buffer_or_of_no_file_is_an_error() {
    let mut calls = calls(&room(0));
    let mut error = |registers| {
        call(&mut calls, SYS_READ, &mut Memory::new(b"", registers), 2).unwrap_err().to_string()
    };
    assert!(error([0, 7, 0]).contains("7 bytes into a buffer of 8"));
    assert!(error([9, 8, 0]).contains("bad read file descriptor 9"));
}

#[test]
fn a_sink_that_is_full_costs_no_reading() {
    let room = room(100 << 10);
    let mut calls = calls(&room);
    let mut memory = Memory::new(b"", [1, AT, 0xb000_0000]);
    call(&mut calls, SYS_WRITE, &mut memory, 0).unwrap();
    // Two chunks fill it.
    assert_eq!((room.0.borrow().len(), memory.pages_read), (128 << 10, 128));
    call(&mut calls, SYS_WRITE, &mut memory, 0).unwrap();
    assert_eq!(memory.pages_read, 128);
    let mut memory = Memory::new(b"", [AT, 0xb000_0000, 0]);
    call(&mut calls, SYS_LOG, &mut memory, 0).unwrap();
    assert_eq!(memory.pages_read, 0);
}

#[test]
fn a_region_that_leaves_the_memory_is_an_error() {
    let mut calls = calls(&room(usize::MAX));
    let mut memory = Memory::new(b"", [1, AT, u32::MAX]);
    let error = call(&mut calls, SYS_WRITE, &mut memory, 0).unwrap_err();
    assert!(error.to_string().contains("leave its memory"), "{error}");
}

#[test]
fn a_stopped_execution_ends_in_the_middle_of_a_call() {
    let mut calls = calls(&room(usize::MAX));
    let mut memory = Memory::new(b"", [1, AT, 1 << 30]);
    let error = calls.answer(SYS_WRITE.as_str(), &mut memory, &Always, &mut []).unwrap_err();
    assert_eq!((error.to_string().as_str(), memory.pages_read), ("execution stopped", 0));
}

#[test]
fn a_log_line_says_its_cycle() {
    let room = room(usize::MAX);
    let mut memory = Memory::new(b"hello", [AT, 5, 0]);
    call(&mut calls(&room), SYS_LOG, &mut memory, 0).unwrap();
    assert_eq!(*room.0.borrow(), b"R0VM[12884901893] hello\n");
}

#[test]
fn a_panic_is_quoted_whatever_its_message_is() {
    let panic = |bytes: &[u8], len: usize| {
        let mut memory = Memory::new(bytes, [AT, len as u32, 0]);
        call(&mut calls(&room(0)), SYS_PANIC, &mut memory, 0).unwrap_err().to_string()
    };
    assert_eq!(panic(b"no luck", 7), "Guest panicked: no luck");
    // Cut in the middle of a character.
    let long = format!("x{}", "é".repeat(600_000));
    let shown = panic(long.as_bytes(), long.len());
    assert!(shown.contains("(with a message of 1200001 bytes, which begins) xé"), "{shown:.200}");
    assert!(panic(b"\x1b[2J\xff", 5).ends_with("\u{fffd}[2J\u{fffd}"));
    assert!(panic(b"", 0xf000_0000).len() < 4 << 20);
}

#[test]
fn texts_are_given_as_far_as_there_is_room() {
    let mut calls = calls(&room(0));
    let mut argument =
        |index, words| call(&mut calls, SYS_ARGV, &mut Memory::new(b"", [index, 0, 0]), words);
    assert_eq!(argument(0, 0).unwrap(), ([4, 0], vec![]));
    assert_eq!(argument(0, 2).unwrap(), ([4, 0], b"zero\0\0\0\0".to_vec()));
    assert!(argument(1, 0).unwrap_err().to_string().contains("has 1024 bytes"));
    assert!(argument(2, 0).unwrap_err().to_string().contains("argument 2 of 2"));
    let mut variable = |name: &[u8]| {
        call(&mut calls, SYS_GETENV, &mut Memory::new(name, [AT, name.len() as u32, 0]), 1)
    };
    assert_eq!(variable(b"NAME").unwrap(), ([5, 0], b"valu".to_vec()));
    assert_eq!(variable(b"OTHER").unwrap(), ([u32::MAX, 0], vec![0; 4]));
    assert!(variable(&[b'x'; 1025]).is_err());
    assert!(variable(b"\xff").is_err());
}

#[test]
fn both_ends_of_a_pipe_are_one_descriptor() {
    let mut calls = calls(&room(0));
    let mut memory = Memory::new(b"piped", [0; 3]);
    let (_, ends) = call(&mut calls, SYS_PIPE, &mut memory, 2).unwrap();
    assert_eq!(ends, [2, 0, 0, 0, 2, 0, 0, 0]);
    call(&mut calls, SYS_WRITE, &mut Memory::new(b"piped", [2, AT, 5]), 0).unwrap();
    let read = call(&mut calls, SYS_READ, &mut Memory::new(b"", [2, 8, 0]), 2).unwrap();
    assert_eq!(read, ([5, 0], b"piped\0\0\0".to_vec()));
    let error = call(&mut calls, SYS_WRITE, &mut Memory::new(b"", [2, AT, 0x7000_0000]), 0);
    assert!(error.unwrap_err().to_string().contains("pipes hold more"));
    let pipes = (0..FDS).take_while(|_| call(&mut calls, SYS_PIPE, &mut memory, 2).is_ok());
    // Standard input, standard output, and the first pipe.
    assert_eq!(pipes.count(), 1000 - 3);
}

/// More descriptors than there are.
const FDS: u32 = 2000;

#[test]
fn a_channel_answers_in_two_steps() {
    let mut calls = calls(&room(0));
    let mut memory = Memory::new(b"hello", [AT, 5, 0]);
    let mut echo = |words: usize| {
        let mut to_guest = vec![0; words * WORD_SIZE];
        let registers = calls.answer("echo", &mut memory, &Never, &mut to_guest).unwrap();
        (registers[0], to_guest)
    };
    assert_eq!(echo(0), (6, vec![]));
    assert_eq!(echo(1), (4, b"hell".to_vec()));
    assert_eq!(echo(1), (2, b"o!\0\0".to_vec()));
    assert_eq!(echo(0), (6, vec![]));
}

#[test]
fn calls_that_nobody_answers_are_named() {
    let mut memory = Memory::new(b"", [0; 3]);
    let error = calls(&room(0)).answer("sys_fork", &mut memory, &Never, &mut []).unwrap_err();
    assert_eq!(error.to_string(), "Unknown syscall: \"sys_fork\"");
    let count = call(&mut calls(&room(0)), SYS_CYCLE_COUNT, &mut memory, 0).unwrap();
    assert_eq!(count.0, [3, 5]);
    assert!(call(&mut calls(&room(0)), SYS_ARGC, &mut memory, 1).is_err());
}
