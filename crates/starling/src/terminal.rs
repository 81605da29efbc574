//! Text for terminals. What guests, peers and files say may hold characters that a terminal acts on, to move its cursor, change
//! its title or turn text round: they are shown as `\u001b`, which JSON reads back as what it was.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write},
    panic,
};

use tracing_subscriber::{
    field::MakeExt as _,
    fmt::{FormatFields, format::debug_fn},
};

use crate::{progress::Stderr, threads};

/// Where a second line of a log entry or an error begins: never where those of this program do.
const INDENT: &str = "\n    ";

/// `text` as a terminal may have it: only line ends and tabs are left of what it acts on.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_acted_on) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_acted_on(char) {
            // All of them have four digits.
            let _ = write!(shown, "\\u{:04x}", u32::from(char));
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal acts on it: control characters, of which ESC is one, those of 8 bits, and those that turn the direction of
/// text round.
fn is_acted_on(char: char) -> bool {
    match char {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => char.is_control(),
    }
}

/// `text` as one entry of a log: [`printable`], and no line of it looks like an entry of its own.
pub fn entry(text: &str) -> String {
    printable(text.trim_end()).replace('\n', INDENT)
}

/// Prints an entry to stderr, above the bars of progress. A stderr that can't be written loses it, and nothing else.
pub fn say(text: &str) {
    let _ = writeln!(Stderr, "{}", entry(text));
}

/// Lets panics, whose texts may quote what others sent, be printed as anything else is.
pub fn take_panics() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        match info.payload_as_str() {
            Some(text) if text.contains(is_acted_on) => say(&info.to_string()),
            _ => print(info),
        }
        threads::end_if_starting();
    }));
}

/// Prints a line of a result to stdout: as it is, or [`printable`] where a terminal shows it.
///
/// # Errors
/// When stdout can't be written.
pub fn result_line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let is_shown = stdout.is_terminal();
    write_line(&mut stdout, text, is_shown)
}

fn write_line(to: &mut impl Write, text: &str, is_shown: bool) -> io::Result<()> {
    let text = if is_shown { printable(text) } else { Cow::Borrowed(text) };
    writeln!(to, "{text}")?;
    to.flush()
}

/// How the fields of log lines are written: whatever their values are, as one [`entry`].
pub fn log_fields() -> impl for<'writer> FormatFields<'writer> + 'static {
    debug_fn(|writer, field, value| {
        let value = entry(&format!("{value:?}"));
        match field.name() {
            "message" => write!(writer, "{value}"),
            name => write!(writer, "{name}={value}"),
        }
    })
    .delimited(" ")
}

/// What a guest prints, on its way to stderr: its very bytes, or [`printable`] where a terminal shows them.
pub struct GuestText<W: Write = Stderr> {
    to: W,
    /// For a terminal, the bytes of a character whose rest has not come.
    begun: Option<Vec<u8>>,
}

impl GuestText {
    pub fn to_stderr() -> Self {
        Self::new(Stderr, io::stderr().is_terminal())
    }
}

impl<W: Write> GuestText<W> {
    fn new(to: W, is_shown: bool) -> Self {
        Self { to, begun: is_shown.then(Vec::new) }
    }
}

/// Another writer: a character that has begun goes on in the one that it began in.
impl<W: Write + Clone> Clone for GuestText<W> {
    fn clone(&self) -> Self {
        Self::new(self.to.clone(), self.begun.is_some())
    }
}

impl<W: Write> Write for GuestText<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(begun) = &mut self.begun else { return self.to.write(bytes) };
        begun.extend(bytes);
        let text = take_text(begun);
        self.to.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Drop for GuestText<W> {
    fn drop(&mut self) {
        let begun = self.begun.take().unwrap_or_default();
        let _ = self.to.write_all(escaped(&begun).as_bytes());
    }
}

