//! Rules about topics, in order, and the first of them that fits.
//!
//! Rules are kept as a tree of levels, so that a decision costs as much as the topic has levels, however
//! many rules there are, and allocates nothing. What the rules say is of two kinds: whether a Topic Name
//! fits, and whether all that a Topic Filter could match does.

use std::num::NonZeroU32;

/// The deepest topic of a rule, in levels below the first.
const DEPTH_MAX: usize = 200;

/// Who asks, for rules that name the client or the user.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Who<'a> {
    pub client_id: &'a str,
    pub user_name: Option<&'a str>,
}

/// Why a text cannot be the topic of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// Empty.
    #[error("a topic needs at least one character")]
    Empty,
    /// Longer than MQTT allows.
    #[error("a topic has at most 65535 bytes")]
    TooLong,
    /// More levels than Mosquitto allows.
    #[error("a topic has at most {} levels", DEPTH_MAX + 1)]
    TooDeep,
    /// U+0000.
    #[error("a topic cannot contain the null character U+0000")]
    Nul,
    /// Not the last level, or not alone in it.
    #[error("'#' must be the last level of a topic and stand alone in it")]
    MultiLevelWildcard,
    /// Not alone in its level.
    #[error("'+' must stand alone in its level of a topic")]
    SingleLevelWildcard,
}

/// Checks the topic of a rule: a Topic Filter, in which `$share` means nothing special.
pub fn check_topic(topic: &str) -> Result<(), TopicError> {
    match topic {
        "" => return Err(TopicError::Empty),
        _ if topic.len() > 65_535 => return Err(TopicError::TooLong),
        _ if topic.contains('\0') => return Err(TopicError::Nul),
        _ => {}
    }
    let depth = topic.bytes().filter(|&byte| byte == b'/').count();
    if depth > DEPTH_MAX {
        return Err(TopicError::TooDeep);
    }
    for (index, level) in topic.split('/').enumerate() {
        if level.contains('#') && (level != "#" || index < depth) {
            return Err(TopicError::MultiLevelWildcard);
        }
        if level.contains('+') && level != "+" {
            return Err(TopicError::SingleLevelWildcard);
        }
    }
    Ok(())
}

/// Whether `%c` and `%u` stand for Client Identifier and user name in the topic of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholders {
    /// They are text as any other.
    AreText,
    /// They do.
    Stand,
}

/// Rules in the order of their being added.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The first is where every topic begins; there is none without a rule.
    nodes: Vec<Node>,
    len: u32,
}

#[derive(Clone, Debug)]
struct Node {
    /// The earliest rule at or below this level.
    earliest: u32,
    /// Sorted.
    literals: Vec<(Box<str>, NodeIndex)>,
    templates: Vec<(Template, NodeIndex)>,
    /// Below `+`.
    single: Option<NodeIndex>,
    /// What the topic that ends here says.
    here: Option<Rule>,
    /// What `#` says in place of the next level; it fits a topic that ends here too.
    rest: Option<Rule>,
}

/// Never that of the first node.
type NodeIndex = NonZeroU32;

/// A level with `%c` or `%u` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    ClientId,
    UserName,
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    rank: u32,
    allow: bool,
}

