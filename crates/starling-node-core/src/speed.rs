//! How fast this node proves, as it has measured itself, for each kind of task.

use std::{collections::BTreeMap, fmt, str::FromStr};

use starling_types::{KindCode, Millis};

/// What was measured before counts for so many parts of eight once a task is added: the last dozen tasks say
/// most.
const KEPT_EIGHTHS: u64 = 7;

/// The largest speed that is believed: a thousand reference cores.
const SPEED_PERMILLE_MAX: u64 = 1_000_000;

/// The work done and the time it took, by kind of task; older tasks count less.
///
/// It is a claim that helps a client to set deadlines; nothing is trusted because of it. As text it has a line for
/// each kind: its number, work and time in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Speed {
    kinds: BTreeMap<KindCode, Measured>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Measured {
    work_ms: u64,
    elapsed_ms: u64,
}

impl Measured {
    fn permille(self) -> Option<u32> {
        let permille = self.work_ms.saturating_mul(1000).checked_div(self.elapsed_ms)?;
        Some(permille.clamp(1, SPEED_PERMILLE_MAX) as u32)
    }
}

impl Speed {
    /// Takes a finished task into account: `work` on the reference core took `elapsed` here.
    pub fn observe(&mut self, kind: KindCode, work: Millis, elapsed: Millis) {
        let measured = self.kinds.entry(kind).or_default();
        let add = |old: u64, new: u64| (old / 8 * KEPT_EIGHTHS).saturating_add(new);
        measured.work_ms = add(measured.work_ms, work.0);
        measured.elapsed_ms = add(measured.elapsed_ms, elapsed.0.max(1));
    }

    /// The speed in thousandths of the reference core's, over all kinds; `None` while nothing is measured.
    pub fn permille(&self) -> Option<u32> {
        let all = self.kinds.values().fold(Measured::default(), |sum, kind| Measured {
            work_ms: sum.work_ms.saturating_add(kind.work_ms),
            elapsed_ms: sum.elapsed_ms.saturating_add(kind.elapsed_ms),
        });
        all.permille()
    }

    /// The speed at one kind of task.
    pub fn permille_of(&self, kind: KindCode) -> Option<u32> {
        self.kinds.get(&kind)?.permille()
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, Measured { work_ms, elapsed_ms }) in &self.kinds {
            writeln!(f, "{} {work_ms} {elapsed_ms}", kind.0)?;
        }
        Ok(())
    }
}

impl FromStr for Speed {
    type Err = std::convert::Infallible;

    /// What can be read of a text: lines that say nothing are passed over.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = |line: &str| {
            let mut words = line.split_whitespace();
            let kind = KindCode(words.next()?.parse().ok()?);
            let (work_ms, elapsed_ms) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some((kind, Measured { work_ms, elapsed_ms }))
        };
        Ok(Self { kinds: text.lines().filter_map(read).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFT: KindCode = KindCode(2);
    const JOIN: KindCode = KindCode(3);

    #[test]
    fn speed_is_measured_for_each_kind_and_follows_what_tasks_show() {
        let mut speed = Speed::default();
        assert_eq!(speed.permille(), None);
        speed.observe(LIFT, Millis(80_000), Millis(40_000));
        speed.observe(JOIN, Millis(10_000), Millis(10_000));
        assert_eq!(speed.permille_of(LIFT), Some(2000));
        assert_eq!(speed.permille_of(JOIN), Some(1000));
        assert_eq!(speed.permille_of(KindCode(6)), None);
        assert_eq!(speed.permille(), Some(1800));
        for _ in 0..50 {
            speed.observe(LIFT, Millis(80_000), Millis(80_000));
        }
        let permille = speed.permille_of(LIFT).expect("it was measured");
        assert!((1000..1010).contains(&permille));
    }

    #[test]
    fn what_was_measured_is_kept_as_text_and_damaged_lines_say_nothing() {
        let mut speed = Speed::default();
        speed.observe(KindCode(4), Millis(7), Millis(0));
        speed.observe(JOIN, Millis(u64::MAX), Millis(u64::MAX));
        speed.observe(JOIN, Millis(u64::MAX), Millis(u64::MAX));
        assert_eq!(speed.to_string().parse(), Ok(speed.clone()));
        let damaged = format!("walk 1 2\n2 1\n2 x 2\n1500\n\n{speed}");
        assert_eq!(damaged.parse(), Ok(speed));
    }
}
