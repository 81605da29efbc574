#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use super::*;
use crate::testing::{guest, halting_guest};

/// Runs a guest in an environment; how many segments leave.
fn run(env: &ExecutorEnv<'_>, guest: &Guest) -> Result<(HostedExecution, usize), ExecuteError> {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    let count_segments = |emitted| {
        count += usize::from(matches!(emitted, Emitted::Segment(_)));
        Ok(())
    };
    let hosted = execute_hosted(env, guest, [1; 32], folder.path(), count_segments)?;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    Ok((hosted, count))
}

#[test]
fn a_guest_reads_and_writes_in_the_hosts_environment() {
    let env = ExecutorEnv::builder()
        .stdin(std::io::Cursor::new(b"\x02NAME\nABSENT".to_vec()))
        .args(&["one".into(), "two words".into()])
        .env_var("NAME", "value")
        .segment_limit_po2(16)
        .build()
        .unwrap();
    let (hosted, segments) = run(&env, &guest("echo.bin")).unwrap();
    let journal = String::from_utf8(hosted.execution.journal).unwrap();
    assert_eq!(journal, "arg one\narg two words\nenv NAME=value\nenv ABSENT\n");
    assert_eq!((segments, hosted.stats.segments), (1, 1));
    assert!(hosted.stats.user_cycles > 0 && hosted.stats.total_cycles > hosted.stats.user_cycles);
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_guest_prints_goes_where_the_host_wants_it() {
    let printed = Shared::default();
    let input = std::io::Cursor::new(vec![6]);
    let env = ExecutorEnv::builder().stdin(input).stdout(printed.clone()).build().unwrap();
    run(&env, &guest("fail.bin")).unwrap();
    assert_eq!(*printed.0.lock().unwrap(), b"not UTF-8: \xff\xfe\x80\n");
}

#[test]
fn a_guest_that_panics_is_quoted_and_a_reader_that_fails_is_named() {
    let input = std::io::Cursor::new(b"\x01no such account".to_vec());
    let env = ExecutorEnv::builder().stdin(input).build().unwrap();
    let shown = run(&env, &guest("fail.bin")).unwrap_err().to_string();
    assert!(shown.contains("the guest panicked") && shown.contains("no such account"), "{shown}");

    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the cable is cut"))
        }
    }
    let env = ExecutorEnv::builder().stdin(Broken).build().unwrap();
    let shown = run(&env, &guest("fail.bin")).unwrap_err().to_string();
    assert!(shown.contains("the cable is cut"), "{shown}");
}

#[test]
fn a_failing_sink_ends_the_execution_with_its_own_error() {
    let env = ExecutorEnv::builder().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let refuse = |_| Err("the disk is full".into());
    let error = execute_hosted(&env, &halting_guest(), [1; 32], folder.path(), refuse).unwrap_err();
    assert!(matches!(error, ExecuteError::Sink(_)), "{error}");
}

#[test]
fn an_environment_on_a_file_system_that_cannot_be_written_is_an_error() {
    let env = ExecutorEnv::builder().build().unwrap();
    let folder = Path::new("/nonexistent");
    let error = execute_hosted(&env, &halting_guest(), [1; 32], folder, |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("cannot write to /nonexistent"), "{error}");
}