impl Rules {
    /// Adds a rule behind those that are there. Of two with the same topic, the first counts.
    pub fn add(
        &mut self,
        topic: &str,
        placeholders: Placeholders,
        allow: bool,
    ) -> Result<(), TopicError> {
        check_topic(topic)?;
        let rule = Rule {
            rank: self.len,
            allow,
        };
        self.len += 1;
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(rule.rank));
        }
        let mut at = 0;
        for level in topic.split('/') {
            if level == "#" {
                self.node(at).rest.get_or_insert(rule);
                return Ok(());
            }
            at = self.child(at, level, placeholders, rule.rank);
        }
        self.node(at).here.get_or_insert(rule);
        Ok(())
    }

    /// Whether there are no rules.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What the first rule says that fits the Topic Name.
    pub fn decide(&self, name: &str, who: Who<'_>) -> Option<bool> {
        self.search(name, who, false)
    }

    /// What the first rule says that fits every Topic Name that the filter could match.
    pub fn decide_filter(&self, filter: &str, who: Who<'_>) -> Option<bool> {
        self.search(filter, who, true)
    }

    fn search(&self, topic: &str, who: Who<'_>, is_filter: bool) -> Option<bool> {
        let search = Search {
            rules: self,
            who,
            is_filter,
        };
        let mut best = None;
        if !self.nodes.is_empty() {
            // What begins with '$' is named by rules that do so themselves, and by no others.
            search.descend(0, Some(topic), topic.starts_with('$'), &mut best);
        }
        best.map(|rule: Rule| rule.allow)
    }

    fn node(&mut self, at: usize) -> &mut Node {
        &mut self.nodes[at]
    }

    fn child(&mut self, at: usize, level: &str, placeholders: Placeholders, rank: u32) -> usize {
        let next = NodeIndex::new(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX))
            .unwrap_or(NodeIndex::MAX);
        let template = (placeholders == Placeholders::Stand)
            .then(|| Template::parse(level))
            .flatten();
        let node = self.node(at);
        let found = if level == "+" {
            *node.single.get_or_insert(next)
        } else if let Some(template) = template {
            match node.templates.iter().find(|(own, _)| *own == template) {
                Some((_, index)) => *index,
                None => {
                    node.templates.push((template, next));
                    next
                }
            }
        } else {
            match node
                .literals
                .binary_search_by(|(own, _)| (**own).cmp(level))
            {
                Ok(position) => node.literals[position].1,
                Err(position) => {
                    node.literals.insert(position, (level.into(), next));
                    next
                }
            }
        };
        if found == next {
            self.nodes.push(Node::new(rank));
        }
        found.get() as usize
    }
}

impl Node {
    const fn new(earliest: u32) -> Node {
        Node {
            earliest,
            literals: Vec::new(),
            templates: Vec::new(),
            single: None,
            here: None,
            rest: None,
        }
    }
}

/// One question to the rules.
struct Search<'a> {
    rules: &'a Rules,
    who: Who<'a>,
    is_filter: bool,
}

impl Search<'_> {
    /// Looks at what is left of the topic from a node on. The tree is as deep as its deepest rule, so this
    /// is no deeper, whatever the topic.
    fn descend(&self, at: u32, rest: Option<&str>, is_reserved: bool, best: &mut Option<Rule>) {
        let node = &self.rules.nodes[at as usize];
        if best.is_some_and(|best| best.rank < node.earliest) {
            return;
        }
        if !is_reserved {
            improve(best, node.rest);
        }
        let Some(rest) = rest else {
            return improve(best, node.here);
        };
        let (level, rest) = match rest.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (rest, None),
        };
        if let Ok(position) = node
            .literals
            .binary_search_by(|(own, _)| (**own).cmp(level))
        {
            self.descend(node.literals[position].1.get(), rest, false, best);
        }
        for (template, index) in &node.templates {
            if (!is_reserved || template.is_reserved()) && template.fits(level, self) {
                self.descend(index.get(), rest, false, best);
            }
        }
        // What '+' stands for is less than what '#' does.
        if let Some(index) = node.single
            && !is_reserved
            && !(self.is_filter && level == "#")
        {
            self.descend(index.get(), rest, false, best);
        }
    }
}

fn improve(best: &mut Option<Rule>, found: Option<Rule>) {
    if let Some(found) = found
        && best.is_none_or(|best| found.rank < best.rank)
    {
        *best = Some(found);
    }
}

