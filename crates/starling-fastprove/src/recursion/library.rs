//! Programs that were proved lately, decoded, with their control groups.
//!
//! The control group of a program is the same in every proof of it: its evaluations and its Merkle tree are made once
//! and shared. They are large ([`Library`] says how large), so only the programs used last are kept. They are not kept
//! on disk: making one takes under a second, and reading it back with the hashing that would make it trustworthy
//! takes as long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use risc0_zkp::core::digest::Digest;

use super::code::{Code, Programs};
use super::program::{HashFn, Program, ProgramError, ProgramId, control_columns};
use super::row::CODE_COLUMNS;
use crate::stark::{Engine, Group};

/// A program that is ready to be proved with one hash function.
pub(crate) struct Ready {
    pub program: Arc<Program>,
    pub control: Arc<Group>,
}

/// The programs that were used last, most recent first.
///
/// One takes 45 MiB and 24 more for each coset of its values that is kept: the 23 control columns are 24 MiB of
/// coefficients, their tree 4, and the decoded rows up to 15.
pub(crate) struct Library {
    programs: Programs,
    kept: Mutex<Vec<(ProgramId, HashFn, Arc<Ready>)>>,
    kept_max: usize,
}

impl Library {
    /// A library that takes programs from `programs` and keeps `kept_max` of them.
    pub fn new(programs: Programs, kept_max: usize) -> Self {
        Self { programs, kept: Mutex::new(Vec::new()), kept_max }
    }

    /// Program `id`, made with `engine` if it is not there.
    ///
    /// Two threads that want the same program at the same time may both make it.
    pub fn get(
        &self,
        engine: &Engine,
        id: ProgramId,
        hashfn: HashFn,
    ) -> Result<Arc<Ready>, ProgramError> {
        {
            let mut kept = self.kept();
            if let Some(at) = kept.iter().position(|entry| (entry.0, entry.1) == (id, hashfn)) {
                let entry = kept.remove(at);
                let ready = Arc::clone(&entry.2);
                kept.insert(0, entry);
                return Ok(ready);
            }
        }
        self.make_room(engine);
        let control_id = id.control_id(hashfn)?;
        let code = self.programs.code(id)?;
        let ready = Arc::new(make(engine, id.file_name(), code, control_id)?);
        let mut kept = self.kept();
        kept.retain(|entry| (entry.0, entry.1) != (id, hashfn));
        kept.insert(0, (id, hashfn, Arc::clone(&ready)));
        kept.truncate(self.kept_max);
        Ok(ready)
    }

    /// Lets one program go, so that another can be made. That takes its place, and in the making more than that, of which
    /// the pool knows nothing.
    pub fn make_room(&self, engine: &Engine) {
        self.kept().truncate(self.kept_max.saturating_sub(1));
        engine.pool().trim();
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(ProgramId, HashFn, Arc<Ready>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decodes `code` and commits to it; the commitment must be `control_id`.
pub(crate) fn make(
    engine: &Engine,
    name: String,
    code: Code,
    control_id: Digest,
) -> Result<Ready, ProgramError> {
    let program = Program::decode(name, &code)?;
    let mut columns = engine.pool().take(CODE_COLUMNS << code.po2);
    control_columns(&code, &mut columns);
    // The words of the program are of no more use, and the commitment takes room.
    drop(code);
    let control = Group::from_trace(engine, columns, CODE_COLUMNS);
    if control.root() != control_id {
        let (name, actual) = (program.name().into(), control.root());
        return Err(ProgramError::ControlId { name, expected: control_id, actual });
    }
    Ok(Ready { program: Arc::new(program), control: Arc::new(control) })
}
