//! The budget of retries as the documentation says it.

/// Two may be saved up, and the first answer earns both; then every second answer earns one.
pub(crate) struct Budget {
    saved: u32,
    /// Answers that have not been turned into retries yet.
    answers: u32,
    has_answered: bool,
}

impl Budget {
    /// As the SDK's bucket begins.
    pub(crate) fn full() -> Self {
        Self { has_answered: true, ..Self::empty() }
    }

    /// As an environment begins.
    pub(crate) fn empty() -> Self {
        Self { saved: 2, answers: 0, has_answered: false }
    }

    pub(crate) fn answered(&mut self) {
        self.answers = (self.answers + 1).min(4);
        self.has_answered = true;
    }

    /// Takes a retry, if there is one.
    pub(crate) fn take(&mut self) -> bool {
        if !self.has_answered {
            return false;
        }
        self.saved = (self.saved + self.answers / 2).min(2);
        self.answers %= 2;
        let taken = self.saved > 0;
        self.saved -= u32::from(taken);
        taken
    }
}
