//! `MATRIX.md`, read.

use reqwest::Method;

const TEXT: &str = include_str!("MATRIX.md");

/// How a caller stands to the owner of what a route is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Owner,
    Other,
    Follower,
    Blocked,
    Anonymous,
    Expired,
    Ended,
}

impl Relation {
    /// In the order of the columns.
    pub(super) const ALL: [Self; 7] =
        [Self::Owner, Self::Other, Self::Follower, Self::Blocked, Self::Anonymous, Self::Expired, Self::Ended];

    /// As the head of the column says it.
    fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Other => "other",
            Self::Follower => "follower",
            Self::Blocked => "blocked",
            Self::Anonymous => "anonymous",
            Self::Expired => "expired token",
            Self::Ended => "ended session",
        }
    }

    /// The owner, whether or not the token is (still) good.
    pub(super) fn is_the_owner(self) -> bool {
        matches!(self, Self::Owner | Self::Expired | Self::Ended)
    }
}

/// A route, and what each caller is answered.
#[derive(Debug)]
pub(super) struct Row {
    /// `GET /users/{username}`
    pub(super) route: String,
    pub(super) method: Method,
    pub(super) path: String,
    cells: [String; Relation::ALL.len()],
}

impl Row {
    /// Status, and the code of a problem: `404 not-found`.
    pub(super) fn expected(&self, who: Relation) -> &str {
        let column = Relation::ALL.iter().position(|relation| *relation == who).expect("it is one of them");
        &self.cells[column]
    }

    /// Whether it changes nothing, whoever asks.
    pub(super) fn is_read(&self) -> bool {
        self.method == Method::GET
    }
}

/// All rows, in their order.
pub(super) fn rows() -> Vec<Row> {
    let mut lines = TEXT.lines().filter_map(cells);
    let [_, columns @ ..] = lines.next().expect("a head");
    assert_eq!(columns, Relation::ALL.map(Relation::name));
    assert!(lines.next().is_some_and(|line| line.iter().all(|cell| cell.trim_matches('-').is_empty())), "a line below the head");
    lines.map(|[route, cells @ ..]| row(route.trim_matches('`'), cells.map(str::to_owned))).collect()
}

/// The cells of a line of the table.
fn cells(line: &str) -> Option<[&str; 1 + Relation::ALL.len()]> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
    Some(cells.try_into().unwrap_or_else(|_| panic!("a route and a cell for each relation: {line}")))
}

fn row(route: &str, cells: [String; Relation::ALL.len()]) -> Row {
    let (method, path) = route.split_once(' ').expect("a method and a path");
    Row { route: route.to_owned(), method: method.parse().expect("a method"), path: path.to_owned(), cells }
}
