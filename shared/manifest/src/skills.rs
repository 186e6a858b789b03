//! Skills: directories of the home's skills folder that are copied into a bottle (L10).

use std::path::PathBuf;

use archive::{Contents, Limits, Odd, Rules};
use policy::check::nearest;

use crate::home::Home;
use crate::problem::inert_path;

/// What makes a directory a skill.
pub const SKILL_FILE: &str = "SKILL.md";

/// How a skill is packed: files and directories, nothing else, and not much of it.
pub const SKILL_RULES: Rules = Rules {
    links: Odd::Refuse,
    specials: Odd::Refuse,
    in_use: false,
    limits: Limits { bytes: 16 << 20, entries: 1000 },
};

/// A skill that can be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skill {
    /// The directory's name.
    pub name: String,
    /// Files in it.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Why a skill cannot be copied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkillError {
    /// There is no such directory.
    #[error("there is no skill {name} in {place}{}", advice(.nearest))]
    Unknown {
        /// Its name.
        name: String,
        /// Where it was looked for.
        place: String,
        /// The name of one that is written much like it.
        nearest: Option<String>,
    },
    /// It is there, and is no skill.
    #[error("the skill {name} is broken: {reason}")]
    Broken {
        /// Its name.
        name: String,
        /// What is wrong with it, with the file.
        reason: String,
    },
}

fn advice(nearest: &Option<String>) -> String {
    let make = || format!("; a skill is a directory with a {SKILL_FILE}");
    nearest.as_ref().map_or_else(make, |name| format!("; did you mean {name}?"))
}

impl Home {
    /// Where skills are.
    #[must_use]
    pub fn skills(&self) -> PathBuf {
        self.root().join("skills")
    }

    /// Looks at a skill of this name, which is that of one directory.
    ///
    /// # Errors
    /// It is missing, or holds something else than a skill may.
    pub fn skill(&self, name: &str) -> Result<Skill, SkillError> {
        let path = self.skills().join(name);
        let broken = |reason: String| SkillError::Broken { name: name.to_owned(), reason };
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let names = self.skill_names();
                let nearest = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
                let place = inert_path(&self.skills());
                return Err(SkillError::Unknown { name: name.to_owned(), place, nearest });
            }
            Err(error) => return Err(broken(format!("it cannot be looked at: {error}"))),
            Ok(meta) if !meta.is_dir() => {
                return Err(broken("it is not a directory; links are not followed".to_owned()));
            }
            Ok(_) => {}
        }
        if !path.join(SKILL_FILE).symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            return Err(broken(format!("it has no file {SKILL_FILE}")));
        }
        let found = archive::survey(&path, &[PathBuf::new()], &SKILL_RULES);
        let Contents { files, bytes, .. } = found.map_err(|error| broken(base::error::chain(&error)))?;
        Ok(Skill { name: name.to_owned(), files, bytes })
    }

    /// The directories of the skills folder, in order; not those whose names begin with a dot.
    #[must_use]
    pub fn skill_names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.skills()).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_file()));
        let names = named.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_skill_is_a_directory_of_files_with_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().to_owned());
        let make = |name: &str| {
            fs::create_dir_all(home.skills().join(name).join("scripts")).unwrap();
            fs::write(home.skills().join(name).join(SKILL_FILE), "How to.").unwrap();
            home.skills().join(name)
        };
        fs::write(make("write-tests").join("scripts/run"), "x").unwrap();
        let skill = Skill { name: "write-tests".to_owned(), files: 2, bytes: 8 };
        assert_eq!(home.skill("write-tests").unwrap(), skill);
        symlink("/etc", make("linked").join("scripts/etc")).unwrap();
        symlink("write-tests", home.skills().join("alias")).unwrap();
        fs::remove_file(make("empty").join(SKILL_FILE)).unwrap();
        fs::File::create(make("heavy").join("hole")).unwrap().set_len(1 << 40).unwrap();
        for (name, words) in [
            ("write-test", "did you mean write-tests?"),
            ("linked", "\"scripts/etc\" is a symbolic link"),
            ("alias", "not a directory"),
            ("empty", "no file SKILL.md"),
            ("heavy", "more than 16 MiB"),
        ] {
            let error = home.skill(name).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(home.skill_names(), ["alias", "empty", "heavy", "linked", "write-tests"]);
    }
}
