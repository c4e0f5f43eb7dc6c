//! Parts of listings: every listing takes `limit` and `after`, and says in `next` what to send as `after` to go on.

use super::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt::Display;

const USUAL: u32 = 200;
const LIMIT: u32 = 1_000;

/// Which part of a listing is asked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// What `next` said; from the beginning without it.
    #[schemars(length(max = 100))]
    pub after: Option<String>,
    /// How many at most; 200 unless it is said.
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: Option<u32>,
}

impl Part {
    /// Whether it begins where the listing does.
    pub fn is_first(&self) -> bool {
        self.after.is_none()
    }

    /// How many are asked for.
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(USUAL) {
            limit @ 1..=LIMIT => Ok(usize::try_from(limit).unwrap_or(usize::MAX)),
            _ => Err(Problem::bad_input(format!("limit: write 1 to {LIMIT}"))),
        }
    }

    /// Behind which number it begins, of what is listed by number.
    pub fn after_number(&self) -> Result<Option<u32>, Problem> {
        let wrong = |_| Problem::bad_input("after: write what `next` said; leave it out to begin again");
        self.after.as_deref().map(str::parse).transpose().map_err(wrong)
    }

    /// That part of a whole list, and what goes on behind it: the name of its last, where there are more.
    pub fn of<T, N: Display>(&self, all: Vec<T>, name: impl Fn(&T) -> N) -> Result<(Vec<T>, Option<String>), Problem> {
        let limit = self.limit()?;
        let mut rest = all.into_iter();
        if let Some(after) = &self.after
            && !rest.any(|one| name(&one).to_string() == *after)
        {
            let detail = "after: nothing of that name is in the list any more; leave it out to begin again";
            return Err(Problem::bad_input(detail));
        }
        let part: Vec<T> = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        let next = part.last().filter(|_| more).map(|last| name(last).to_string());
        Ok((part, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_up_the_whole_whatever_their_length() {
        for length in [0, 1, 4, 5, 6] {
            for limit in 1..=7 {
                let (mut found, mut after) = (Vec::new(), None);
                loop {
                    let part = Part { after, limit: Some(limit) };
                    let (some, next) = part.of((0..length).collect::<Vec<u32>>(), |one| *one).unwrap();
                    assert!(some.len() <= limit as usize);
                    found.extend(some);
                    let Some(next) = next else { break };
                    after = Some(next);
                }
                assert_eq!(found, (0..length).collect::<Vec<u32>>(), "{limit}");
            }
        }
    }

    #[test]
    fn a_part_that_cannot_be_is_refused() {
        let all = || vec![1, 2, 3];
        for limit in [0, LIMIT + 1] {
            assert!(Part { after: None, limit: Some(limit) }.of(all(), |one| *one).is_err());
        }
        assert!(Part { after: Some("9".into()), limit: None }.of(all(), |one| *one).is_err());
        for after in ["", "x", "-1", "4294967296"] {
            assert!(Part { after: Some(after.into()), limit: None }.after_number().is_err(), "{after}");
        }
        assert_eq!(Part { after: Some("9".into()), limit: None }.after_number().unwrap(), Some(9));
    }
}
