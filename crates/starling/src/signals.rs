//! Ctrl-C: the first asks to stop cleanly, the second ends the process at once.

use tokio_util::sync::CancellationToken;

use crate::{
    exit::{Code, Exit},
    terminal,
};

/// A token that the first Ctrl-C, or a SIGTERM, cancels.
pub fn stop_token(what: &'static str) -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        interrupted().await;
        terminal::say(&format!(
            "stopping {what}, and taking leave of who is connected, a few seconds at most; once more to stop at once"
        ));
        stop.cancel();
        interrupted().await;
        Exit::message(Code::Interrupted, format!("stopped {what} at once")).answer();
        std::process::exit(Code::Interrupted as i32);
    });
    token
}

#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    let _ = tokio::signal::ctrl_c().await;
}