/// What of `bytes` is text, as a terminal may have it, and what is none, escaped; a character that may go on in what follows is
/// left.
fn take_text(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut rest = Vec::new();
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(&printable(chunk.valid()));
        let may_go_on = str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none());
        if may_go_on && chunks.peek().is_none() {
            rest = chunk.invalid().to_vec();
        } else {
            text.push_str(&escaped(chunk.invalid()));
        }
    }
    *bytes = rest;
    text
}

/// Bytes that are not text.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\x{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _};

    use super::*;

    /// All that a terminal acts on, but for line ends and tabs.
    fn hostile() -> String {
        let bidi = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        let all = ('\0'..='\u{9f}').filter(|char| char.is_control()).chain(bidi);
        all.filter(|char| !['\n', '\t'].contains(char)).collect()
    }

    /// What was written to it.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Screen {
        fn bytes(&self) -> Vec<u8> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Screen {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn what_a_terminal_acts_on_is_shown_and_json_reads_it_back() {
        assert_eq!(printable("naïve\n\tעברית 🐦"), "naïve\n\tעברית 🐦");
        assert_eq!(
            printable("\x1b]0;title\x07a\rb\u{9b}2J\u{202e}c"),
            r"\u001b]0;title\u0007a\u000db\u009b2J\u202ec"
        );
        let (hostile, shown) = (hostile(), printable(&hostile()).into_owned());
        assert_eq!(hostile.chars().count(), 63 + 9);
        assert!(!shown.contains(is_acted_on), "{shown:?}");
        let read: String = serde_json::from_str(&format!("\"{shown}\"")).unwrap_or_default();
        assert_eq!(read, hostile);
    }

    #[test]
    fn a_result_is_exact_unless_a_terminal_shows_it() {
        let text = format!("journal {}", hostile());
        let written = |is_shown| {
            let mut to = Vec::new();
            assert!(write_line(&mut to, &text, is_shown).is_ok());
            String::from_utf8_lossy(&to).into_owned()
        };
        assert_eq!(written(false), format!("{text}\n"));
        assert_eq!(written(true), format!("{}\n", printable(&text)));
    }

    #[test]
    fn what_a_guest_prints_keeps_its_bytes_in_a_pipe_and_moves_no_cursor_on_a_terminal() {
        let printed = [b"a\xc3".as_slice(), b"\xa9\n\tb\x1b[2J\xff\xe2\x80", b"\xae", b"\xe2\x80"];
        let shown = |is_shown| {
            let screen = Screen::default();
            let mut text = GuestText::new(screen.clone(), is_shown);
            for bytes in printed {
                assert!(text.write_all(bytes).is_ok());
            }
            drop(text);
            screen.bytes()
        };
        assert_eq!(shown(false), printed.concat());
        let on_terminal = "aé\n\tb\\u001b[2J\\xff\\u202e\\xe2\\x80";
        assert_eq!(String::from_utf8_lossy(&shown(true)), on_terminal);
    }

    #[test]
    fn no_field_of_a_log_line_moves_a_cursor_or_forges_a_line() {
        let screen = Screen::default();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(log_fields())
            .with_writer(screen.clone())
            .without_time()
            .with_target(false)
            .with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(layer);
        let hostile = format!("{}\n INFO all is well", hostile());
        tracing::subscriber::with_default(subscriber, || {
            let error = io::Error::other(hostile.clone());
            let source: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(peer = %hostile, text = hostile.as_str(), source, "said {hostile}");
            let _span = tracing::warn_span!("guest", name = %hostile).entered();
            tracing::warn!("inside");
        });
        let text = String::from_utf8_lossy(&screen.bytes()).into_owned();
        assert!(!text.contains(is_acted_on), "{text:?}");
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("    ")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines.iter().all(|line| line.starts_with(" WARN ")), "{text}");
        for field in ["said ", "peer=", "text=", "source=", "name=", "inside"] {
            assert!(text.contains(field), "{field}: {text}");
        }
    }

    #[test]
    fn an_error_of_several_lines_forges_none() {
        assert_eq!(entry("the guest said\nerror: no\r\n"), "the guest said\n    error: no");
    }
}
