//! What happens when: everybody's entrance and every fault, as acts in the order of time.

use std::time::Duration;

use super::{Link, Party, Scenario, What};

/// Something to do at its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The agents of a group start.
    Enter(usize),
    /// A provider begins.
    Publish(usize),
    /// These end as by SIGKILL.
    Kill(Vec<Party>),
    /// These start again after that.
    Start(Vec<Party>),
    /// Nothing crosses these links from now on.
    Cut(Vec<Link>),
    /// They are whole again.
    Mend(Vec<Link>),
    /// A server ends, and starts again at once below these.
    Attach(usize, Vec<usize>),
}

impl Act {
    /// In words.
    pub fn describe(&self, scenario: &Scenario) -> String {
        let parties = |what: &str, parties: &[Party]| {
            let until = Duration::ZERO;
            let text = scenario.describe(&What::Kill { parties: parties.to_vec(), until });
            text.replacen("kill", what, 1)
        };
        let links = |what: &str, links: &[Link]| {
            let text = scenario.describe(&What::Cut { links: links.to_vec(), until: Duration::ZERO });
            text.replacen("cut", what, 1)
        };
        match self {
            Self::Enter(group) => format!("start {}", scenario.groups[*group].name),
            Self::Publish(provider) => format!("publish by {}", scenario.providers[*provider].name),
            Self::Kill(who) => parties("kill", who),
            Self::Start(who) => parties("start", who),
            Self::Cut(which) => links("cut", which),
            Self::Mend(which) => links("mend", which),
            Self::Attach(server, to) => scenario.describe(&What::Attach { server: *server, to: to.clone() }),
        }
    }
}

impl Scenario {
    /// What to do when, in order. What begins after the end is left out; what lasts longer is over at the end.
    pub fn acts(&self) -> Vec<(Duration, Act)> {
        let length = self.length;
        let mut acts = Vec::new();
        acts.extend(self.groups.iter().enumerate().map(|(index, group)| (group.at, Act::Enter(index))));
        acts.extend(self.providers.iter().enumerate().map(|(index, one)| (one.at, Act::Publish(index))));
        for fault in &self.faults {
            let (act, end) = match &fault.what {
                What::Kill { parties, until } => {
                    (Act::Kill(parties.clone()), Some((*until, Act::Start(parties.clone()))))
                }
                What::Cut { links, until } => (Act::Cut(links.clone()), Some((*until, Act::Mend(links.clone())))),
                What::Attach { server, to } => (Act::Attach(*server, to.clone()), None),
            };
            if fault.at < length {
                acts.push((fault.at, act));
                acts.extend(end.map(|(until, act)| (until.min(length), act)));
            }
        }
        acts.retain(|(at, act)| *at < length || matches!(act, Act::Start(_) | Act::Mend(_)));
        // Of what comes at one time, what ends goes first.
        acts.sort_by_key(|(at, act)| (*at, !matches!(act, Act::Start(_) | Act::Mend(_))));
        acts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_come_in_order_and_nothing_outlasts_the_end() {
        let text = "[scenario]\nname = \"t\"\nseconds = 30\n[[server]]\nname = \"root\"\n[[server]]\nname = \"isp\"\n\
                    upstreams = \"root\"\n[[agents]]\nname = \"a\"\nserver = \"isp\"\nassets = \"x\"\n\
                    [[fault]]\nat = 5\nkill = \"root\"\nfor = 5\n[[fault]]\nat = 10\nkill = \"root\"\nfor = 10\n\
                    [[fault]]\nat = 25\ncut = \"isp\"\nfor = 1\n";
        let mut scenario = Scenario::parse(text).expect("good");
        scenario.length = Duration::from_secs(12);
        let acts = scenario.acts();
        let told: Vec<(u64, String)> = acts.iter().map(|(at, act)| (at.as_secs(), act.describe(&scenario))).collect();
        let expected = [(0, "start a"), (5, "kill root"), (10, "start root"), (10, "kill root"), (12, "start root")];
        assert_eq!(told, expected.map(|(at, what)| (at, what.to_owned())));
    }
}
