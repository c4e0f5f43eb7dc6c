//! Debug texts of what holds words about persons: a log or an error must not tell them.

/// Gives types a Debug that says nothing but their own name.
macro_rules! debug_tells_its_name_alone {
    ($($name:ident),+) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        })+
    };
}

pub(super) use debug_tells_its_name_alone;

#[cfg(test)]
mod tests {
    use crate::access::{ExportedFile, PersonFields};

    #[test]
    fn what_names_people_is_not_told_by_debug() {
        let person = PersonFields {
            name: "Hong Gildong".into(),
            contact: "010-1234-5678".into(),
            birth_date: None,
            address: None,
            relation: None,
        };
        assert_eq!(format!("{person:?}"), "PersonFields");
        let bytes = b"Hong Gildong".to_vec();
        let digest = crate::crypto::sha256(&bytes);
        let file = ExportedFile { name: "register.csv".into(), bytes, digest, row: 7 };
        assert_eq!(format!("{file:?}"), "ExportedFile");
    }
}