impl Template {
    /// The level's pieces, if it has a placeholder.
    fn parse(level: &str) -> Option<Template> {
        let mut pieces = Vec::new();
        let mut text = level;
        let mut from = 0;
        while let Some(found) = text[from..].find('%') {
            let found = from + found;
            let piece = match text.as_bytes().get(found + 1) {
                Some(b'c') => Piece::ClientId,
                Some(b'u') => Piece::UserName,
                _ => {
                    from = found + 1;
                    continue;
                }
            };
            if found > 0 {
                pieces.push(Piece::Text(text[..found].into()));
            }
            pieces.push(piece);
            (text, from) = (&text[found + 2..], 0);
        }
        if pieces.is_empty() {
            return None;
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        Some(Template(pieces.into()))
    }

    fn is_reserved(&self) -> bool {
        matches!(self.0.first(), Some(Piece::Text(text)) if text.starts_with('$'))
    }

    /// A name that is empty or that could be read as a wildcard stands for nothing.
    fn fits(&self, level: &str, search: &Search<'_>) -> bool {
        let mut rest = level;
        self.0.iter().all(|piece| {
            let text = match piece {
                Piece::Text(text) => text,
                Piece::ClientId => search.who.client_id,
                Piece::UserName => search.who.user_name.unwrap_or_default(),
            };
            let is_safe = matches!(piece, Piece::Text(_))
                || !text.is_empty() && !text.contains(['+', '#', '/']);
            match rest.strip_prefix(text) {
                Some(after) if is_safe => {
                    rest = after;
                    true
                }
                _ => false,
            }
        }) && rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wigwag_proto::{TopicFilter, TopicName};

    use super::*;

    const WHO: Who<'_> = Who {
        client_id: "dev1",
        user_name: Some("ann"),
    };

    fn rules(topics: &[(&str, bool)]) -> Rules {
        let mut rules = Rules::default();
        for (topic, allow) in topics {
            rules
                .add(topic, Placeholders::Stand, *allow)
                .expect("a valid topic");
        }
        rules
    }

    #[test]
    fn a_rule_fits_topics() {
        let check = |rule: &str, topic: &str, expect: bool| {
            let decided = rules(&[(rule, true)]).decide(topic, WHO);
            assert_eq!(decided.is_some(), expect, "{rule:?} {topic:?}");
        };
        check("a/b", "a/b", true);
        check("a/b", "a/b/c", false);
        check("a/b", "a", false);
        check("#", "a/b", true);
        check("#", "/", true);
        check("a/#", "a", true);
        check("a/#", "a/b/c", true);
        check("a/#", "ab", false);
        check("+/b", "a/b", true);
        check("+/b", "/b", true);
        check("a/+", "a/", true);
        check("a/+", "a", false);
        check("a/+/#", "a/b", true);
        check("a/+/#", "a", false);
        check("#", "$SYS/x", false);
        check("+/x", "$SYS/x", false);
        check("$SYS/#", "$SYS/x", true);
        check("$SYS/+", "$SYS/x", true);
        check("a/$x", "a/$x", true);
        check("%c/x", "dev1/x", true);
        check("%c/x", "dev2/x", false);
        check("a/%u", "a/ann", true);
        check("a/%c-%u/#", "a/dev1-ann", true);
        check("a/100%/%d", "a/100%/%d", true);
        check("a/%%c", "a/%dev1", true);
    }

    #[test]
    fn a_rule_fits_filters() {
        let check = |rule: &str, filter: &str, expect: bool| {
            let decided = rules(&[(rule, true)]).decide_filter(filter, WHO);
            assert_eq!(decided.is_some(), expect, "{rule:?} {filter:?}");
        };
        check("#", "#", true);
        check("#", "a/+/c/#", true);
        check("#", "$SYS/#", false);
        check("a/#", "a/#", true);
        check("a/#", "a/+", true);
        check("a/#", "a", true);
        check("a/#", "#", false);
        check("a/+", "a/+", true);
        check("a/+", "a/b", true);
        check("a/+", "a/#", false);
        check("+/+", "a/#", false);
        check("a/+/#", "a/+", true);
        check("a/+/#", "a/#", false);
        check("a/b", "a/+", false);
        check("$share/+/a", "$share/g/a", true);
        check("%c/#", "dev1/#", true);
        check("%c/#", "+/#", false);
    }

    #[test]
    fn names_that_look_like_wildcards_stand_for_nothing() {
        let rules = rules(&[("%c/#", true), ("u/%u", true), ("x%c", true)]);
        for name in ["+", "#", "/", "a/b", "", "a+", "$x/"] {
            let who = Who {
                client_id: name,
                user_name: Some(name),
            };
            for topic in ["a/b", "u/a", "/", "+/#", "#", "u/+", "u/#", "x", "xa/b"] {
                assert_eq!(rules.decide(topic, who), None, "{name:?} {topic:?}");
                assert_eq!(rules.decide_filter(topic, who), None, "{name:?} {topic:?}");
            }
        }
        let system = Who {
            client_id: "$SYS",
            user_name: None,
        };
        assert_eq!(rules.decide("$SYS/x", system), None);
    }

    #[test]
    fn the_first_rule_decides() {
        let rules = rules(&[
            ("a/b/c", false),
            ("a/#", true),
            ("a/b/c", true),
            ("+/x", false),
        ]);
        assert_eq!(rules.decide("a/b/c", WHO), Some(false));
        assert_eq!(rules.decide("a/x", WHO), Some(true));
        assert_eq!(rules.decide("b/x", WHO), Some(false));
        assert_eq!(rules.decide("b", WHO), None);
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        let check = |topic: &str, expect| assert_eq!(check_topic(topic), expect, "{topic:?}");
        check("a/+/#", Ok(()));
        check("$share/x", Ok(()));
        check("", Err(TopicError::Empty));
        check("a#", Err(TopicError::MultiLevelWildcard));
        check("#/a", Err(TopicError::MultiLevelWildcard));
        check("a+/b", Err(TopicError::SingleLevelWildcard));
        check("a\0", Err(TopicError::Nul));
        check(&"/".repeat(200), Ok(()));
        check(&"/".repeat(201), Err(TopicError::TooDeep));
        check(&"a".repeat(65_536), Err(TopicError::TooLong));
    }

    fn topic(wildcards: bool) -> impl Strategy<Value = String> {
        let level = if wildcards {
            prop_oneof![Just("+"), Just("a"), Just("b"), Just(""), Just("$s")]
        } else {
            prop_oneof![Just("c"), Just("a"), Just("b"), Just(""), Just("$s")]
        };
        let levels = proptest::collection::vec(level, 1..5);
        (levels, any::<bool>()).prop_map(move |(mut levels, rest)| {
            if wildcards && rest {
                levels.push("#");
            }
            let topic = levels.join("/");
            if topic.is_empty() {
                "a".to_owned()
            } else {
                topic
            }
        })
    }

    proptest! {
        /// The tree says what trying one rule after the other says.
        #[test]
        fn the_tree_agrees_with_a_list(
            list in proptest::collection::vec((topic(true), any::<bool>()), 0..12),
            name in topic(false),
        ) {
            let borrowed: Vec<(&str, bool)> = list.iter().map(|(t, a)| (t.as_str(), *a)).collect();
            let topic_name = TopicName::new(&name).expect("a name");
            let expect = list.iter().find(|(topic, _)| {
                TopicFilter::new(topic).expect("a filter").matches(topic_name)
            });
            prop_assert_eq!(rules(&borrowed).decide(&name, WHO), expect.map(|(_, allow)| *allow));
        }

        /// A filter is allowed only if every name that it matches is.
        #[test]
        fn no_filter_gets_more_than_its_names(rule in topic(true), filter in topic(true), name in topic(false)) {
            let rules = rules(&[(&rule, true)]);
            let matches = TopicFilter::new(&filter).expect("a filter").matches(TopicName::new(&name).expect("a name"));
            if matches && rules.decide_filter(&filter, WHO).is_some() {
                prop_assert!(rules.decide(&name, WHO).is_some(), "{} {} {}", rule, filter, name);
            }
        }

        #[test]
        fn no_text_makes_it_panic(rule in "[%cu+#/$a]{0,12}", topic in "[+#/$a]{0,12}", id in "[%+#/$ac]{0,3}") {
            let mut rules = Rules::default();
            _ = rules.add(&rule, Placeholders::Stand, true);
            let who = Who { client_id: &id, user_name: Some(&id) };
            _ = (rules.decide(&topic, who), rules.decide_filter(&topic, who));
        }
    }
}
