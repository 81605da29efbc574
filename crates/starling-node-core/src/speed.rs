//! How fast this node proves, as it has measured itself, for each proof system.

use std::{collections::BTreeMap, fmt, str::FromStr};

use starling_types::{KindCode, Millis, Po2, SystemName};

/// What was measured before counts for so many parts of eight once a task is added: the last dozen tasks say
/// most.
const KEPT_EIGHTHS: u64 = 7;

/// The largest speed that is believed: a thousand reference cores.
const SPEED_PERMILLE_MAX: u64 = 1_000_000;

/// How a task without a po2 stands in the text.
const NO_PO2: &str = "-";

/// The work done and the time it took, by system, kind and size of task; older tasks count less.
///
/// It is a claim that helps a client to set deadlines; nothing is trusted because of it. What was counted by another revision
/// of a system's figures says nothing, and goes when a task is counted by the new one. As text it has a line for each:
/// revision, kind, po2 or `-`, work and time in milliseconds, and the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Speed {
    systems: BTreeMap<SystemName, Counted>,
}

/// What was measured of one system, by one revision of its figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counted {
    revision: u32,
    tasks: BTreeMap<(KindCode, Option<Po2>), Measured>,
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
    /// Takes a finished task into account: `work` on the reference core, by this revision of its system's figures, took
    /// `elapsed` here.
    pub fn observe(
        &mut self,
        system: &SystemName,
        revision: u32,
        task: (KindCode, Option<Po2>),
        work: Millis,
        elapsed: Millis,
    ) {
        let measured = self.counted(system, revision).tasks.entry(task).or_default();
        let add = |old: u64, new: u64| (old / 8 * KEPT_EIGHTHS).saturating_add(new);
        measured.work_ms = add(measured.work_ms, work.0);
        measured.elapsed_ms = add(measured.elapsed_ms, elapsed.0.max(1));
    }

    /// The speed at a system's tasks in thousandths of the reference core's; `None` while nothing is measured by this
    /// revision of its figures.
    pub fn permille(&self, system: &SystemName, revision: u32) -> Option<u32> {
        let counted = self.systems.get(system).filter(|counted| counted.revision == revision)?;
        let all = counted.tasks.values().fold(Measured::default(), |sum, task| Measured {
            work_ms: sum.work_ms.saturating_add(task.work_ms),
            elapsed_ms: sum.elapsed_ms.saturating_add(task.elapsed_ms),
        });
        all.permille()
    }

    /// What is counted by this revision: nothing of another.
    fn counted(&mut self, system: &SystemName, revision: u32) -> &mut Counted {
        let counted = self.systems.entry(system.clone()).or_default();
        if counted.revision != revision {
            *counted = Counted { revision, tasks: BTreeMap::new() };
        }
        counted
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (system, Counted { revision, tasks }) in &self.systems {
            for ((KindCode(kind), po2), Measured { work_ms, elapsed_ms }) in tasks {
                let po2 = po2.map_or(NO_PO2.to_owned(), |po2| po2.to_string());
                writeln!(f, "{revision} {kind} {po2} {work_ms} {elapsed_ms} {system}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Speed {
    type Err = std::convert::Infallible;

    /// What can be read of a text: lines that say nothing are passed over.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut speed = Self::default();
        for line in text.lines() {
            let _ = speed.read(line);
        }
        Ok(speed)
    }
}

impl Speed {
    /// Takes one line of the text in, if it says something.
    fn read(&mut self, line: &str) -> Option<()> {
        // The system's name is the last, whatever is in it.
        let mut words = line.splitn(6, ' ');
        let revision = words.next()?.parse().ok()?;
        let kind = KindCode(words.next()?.parse().ok()?);
        let po2 = match words.next()? {
            NO_PO2 => None,
            po2 => Some(po2.parse().ok()?),
        };
        let (work_ms, elapsed_ms) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        // One with a line break in it would be read otherwise than it was written.
        let system = words.next().filter(|name| !name.contains(char::is_control))?.into();
        let tasks = &mut self.counted(&system, revision).tasks;
        tasks.insert((kind, po2), Measured { work_ms, elapsed_ms });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFT: (KindCode, Option<Po2>) = (KindCode(2), Some(Po2::SMALLEST));
    const JOIN: (KindCode, Option<Po2>) = (KindCode(3), None);

    fn a() -> SystemName {
        "a/1".into()
    }

    fn b() -> SystemName {
        "b/1".into()
    }

    #[test]
    fn speed_is_measured_for_each_system_and_follows_what_tasks_show() {
        let mut speed = Speed::default();
        assert_eq!(speed.permille(&a(), 3), None);
        speed.observe(&a(), 3, LIFT, Millis(80_000), Millis(40_000));
        assert_eq!(speed.permille(&a(), 3), Some(2000));
        speed.observe(&a(), 3, JOIN, Millis(10_000), Millis(10_000));
        assert_eq!(speed.permille(&a(), 3), Some(1800));
        for _ in 0..50 {
            speed.observe(&a(), 3, LIFT, Millis(80_000), Millis(80_000));
        }
        let permille = speed.permille(&a(), 3).expect("it was measured");
        assert!((1000..1010).contains(&permille), "{permille}");
    }

    #[test]
    fn two_systems_whose_kinds_have_the_same_number_share_no_speed() {
        let mut speed = Speed::default();
        speed.observe(&a(), 3, LIFT, Millis(2000), Millis(1000));
        assert_eq!(speed.permille(&b(), 3), None);
        speed.observe(&b(), 3, LIFT, Millis(1000), Millis(4000));
        assert_eq!((speed.permille(&a(), 3), speed.permille(&b(), 3)), (Some(2000), Some(250)));
    }

    #[test]
    fn what_was_counted_by_other_figures_says_nothing_and_goes() {
        let mut speed = Speed::default();
        speed.observe(&a(), 3, LIFT, Millis(2000), Millis(1000));
        assert_eq!(speed.permille(&a(), 4), None);
        speed.observe(&a(), 4, JOIN, Millis(1000), Millis(1000));
        assert_eq!((speed.permille(&a(), 3), speed.permille(&a(), 4)), (None, Some(1000)));
    }

    #[test]
    fn what_was_measured_is_kept_as_text_and_damaged_lines_say_nothing() {
        let mut speed = Speed::default();
        speed.observe(&"a name of words".into(), 1, (KindCode(4), None), Millis(7), Millis(0));
        speed.observe(&a(), 2, LIFT, Millis(u64::MAX), Millis(u64::MAX));
        speed.observe(&a(), 2, LIFT, Millis(u64::MAX), Millis(u64::MAX));
        assert_eq!(speed.to_string().parse(), Ok(speed.clone()));
        let damaged = format!(
            "walk 1 - 1 2 a/1\n1 4 - 1 2 a/1\r\r\n2 1 - 1 1\n2 1 12 1 1 a/1\n2 x 2\n1500\n\n{speed}"
        );
        assert_eq!(damaged.parse(), Ok(speed));
    }
}
