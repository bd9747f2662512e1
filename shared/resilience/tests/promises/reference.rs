//! The budget of retries as the documentation says it.

/// Two may be saved up; every second answer earns one.
pub(crate) struct Budget {
    saved: u32,
    /// Answers that have not been turned into retries yet.
    answers: u32,
}

impl Budget {
    pub(crate) fn full() -> Self {
        Self { saved: 2, answers: 0 }
    }

    pub(crate) fn answered(&mut self) {
        self.answers = (self.answers + 1).min(4);
    }

    /// Takes a retry, if there is one.
    pub(crate) fn take(&mut self) -> bool {
        self.saved = (self.saved + self.answers / 2).min(2);
        self.answers %= 2;
        let taken = self.saved > 0;
        self.saved -= u32::from(taken);
        taken
    }
}
