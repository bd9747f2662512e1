//! What becomes of a batch of stream records whose function fails: cut, tried again, or given up, in order.

/// Records that are tried together.
#[derive(Debug, Clone)]
pub(super) struct Piece<'a, T> {
    pub(super) records: &'a [T],
    /// How often the function has failed on just these.
    pub(super) attempts: u32,
    /// Whether they have been offered to the function before, perhaps with others.
    pub(super) tried: bool,
    /// Whether the function has done them, and is to do them again (chaos).
    pub(super) done_before: bool,
}

/// What a mapping says of failures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// `BisectBatchOnFunctionError`
    pub(super) bisect: bool,
    /// `MaximumRetryAttempts`; `None` is without end.
    pub(super) max_retries: Option<u32>,
}

/// What is left of a batch. As pieces are cut off its front and come back there, records are tried in their order, and
/// none before all in front of it are done or given up.
pub(super) struct Attempts<'a, T> {
    policy: Policy,
    /// The earliest on top.
    pieces: Vec<Piece<'a, T>>,
}

/// What becomes of a piece that failed.
#[derive(Debug)]
pub(super) enum Verdict<'a, T> {
    /// It is cut, and its first part is next.
    Cut,
    /// It is next again, after a pause.
    Retry,
    /// It is tried no more.
    GiveUp(Piece<'a, T>),
}

impl<'a, T> Attempts<'a, T> {
    pub(super) fn new(policy: Policy, records: &'a [T]) -> Self {
        let whole = Piece { records, attempts: 0, tried: false, done_before: false };
        Self { policy, pieces: if records.is_empty() { Vec::new() } else { vec![whole] } }
    }

    /// What is to be tried now.
    pub(super) fn next(&mut self) -> Option<Piece<'a, T>> {
        self.pieces.pop()
    }

    /// Tries a piece once more that has not failed.
    pub(super) fn again(&mut self, piece: Piece<'a, T>) {
        self.pieces.push(piece);
    }

    /// The function has failed on a piece, all but `succeeded` records at its beginning, which it has named.
    pub(super) fn failed(&mut self, piece: Piece<'a, T>, succeeded: usize) -> Verdict<'a, T> {
        let (_, failed) = piece.records.split_at(succeeded);
        let of = |records, attempts| Piece { records, attempts, tried: true, done_before: false };
        let Policy { bisect, max_retries } = self.policy;
        // Cutting is no attempt: each part has as many left as the whole had.
        if bisect && succeeded > 0 {
            self.pieces.push(of(failed, piece.attempts));
            return Verdict::Cut;
        }
        if bisect && failed.len() > 1 {
            let (head, tail) = failed.split_at(failed.len() / 2);
            self.pieces.push(of(tail, piece.attempts));
            self.pieces.push(of(head, piece.attempts));
            return Verdict::Cut;
        }
        let attempts = piece.attempts + 1;
        if max_retries.is_some_and(|most| attempts > most) {
            return Verdict::GiveUp(of(failed, attempts));
        }
        self.pieces.push(of(failed, attempts));
        Verdict::Retry
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Lets a function of which some records fail (so often, then no more) work on a batch. Returns what it did, in
    /// order, what was given up, and how often it was called.
    fn work(policy: Policy, reports: bool, failures: &[u32]) -> (Vec<usize>, Vec<usize>, usize) {
        let records: Vec<usize> = (0..failures.len()).collect();
        let mut left = failures.to_vec();
        let mut attempts = Attempts::new(policy, &records);
        let (mut done, mut given_up, mut calls) = (Vec::new(), Vec::new(), 0);
        while let Some(piece) = attempts.next() {
            calls += 1;
            assert!(calls < 10_000, "it ends");
            // It stops at the first that fails.
            let bad = piece.records.iter().position(|record| left[*record] > 0);
            let Some(bad) = bad else {
                done.extend(piece.records);
                continue;
            };
            left[piece.records[bad]] -= 1;
            let succeeded = if reports { bad } else { 0 };
            done.extend(&piece.records[..succeeded]);
            if let Verdict::GiveUp(piece) = attempts.failed(piece, succeeded) {
                given_up.extend(piece.records);
            }
        }
        (done, given_up, calls)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_record_is_done_or_given_up_once_and_in_order(
            bisect: bool,
            reports: bool,
            max_retries in 0..4_u32,
            failures in vec(prop_oneof![3 => Just(0_u32), 1 => 1..4_u32, 1 => Just(9)], 0..20),
        ) {
            let policy = Policy { bisect, max_retries: Some(max_retries) };
            let (done, given_up, _) = work(policy, reports, &failures);
            prop_assert!(done.is_sorted() && given_up.is_sorted());
            let mut all = [done, given_up].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..failures.len()).collect::<Vec<_>>());
        }

        #[test]
        fn without_a_limit_nothing_is_given_up(bisect: bool, reports: bool, failures in vec(0..4_u32, 0..20)) {
            let (done, given_up, _) = work(Policy { bisect, max_retries: None }, reports, &failures);
            prop_assert_eq!(done, (0..failures.len()).collect::<Vec<_>>());
            prop_assert!(given_up.is_empty());
        }

        #[test]
        fn a_batch_that_is_halved_loses_only_the_records_that_fail(
            reports: bool,
            max_retries in 0..3_u32,
            bad in vec(any::<bool>(), 1..30),
        ) {
            let failures: Vec<_> = bad.iter().map(|bad| if *bad { u32::MAX } else { 0 }).collect();
            let (_, given_up, _) = work(Policy { bisect: true, max_retries: Some(max_retries) }, reports, &failures);
            let expected: Vec<_> = (0..bad.len()).filter(|record| bad[*record]).collect();
            prop_assert_eq!(given_up, expected);
        }
    }

    #[test]
    fn a_batch_that_reports_its_first_failure_is_cut_there_and_not_halved() {
        let records = [0, 1, 2, 3, 4, 5];
        let mut attempts = Attempts::new(Policy { bisect: true, max_retries: Some(0) }, &records);
        let whole = attempts.next().unwrap();
        assert!(matches!(attempts.failed(whole, 2), Verdict::Cut));
        let rest = attempts.next().unwrap();
        assert_eq!(rest.records, [2, 3, 4, 5]);
        // The first of them fails: now it is halved.
        assert!(matches!(attempts.failed(rest, 0), Verdict::Cut));
        assert_eq!(attempts.next().unwrap().records, [2, 3]);
        assert_eq!(attempts.next().unwrap().records, [4, 5]);
        assert!(attempts.next().is_none());
    }

    #[test]
    fn as_many_attempts_are_made_as_retries_and_one() {
        for most in 0..4 {
            let (_, given_up, calls) = work(Policy { bisect: false, max_retries: Some(most) }, false, &[u32::MAX, 0]);
            assert_eq!((given_up, calls), (vec![0, 1], most as usize + 1));
        }
    }
}
