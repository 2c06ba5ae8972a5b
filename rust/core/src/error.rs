//! Every way a call can be wrong, as data. The door turns each into one Python exception; nothing chooses an
//! error by the text of a message.

use std::fmt;

/// Why a call was refused or stopped.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// A row of an array does not hold what its argument promises.
    Row {
        /// The argument, by its public name.
        argument: &'static str,
        /// The first bad row.
        row: usize,
        /// The first committee member for which it is bad, where there are members.
        member: Option<usize>,
        /// What is wrong there.
        fault: Fault,
    },
    /// More picks were asked for than there are rows to pick.
    BatchTooLarge {
        /// Picks asked for.
        k: usize,
        /// Rows that can be picked.
        available: usize,
    },
    /// Two arguments do not fit each other, or a size is impossible.
    Shape {
        /// The argument, by its public name.
        argument: &'static str,
        /// What would have been right.
        expected: String,
        /// What came.
        got: String,
    },
    /// An error with what its caller may do about it.
    Advised {
        /// What is wrong.
        error: Box<Self>,
        /// What to do.
        advice: &'static str,
    },
    /// The caller's check asked to stop (a signal, a deadline).
    Stopped,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// A probability that is NaN, infinite, negative or above one.
    NotAProbability {
        /// Its column.
        column: usize,
        /// Its value.
        value: f64,
        /// How far outside [0, 1] would still have been accepted.
        tolerance: f64,
    },
    /// Probabilities that do not sum to one.
    Sum {
        /// Their sum.
        sum: f64,
        /// How far from one would still have been accepted.
        tolerance: f64,
    },
    /// A logit that is NaN or +inf.
    NotALogit {
        /// Its column.
        column: usize,
        /// Its value.
        value: f64,
    },
    /// A row of logits without one finite value.
    NoFiniteLogit,
    /// A number that is NaN or infinite where only finite ones make sense.
    NotFinite {
        /// Its column, if there are columns.
        column: Option<usize>,
        /// Its value.
        value: f64,
    },
    /// Finite numbers whose squares sum to infinity.
    Overflow,
    /// A score that is negative or infinite where chances are made of it.
    NotAScore {
        /// Its value.
        value: f64,
    },
    /// A vote for a class that is not there.
    NotAClass {
        /// The vote.
        vote: i128,
        /// How many classes there are.
        n_classes: usize,
    },
    /// A row that no member has voted on.
    NoVote,
}

impl Error {
    /// A [`Shape`](Error::Shape) in words.
    #[cold]
    #[inline(never)]
    pub(crate) fn shape(argument: &'static str, expected: &dyn fmt::Display, got: &dyn fmt::Display) -> Self {
        Self::Shape { argument, expected: expected.to_string(), got: got.to_string() }
    }

    /// With what to do about it, if it is about probabilities or logits that are none.
    #[must_use]
    pub fn advising(self, advice: impl FnOnce(Fault) -> &'static str) -> Self {
        match self {
            Self::Row { fault, .. } if fault.is_of_probabilities() => {
                Self::Advised { error: Box::new(self), advice: advice(fault) }
            }
            _ => self,
        }
    }

    /// Whether an output has n elements.
    pub(crate) fn unless_long(out: usize, n: usize) -> Result<(), Self> {
        if out == n { Ok(()) } else { Err(Self::shape("out", &format_args!("{n} elements"), &out)) }
    }
}

impl Fault {
    /// Whether it is of a row that should be probabilities, or their logits.
    fn is_of_probabilities(self) -> bool {
        matches!(
            self,
            Self::NotAProbability { .. } | Self::Sum { .. } | Self::NotALogit { .. } | Self::NoFiniteLogit
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAProbability { column, value, tolerance } => {
                write!(
                    f,
                    "column {column} is {value}, expected a probability in [0, 1] (tolerance {tolerance})"
                )
            }
            Self::Sum { sum, tolerance } => write!(
                f,
                "its probabilities sum to {sum}, expected 1 (tolerance {tolerance}): normalise the rows; of labels that do not exclude each other, score each as a pair (p, 1 - p)"
            ),
            Self::NotALogit { column, value } => {
                write!(f, "column {column} is {value}, expected a finite logit or -inf")
            }
            Self::NotFinite { column: Some(column), value } => {
                write!(f, "column {column} is {value}, expected a finite number")
            }
            Self::NotFinite { column: None, value } => write!(f, "it is {value}, expected a finite number"),
            Self::NotAClass { vote, n_classes } => {
                write!(f, "the vote {vote} is not a class, expected 0 to {} or `missing`", n_classes - 1)
            }
            Self::NotAScore { value } => write!(f, "it is {value}, expected a finite score, 0 or more"),
            Self::Overflow => {
                write!(
                    f,
                    "the sum of its squares overflows, expected smaller numbers (scale them, or pass float64 if they are float32)"
                )
            }
            Self::NoVote => write!(f, "no member has voted on it, expected at least one vote"),
            Self::NoFiniteLogit => write!(f, "every logit is -inf, expected at least one finite logit"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { argument, row, member, fault } => {
                write!(f, "{argument}: row {row}")?;
                if let Some(member) = member {
                    write!(f, " of member {member}")?;
                }
                write!(f, " is not valid: {fault}")
            }
            Self::BatchTooLarge { k, available } => write!(
                f,
                "k={k} is more than the {available} rows that can be picked (available, not labelled, within a quota, of no score or weight that is NaN)"
            ),
            Self::Shape { argument, expected, got } => {
                write!(f, "{argument}: expected {expected}, got {got}")
            }
            Self::Advised { error, advice } => write!(f, "{error}; {advice}"),
            Self::Stopped => write!(f, "stopped"),
        }
    }
}

impl std::error::Error for Error {}
