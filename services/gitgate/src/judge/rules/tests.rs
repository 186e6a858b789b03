use proptest::prelude::*;

use super::*;

fn id(digit: u8) -> ObjectId {
    hex::encode([digit; 20]).parse().unwrap()
}

fn wanted(name: &str, change: RefChange) -> Wanted {
    Wanted {
        name: name.parse().unwrap(),
        change,
        old: (change != RefChange::Create).then(|| id(1)),
        new: (change != RefChange::Delete).then(|| id(2)),
        is_default: name == "refs/heads/main",
        is_commit: true,
        is_granted: false,
    }
}

fn why(wanted: &Wanted, rules: &Rules) -> Option<Why> {
    check(std::slice::from_ref(wanted), rules).err().map(|refused| refused[0].why)
}

const CHANGES: [RefChange; 4] = [RefChange::Create, RefChange::Update, RefChange::Force, RefChange::Delete];

/// Everything that a manifest can open.
fn open() -> Rules {
    let all = |patterns: &[&str]| Some(patterns.iter().map(|&pattern| pattern.to_owned()).collect());
    let patterns = ["*", "refs/*", "refs/tags/*", "refs/pull/*", "refs/replace/*", "refs/changes/*"];
    Rules::new(&RefRules {
        create: all(&patterns),
        update: all(&patterns),
        force: all(&patterns),
        delete: all(&patterns),
    })
}

#[test]
fn what_is_not_said_is_the_narrowest() {
    use RefChange::{Create, Delete, Force, Update};
    let rules = Rules::default();
    for (name, change, expected) in [
        ("refs/heads/agent/x", Create, None),
        ("refs/heads/agent/x", Update, None),
        ("refs/heads/agent/x", Force, Some(Why::NotFastForward)),
        ("refs/heads/agent/x", Delete, Some(Why::Removal)),
        ("refs/heads/main", Create, Some(Why::DefaultBranch)),
        ("refs/heads/main", Update, Some(Why::DefaultBranch)),
        ("refs/heads/main", Force, Some(Why::DefaultBranch)),
        ("refs/tags/v1", Create, Some(Why::Tag)),
        ("refs/tags/v1", Force, Some(Why::Tag)),
        ("refs/tags/v1", Delete, Some(Why::Removal)),
        ("refs/notes/commits", Create, Some(Why::Outside)),
        ("refs/pull/1/head", Create, Some(Why::Reserved)),
        ("refs/Replace/x", Create, Some(Why::Reserved)),
        ("refs/merge-requests/1/head", Update, Some(Why::Reserved)),
        ("refs/stash/x", Create, Some(Why::Reserved)),
        ("refs/heads/HEAD", Create, Some(Why::Confusing)),
        ("refs/heads/FETCH_HEAD", Create, Some(Why::Confusing)),
        ("refs/heads/refs/heads/x", Create, Some(Why::Confusing)),
        ("refs/heads/-x", Create, Some(Why::Confusing)),
    ] {
        assert_eq!(why(&wanted(name, change), &rules), expected, "{name} {change:?}");
    }
    let not_a_commit = Wanted { is_commit: false, ..wanted("refs/heads/x", Create) };
    assert_eq!(why(&not_a_commit, &open()), Some(Why::NotACommit));
}

#[test]
fn a_list_replaces_its_default_and_reaches_only_where_it_says() {
    let list = |patterns: &[&str]| Some(patterns.iter().map(|&pattern| pattern.to_owned()).collect());
    let rules = Rules::new(&RefRules {
        create: list(&["agent/*", "refs/notes/*"]),
        update: list(&["main"]),
        ..RefRules::default()
    });
    for (name, change, expected) in [
        ("refs/heads/agent/x", RefChange::Create, None),
        ("refs/heads/other", RefChange::Create, Some(Why::NotListed)),
        ("refs/heads/main", RefChange::Update, None),
        ("refs/heads/agent/x", RefChange::Update, Some(Why::NotListed)),
        ("refs/notes/commits", RefChange::Create, None),
        ("refs/notes/commits", RefChange::Update, Some(Why::Outside)),
    ] {
        assert_eq!(why(&wanted(name, change), &rules), expected, "{name} {change:?}");
    }
    assert_eq!(why(&wanted("refs/notes/commits", RefChange::Create), &open()), Some(Why::Outside));
}

#[test]
fn a_person_opens_what_the_rules_close_and_nothing_that_is_reserved() {
    let granted = |name, change| Wanted { is_granted: true, ..wanted(name, change) };
    for change in CHANGES {
        assert_eq!(why(&granted("refs/heads/main", change), &Rules::default()), None);
        assert_eq!(why(&granted("refs/tags/v1", change), &Rules::default()), None);
        assert_eq!(why(&granted("refs/pull/1/head", change), &Rules::default()), Some(Why::Reserved));
        assert_eq!(why(&granted("refs/notes/x", change), &Rules::default()), Some(Why::Outside));
    }
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let name = "refs/(heads|tags|notes|pull|replace|changes|merge-requests|x)/[a-zA-Z/-]{1,12}";
    let name = name.prop_filter_map("no name of a ref", |name| name.parse::<RefName>().ok());
    (name, 0..4usize, any::<[bool; 3]>()).prop_map(|(name, change, [is_default, is_commit, is_granted])| {
        let change = CHANGES[change];
        Wanted { is_default, is_commit, is_granted, ..wanted_named(name, change) }
    })
}

fn wanted_named(name: RefName, change: RefChange) -> Wanted {
    Wanted { name, ..wanted("refs/heads/x", change) }
}

proptest! {
    /// No rule, and no person, opens what is reserved, and nothing else than a commit is a branch.
    #[test]
    fn nothing_reserved_passes(refs in prop::collection::vec(any_wanted(), 1..6)) {
        if check(&refs, &open()).is_ok() {
            for wanted in &refs {
                prop_assert!(wanted.name.branch().is_some() || wanted.name.tag().is_some());
                prop_assert!(wanted.name.branch().is_none() || wanted.is_commit || wanted.new.is_none());
            }
        }
    }

    /// One bad ref refuses all, and is named; the good ones are not.
    #[test]
    fn a_push_passes_when_each_of_its_refs_would(refs in prop::collection::vec(any_wanted(), 1..6)) {
        for rules in [Rules::default(), open()] {
            let alone: Vec<_> = refs.iter().filter_map(|wanted| why(wanted, &rules)).collect();
            let together: Vec<_> = check(&refs, &rules).err().unwrap_or_default().iter().map(|r| r.why).collect();
            prop_assert_eq!(together, alone);
        }
    }

    /// Without rules and grants, only branches other than the default one move, and only onwards.
    #[test]
    fn the_defaults_let_nothing_else_through(wanted in any_wanted()) {
        let wanted = Wanted { is_granted: false, ..wanted };
        if why(&wanted, &Rules::default()).is_none() {
            prop_assert!(wanted.name.branch().is_some() && !wanted.is_default && wanted.is_commit);
            prop_assert!(matches!(wanted.change, RefChange::Create | RefChange::Update));
        }
    }
}
